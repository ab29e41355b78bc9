#include "journal.h"
#include "journal_dir.h"
#include "store.h"

#include <criterion/criterion.h>
#include <poll.h>

struct found {
	unsigned definitions;
	unsigned messages;
	unsigned changes;
	unsigned damaged;
	unsigned queue_records;
	uint64_t last_location;
	char body[64];
};

static void on_counters(void *arg, struct bytes value)
{
	(void)arg;
	(void)value;
}

static void on_definition(void *arg, struct bytes key, struct bytes value)
{
	struct found *f = arg;
	(void)key;
	(void)value;
	f->definitions++;
}

static void on_queue(void *arg, uint32_t queue, struct bytes value)
{
	struct found *f = arg;
	(void)queue;
	(void)value;
	f->queue_records++;
}

static void on_entry(void *arg, uint64_t location, struct entry *e, bool is_tail)
{
	struct found *f = arg;
	(void)is_tail;
	f->messages += e->kind == ENTRY_MESSAGE;
	f->changes += e->kind != ENTRY_MESSAGE;
	f->last_location = location;
	if (e->kind == ENTRY_MESSAGE)
		snprintf(f->body, sizeof f->body, "%.*s", BYTES_ARG(e->message.body));
}

static void on_damage(void *arg, uint64_t segment, uint32_t offset)
{
	struct found *f = arg;
	(void)segment;
	(void)offset;
	f->damaged++;
}

static const struct journal_visitor visitor = { on_counters, on_definition, on_queue, on_entry, on_damage };
static const struct place here = { 1, 0 };

static struct journal *open_journal(const char *dir, struct found *found)
{
	char why[400];
	struct journal *j;
	struct journal_options options = { dir, 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), 0, "%s", why);
	memset(found, 0, sizeof *found);
	journal_recover(j, &visitor, found);
	cr_assert_eq(journal_start(j), 0);
	return j;
}

static uint64_t add(struct batch *b, const char *body)
{
	struct message_record m = { .time_ms = b->now_ms, .places = &here, .places_len = 1, .body = bytes_str(body) };
	return batch_message(b, &m);
}

static void wait_for(struct journal *j, uint64_t sequence)
{
	while (journal_durable(j) < sequence) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, 10000), 1);
	}
}

Test(journal, what_was_durable_is_found_again)
{
	char dir[64];
	struct found found;
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 0);
	struct batch *b = journal_batch(j, 1000);
	batch_put(b, bytes_of("\x20key", 4), bytes_str("value"));
	uint64_t location = add(b, "first");
	add(b, "second");
	batch_ranges(b, ENTRY_REMOVED, 1, &(struct range){ 0, 1 }, 1);
	wait_for(j, journal_submit(j));
	struct entry e;
	journal_read_begin(j);
	cr_assert(journal_read(j, location, &e));
	cr_assert(bytes_equal_str(e.message.body, "first"));
	cr_assert_not(journal_read(j, location_of(999, 40), &e));
	journal_read_end(j);
	cr_assert(journal_stop(j));
	journal_close(j);

	j = open_journal(dir, &found);
	cr_assert_eq(found.definitions, 1);
	cr_assert_eq(found.messages, 2);
	cr_assert_eq(found.changes, 1);
	cr_assert_str_eq(found.body, "second");
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, an_empty_turn_promises_nothing_new)
{
	char dir[64];
	struct found found;
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	journal_batch(j, 1);
	cr_assert_eq(journal_submit(j), 0);
	add(journal_batch(j, 2), "x");
	uint64_t first = journal_submit(j);
	cr_assert_eq(first, 1);
	wait_for(j, first);
	journal_batch(j, 3);
	cr_assert_eq(journal_submit(j), first);
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, dead_segments_go_after_a_checkpoint_and_numbers_are_not_reused)
{
	char dir[64];
	struct found found;
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	struct batch *b = journal_batch(j, 1);
	uint64_t location = add(b, "dead");
	wait_for(j, journal_submit(j));
	b = journal_batch(j, 2);
	live_unref(journal_live(j), location_segment(location));
	batch_put(b, bytes_of("\x30\0\0\0\1", 5), bytes_str("record"));
	batch_checkpoint(b);
	wait_for(j, journal_submit(j));
	cr_assert(journal_stop(j));
	journal_close(j);

	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 0);
	cr_assert_eq(found.queue_records, 1);
	uint64_t again = add(journal_batch(j, 3), "new");
	cr_assert_gt(location_segment(again), location_segment(location));
	wait_for(j, journal_submit(j));
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, a_large_message_has_a_segment_of_its_own)
{
	char dir[64];
	struct found found;
	static char body[1000001];
	journal_dir_create(dir, sizeof dir);
	memset(body, 'b', sizeof body - 1);
	struct journal *j = open_journal(dir, &found);
	struct batch *b = journal_batch(j, 1);
	uint64_t small = add(b, "small"), large = add(b, body), after = add(b, "after");
	cr_assert_neq(location_segment(small), location_segment(large));
	cr_assert_neq(location_segment(after), location_segment(large));
	wait_for(j, journal_submit(j));
	struct entry e;
	journal_read_begin(j);
	cr_assert(journal_read(j, large, &e));
	cr_assert_eq(e.message.body.len, sizeof body - 1);
	journal_read_end(j);
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, another_format_is_refused_with_a_clear_message)
{
	char dir[64], why[400] = "";
	struct found found;
	struct journal *j;
	journal_dir_create(dir, sizeof dir);
	j = open_journal(dir, &found);
	struct batch *b = journal_batch(j, 1);
	struct store_checkpoint future = { .format = JOURNAL_FORMAT + 1, .segment = 1 };
	batch_put(b, bytes_of("\x10", 1), bytes_of(&future, sizeof future));
	wait_for(j, journal_submit(j));
	journal_close(j);
	struct journal_options options = { dir, 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), -1);
	cr_assert(strstr(why, "has format 2") != NULL, "%s", why);
	journal_dir_remove(dir);
}

Test(journal, a_missing_directory_is_refused)
{
	char why[400] = "";
	struct journal *j;
	struct journal_options options = { "/nonexistent/leveret", 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), -1);
	cr_assert(strstr(why, "No such file") != NULL, "%s", why);
}

/* The map is the most that the file can hold: beyond it commits wait, and nothing is lost. */
Test(journal, a_full_map_holds_commits_back)
{
	char dir[64], why[400];
	struct journal *j;
	struct journal_options options = { dir, 1 << 20 };
	static char body[200000];
	journal_dir_create(dir, sizeof dir);
	memset(body, 'x', sizeof body - 1);
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), 0);
	cr_assert_eq(journal_start(j), 0);
	for (int i = 0; i < 10; i++)
		add(journal_batch(j, 1), body);
	uint64_t sequence = journal_submit(j);
	while (journal_state(j) == JOURNAL_OK) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, 10000), 1);
		cr_assert_lt(journal_durable(j), sequence);
	}
	cr_assert_eq(journal_state(j), JOURNAL_FULL);
	cr_assert_not(journal_stop(j), "what could not be written is not claimed to be");
	journal_close(j);
	journal_dir_remove(dir);
}
