#include "journal.h"
#include "journal_dir.h"
#include "store.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>

struct found {
	uint32_t generation;
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

static void on_begin(void *arg, const struct journal_index *index, uint32_t generation)
{
	struct found *f = arg;
	(void)index;
	f->generation = generation;
}

static void on_doomed(void *arg, uint32_t queue, uint64_t from, uint64_t until)
{
	(void)arg;
	(void)queue;
	(void)from;
	(void)until;
}

static void on_end(void *arg)
{
	(void)arg;
}

static void on_state(void *arg, struct bytes key, struct bytes value)
{
	(void)arg;
	(void)key;
	(void)value;
}

static void on_entry(void *arg, uint64_t location, struct entry *e)
{
	struct found *f = arg;
	f->messages += e->kind == ENTRY_MESSAGE;
	f->changes += e->kind != ENTRY_MESSAGE;
	f->last_location = location;
	if (e->kind == ENTRY_MESSAGE)
		snprintf(f->body, sizeof f->body, "%.*s", BYTES_ARG(e->message.body));
}

static void on_damage(void *arg, uint64_t at)
{
	struct found *f = arg;
	(void)at;
	f->damaged++;
}

static const struct journal_visitor visitor = {
	on_begin, on_counters, on_definition, on_queue, on_doomed,
	on_state, on_entry,    on_damage,     on_end,
};
static const struct place here = { 1, 0 };

static struct journal *open_journal(const char *dir, struct found *found)
{
	char why[400];
	struct journal *j;
	struct journal_options options = { .dir = dir, .map_bytes = 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), 0, "%s", why);
	memset(found, 0, sizeof *found);
	cr_assert_eq(journal_recover(j, &visitor, found, why, sizeof why), 0, "%s", why);
	cr_assert_eq(journal_start(j), 0);
	return j;
}

static uint64_t add(struct batch *b, const char *body)
{
	struct message_record m = {
		.time_ms = b->now_ms, .places = &here, .places_len = 1, .body = bytes_str(body)
	};
	b->is_awaited = true;
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
	cr_assert_not(journal_read(j, location_of(999 * (uint64_t)LOG_SLOT_BYTES + 56, false), &e));
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

static void checkpoint(struct journal *j, bool is_clean)
{
	journal_batch(j, 1);
	cr_assert(journal_checkpoint_begin(j) != NULL);
	journal_checkpoint_end(j, is_clean);
	journal_submit(j);
	cr_assert(journal_wait(j));
	cr_assert(journal_checkpointed(j));
}

Test(journal, a_slot_is_used_again_once_a_checkpoint_says_that_nothing_lives_in_it)
{
	char dir[64];
	struct found found;
	static char body[200001];
	memset(body, 'b', sizeof body - 1);
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	for (int round = 0; round < 10; round++) {
		uint64_t locations[100];
		for (int i = 0; i < 100; i++) { /* More than a slot. */
			locations[i] = add(journal_batch(j, 1), body);
			wait_for(j, journal_submit(j));
		}
		journal_batch(j, 1);
		for (int i = 0; i < 100; i++)
			space_unref(journal_space(j), locations[i]);
		journal_submit(j);
		checkpoint(j, false);
	}
	cr_assert_leq(journal_space(j)->file_slots, 6, "200 MB went through %u slots",
		      journal_space(j)->file_slots);
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, a_checkpoint_replaces_the_log_before_it)
{
	char dir[64];
	struct found found;
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	uint32_t generation = found.generation;
	add(journal_batch(j, 1), "before");
	changes_put(journal_batch(j, 1)->changes, bytes_of("\x30\0\0\0\1", 5), bytes_str("record"));
	journal_submit(j);
	checkpoint(j, false);
	add(journal_batch(j, 1), "after");
	wait_for(j, journal_submit(j));
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 1);
	cr_assert_eq(found.queue_records, 1);
	cr_assert_str_eq(found.body, "after");
	cr_assert_eq(found.generation, generation + 1);
	checkpoint(j, true);
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 0);
	journal_close(j);
	journal_dir_remove(dir);
}

static void add_void(struct journal *j, struct batch *b, const char *body)
{
	uint64_t location = add(b, body);
	space_unref(journal_space(j), location);
	cr_assert(batch_void(b, location));
}

