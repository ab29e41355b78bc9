/* Keys against a plain array, and the promises of its header. */
#include "core/dedup/keys.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 6000, STEPS = 60000 };

static struct prng prng;

/* What should be remembered of each name. */
struct known {
	bool is_there;
	bool is_volatile;
	bool is_queued;
	uint64_t position;
	uint64_t print;
	uint64_t time_ms;
};

static struct known known[NAMES];

/* Few hashes, so that many keys meet in one bucket; the check tells them apart. */
static struct key_name name_of(uint32_t n)
{
	return (struct key_name){ (uint64_t)(n % 700) * 0x9e3779b97f4a7c15, n };
}

static void check_name(const struct keys *keys, uint32_t n)
{
	uint64_t time_ms, position = keys_find(keys, name_of(n));
	const struct known *k = &known[n];
	cr_assert_eq(position != KEYS_NONE, k->is_there, "name %u", n);
	if (!k->is_there)
		return;
	const struct key *key = keys_at(keys, position, &time_ms);
	cr_assert_eq(position, k->position);
	cr_assert_eq(key->print, k->print);
	cr_assert_eq(time_ms, k->time_ms);
	cr_assert_eq((key->when & KEY_IS_QUEUED) != 0, k->is_queued);
}

static void check_all(const struct keys *keys)
{
	uint64_t alive = 0, queued = 0;
	for (uint32_t n = 0; n < NAMES; n++) {
		check_name(keys, n);
		alive += known[n].is_there;
		queued += known[n].is_there && known[n].is_queued;
	}
	cr_assert_eq(keys->alive, alive);
	cr_assert_eq(keys->queued, queued);
}

static void add(struct keys *keys, uint32_t n, uint64_t now_ms)
{
	struct known *k = &known[n];
	*k = (struct known){ .is_there = true,
			     .is_volatile = prng_below(&prng, 4) == 0,
			     .is_queued = prng_below(&prng, 8) == 0,
			     .print = prng_below(&prng, 1000000),
			     .time_ms = now_ms };
	uint32_t flags =
		(k->is_volatile ? KEY_IS_VOLATILE : 0u) | (k->is_queued ? KEY_IS_QUEUED : 0u);
	k->position = keys_add(keys, name_of(n), k->print, now_ms, flags);
}

static void remove_oldest(struct keys *keys)
{
	uint64_t position = keys_oldest(keys), least = KEYS_NONE;
	uint32_t which = 0;
	for (uint32_t n = 0; n < NAMES; n++)
		if (known[n].is_there && known[n].position < least)
			least = known[which = n].position;
	cr_assert_eq(position, least);
	if (position == KEYS_NONE)
		return;
	keys_remove(keys, position);
	known[which].is_there = false;
}

static void change(struct keys *keys, uint64_t now_ms, unsigned adding)
{
	uint32_t n = prng_below(&prng, NAMES);
	if (known[n].is_there && prng_below(&prng, 3) > 0) {
		keys_remove(keys, known[n].position);
		known[n].is_there = false;
	} else if (!known[n].is_there && prng_below(&prng, 10) < adding) {
		add(keys, n, now_ms);
	} else if (prng_below(&prng, 20) == 0) {
		remove_oldest(keys);
	}
	check_name(keys, n);
}

Test(keys, agree_with_an_array)
{
	struct keys keys;
	keys_init(&keys);
	memset(known, 0, sizeof known); /* Some runners give all tests one process. */
	prng.state = 1;
	for (int step = 0; step < STEPS; step++) {
		unsigned adding =
			step % 20000 < 10000 ? 9 : 2; /* It grows, and is emptied again. */
		change(&keys, 1000 + (uint64_t)step, adding);
		if (step % 5000 == 0)
			check_all(&keys);
	}
	check_all(&keys);
	keys_fini(&keys);
}

/* --- what is kept --- */

enum { STORED_MAX = 200 };

