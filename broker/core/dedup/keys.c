#include "core/dedup/keys.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
	SLOTS = 12, /* Of a bucket, which is a cache line. */
	FILL = 10,  /* Of them, how many are used on average before the table grows. */
	BUCKETS_MIN = 64,
	MOVED_PER_KEY = 16,
	HUGE_PAGE = 2 << 20,
	AGE_MAX = KEY_AGE, /* After this long a chunk is left as it is, and another one begun: three
			      days. */
};

/* References to keys by position (its low 32 bits), each with eight bits of the key's hash. What
 * finds no room goes to another bucket; each bucket counts those that have passed it by, so that a
 * search knows when it is over and nothing is left behind when they go. */
struct keys_bucket {
	uint8_t tags[SLOTS]; /* 0: the slot is free. */
	uint32_t passed;
	uint32_t positions[SLOTS];
};
static_assert(sizeof(struct keys_bucket) == 64, "one cache line");
static_assert(sizeof(struct key) == 24, "written as it stands");

/* --- the table --- */

static uint8_t tag_of(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);
	return tag == 0 ? 1 : tag;
}

/* Odd, so that it comes by all buckets. */
static uint64_t step_of(uint64_t hash)
{
	return (hash >> 55) | 1;
}

/* A bit for each slot with this tag. */
static unsigned slots_with(const struct keys_bucket *b, uint8_t tag)
{
#ifdef __SSE2__
	__m128i tags = _mm_loadu_si128((const __m128i *)(const void *)b);
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))) &
	       ((1u << SLOTS) - 1);
#else
	unsigned slots = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		slots |= (unsigned)(b->tags[i] == tag) << i;
	return slots;
#endif
}

static void table_create(struct keys_table *t, uint64_t buckets)
{
	size_t bytes = buckets * sizeof *t->buckets;
	t->buckets = alloc_aligned(bytes < HUGE_PAGE ? sizeof *t->buckets : HUGE_PAGE, bytes);
	if (bytes >= HUGE_PAGE)
		madvise(t->buckets, bytes, MADV_HUGEPAGE); /* Each key is a page of its own, so
							      pages had better be few. */
	memset(t->buckets, 0, buckets * sizeof *t->buckets);
	t->mask = buckets - 1;
	t->used = 0;
}

static void table_destroy(struct keys_table *t)
{
	free(t->buckets);
	*t = (struct keys_table){ 0 };
}

static void prefetch(const struct keys_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->buckets[hash & t->mask], 1);
}

static void table_put(struct keys_table *t, uint64_t hash, uint64_t position)
{
	uint64_t i = hash & t->mask;
	unsigned free_slots;
	while ((free_slots = slots_with(&t->buckets[i], 0)) == 0) {
		t->buckets[i].passed++;
		i = (i + step_of(hash)) & t->mask;
	}
	unsigned slot = (unsigned)__builtin_ctz(free_slots);
	t->buckets[i].tags[slot] = tag_of(hash);
	t->buckets[i].positions[slot] = (uint32_t)position;
	t->used++;
}

static bool slot_remove(struct keys_bucket *b, uint8_t tag, uint64_t position)
{
	for (unsigned slots = slots_with(b, tag); slots != 0; slots &= slots - 1) {
		unsigned slot = (unsigned)__builtin_ctz(slots);
		if (b->positions[slot] == (uint32_t)position) {
			b->tags[slot] = 0;
			return true;
		}
	}
	return false;
}

/* It must be there. */
static void table_remove(struct keys_table *t, uint64_t hash, uint64_t position)
{
	uint64_t i = hash & t->mask;
	while (!slot_remove(&t->buckets[i], tag_of(hash), position)) {
		assert(t->buckets[i].passed > 0);
		t->buckets[i].passed--;
		i = (i + step_of(hash)) & t->mask;
	}
	t->used--;
}

/* The whole position of one of which the low bits are known. */
static uint64_t expand(const struct keys *keys, uint32_t low)
{
	uint64_t base = keys->first << KEYS_CHUNK_BITS;
	return base + (uint32_t)(low - (uint32_t)base);
}

