/* Disk: what a turn needs of whatever keeps what it decides - a journal, or in tests and the mock
 * something that only behaves like one.
 *
 * An operation is called by the turn's thread alone. arg is the first argument of each. */
#ifndef LEV_TURN_DISK_H
#define LEV_TURN_DISK_H

#include "journal.h"

struct disk_operations {
	/* The batch of this turn; valid until submit(). unix_ms: its time. */
	struct batch *(*begin)(void *arg, uint64_t unix_ms);
	/* Ends the turn. Returns the sequence that makes everything submitted so far durable.
	 * is_here: the owner may write it itself, see journal_submit_here(). */
	uint64_t (*submit)(void *arg, bool is_here);
	/* The highest durable sequence. */
	uint64_t (*durable)(void *arg);

	/* False: the checkpoint before is still on its way. Otherwise what changes is added to the
	 * changes of the batch, */
	bool (*checkpoint_begin)(void *arg);
	/* and that was all of it. is_clean: nothing will follow. */
	void (*checkpoint_end)(void *arg, bool is_clean);
	/* True once after each checkpoint that has been kept. */
	bool (*checkpointed)(void *arg);

	/* A stretch of the log of which little lives, see journal_clear_begin(). NULL: there never
	 * is one. */
	bool (*clear_begin)(void *arg, uint64_t *from_at, uint64_t *until_at);
	/* As journal_clear_step(). */
	bool (*clear_step)(void *arg, journal_living *living, void *living_arg);

	/* Reads come between these two. NULL: nothing is ever read back, for nothing leaves memory.
	 */
	void (*read_begin)(void *arg);
	void (*read_end)(void *arg);
	/* As journal_read(), journal_index_find() and journal_get(). */
	bool (*read)(void *arg, uint64_t location, struct entry *entry);
	bool (*find_index)(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
			   struct bytes *chunk);
	bool (*get)(void *arg, struct bytes key, struct bytes *value);
};

struct disk {
	const struct disk_operations *operations;
	void *arg; /* Borrowed. */
};

/* The real one. */
struct disk disk_of_journal(struct journal *journal);

#endif