/* What is gone before it is written is not written; neither is a batch of nothing else. */
Test(journal, what_is_void_is_never_written)
{
	char dir[64];
	struct found found;
	static char body[20001];
	memset(body, 'v', sizeof body - 1);
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	struct batch *b = journal_batch(j, 1);
	uint64_t start = journal_space(j)->next_at;
	for (int i = 0; i < 10; i++)
		add_void(j, b, body);
	wait_for(j, journal_submit(j));
	cr_assert_eq(journal_space(j)->next_at, start, "it left no trace");
	b = journal_batch(j, 2);
	add(b, "first");
	for (int i = 0; i < 10; i++)
		add_void(j, b, body);
	uint64_t location = add(b, "last");
	wait_for(j, journal_submit(j));
	struct entry e;
	journal_read_begin(j);
	cr_assert(journal_read(j, location, &e));
	cr_assert(bytes_equal_str(e.message.body, "last"));
	journal_read_end(j);
	for (size_t len = 1; len < 8192;
	     len += 97) { /* Up to the end of a page, and a little less or more. */
		b = journal_batch(j, 3);
		add(b, "lone");
		body[len] = '\0';
		add_void(j, b, body);
		add_void(j, b, body);
		body[len] = 'v';
		wait_for(j, journal_submit(j));
	}
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 2 + 85);
	cr_assert_eq(found.damaged, 0);
	cr_assert_str_eq(found.body, "lone");
	journal_close(j);
	journal_dir_remove(dir);
}

static void flip(const char *dir, uint64_t offset)
{
	char path[100];
	uint8_t byte;
	snprintf(path, sizeof path, "%s/journal.log", dir);
	int fd = open(path, O_RDWR);
	cr_assert_eq(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

/* Three batches of one message each; returns where in the file they begin. */
static void write_three(const char *dir, uint64_t *offsets)
{
	static const char *const bodies[] = { "one", "two", "three" };
	struct found found;
	struct journal *j = open_journal(dir, &found);
	for (int i = 0; i < 3; i++) {
		uint64_t location = add(journal_batch(j, 1), bodies[i]);
		wait_for(j, journal_submit(j));
		offsets[i] = space_offset(journal_space(j), location_at(location));
	}
	journal_close(j);
}

/* One that lies before another batch must have been durable: that it is not whole is damage. */
Test(journal, damage_in_the_tail_is_told_from_its_end)
{
	char dir[64];
	uint64_t offsets[3];
	struct found found;
	for (int at_head = 0; at_head < 2; at_head++) {
		journal_dir_create(dir, sizeof dir);
		write_three(dir, offsets);
		flip(dir, at_head ? offsets[1] - 20 : offsets[1] + 12);
		struct journal *j = open_journal(dir, &found);
		cr_assert_eq(found.messages, 2, "%d messages are left", found.messages);
		cr_assert_eq(found.damaged, 1);
		cr_assert_str_eq(found.body, "three");
		journal_close(j);
		j = open_journal(dir, &found);
		cr_assert_eq(found.messages, 2, "and are still there later");
		journal_close(j);
		journal_dir_remove(dir);
	}
}

Test(journal, a_torn_end_is_no_damage)
{
	char dir[64];
	uint64_t offsets[3];
	struct found found;
	journal_dir_create(dir, sizeof dir);
	write_three(dir, offsets);
	flip(dir, offsets[2] + 12);
	struct journal *j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 2);
	cr_assert_eq(found.damaged, 0);
	cr_assert_str_eq(found.body, "two");
	add(journal_batch(j, 1), "four");
	wait_for(j, journal_submit(j));
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 3);
	cr_assert_str_eq(found.body, "four");
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
	cr_assert_gt(location_at(large), location_at(small));
	cr_assert_gt(location_at(after), location_at(large) + sizeof body);
	wait_for(j, journal_submit(j));
	struct entry e;
	journal_read_begin(j);
	cr_assert(journal_read(j, large, &e));
	cr_assert_eq(e.message.body.len, sizeof body - 1);
	journal_read_end(j);
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, a_message_longer_than_a_slot_is_found_again)
{
	char dir[64];
	struct found found;
	size_t len = 2 * LOG_SLOT_BYTES + 1000;
	char *body = malloc(len + 1);
	memset(body, 'l', len);
	body[len] = '\0';
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_journal(dir, &found);
	add(journal_batch(j, 1), "small");
	uint64_t large = add(journal_batch(j, 1), body);
	add(journal_batch(j, 1), "after");
	wait_for(j, journal_submit(j));
	struct entry e;
	journal_read_begin(j);
	cr_assert(journal_read(j, large, &e));
	cr_assert_eq(e.message.body.len, len);
	journal_read_end(j);
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 3);
	cr_assert_str_eq(found.body, "after");
	cr_assert_eq(found.damaged, 0);
	journal_close(j);
	journal_dir_remove(dir);
	free(body);
}

Test(journal, another_format_is_refused_with_a_clear_message)
{
	char dir[64], why[400] = "";
	struct found found;
	struct journal *j;
	struct store *store;
	struct changes none = { 0 };
	journal_dir_create(dir, sizeof dir);
	journal_close(open_journal(dir, &found));
	struct store_options store_options = { .dir = dir, .map_bytes = 1ull << 30 };
	cr_assert_eq(store_open(&store, &store_options, why, sizeof why), STORE_OK);
	struct store_checkpoint future = { .format = JOURNAL_FORMAT + 1 };
	cr_assert_eq(store_commit(store, &none, &future), STORE_OK);
	store_close(store);
	struct journal_options options = { .dir = dir, .map_bytes = 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), -1);
	cr_assert(strstr(why, "has format 4, this program reads formats 2 to 3") != NULL, "%s", why);
	journal_dir_remove(dir);
}