static uint64_t find_in(const struct keys *keys, const struct keys_table *t, struct key_name name,
			uint64_t from)
{
	uint64_t time_ms;
	uint64_t i = name.hash & t->mask;
	for (uint64_t left = t->mask + 1; left > 0;
	     left--, i = (i + step_of(name.hash)) & t->mask) {
		const struct keys_bucket *b = &t->buckets[i];
		for (unsigned slots = slots_with(b, tag_of(name.hash)); slots != 0;
		     slots &= slots - 1) {
			uint64_t position = expand(keys, b->positions[__builtin_ctz(slots)]);
			const struct key *k =
				position < from ? NULL : keys_at(keys, position, &time_ms);
			if (k != NULL && k->hash == name.hash && k->check == name.check)
				return position;
		}
		if (b->passed == 0)
			break;
	}
	return KEYS_NONE;
}

/* --- growing --- */

static struct key *living(const struct keys *keys, uint64_t position)
{
	struct keys_chunk *c =
		keys->chunks_cap == 0
			? NULL
			: keys->chunks[position >> KEYS_CHUNK_BITS & (keys->chunks_cap - 1)];
	uint32_t i = position & (KEYS_CHUNK_LEN - 1);
	if (c == NULL || c->number != position >> KEYS_CHUNK_BITS || i >= c->len ||
	    (c->keys[i].when & KEY_IS_DEAD))
		return NULL;
	return &c->keys[i];
}

/* What is not in order here is what has been loaded meanwhile: it went to the new table at once. */
static void move_some(struct keys *keys, uint64_t most)
{
	if (keys->moved < keys->oldest)
		keys->moved = keys->oldest;
	for (; most > 0 && keys->moved < keys->moving_until; most--, keys->moved++) {
		const struct key *k = living(keys, keys->moved),
				 *later = living(keys, keys->moved + MOVED_PER_KEY);
		if (later != NULL)
			prefetch(&keys->table, later->hash);
		if (k != NULL)
			table_put(&keys->table, k->hash, keys->moved);
	}
	if (keys->moved >= keys->moving_until)
		table_destroy(&keys->old);
}

static void make_room(struct keys *keys)
{
	if (keys->old.buckets != NULL)
		move_some(keys, MOVED_PER_KEY);
	if (keys->table.buckets == NULL)
		table_create(&keys->table, BUCKETS_MIN);
	if (keys->table.used < (keys->table.mask + 1) * FILL)
		return;
	if (keys->old.buckets != NULL)
		move_some(keys, UINT64_MAX);
	keys->old = keys->table;
	table_create(&keys->table, (keys->old.mask + 1) * 2);
	keys->moved = keys->oldest;
	keys->moving_until = keys->next;
	if (keys->unloaded > 0) /* Chunks come in no order that moving could follow. */
		move_some(keys, UINT64_MAX);
}

/* --- chunks --- */

static void make_chunks_room(struct keys *keys, uint64_t number)
{
	if (number - keys->first < keys->chunks_cap)
		return;
	uint64_t cap = keys->chunks_cap == 0 ? 4 : keys->chunks_cap * 2;
	while (number - keys->first >= cap)
		cap *= 2;
	struct keys_chunk **chunks = alloc_zeroed(cap * sizeof *chunks);
	for (uint64_t i = 0; i < keys->chunks_cap; i++)
		if (keys->chunks[i] != NULL)
			chunks[keys->chunks[i]->number & (cap - 1)] = keys->chunks[i];
	free(keys->chunks);
	keys->chunks = chunks;
	keys->chunks_cap = cap;
}

static struct keys_chunk *chunk_at(const struct keys *keys, uint64_t number)
{
	return number - keys->first < keys->chunks_cap
		       ? keys->chunks[number & (keys->chunks_cap - 1)]
		       : NULL;
}

static struct keys_chunk *chunk_create(struct keys *keys, uint64_t number, uint64_t base_ms)
{
	make_chunks_room(keys, number);
	struct keys_chunk *c = alloc_resize(NULL, sizeof *c);
	c->number = number;
	c->base_ms = base_ms;
	c->len = 0;
	list_init(&c->in_dirty);
	keys->chunks[number & (keys->chunks_cap - 1)] = c;
	return c;
}

static void chunk_destroy(struct keys *keys, struct keys_chunk *c)
{
	list_remove(&c->in_dirty);
	keys->chunks[c->number & (keys->chunks_cap - 1)] = NULL;
	free(c);
}