/* A store of chunks, as keylog.c keeps it. */
struct stored {
	uint64_t first;
	uint64_t next;
	size_t lens[STORED_MAX]; /* 0: none. By number, modulo. */
	uint8_t values[STORED_MAX][KEYS_VALUE_BYTES_MAX];
};

static struct stored stored;

static void save(struct keys *keys)
{
	while (!list_is_empty(&keys->dirty)) {
		struct keys_chunk *c = list_entry(keys->dirty.next, struct keys_chunk, in_dirty);
		struct writer w =
			writer_of(stored.values[c->number % STORED_MAX], KEYS_VALUE_BYTES_MAX);
		list_remove(&c->in_dirty);
		bool is_any = keys_write(c, 0, c->len, &w);
		stored.lens[c->number % STORED_MAX] =
			is_any ? (size_t)(w.at - stored.values[c->number % STORED_MAX]) : 0;
	}
	for (; stored.first < keys->first; stored.first++)
		stored.lens[stored.first % STORED_MAX] = 0;
	stored.next = keys->next;
	cr_assert_lt((stored.next >> KEYS_CHUNK_BITS) - stored.first, STORED_MAX);
}

static bool load_one(struct keys *keys)
{
	uint64_t number;
	if (!keys_next_unloaded(keys, &number))
		return false;
	size_t len = stored.lens[number % STORED_MAX];
	if (len > 0)
		cr_assert(keys_read(keys, number << KEYS_CHUNK_BITS,
				    bytes_of(stored.values[number % STORED_MAX], len), true));
	keys_loaded(keys, number);
	return true;
}

Test(keys, come_back_from_chunks_while_new_ones_are_added)
{
	struct keys keys;
	uint64_t now_ms = 1000;
	keys_init(&keys);
	memset(known, 0, sizeof known);
	prng.state = 2;
	for (int life = 0; life < 20; life++) {
		for (int step = 0; step < 4000; step++)
			change(&keys, now_ms++, 8);
		save(&keys);
		keys_fini(&keys);
		for (uint32_t n = 0; n < NAMES; n++)
			known[n].is_there &= !known[n].is_volatile;
		keys_init(&keys);
		keys_expect(&keys, stored.first, stored.next);
		load_one(&keys); /* The last chunk, in which new ones go on. */
		for (uint32_t n = 0; keys_is_loading(&keys); n++) {
			uint32_t fresh = NAMES - 1 - n;
			if (!known[fresh].is_there) {
				add(&keys, fresh, now_ms++);
				check_name(&keys, fresh);
			}
			load_one(&keys);
		}
		check_all(&keys);
	}
	keys_fini(&keys);
}

Test(keys, the_later_of_two_with_one_name_lives_whatever_comes_first)
{
	static uint8_t values[2][KEYS_VALUE_BYTES_MAX];
	struct keys keys;
	uint64_t time_ms;
	for (int order = 0; order < 2; order++) {
		keys_init(&keys);
		for (uint32_t i = 0; i < 2; i++) {
			struct keys one;
			keys_init(&one);
			keys_add(&one, name_of(7), i, 5 + i, 0);
			struct writer w = writer_of(values[i], KEYS_VALUE_BYTES_MAX);
			cr_assert(keys_write(keys_chunk(&one, 0), 0, 1, &w));
			keys_fini(&one);
		}
		keys_expect(&keys, 0, 2 * KEYS_CHUNK_LEN);
		for (uint64_t i = 0; i < 2; i++) {
			uint64_t which = order == 0 ? i : 1 - i;
			cr_assert(keys_read(&keys, which * KEYS_CHUNK_LEN,
					    bytes_of(values[which], 32), true));
		}
		uint64_t position = keys_find(&keys, name_of(7));
		cr_assert_eq(position, KEYS_CHUNK_LEN);
		cr_assert_eq(keys_at(&keys, position, &time_ms)->print, 1);
		cr_assert_eq(time_ms, 6);
		cr_assert_eq(keys.alive, 1);
		keys_fini(&keys);
	}
}

