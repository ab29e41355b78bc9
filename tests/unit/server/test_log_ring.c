#include "server/log_ring.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { DEBUG, INFO, WARNING, ERROR };

static struct log_ring ring;
static struct log_entry entry;

static void put(unsigned level, const char *text)
{
	log_ring_put(&ring, level, text, strlen(text));
}

static bool is_next(uint64_t after, unsigned level, const char *text)
{
	return log_ring_next(&ring, after, level, &entry) && entry.len == strlen(text) &&
	       memcmp(entry.line, text, entry.len) == 0;
}

Test(log_ring, gives_lines_in_order_whatever_their_level)
{
	log_ring_init(&ring);
	cr_assert_not(log_ring_next(&ring, 0, DEBUG, &entry));
	put(ERROR, "a");
	put(INFO, "b");
	put(ERROR, "");
	put(DEBUG, "d");
	cr_assert(is_next(0, DEBUG, "a") && entry.sequence == 1 && entry.level == ERROR);
	cr_assert(is_next(1, DEBUG, "b") && entry.sequence == 2 && entry.level == INFO);
	cr_assert(is_next(2, DEBUG, "") && entry.sequence == 3);
	cr_assert(is_next(3, DEBUG, "d") && entry.sequence == 4 && entry.level == DEBUG);
	cr_assert_not(log_ring_next(&ring, 4, DEBUG, &entry));
	cr_assert_not(log_ring_next(&ring, UINT64_MAX, DEBUG, &entry));
}

Test(log_ring, leaves_out_what_is_below_the_level)
{
	log_ring_init(&ring);
	put(INFO, "a");
	put(WARNING, "b");
	put(DEBUG, "c");
	put(ERROR, "d");
	cr_assert(is_next(0, WARNING, "b"));
	cr_assert(is_next(entry.sequence, WARNING, "d"));
	cr_assert_not(log_ring_next(&ring, entry.sequence, WARNING, &entry));
}

Test(log_ring, a_flood_washes_its_own_level_away_and_no_other)
{
	char text[32];
	log_ring_init(&ring);
	put(WARNING, "kept");
	for (int i = 0; i < 10 * LOG_RING_LINES; i++) {
		snprintf(text, sizeof text, "line %d", i);
		put(INFO, text);
	}
	cr_assert(is_next(0, DEBUG, "kept"));
	snprintf(text, sizeof text, "line %d", 9 * LOG_RING_LINES);
	cr_assert(is_next(entry.sequence, DEBUG, text), "the last LOG_RING_LINES are there");
	cr_assert_eq(entry.sequence, 9 * LOG_RING_LINES + 2);
}

/* Lines of all lengths, across the end of the bytes: each that is there is whole. */
Test(log_ring, long_lines_push_out_as_many_as_they_need)
{
	static char line[LOG_LINE_BYTES + 100];
	log_ring_init(&ring);
	for (size_t i = 0; i < 3000; i++) {
		size_t len = i * 37 % sizeof line;
		memset(line, (int)('a' + i % 26), len);
		log_ring_put(&ring, INFO, line, len);
	}
	size_t n = 0, bytes = 0;
	for (uint64_t after = 0; log_ring_next(&ring, after, DEBUG, &entry); n++) {
		size_t i = entry.sequence - 1, len = i * 37 % sizeof line;
		cr_assert(n == 0 || entry.sequence == after + 1);
		cr_assert_eq(entry.len, len < LOG_LINE_BYTES ? len : LOG_LINE_BYTES);
		for (size_t k = 0; k < entry.len; k++)
			cr_assert_eq(entry.line[k], (char)('a' + i % 26));
		after = entry.sequence;
		bytes += entry.len;
	}
	cr_assert_eq(entry.sequence, 3000);
	cr_assert_leq(bytes, LOG_RING_BYTES);
	cr_assert_gt(bytes, LOG_RING_BYTES - LOG_LINE_BYTES);
}

Test(log_ring, tells_where_the_last_lines_begin)
{
	log_ring_init(&ring);
	cr_assert_eq(log_ring_tail(&ring, DEBUG, 5), 0);
	put(ERROR, "a");
	put(INFO, "b");
	put(INFO, "c");
	put(ERROR, "d");
	put(INFO, "e");
	cr_assert(is_next(log_ring_tail(&ring, DEBUG, 2), DEBUG, "d"));
	cr_assert(is_next(log_ring_tail(&ring, DEBUG, 3), DEBUG, "c"));
	cr_assert(is_next(log_ring_tail(&ring, WARNING, 2), WARNING, "a"));
	cr_assert(is_next(log_ring_tail(&ring, DEBUG, 100), DEBUG, "a"));
	cr_assert_not(log_ring_next(&ring, log_ring_tail(&ring, DEBUG, 0), DEBUG, &entry));
}

enum { PUTTERS = 3, PUTS = 20000 };

static void *put_many(void *arg)
{
	char text[200];
	unsigned level = (unsigned)(uintptr_t)arg;
	for (int i = 0; i < PUTS; i++) {
		memset(text, 'a' + (int)level, sizeof text);
		log_ring_put(&ring, level, text, (size_t)(i % 200));
	}
	return NULL;
}

/* A reader beside writers: what it gets is whole, in order, and at last the newest. */
Test(log_ring, can_be_read_while_threads_write)
{
	pthread_t threads[PUTTERS];
	uint64_t after = 0;
	log_ring_init(&ring);
	for (uintptr_t i = 0; i < PUTTERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, put_many, (void *)i), 0);
	while (after < (uint64_t)PUTTERS * PUTS) {
		if (!log_ring_next(&ring, after, DEBUG, &entry))
			continue;
		cr_assert_gt(entry.sequence, after);
		after = entry.sequence;
		for (size_t k = 0; k < entry.len; k++)
			cr_assert_eq(entry.line[k], (char)('a' + (int)entry.level));
	}
	for (size_t i = 0; i < PUTTERS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_not(log_ring_next(&ring, after, DEBUG, &entry));
}