static void mark_dirty(struct keys *keys, struct keys_chunk *c)
{
	if (list_is_empty(&c->in_dirty))
		list_push_tail(&keys->dirty, &c->in_dirty);
}

void keys_init(struct keys *keys)
{
	*keys = (struct keys){ 0 };
	list_init(&keys->dirty);
	map_init(&keys->groups, 0); /* Their names are hashes that nobody can choose. */
}

void keys_fini(struct keys *keys)
{
	for (uint64_t i = 0; i < keys->chunks_cap; i++)
		if (keys->chunks[i] != NULL)
			chunk_destroy(keys, keys->chunks[i]);
	free(keys->chunks);
	table_destroy(&keys->table);
	table_destroy(&keys->old);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&keys->groups, &at)) != NULL;)
		free(e->value);
	map_fini(&keys->groups);
}

/* --- using it --- */

const struct key *keys_at(const struct keys *keys, uint64_t position, uint64_t *time_ms)
{
	const struct key *k =
		position < keys->oldest || position >= keys->next ? NULL : living(keys, position);
	if (k != NULL)
		*time_ms =
			chunk_at(keys, position >> KEYS_CHUNK_BITS)->base_ms + (k->when & KEY_AGE);
	return k;
}

void keys_prefetch(const struct keys *keys, struct key_name name)
{
	if (keys->table.buckets != NULL)
		prefetch(&keys->table, name.hash);
	if (keys->old.buckets != NULL)
		prefetch(&keys->old, name.hash);
}

uint64_t keys_find(const struct keys *keys, struct key_name name)
{
	uint64_t position =
		keys->table.buckets == NULL ? KEYS_NONE : find_in(keys, &keys->table, name, 0);
	if (position == KEYS_NONE && keys->old.buckets != NULL)
		position = find_in(keys, &keys->old, name, keys->moved);
	return position;
}

/* --- groups --- */

static struct bytes group_bytes(uint8_t *buffer, struct group_name name)
{
	store_u64(buffer, name.print);
	store_u32(buffer + 8, name.check);
	return bytes_of(buffer, 12);
}

const struct keys_group *keys_group(const struct keys *keys, struct group_name name)
{
	uint8_t buffer[12];
	return map_get(&keys->groups, group_bytes(buffer, name));
}

static void group_join(struct keys *keys, const struct key *k, uint64_t position, uint64_t time_ms)
{
	uint8_t buffer[12];
	struct group_name name = { k->print, k->check };
	struct keys_group *g = map_get(&keys->groups, group_bytes(buffer, name));
	if (g == NULL) {
		g = alloc_zeroed(sizeof *g);
		g->name = name;
		g->newest = KEYS_NONE;
		map_put(&keys->groups, group_bytes(g->bytes, name), g);
	}
	g->len++;
	if ((k->when & KEY_IS_VOLATILE) == 0 && (g->newest == KEYS_NONE || g->newest < position))
		g->newest = position;
	if (g->time_ms < time_ms)
		g->time_ms = time_ms;
}

static void group_leave(struct keys *keys, const struct key *k)
{
	uint8_t buffer[12];
	struct bytes name = group_bytes(buffer, (struct group_name){ k->print, k->check });
	struct keys_group *g = map_get(&keys->groups, name);
	assert(g != NULL && g->len > 0);
	if (--g->len > 0)
		return;
	map_remove(&keys->groups, name);
	free(g);
}

uint64_t keys_of_group(const struct keys *keys, struct group_name name, uint64_t from)
{
	for (uint64_t at = from < keys->oldest ? keys->oldest : from; at < keys->next; at++) {
		const struct key *k = living(keys, at);
		if (k != NULL && (k->when & KEY_IS_COUNTED) && k->print == name.print &&
		    k->check == name.check)
			return at;
	}
	return KEYS_NONE;
}

static void count_in(struct keys *keys, const struct key *k, uint64_t position)
{
	keys->alive++;
	keys->queued += (k->when & KEY_IS_QUEUED) != 0;
	if (k->when & KEY_IS_COUNTED)
		group_join(keys, k, position,
			   chunk_at(keys, position >> KEYS_CHUNK_BITS)->base_ms +
				   (k->when & KEY_AGE));
}