/* --- keys of messages that are queued, over several starts --- */

static void fill_chunk(struct keys *keys, uint32_t first_name)
{
	for (uint32_t n = first_name; (keys->next & (KEYS_CHUNK_LEN - 1)) != 0; n++)
		keys_add(keys, name_of(n), 0, 1000, 0);
}

/* What the log's tail says of one key that was added at this position. */
static void read_note(struct keys *keys, uint64_t position, struct key_name name)
{
	uint8_t note[8 + sizeof(struct key)];
	struct key key = { .hash = name.hash, .check = name.check, .when = KEY_IS_QUEUED };
	struct writer w = writer_of(note, sizeof note);
	write_u64(&w, 1000);
	write_raw(&w, &key, sizeof key);
	cr_assert(keys_read(keys, position, bytes_of(note, sizeof note), false));
}

static void start(struct keys *keys)
{
	keys_fini(keys);
	keys_init(keys);
	keys_expect(keys, stored.first, stored.next);
}

Test(keys, one_that_a_later_one_replaced_does_not_come_back_when_that_has_gone)
{
	struct keys keys;
	memset(&stored, 0, sizeof stored);
	keys_init(&keys);
	keys_add(&keys, name_of(1), 0, 1000, KEY_IS_QUEUED);
	fill_chunk(&keys, 100);
	save(&keys);
	/* Its message leaves, another one comes, and after the next start that has left, too. */
	start(&keys);
	read_note(&keys, keys.next, name_of(1));
	while (load_one(&keys))
		;
	keys_remove(&keys, keys_find(&keys, name_of(1)));
	save(&keys);
	start(&keys);
	while (load_one(&keys))
		;
	cr_assert_eq(keys_find(&keys, name_of(1)), KEYS_NONE);
	cr_assert_neq(keys_find(&keys, name_of(100)), KEYS_NONE);
	keys_fini(&keys);
}

/* Of a group it is known how many live, after any start. */
Test(keys, those_of_a_group_are_counted_over_several_starts)
{
	struct keys keys;
	struct group_name group = { 77, 1 }, other = { 77, 2 };
	struct key_name a = { 100, 1 }, c = { 101, 1 }, v = { 102, 1 }, o = { 103, 2 };
	uint32_t flags = KEY_IS_QUEUED | KEY_IS_COUNTED;
	memset(&stored, 0, sizeof stored);
	keys_init(&keys);
	cr_assert_null(keys_group(&keys, group));
	keys_add(&keys, v, 77, 900, flags | KEY_IS_VOLATILE);
	cr_assert_eq(keys_group(&keys, group)->newest, KEYS_NONE);
	uint64_t first = keys_add(&keys, a, 77, 1000, flags);
	fill_chunk(&keys, 1000);
	uint64_t second = keys_add(&keys, c, 77, 2000, flags);
	keys_add(&keys, o, 77, 2000, flags);
	cr_assert_eq(keys_group(&keys, group)->len, 3);
	cr_assert_eq(keys_group(&keys, group)->newest, second);
	cr_assert_eq(keys_group(&keys, group)->time_ms, 2000);
	cr_assert_eq(keys_group(&keys, other)->len, 1);
	save(&keys);
	start(&keys);
	cr_assert_null(keys_group(&keys, group));
	while (load_one(&keys))
		;
	cr_assert_eq(keys_group(&keys, group)->len, 2);
	cr_assert_eq(keys_of_group(&keys, group, 0), first);
	cr_assert_eq(keys_of_group(&keys, group, first + 1), second);
	cr_assert_eq(keys_of_group(&keys, group, second + 1), KEYS_NONE);
	keys_remove(&keys, keys_find(&keys, c));
	cr_assert_eq(keys_group(&keys, group)->len, 1);
	save(&keys);
	start(&keys);
	while (load_one(&keys))
		;
	keys_remove(&keys, keys_find(&keys, a));
	cr_assert_null(keys_group(&keys, group));
	cr_assert_eq(keys_group(&keys, other)->len, 1);
	keys_fini(&keys);
}

