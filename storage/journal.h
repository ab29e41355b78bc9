/* Journal: what the broker promises to remember. `submit(batch) -> durable(sequence)`.
 *
 * The owner (one thread, the loop) fills the batch that journal_batch() gives it and ends each turn
 * with journal_submit(), which returns the sequence number to wait for. A writer thread appends
 * batches to the log and syncs it; while one batch is on its way to the disk, the next one fills,
 * so batching needs no timer: a lone publisher is not delayed and a flood is batched. What nobody
 * waits for (batch.is_awaited), acks above all, is written a few milliseconds later, or with what
 * comes.
 *
 * About once a second the owner takes a checkpoint: what changed goes into the store, by a thread
 * of its own (the keeper), so that a start reads the store and the little that the log has since.
 * Messages stay in the log until they are gone; slots that hold hardly any are cleared by moving
 * the survivors into the store.
 *
 * A turn is all or nothing. Sequences become durable in order. When journal_fd() is readable,
 * journal_durable() has moved, journal_state() has changed or a checkpoint is done.
 *
 * All functions are for the owner's thread. */
#ifndef LEV_STORAGE_JOURNAL_H
#define LEV_STORAGE_JOURNAL_H

#include "batch.h"
#include "sink.h"
#include "space.h"

struct journal_options {
	const char *dir;         /* Must exist and be ours alone. */
	uint64_t map_bytes;      /* Address space for the store; 0: 1 TiB. */
	const struct sink *sink; /* Copied. NULL: a batch is durable when the log on this disk has
				    it. Whatever else it is, the log must have it, too. */
	bool is_read_only; /* To look at one that nobody else has open: nothing is changed, and it
			      is never started. */
};

enum journal_state {
	JOURNAL_OK,
	JOURNAL_FULL,   /* The disk is full: nothing is lost, commits are tried again until there is
			   space. */
	JOURNAL_FAILED, /* A write or sync failed: nothing more is confirmed; the process must end.
			 */
};

/* Where recovery looks up index chunks while it runs. */
struct journal_index {
	/* The chunk that holds a position of the queue or, if none does, the first one after it.
	 * False: there is none. Views are valid until the next call. */
	bool (*find)(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		     struct bytes *chunk);
	/* As journal_get(). */
	bool (*get)(void *arg, struct bytes key, struct bytes *value);
	void *arg;
};

/* What recovery finds, in this order: begin, counters, definitions, queues, doomed, state, then the
 * log's tail. */
struct journal_visitor {
	/* index is valid until journal_recover() returns. */
	void (*begin)(void *arg, const struct journal_index *index, uint32_t generation);
	void (*counters)(void *arg, struct bytes value);
	void (*definition)(void *arg, struct bytes kind_and_name, struct bytes value);
	void (*queue)(void *arg, uint32_t queue, struct bytes value);
	void (*doomed)(void *arg, uint32_t queue, uint64_t from, uint64_t until);
	/* The core's own, of keys STORE_KEY_KEYS_STATE and STORE_KEY_PRODUCER. */
	void (*state)(void *arg, struct bytes key, struct bytes value);
	/* Newer than the checkpoint. Definitions are not visited: they are there already. */
	void (*entry)(void *arg, uint64_t location, struct entry *entry);
	/* Bytes of the log that fail their checksum: skipped, the rest is served. */
	void (*damage)(void *arg, uint64_t at);
	void (*end)(void *arg);
};

struct journal;

/* Opens or creates the journal of a directory. On failure returns -1, leaves *out untouched and
 * writes the reason to why. */
int journal_open(struct journal **out, const struct journal_options *options, char *why,
		 size_t why_size);

/* Calls the visitor for everything that is stored. Once, before journal_start(). On failure returns
 * -1 and writes the reason to why. */
int journal_recover(struct journal *journal, const struct journal_visitor *visitor, void *arg,
		    char *why, size_t why_size);

/* Starts the threads. 0, or an errno. */
int journal_start(struct journal *journal);

