/* Journal: what the broker promises to remember. `submit(batch) -> durable(sequence)`.
 *
 * The owner (one thread, the loop) fills the batch that journal_batch() gives it and ends each turn with journal_submit(),
 * which returns the sequence number to wait for. A writer thread commits; while one batch is on its way to the disk, the next
 * one fills, so batching needs no timer: a lone publisher is not delayed and a flood is batched.
 *
 * A turn is all or nothing. Sequences become durable in order. When journal_fd() is readable, journal_durable() has moved or
 * journal_state() has changed.
 *
 * All functions are for the owner's thread. */
#ifndef LEV_STORAGE_JOURNAL_H
#define LEV_STORAGE_JOURNAL_H

#include "batch.h"

struct journal_options {
	const char *dir;    /* Must exist and be ours alone. */
	uint64_t map_bytes; /* Address space for the file; 0: 1 TiB. */
};

enum journal_state {
	JOURNAL_OK,
	JOURNAL_FULL,   /* The disk is full: nothing is lost, commits are tried again until there is space. */
	JOURNAL_FAILED, /* A write or sync failed: nothing more is confirmed; the process must end. */
};

/* What recovery finds, in this order: counters, definitions, queues, then all segments from the oldest on. */
struct journal_visitor {
	void (*counters)(void *arg, struct bytes value);
	void (*definition)(void *arg, struct bytes kind_and_name, struct bytes value);
	void (*queue)(void *arg, uint32_t queue, struct bytes value);
	/* is_tail: newer than the checkpoint. Older changes are already in the queue records and are not visited. The
	 * visitor may live_ref() the segment of a message that is still in use. */
	void (*entry)(void *arg, uint64_t location, struct entry *entry, bool is_tail);
	/* Bytes that fail their checksum: skipped, the rest is served. */
	void (*damage)(void *arg, uint64_t segment, uint32_t offset);
};

struct journal;

/* Opens or creates the journal of a directory. On failure returns -1, leaves *out untouched and writes the reason to why. */
int journal_open(struct journal **out, const struct journal_options *options, char *why, size_t why_size);

/* Calls the visitor for everything that is stored. Once, before journal_start(). */
void journal_recover(struct journal *journal, const struct journal_visitor *visitor, void *arg);

/* Starts the writer thread. 0, or an errno. */
int journal_start(struct journal *journal);

/* Flushes what was submitted and ends the writer. True if all of it became durable. */
bool journal_stop(struct journal *journal);

/* Stops, if that has not been done, and frees. What still refers to journal_live() must be gone. NULL is fine. */
void journal_close(struct journal *journal);

/* The batch of this turn. now_ms is Unix time. Valid until journal_submit(). */
struct batch *journal_batch(struct journal *journal, uint64_t now_ms);

/* Ends the turn. Returns the sequence that makes everything submitted so far durable. */
uint64_t journal_submit(struct journal *journal);

/* The last batch of an orderly stop: its checkpoint is marked clean. Call before the last journal_submit(). */
void journal_mark_clean(struct journal *journal);

/* The highest durable sequence. */
uint64_t journal_durable(struct journal *journal);

enum journal_state journal_state(struct journal *journal);

/* Why the state is not JOURNAL_OK. */
void journal_reason(struct journal *journal, char *why, size_t why_size);

/* Becomes readable on progress; journal_durable() makes it unreadable again. Owned by the journal. */
int journal_fd(const struct journal *journal);

/* Bytes submitted and not yet durable: for slowing publishers. */
uint64_t journal_backlog_bytes(struct journal *journal);

/* Living places and dead segments, for the core's references. */
struct live *journal_live(struct journal *journal);

/* --- reading messages back --------------------------------------------------------------------------------------- */

/* Reads a durable message. True and *entry, with views valid until journal_read_end(), or false if it is damaged or gone.
 * Many reads between begin and end are cheaper than one each; never hold a read across a wait. */
void journal_read_begin(struct journal *journal);
bool journal_read(struct journal *journal, uint64_t location, struct entry *entry);
void journal_read_end(struct journal *journal);

#endif