Test(journal, a_missing_directory_is_refused)
{
	char why[400] = "";
	struct journal *j;
	struct journal_options options = { .dir = "/nonexistent/leveret", .map_bytes = 1ull << 30 };
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), -1);
	cr_assert(strstr(why, "No such file") != NULL, "%s", why);
}

/* The map is the most that the store can hold: beyond it checkpoints wait, and nothing is lost. */
Test(journal, a_full_map_holds_checkpoints_back)
{
	char dir[64], why[400];
	struct journal *j;
	struct found found;
	struct journal_options options = { .dir = dir, .map_bytes = 1 << 20 };
	static uint8_t value[2 << 20];
	journal_dir_create(dir, sizeof dir);
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), 0);
	cr_assert_eq(journal_recover(j, &visitor, &found, why, sizeof why), 0);
	cr_assert_eq(journal_start(j), 0);
	uint64_t location = add(journal_batch(j, 1), "kept");
	struct changes *changes = journal_checkpoint_begin(j);
	changes_put(changes, bytes_of("\x20key", 4), bytes_of(value, sizeof value));
	journal_checkpoint_end(j, false);
	wait_for(j, journal_submit(j));
	while (journal_state(j) == JOURNAL_OK) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, 10000), 1);
		journal_durable(j);
	}
	cr_assert_eq(journal_state(j), JOURNAL_FULL);
	add(journal_batch(j, 1), "more");
	wait_for(j, journal_submit(j));
	cr_assert_not(journal_stop(j), "what could not be written is not claimed to be");
	journal_close(j);
	j = open_journal(dir, &found);
	cr_assert_eq(found.messages, 2);
	cr_assert_gt(found.last_location, location);
	journal_close(j);
	journal_dir_remove(dir);
}

/* A sink that says what the test wants, as a majority of other machines might. */
struct stub {
	int answer;
	uint64_t taken; /* The last sequence. */
};

static int stub_take(void *arg, const struct batch *batch)
{
	struct stub *s = arg;
	s->taken = batch->sequence;
	return s->answer;
}

static const char *stub_error(const void *arg)
{
	(void)arg;
	return "no majority";
}

static struct journal *open_on(const char *dir, struct stub *stub, struct found *found)
{
	struct sink sink = { stub_take, stub_error, stub };
	struct journal_options options = { .dir = dir, .map_bytes = 1ull << 30, .sink = &sink };
	struct journal *j;
	char why[300];
	cr_assert_eq(journal_open(&j, &options, why, sizeof why), 0, "%s", why);
	*found = (struct found){ 0 };
	cr_assert_eq(journal_recover(j, &visitor, found, why, sizeof why), 0, "%s", why);
	cr_assert_eq(journal_start(j), 0);
	return j;
}

Test(journal, a_turn_is_durable_when_the_sink_says_so)
{
	char dir[64];
	struct found found;
	struct stub stub = { .answer = SINK_OK };
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_on(dir, &stub, &found);
	add(journal_batch(j, 1), "x");
	uint64_t sequence = journal_submit(j);
	wait_for(j, sequence);
	cr_assert_eq(stub.taken, sequence);
	cr_assert(journal_stop(j));
	journal_close(j);
	journal_dir_remove(dir);
}

Test(journal, nothing_is_durable_once_the_sink_has_failed)
{
	char dir[64], why[300];
	struct found found;
	struct stub stub = { .answer = SINK_FAILED };
	journal_dir_create(dir, sizeof dir);
	struct journal *j = open_on(dir, &stub, &found);
	add(journal_batch(j, 1), "x");
	uint64_t sequence = journal_submit(j);
	while (journal_state(j) == JOURNAL_OK) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, 10000), 1);
	}
	cr_assert_eq(journal_state(j), JOURNAL_FAILED);
	cr_assert_lt(journal_durable(j), sequence);
	journal_reason(j, why, sizeof why);
	cr_assert_str_eq(why, "no majority");
	cr_assert_not(journal_stop(j));
	journal_close(j);
	journal_dir_remove(dir);
}

/* --- damage --- */