static void count_out(struct keys *keys, const struct key *k)
{
	keys->alive--;
	keys->queued -= (k->when & KEY_IS_QUEUED) != 0;
	if (k->when & KEY_IS_COUNTED)
		group_leave(keys, k);
}

/* --- adding and removing --- */

/* Up to here, what the chunk does not know of is dead: it was volatile, or had nothing to be kept.
 */
static void fill(struct keys_chunk *c, uint32_t len)
{
	for (; c->len < len; c->len++)
		c->keys[c->len] = (struct key){ .when = KEY_IS_DEAD };
}

/* The chunk for the next key. */
static struct keys_chunk *open_chunk(struct keys *keys, uint64_t now_ms)
{
	struct keys_chunk *c = chunk_at(keys, keys->next >> KEYS_CHUNK_BITS);
	if (c != NULL && now_ms > c->base_ms && now_ms - c->base_ms > AGE_MAX) {
		keys->next = (c->number + 1) << KEYS_CHUNK_BITS;
		c = NULL;
	}
	if (c != NULL) { /* What is read back need not reach as far as what has been given out. */
		fill(c, keys->next & (KEYS_CHUNK_LEN - 1));
		return c;
	}
	keys->next = (keys->next + KEYS_CHUNK_LEN - 1) &
		     ~(uint64_t)(KEYS_CHUNK_LEN - 1); /* One may have been lost. */
	return chunk_create(keys, keys->next >> KEYS_CHUNK_BITS, now_ms);
}

uint64_t keys_add(struct keys *keys, struct key_name name, uint64_t print, uint64_t now_ms,
		  uint32_t flags)
{
	make_room(keys);
	struct keys_chunk *c = open_chunk(keys, now_ms);
	assert(c->len == (keys->next & (KEYS_CHUNK_LEN - 1)));
	struct key *k = &c->keys[c->len++];
	uint32_t age = now_ms > c->base_ms ? (uint32_t)(now_ms - c->base_ms) : 0;
	*k = (struct key){
		.hash = name.hash, .print = print, .check = name.check, .when = age | flags
	};
	count_in(keys, k, keys->next);
	mark_dirty(keys, c);
	table_put(&keys->table, name.hash, keys->next);
	return keys->next++;
}

void keys_remove(struct keys *keys, uint64_t position)
{
	struct key *k = living(keys, position);
	assert(k != NULL);
	bool is_in_old = keys->old.buckets != NULL && position >= keys->moved &&
			 position < keys->moving_until;
	if (!is_in_old) /* There, what is dead is never found. */
		table_remove(&keys->table, k->hash, position);
	count_out(keys, k);
	k->when |= KEY_IS_DEAD;
	mark_dirty(keys, chunk_at(keys, position >> KEYS_CHUNK_BITS));
}

uint64_t keys_oldest(struct keys *keys)
{
	while (keys->unloaded == 0 && keys->oldest < keys->next) {
		uint64_t number = keys->oldest >> KEYS_CHUNK_BITS;
		if (living(keys, keys->oldest) != NULL)
			return keys->oldest;
		struct keys_chunk *c = chunk_at(keys, number);
		uint64_t end = (number + 1) << KEYS_CHUNK_BITS;
		keys->oldest = c == NULL ? end : keys->oldest + 1;
		if (keys->oldest > keys->next)
			keys->oldest = keys->next;
		if (keys->oldest < end)
			continue;
		if (c != NULL)
			chunk_destroy(keys, c);
		keys->first = number + 1;
	}
	return KEYS_NONE;
}

uint64_t keys_bytes(const struct keys *keys)
{
	uint64_t chunks = (keys->next >> KEYS_CHUNK_BITS) + 1 - keys->first;
	uint64_t buckets = (keys->table.buckets == NULL ? 0 : keys->table.mask + 1) +
			   (keys->old.buckets == NULL ? 0 : keys->old.mask + 1);
	return chunks * sizeof(struct keys_chunk) + keys->chunks_cap * sizeof(void *) +
	       buckets * sizeof(struct keys_bucket);
}

/* --- what is kept of it --- */

const struct keys_chunk *keys_chunk(const struct keys *keys, uint64_t number)
{
	return number < keys->first ? NULL : chunk_at(keys, number);
}