Test(keys, one_that_is_noted_again_below_what_the_store_has_given_out_leaves_room_for_the_next)
{
	struct keys keys;
	memset(&stored, 0, sizeof stored);
	keys_init(&keys);
	stored.next = 2; /* Neither of the two was to be kept: there is no chunk. */
	start(&keys);
	while (load_one(&keys))
		;
	read_note(&keys, 0, name_of(1));
	cr_assert_eq(keys_add(&keys, name_of(5), 0, 2000, 0), 2);
	cr_assert_eq(keys_find(&keys, name_of(1)), 0);
	cr_assert_eq(keys_find(&keys, name_of(5)), 2);
	keys_fini(&keys);
}

Test(keys, what_is_read_twice_counts_once)
{
	struct keys keys;
	memset(&stored, 0, sizeof stored);
	keys_init(&keys);
	keys_add(&keys, name_of(1), 0, 1000, KEY_IS_QUEUED);
	save(&keys);
	start(&keys);
	while (load_one(&keys))
		;
	read_note(&keys, 0, name_of(1));
	cr_assert_eq(keys.alive, 1);
	cr_assert_eq(keys.queued, 1);
	keys_remove(&keys, keys_find(&keys, name_of(1)));
	cr_assert_eq(keys.alive, 0);
	cr_assert_eq(keys_find(&keys, name_of(1)), KEYS_NONE);
	keys_fini(&keys);
}

Test(keys, what_makes_no_sense_is_refused)
{
	static uint8_t value[KEYS_VALUE_BYTES_MAX + 24];
	struct keys keys;
	keys_init(&keys);
	cr_assert_not(keys_read(&keys, 0, bytes_of(value, 7), false));
	cr_assert_not(keys_read(&keys, 0, bytes_of(value, 8 + 23), false));
	cr_assert_not(keys_read(&keys, 1, bytes_of(value, 8 + 24 * KEYS_CHUNK_LEN), false));
	cr_assert(keys_read(&keys, 5, bytes_of(value, 8 + 24), false));
	cr_assert_eq(keys.next, 6);
	cr_assert_eq(keys_find(&keys, name_of(1)), KEYS_NONE);
	keys_fini(&keys);
}

Test(keys, memory_is_as_promised_and_comes_back)
{
	enum { MANY = 1310720 }; /* The worst: the table has just grown. */
	struct keys keys;
	keys_init(&keys);
	for (uint64_t i = 0; i < MANY * 8 / 10; i++)
		keys_add(&keys, (struct key_name){ i * 0x9e3779b97f4a7c15, 1 }, i, 1000, 0);
	cr_assert_leq(keys_bytes(&keys), keys.alive * 32 * 13 / 10);
	for (uint64_t i = MANY * 8 / 10; i < MANY; i++)
		keys_add(&keys, (struct key_name){ i * 0x9e3779b97f4a7c15, 1 }, i, 1000, 0);
	cr_assert_leq(keys_bytes(&keys), keys.alive * 32);
	for (uint64_t position; (position = keys_oldest(&keys)) != KEYS_NONE;)
		keys_remove(&keys, position);
	cr_assert_eq(keys.alive, 0);
	cr_assert_leq(keys_bytes(&keys), (uint64_t)MANY * 8);
	keys_fini(&keys);
}

Test(keys, days_are_no_problem)
{
	struct keys keys;
	uint64_t time_ms, day_ms = 86400 * 1000;
	keys_init(&keys);
	for (uint32_t day = 0; day < 40; day++)
		keys_add(&keys, name_of(day), day, 1000 + day * day_ms, 0);
	for (uint32_t day = 0; day < 40; day++) {
		const struct key *k = keys_at(&keys, keys_find(&keys, name_of(day)), &time_ms);
		cr_assert_eq(k->print, day);
		cr_assert_eq(time_ms, 1000 + day * day_ms);
	}
	keys_fini(&keys);
}