/* Two messages and two index chunks, stopped in order: what the tests below spoil. */
static void fill_directory(char *dir, size_t size)
{
	struct found found;
	journal_dir_create(dir, size);
	struct journal *j = open_journal(dir, &found);
	for (unsigned i = 0; i < 2; i++) {
		add(journal_batch(j, 1), "x");
		wait_for(j, journal_submit(j));
		journal_batch(j, 1);
		struct changes *changes = journal_checkpoint_begin(j);
		uint8_t key[STORE_INDEX_KEY_BYTES];
		changes_put(changes, store_index_key(key, 7, i),
			    bytes_str("where the messages are"));
		journal_checkpoint_end(j, true);
		journal_submit(j);
		cr_assert(journal_wait(j));
		cr_assert(journal_checkpointed(j));
	}
	cr_assert(journal_stop(j));
	journal_close(j);
}

static void rename_in(const char *dir, const char *from, const char *to)
{
	char a[4200], b[4200];
	snprintf(a, sizeof a, "%s/%s", dir, from);
	snprintf(b, sizeof b, "%s/%s", dir, to);
	cr_assert_eq(rename(a, b), 0);
}

/* Changes the bytes of data.mdb after every occurrence of what is looked for. */
static void spoil(const char *dir, const void *wanted, size_t len, size_t after, uint8_t with)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	FILE *f = fopen(path, "r+b");
	static uint8_t bytes[1 << 20];
	size_t size = fread(bytes, 1, sizeof bytes, f), spoilt = 0;
	for (size_t i = 0; i + len + after < size; i++)
		if (memcmp(bytes + i, wanted, len) == 0) {
			bytes[i + after] ^= with;
			spoilt++;
		}
	cr_assert_gt(spoilt, 0);
	rewind(f);
	cr_assert_eq(fwrite(bytes, 1, size, f), size);
	fclose(f);
}

static int try_to_open(const char *dir, char *why, size_t why_size)
{
	struct journal_options options = { .dir = dir, .map_bytes = 1ull << 30 };
	struct journal *j = NULL;
	int rc = journal_open(&j, &options, why, why_size);
	if (rc == 0)
		journal_close(j);
	return rc;
}

Test(journal, is_not_begun_anew_when_its_store_is_missing)
{
	char dir[64], why[600];
	fill_directory(dir, sizeof dir);
	rename_in(dir, "data.mdb", "elsewhere");
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(try_to_open(dir, why, sizeof why), -1);
		cr_assert_neq(strstr(why, "data.mdb, is missing"), NULL, "%s", why);
	}
	rename_in(dir, "elsewhere", "data.mdb");
	cr_assert_eq(try_to_open(dir, why, sizeof why), 0, "%s", why);
	journal_dir_remove(dir);
}

Test(journal, is_not_begun_anew_when_its_log_is_missing)
{
	char dir[64], why[600];
	fill_directory(dir, sizeof dir);
	rename_in(dir, "journal.log", "elsewhere");
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(try_to_open(dir, why, sizeof why), -1);
		cr_assert_neq(strstr(why, "journal.log, is missing"), NULL, "%s", why);
	}
	rename_in(dir, "elsewhere", "journal.log");
	cr_assert_eq(try_to_open(dir, why, sizeof why), 0, "%s", why);
	journal_dir_remove(dir);
}

Test(journal, tells_of_a_damaged_index_before_anybody_reads_it)
{
	char dir[64];
	struct found found;
	fill_directory(dir, sizeof dir);
	spoil(dir, "where the messages are", 22, 6, 1);
	struct journal *j = open_journal(dir, &found);
	cr_assert_eq(found.damaged, 2);
	journal_stop(j);
	journal_close(j);
	journal_dir_remove(dir);
}

/* A page of LMDB begins with its number; flags follow after two more bytes, then the free space's
 * bounds: with the lower one cut, its records are hidden, and with the upper half of a position
 * changed they are read from outside of the map. */
Test(journal, refuses_a_store_that_cannot_be_read)
{
	static const uint8_t leaf_flags[] = { 0, 0, 2, 0 };
	static const struct {
		size_t after;
		uint8_t with;
	} damages[] = { { 4, 4 }, { 4, 0xff }, { 9, 0xff }, { 2, 3 } };
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		char dir[64], why[600];
		fill_directory(dir, sizeof dir);
		char path[4200];
		snprintf(path, sizeof path, "%s/data.mdb", dir);
		FILE *f = fopen(path, "r+b");
		static uint8_t bytes[1 << 20];
		size_t size = fread(bytes, 1, sizeof bytes, f);
		for (size_t at = 2 * 4096; at + 4096 <= size; at += 4096)
			if (memcmp(bytes + at + 8, leaf_flags, sizeof leaf_flags) == 0)
				bytes[at + 8 + damages[i].after] ^= damages[i].with;
		rewind(f);
		cr_assert_eq(fwrite(bytes, 1, size, f), size);
		fclose(f);
		cr_assert_eq(try_to_open(dir, why, sizeof why), -1, "damage %zu", i);
		cr_assert_neq(strstr(why, "data.mdb, is damaged"), NULL, "%s", why);
		journal_dir_remove(dir);
	}
}