/* Flushes what was submitted, finishes a checkpoint that was begun and ends the threads. True if
 * all of it became durable. */
bool journal_stop(struct journal *journal);

/* Stops, if that has not been done, and frees. What still refers to journal_live() must be gone.
 * NULL is fine. */
void journal_close(struct journal *journal);

/* The batch of this turn. now_ms is Unix time. Valid until journal_submit(). */
struct batch *journal_batch(struct journal *journal, uint64_t now_ms);

/* Ends the turn. Returns the sequence that makes everything submitted so far durable. */
uint64_t journal_submit(struct journal *journal);

/* The same, but leaves the writer asleep: journal_write_here() must follow before the next turn. */
uint64_t journal_submit_here(struct journal *journal);

/* Writes what was submitted at once, in this thread, if the caller is free to do so, it is little,
 * somebody waits for it and the writer has nothing to do; otherwise the writer is woken. It saves a
 * lone publisher two changes of threads, and keeps the owner from everything else for as long as
 * the disk takes. True if all that was submitted is durable now. */
bool journal_write_here(struct journal *journal, bool is_free);

struct journal_look {
	uint64_t durable;       /* The highest durable sequence. */
	uint64_t backlog_bytes; /* Submitted and not yet durable: for slowing publishers. */
	enum journal_state state;
	bool is_short; /* There is no space for more slots of the log. What is left is for acks: it
			  is time to stop publishers. */
};

/* How things stand. */
struct journal_look journal_look(struct journal *journal);
uint64_t journal_durable(struct journal *journal);
enum journal_state journal_state(struct journal *journal);

/* Why the state is not JOURNAL_OK. */
void journal_reason(struct journal *journal, char *why, size_t why_size);

/* Becomes readable on progress; journal_look() makes it unreadable again. Owned by the journal. */
int journal_fd(const struct journal *journal);

/* For the core's references. */
struct space *journal_space(struct journal *journal);

/* --- checkpoints --- */

/* Within a turn: where the state of what changed is to be put; NULL while the one before is on its
 * way. */
struct changes *journal_checkpoint_begin(struct journal *journal);

/* Everything so far is covered. is_clean: nothing will follow. It goes to the store when this turn
 * is durable. */
void journal_checkpoint_end(struct journal *journal, bool is_clean);

/* True once after each checkpoint that has reached the store. */
bool journal_checkpointed(struct journal *journal);

/* Between turns: waits until what was submitted is durable and no checkpoint is on its way. False
 * if that cannot be. */
bool journal_wait(struct journal *journal);

/* --- clearing sparse slots --- */

/* A slot of which little lives, to be cleared: its addresses. False if there is none. */
bool journal_clear_begin(struct journal *journal, uint64_t *from_at, uint64_t *until_at);

/* How many places of a message live; may be too many, never too few. */
typedef uint32_t journal_living(void *arg, uint64_t location, struct entry *entry);

/* Within a turn: copies what lives of the next stretch of that slot for the next checkpoint. False:
 * that was the last one. */
bool journal_clear_step(struct journal *journal, journal_living *living, void *arg);

/* --- reading back --- */

/* Many reads between begin and end are cheaper than one each; never hold a read across a wait. */
void journal_read_begin(struct journal *journal);
void journal_read_end(struct journal *journal);

/* Reads a durable message. True and *entry, with views valid until the next call, or false if it is
 * damaged. */
bool journal_read(struct journal *journal, uint64_t location, struct entry *entry);

/* Keeps the bytes at a location, which nobody could read, in a file of their own beside the
 * journal, whose name goes to name. False if that cannot be done. */
bool journal_quarantine(struct journal *journal, uint64_t location, char *name, size_t name_size);

/* The value of a key of the store; empty if it is damaged. False: there is none. As for
 * journal_read(). */
bool journal_get(struct journal *journal, struct bytes key, struct bytes *value);

/* As journal_index.find. */
bool journal_index_find(struct journal *journal, uint32_t queue, uint64_t position, uint64_t *base,
			struct bytes *chunk);

#endif
