#include "chunk.h"
#include "store.h"
#include "survivors.h"

#include <criterion/criterion.h>

Test(chunk, is_read_back_as_written)
{
	static const uint64_t locations[] = { 700, 0, 12, 1ull << 60, 99 | 1ull << 61, 0 };
	enum { LEN = sizeof locations / sizeof *locations };
	uint8_t data[200];
	struct chunk_writer w;
	struct chunk_reader r;
	uint64_t location;
	chunk_begin(&w, data, sizeof data, 7, LEN);
	for (int i = 0; i < LEN; i++)
		chunk_add(&w, locations[i]);
	cr_assert(chunk_open(&r, bytes_of(data, (size_t)(w.w.at - data))));
	cr_assert_eq(r.generation, 7);
	cr_assert_eq(r.left, LEN);
	for (int i = 0; i < LEN; i++) {
		cr_assert(chunk_next(&r, &location));
		cr_assert_eq(location, locations[i]);
	}
	cr_assert_not(chunk_next(&r, &location));
}

Test(chunk, one_that_is_cut_off_is_refused)
{
	uint8_t data[200];
	struct chunk_writer w;
	struct chunk_reader r;
	chunk_begin(&w, data, sizeof data, 7, 100);
	cr_assert_not(chunk_open(&r, bytes_of(data, (size_t)(w.w.at - data))));
	cr_assert_not(chunk_open(&r, bytes_of(data, 0)));
}

static size_t write_entry(uint8_t *data, size_t size, const char *body)
{
	static const struct place here = { 1, 0 };
	struct message_record m = { .places = &here, .places_len = 1, .body = bytes_str(body) };
	struct writer w = writer_of(data, size);
	entry_write_message(&w, &m);
	return (size_t)(w.at - data);
}

/* Enough of them for several parts. */
Test(survivors, keep_their_addresses)
{
	static char body[5001];
	static uint8_t data[6000];
	struct changes changes = { 0 };
	struct survivors s = { .changes = &changes };
	struct change part;
	struct entry e;
	size_t at = 0, parts = 0, found = 0;
	memset(body, 's', sizeof body - 1);
	size_t len = write_entry(data, sizeof data, body);
	for (uint64_t i = 1; i <= 100; i++)
		survivors_add(&s, i * 8000, bytes_of(data, len));
	survivors_finish(&s);
	while (changes_next(&changes, &at, &part)) {
		parts++;
		for (uint64_t i = 1; i <= 100; i++)
			found += survivors_find(part.value, i * 8000, &e) && e.at == i * 8000 &&
				 e.message.body.len == 5000;
	}
	cr_assert_gt(parts, 5);
	cr_assert_eq(found, 100);
	changes_fini(&changes);
}
