#include "turn/disk.h"

static struct batch *begin(void *journal, uint64_t unix_ms)
{
	return journal_batch(journal, unix_ms);
}

static uint64_t submit(void *journal, bool is_here)
{
	return is_here ? journal_submit_here(journal) : journal_submit(journal);
}

static uint64_t durable(void *journal)
{
	return journal_durable(journal);
}

static bool checkpoint_begin(void *journal)
{
	return journal_checkpoint_begin(journal) != NULL;
}

static void checkpoint_end(void *journal, bool is_clean)
{
	journal_checkpoint_end(journal, is_clean);
}

static bool checkpointed(void *journal)
{
	return journal_checkpointed(journal);
}

static bool clear_begin(void *journal, uint64_t *from_at, uint64_t *until_at)
{
	return journal_clear_begin(journal, from_at, until_at);
}

static bool clear_step(void *journal, journal_living *living, void *living_arg)
{
	return journal_clear_step(journal, living, living_arg);
}

static void read_begin(void *journal)
{
	journal_read_begin(journal);
}

static void read_end(void *journal)
{
	journal_read_end(journal);
}

static bool read_entry(void *journal, uint64_t location, struct entry *entry)
{
	return journal_read(journal, location, entry);
}

static bool find_index(void *journal, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	return journal_index_find(journal, queue, position, base, chunk);
}

static bool get(void *journal, struct bytes key, struct bytes *value)
{
	return journal_get(journal, key, value);
}

struct disk disk_of_journal(struct journal *journal)
{
	static const struct disk_operations operations = {
		.begin = begin,
		.submit = submit,
		.durable = durable,
		.checkpoint_begin = checkpoint_begin,
		.checkpoint_end = checkpoint_end,
		.checkpointed = checkpointed,
		.clear_begin = clear_begin,
		.clear_step = clear_step,
		.read_begin = read_begin,
		.read_end = read_end,
		.read = read_entry,
		.find_index = find_index,
		.get = get,
	};
	return (struct disk){ &operations, journal };
}
