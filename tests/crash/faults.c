/* faults: the journal on a disk that fails. Each fault is made by the recorder in the C library's
 * place; what was durable before must be found after a restart, and nothing is claimed that is not.
 */
#include "journal.h"
#include "recorder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *test_name;
static char dir[64];
static unsigned found;
static uint64_t last_at; /* Of the message that was added last. */
static unsigned tests;

#define CHECK(what)                                                                          \
	do {                                                                                 \
		if (!(what)) {                                                               \
			fprintf(stderr, "%s: %s (line %d)\n0 passed, 1 failed\n", test_name, \
				#what, __LINE__);                                            \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

static void on_begin(void *arg, const struct journal_index *index, uint32_t generation)
{
	(void)arg;
	(void)index;
	(void)generation;
}

static void on_counters(void *arg, struct bytes value)
{
	(void)arg;
	(void)value;
}

static void on_definition(void *arg, struct bytes key, struct bytes value)
{
	(void)arg;
	(void)key;
	(void)value;
}

static void on_queue(void *arg, uint32_t queue, struct bytes value)
{
	(void)arg;
	(void)queue;
	(void)value;
}

static void on_doomed(void *arg, uint32_t queue, uint64_t from, uint64_t until)
{
	(void)arg;
	(void)queue;
	(void)from;
	(void)until;
}

static void on_state(void *arg, struct bytes key, struct bytes value)
{
	(void)arg;
	(void)key;
	(void)value;
}

static void on_entry(void *arg, uint64_t location, struct entry *entry)
{
	(void)arg;
	(void)location;
	found += entry->kind == ENTRY_MESSAGE;
}

static void on_damage(void *arg, uint64_t at)
{
	(void)arg;
	(void)at;
	bool is_damaged = true;
	CHECK(!is_damaged);
}

static void on_end(void *arg)
{
	(void)arg;
}

static const struct journal_visitor visitor = {
	on_begin, on_counters, on_definition, on_queue, on_doomed,
	on_state, on_entry,    on_damage,     on_end,
};

static struct journal *open_journal(void)
{
	struct journal *j;
	char why[400];
	struct journal_options options = { .dir = dir, .map_bytes = 1 << 26 };
	found = 0;
	CHECK(journal_open(&j, &options, why, sizeof why) == 0);
	CHECK(journal_recover(j, &visitor, NULL, why, sizeof why) == 0);
	CHECK(journal_start(j) == 0);
	return j;
}

static struct journal *begin(const char *name)
{
	test_name = name;
	tests++;
	snprintf(dir, sizeof dir, "/dev/shm/leveret-faults.XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	recorder_start(dir);
	return open_journal();
}

static void end(struct journal *j)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "journal.log", "ballast" };
	char path[200];
	journal_close(j);
	recorder_stop();
	recorder_forget();
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	CHECK(rmdir(dir) == 0);
}

static uint64_t add(struct journal *j, size_t len)
{
	static uint8_t body[20000];
	static const struct place here = { 1, 0 };
	struct batch *b = journal_batch(j, 1700000000000);
	struct message_record m = { .places = &here, .places_len = 1, .body = bytes_of(body, len) };
	last_at = location_at(batch_message(b, &m));
	b->is_awaited = true;
	return journal_submit(j);
}

/* Until this is durable, or the state is another one. */
static struct journal_look wait_while(struct journal *j, uint64_t sequence,
				      enum journal_state state)
{
	struct journal_look look;
	while ((look = journal_look(j)).durable < sequence && look.state == state) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		CHECK(poll(&p, 1, 10000) == 1);
	}
	return look;
}

static void checkpoint(struct journal *j)
{
	changes_put(journal_batch(j, 1)->changes, bytes_of("\x20key", 4), bytes_str("value"));
	CHECK(journal_checkpoint_begin(j) != NULL);
	journal_checkpoint_end(j, false);
	journal_submit(j);
}

/* Nothing is durable after it, whatever the disk says later. */
static void fails_for_good(const char *name, enum recorder_call call)
{
	struct journal *j = begin(name);
	wait_while(j, add(j, 100), JOURNAL_OK);
	recorder_fail(call, 1, EIO);
	uint64_t lost = add(j, 100);
	struct journal_look look = wait_while(j, lost, JOURNAL_OK);
	CHECK(look.state == JOURNAL_FAILED && look.durable < lost);
	recorder_fail(call, 0, 0);
	add(j, 100);
	CHECK(!journal_stop(j));
	CHECK(journal_look(j).durable < lost);
	char why[400];
	journal_reason(j, why, sizeof why);
	CHECK(strstr(why, "Input/output error") != NULL);
	journal_close(j);
	j = open_journal();
	CHECK(found >= 1);
	end(j);
}

static void a_full_disk_is_waited_out(void)
{
	struct journal *j = begin("a full disk is waited out");
	uint64_t last = 0;
	wait_while(j, add(j, 100), JOURNAL_OK);
	recorder_fail(CALL_ALLOCATE, 1, ENOSPC);
	unsigned written = 1;
	struct journal_look look = { .state = JOURNAL_OK };
	while (look.state == JOURNAL_OK) { /* Until the slots that were ready are full. */
		last = add(j, 10000);
		written++;
		look = wait_while(j, last, JOURNAL_OK);
		CHECK(written < 1000);
	}
	CHECK(look.state == JOURNAL_FULL && look.durable < last);
	recorder_fail(CALL_ALLOCATE, 0, 0);
	look = wait_while(j, last, JOURNAL_FULL);
	CHECK(wait_while(j, last, JOURNAL_OK).durable == last);
	journal_close(j);
	j = open_journal();
	CHECK(found == written);
	end(j);
}

/* What is left is said before it is used up. */
static void the_reserve_is_announced(void)
{
	struct journal *j = begin("the reserve is announced");
	for (unsigned n = 0; n < 4; n++) { /* Time for slots to be made ready. */
		wait_while(j, add(j, 100), JOURNAL_OK);
		usleep(20000);
	}
	recorder_fail(CALL_ALLOCATE, 1, ENOSPC);
	struct journal_look look = journal_look(j);
	for (unsigned n = 0; !look.is_short && n < 1000; n++) {
		wait_while(j, add(j, 5000), JOURNAL_OK);
		usleep(1000);
		look = journal_look(j);
		CHECK(look.state == JOURNAL_OK);
	}
	CHECK(look.is_short);
	recorder_fail(CALL_ALLOCATE, 0, 0);
	for (unsigned n = 0; journal_look(j).is_short; n++) {
		CHECK(n < 100);
		usleep(100000);
	}
	end(j);
}

/* The disk stays full, but what was in the log has been consumed. */
static void consumers_make_room(void)
{
	static uint64_t locations[2000];
	unsigned len = 0;
	struct journal *j = begin("consumers make room");
	while (!journal_look(j).is_short) {
		CHECK(len < 1000);
		wait_while(j, add(j, 5000), JOURNAL_OK);
		locations[len++] = location_of(last_at, false);
		usleep(20000); /* Time for slots to be made ready. */
		if (len == 4)
			recorder_fail(CALL_ALLOCATE, 1, ENOSPC);
	}
	journal_batch(j, 1);
	for (unsigned i = 0; i < len; i++)
		space_unref(journal_space(j), locations[i]);
	journal_submit(j);
	checkpoint(j);
	CHECK(journal_wait(j) && journal_checkpointed(j));
	journal_batch(j, 1);
	journal_submit(j);
	CHECK(!journal_look(j).is_short);
	recorder_fail(CALL_ALLOCATE, 0, 0);
	end(j);
}

static void a_short_write_is_gone_on_with(void)
{
	struct journal *j = begin("a short write is gone on with");
	recorder_fail(CALL_WRITE, 1, -1);
	uint64_t sequence = add(j, 10000);
	CHECK(wait_while(j, sequence, JOURNAL_OK).durable == sequence);
	journal_close(j);
	j = open_journal();
	CHECK(found == 1);
	end(j);
}

static void a_full_disk_under_the_store_is_waited_out(void)
{
	struct journal *j = begin("a full disk under the store is waited out");
	wait_while(j, add(j, 100), JOURNAL_OK);
	recorder_fail(CALL_WRITE, 1, ENOSPC);
	checkpoint(j);
	struct journal_look look = wait_while(j, UINT64_MAX, JOURNAL_OK);
	CHECK(look.state == JOURNAL_FULL);
	recorder_fail(CALL_WRITE, 0, 0);
	CHECK(wait_while(j, UINT64_MAX, JOURNAL_FULL).state == JOURNAL_OK);
	CHECK(journal_wait(j) && journal_checkpointed(j));
	end(j);
}

static void a_store_that_fails_ends_it(void)
{
	struct journal *j = begin("a store that fails ends it");
	wait_while(j, add(j, 100), JOURNAL_OK);
	recorder_fail(CALL_SYNC, 1, EIO);
	checkpoint(j);
	CHECK(wait_while(j, UINT64_MAX, JOURNAL_OK).state == JOURNAL_FAILED);
	recorder_fail(CALL_SYNC, 0, 0);
	CHECK(!journal_stop(j));
	journal_close(j);
	j = open_journal();
	CHECK(found == 1);
	end(j);
}

static void what_cannot_be_opened_is_refused(void)
{
	static const char *const dirs[] = { "/nonexistent/leveret", "/proc/self", "/dev/null" };
	tests++;
	test_name = "what cannot be opened is refused";
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		struct journal *j;
		char why[400] = "";
		struct journal_options options = { .dir = dirs[i], .map_bytes = 1 << 26 };
		CHECK(journal_open(&j, &options, why, sizeof why) == -1);
		CHECK(strstr(why, dirs[i]) != NULL && strstr(why, "cannot open") != NULL);
	}
}

int main(void)
{
	fails_for_good("an error of a write is the end", CALL_WRITE);
	fails_for_good("an error of a sync is the end", CALL_SYNC);
	a_full_disk_is_waited_out();
	the_reserve_is_announced();
	consumers_make_room();
	a_short_write_is_gone_on_with();
	a_full_disk_under_the_store_is_waited_out();
	a_store_that_fails_ends_it();
	what_cannot_be_opened_is_refused();
	printf("%u passed, 0 failed\n", tests);
	return 0;
}