bool keys_write(const struct keys_chunk *c, uint32_t from, uint32_t until, struct writer *w)
{
	bool is_any = false;
	write_u64(w, c->base_ms);
	for (uint32_t i = from; i < until; i++) {
		struct key k = c->keys[i];
		if (k.when & KEY_IS_VOLATILE)
			k = (struct key){ .when = KEY_IS_DEAD };
		is_any |= (k.when & KEY_IS_DEAD) == 0;
		write_raw(w, &k, sizeof k);
	}
	return is_any;
}

/* To the next chunk: in the one before there is no gap. */
void keys_skip(struct keys *keys, uint64_t position)
{
	if (position > keys->next)
		keys->next = (position + KEYS_CHUNK_LEN - 1) & ~(uint64_t)(KEYS_CHUNK_LEN - 1);
}

void keys_expect(struct keys *keys, uint64_t first, uint64_t next)
{
	assert(keys->next == 0 && first <= next >> KEYS_CHUNK_BITS);
	uint64_t chunks = (next + KEYS_CHUNK_LEN - 1) / KEYS_CHUNK_LEN - first,
		 buckets = BUCKETS_MIN;
	keys->first = first;
	keys->oldest = first << KEYS_CHUNK_BITS;
	keys->next = next;
	keys->unloaded = chunks == 0 ? 0 : first + chunks;
	while (buckets * FILL < chunks * KEYS_CHUNK_LEN)
		buckets *= 2;
	if (chunks > 0)
		make_chunks_room(keys, first + chunks);
	table_create(&keys->table, buckets);
}

bool keys_is_loading(const struct keys *keys)
{
	return keys->unloaded > 0;
}

bool keys_awaits(const struct keys *keys, uint64_t number)
{
	return number < keys->unloaded;
}

bool keys_next_unloaded(const struct keys *keys, uint64_t *number)
{
	*number = keys->unloaded - 1;
	return keys->unloaded > 0;
}

void keys_loaded(struct keys *keys, uint64_t number)
{
	if (number + 1 != keys->unloaded)
		return; /* It was wanted early, and will come again. */
	keys->unloaded = number == keys->first ? 0 : number;
}

/* A key that was written joins those that are there. One that is dead on arrival, for a later one
 * has its name, must be so in the store as well: the later one may be gone by the next start. */
static void take(struct keys *keys, struct keys_chunk *c, uint32_t i, struct key k)
{
	uint64_t position = (c->number << KEYS_CHUNK_BITS) + i;
	struct key_name name = { k.hash, k.check };
	if (living(keys, position) != NULL) /* It has been read before. */
		keys_remove(keys, position);
	if ((k.when & KEY_IS_DEAD) == 0) {
		make_room(keys);
		uint64_t other = keys_find(keys, name);
		if (other != KEYS_NONE && other > position) {
			k.when |= KEY_IS_DEAD;
			mark_dirty(keys, c);
		} else if (other != KEYS_NONE) {
			keys_remove(keys, other);
		}
	}
	c->keys[i] = k;
	if (k.when & KEY_IS_DEAD)
		return;
	count_in(keys, &k, position);
	table_put(&keys->table, k.hash, position);
}

bool keys_read(struct keys *keys, uint64_t position, struct bytes value, bool is_stored)
{
	struct reader r = reader_of(value.data, value.len);
	uint64_t base_ms = read_u64(&r), number = position >> KEYS_CHUNK_BITS;
	uint64_t from = position & (KEYS_CHUNK_LEN - 1), len = reader_left(&r) / sizeof(struct key);
	if (r.failed || reader_left(&r) % sizeof(struct key) != 0 || from + len > KEYS_CHUNK_LEN ||
	    number < keys->first)
		return false;
	if (position + len > keys->next)
		keys->next = position + len;
	struct keys_chunk *c = chunk_at(keys, number);
	if (c == NULL)
		c = chunk_create(keys, number, base_ms);
	fill(c,
	     (uint32_t)(from + len)); /* Volatile ones may be missing between two that were kept. */
	if (!is_stored)
		mark_dirty(keys, c);
	for (uint32_t i = 0; i < len; i++) {
		struct key k;
		memcpy(&k, read_raw(&r, sizeof k), sizeof k);
		take(keys, c, (uint32_t)from + i, k);
	}
	return true;
}
