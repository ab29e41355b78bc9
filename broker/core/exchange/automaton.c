/* A pattern of n words that are no `#` is a run of n + 1 states, one bit each: state i says that
 * what has been read of the key meets the first i of them. The next word of the key takes state i
 * on to state i + 1 if it is what the pattern wants there, or anything may be, and leaves it where
 * it is if the pattern has a `#` there:
 *
 *   now:  a . # . * . b          run:   0   1   2   3
 *   any                                         x         (from state 1 to 2)
 *   stay                                    x
 *   wanted, for the word b                          x     (from state 2 to 3)
 *
 *   next = (now << 1) & (any | wanted[word])  |  now & stay
 *
 * Runs lie in blocks, none across two, so that a block's states stay in the nearest cache while it
 * reads the whole key. What would be carried from one run into the next stops there: nothing leads
 * to a state 0. */
#include "core/exchange/automaton.h"
#include "core/exchange/words.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

enum {
	LANES = 16,
	LANE_STATES = 64,
	GROUP_STATES = 8, /* Runs begin at multiples of it. */
	GROUPS = LANES * LANE_STATES / GROUP_STATES,
};

struct states {
	uint64_t lanes[1 + LANES]; /* The first is 0: what is carried into the next. */
};

/* A word that patterns want. */
struct word {
	struct bytes text; /* Owned. */
	uint32_t id;       /* Unlike those of the others. */
	uint32_t uses;
	uint64_t seen; /* The piece that last had it, */
	uint32_t at;   /* and as which one of its words. */
};

/* It leads to these states of a lane. */
struct want {
	uint32_t word;
	uint32_t lane;
	uint64_t states;
};

struct block {
	struct automaton *automaton;
	struct list in_automaton;
	struct list in_open; /* There may be room in it. */
	struct states begin;
	struct states any;
	struct states stay;
	struct states last;
	struct states now;        /* While a key is matched. */
	struct run *runs[GROUPS]; /* Whose group it is; NULL: it is free. */
	uint32_t runs_len;
	struct want *wants; /* By word and lane. Owned. */
	size_t wants_len;
	size_t wants_cap;
};

struct run {
	struct topic_end end;
	struct bytes pattern; /* Owned. */
	struct block *block;
	uint32_t first;
	uint32_t len;
};

/* A piece of a key, mostly all of it, as it is matched. */
struct reading {
	struct word *words[WORDS_MAX]; /* Those that some pattern wants, by id. */
	size_t words_len;
	uint8_t at[WORDS_MAX]; /* Of each word: in accepted; NOWHERE: only what takes any word takes
				  it. */
	size_t len;
};

enum { NOWHERE = WORDS_MAX };

struct automaton {
	struct map runs;  /* pattern -> struct run */
	struct map words; /* text -> struct word */
	uint32_t *free_ids;
	size_t free_ids_len;
	size_t free_ids_cap;
	uint32_t ids_len;
	struct list blocks;
	struct list open;
	uint64_t pieces; /* Of keys that have been read so far. */
	struct reading reading;
	struct states accepted[WORDS_MAX + 1]; /* What each word of the key leads to, in a block. */
};

struct automaton *automaton_create(uint64_t seed)
{
	struct automaton *a = alloc_zeroed(sizeof *a);
	map_init(&a->runs, seed);
	map_init(&a->words, seed);
	list_init(&a->blocks);
	list_init(&a->open);
	return a;
}

static void run_free(struct run *run)
{
	free(run->end.values);
	free((void *)run->pattern.data);
	free(run);
}

static void word_free(struct word *word)
{
	free((void *)word->text.data);
	free(word);
}

static void block_free(struct block *b)
{
	list_remove(&b->in_automaton);
	list_remove(&b->in_open);
	free(b->wants);
	free(b);
}

void automaton_destroy(struct automaton *a)
{
	size_t at = 0;
	if (a == NULL)
		return;
	for (const struct map_entry *e; (e = map_next(&a->runs, &at)) != NULL;)
		run_free(e->value);
	at = 0;
	for (const struct map_entry *e; (e = map_next(&a->words, &at)) != NULL;)
		word_free(e->value);
	list_each (node, &a->blocks)
		block_free(list_entry(node, struct block, in_automaton));
	map_fini(&a->runs);
	map_fini(&a->words);
	free(a->free_ids);
	free(a);
}

/* --- words --- */

static struct bytes copy_of(struct bytes text)
{
	return text.len == 0 ? bytes_of(alloc_zeroed(1), 0) : alloc_copy(text);
}

static struct word *word_use(struct automaton *a, struct bytes text)
{
	struct word *word = map_get(&a->words, text);
	if (word == NULL) {
		word = alloc_zeroed(sizeof *word);
		word->text = copy_of(text);
		word->id = a->free_ids_len > 0 ? a->free_ids[--a->free_ids_len] : a->ids_len++;
		map_put(&a->words, word->text, word);
	}
	word->uses++;
	return word;
}

static void word_leave(struct automaton *a, struct bytes text)
{
	struct word *word = map_get(&a->words, text);
	assert(word != NULL);
	if (--word->uses > 0)
		return;
	a->free_ids =
		alloc_grow(a->free_ids, &a->free_ids_cap, a->free_ids_len + 1, sizeof *a->free_ids);
	a->free_ids[a->free_ids_len++] = word->id;
	map_remove(&a->words, word->text);
	word_free(word);
}

/* --- places --- */

static struct block *block_create(struct automaton *a)
{
	struct block *b = alloc_zeroed(sizeof *b);
	b->automaton = a;
	list_push_tail(&a->blocks, &b->in_automaton);
	list_init(&b->in_open);
	list_push_head(&a->open, &b->in_open);
	return b;
}

/* The first of so many groups that are free; GROUPS: there are none. */
static uint32_t find_room(const struct block *b, uint32_t groups)
{
	uint32_t free = 0;
	for (uint32_t g = 0; g < GROUPS; g++) {
		free = b->runs[g] == NULL ? free + 1 : 0;
		if (free == groups)
			return g + 1 - groups;
	}
	return GROUPS;
}

static uint32_t groups_of(const struct run *run)
{
	return (run->len + GROUP_STATES - 1) / GROUP_STATES;
}

/* A block that has no room is not asked again before something leaves it. */
static void place(struct automaton *a, struct run *run)
{
	uint32_t groups = groups_of(run), first;
	for (;;) {
		struct block *b = list_is_empty(&a->open)
					  ? block_create(a)
					  : list_entry(a->open.next, struct block, in_open);
		first = find_room(b, groups);
		run->block = b;
		if (first < GROUPS)
			break;
		list_remove(&b->in_open);
	}
	for (uint32_t g = first; g < first + groups; g++)
		run->block->runs[g] = run;
	run->block->runs_len++;
	run->first = first * GROUP_STATES;
}

static void set(struct states *states, uint32_t state)
{
	states->lanes[1 + state / LANE_STATES] |= UINT64_C(1) << state % LANE_STATES;
}

/* --- patterns --- */

static bool is_hash(struct bytes word)
{
	return word.len == 1 && word.data[0] == '#';
}

static bool is_star(struct bytes word)
{
	return word.len == 1 && word.data[0] == '*';
}

static uint32_t count_states(struct bytes pattern)
{
	uint32_t len = 1;
	struct bytes rest = words_of(pattern), word;
	while (next_word(&rest, &word))
		len += !is_hash(word);
	return len;
}

static uint64_t want_order(const struct want *w)
{
	return (uint64_t)w->word << 32 | w->lane;
}

/* The first from `from` on that is of this word and lane or comes after it. What is looked for is
 * mostly near. */
static size_t search(const struct block *b, size_t from, uint32_t word, uint32_t lane)
{
	uint64_t wanted = (uint64_t)word << 32 | lane;
	size_t stride = 1, end = from;
	while (end < b->wants_len && want_order(&b->wants[end]) < wanted) {
		from = end + 1;
		end += stride;
		stride *= 2;
	}
	if (end > b->wants_len)
		end = b->wants_len;
	while (from < end) {
		size_t middle = from + (end - from) / 2;
		if (want_order(&b->wants[middle]) < wanted)
			from = middle + 1;
		else
			end = middle;
	}
	return from;
}

static void want(struct block *b, uint32_t word, uint32_t state)
{
	uint32_t lane = state / LANE_STATES;
	size_t at = search(b, 0, word, lane);
	if (at == b->wants_len || b->wants[at].word != word || b->wants[at].lane != lane) {
		b->wants = alloc_grow(b->wants, &b->wants_cap, b->wants_len + 1, sizeof *b->wants);
		memmove(b->wants + at + 1, b->wants + at, (b->wants_len++ - at) * sizeof *b->wants);
		b->wants[at] = (struct want){ word, lane, 0 };
	}
	b->wants[at].states |= UINT64_C(1) << state % LANE_STATES;
}

static void write_run(struct automaton *a, struct run *run)
{
	struct block *b = run->block;
	uint32_t state = run->first;
	struct bytes rest = words_of(run->pattern), word;
	set(&b->begin, state);
	while (next_word(&rest, &word)) {
		if (is_hash(word))
			set(&b->stay, state);
		else if (is_star(word))
			set(&b->any, ++state);
		else
			want(b, word_use(a, word)->id, ++state);
	}
	assert(state + 1 == run->first + run->len);
	set(&b->last, state);
}

struct topic_end *automaton_end(struct automaton *a, struct bytes pattern)
{
	struct run *run = map_get(&a->runs, pattern);
	if (run != NULL)
		return &run->end;
	run = alloc_zeroed(sizeof *run);
	run->end.is_run = true;
	run->pattern = copy_of(pattern);
	run->len = count_states(pattern);
	place(a, run);
	write_run(a, run);
	map_put(&a->runs, run->pattern, run);
	return &run->end;
}

static void erase_run(struct run *run)
{
	struct block *b = run->block;
	struct states mine = { { 0 } };
	size_t kept = 0;
	for (uint32_t state = run->first; state < run->first + run->len; state++)
		set(&mine, state);
	for (size_t i = 1; i <= LANES; i++) {
		b->begin.lanes[i] &= ~mine.lanes[i];
		b->any.lanes[i] &= ~mine.lanes[i];
		b->stay.lanes[i] &= ~mine.lanes[i];
		b->last.lanes[i] &= ~mine.lanes[i];
	}
	for (size_t i = 0; i < b->wants_len; i++) {
		struct want w = b->wants[i];
		w.states &= ~mine.lanes[1 + w.lane];
		if (w.states != 0)
			b->wants[kept++] = w;
	}
	b->wants_len = kept;
	for (uint32_t g = 0; g < groups_of(run); g++)
		b->runs[run->first / GROUP_STATES + g] = NULL;
}

void automaton_drop(struct topic_end *end)
{
	struct run *run = list_entry(end, struct run, end);
	struct block *b = run->block;
	struct automaton *a = b->automaton;
	struct bytes rest = words_of(run->pattern), word;
	assert(end->is_run && end->len == 0);
	erase_run(run);
	while (next_word(&rest, &word))
		if (!is_hash(word) && !is_star(word))
			word_leave(a, word);
	if (--b->runs_len == 0)
		block_free(b);
	else if (list_is_empty(&b->in_open))
		list_push_head(&a->open, &b->in_open);
	map_remove(&a->runs, run->pattern);
	run_free(run);
}

/* --- matching --- */

static void add_word(struct automaton *a, struct word *word)
{
	struct reading *r = &a->reading;
	size_t at = r->words_len++;
	word->seen = a->pieces;
	for (; at > 0 && r->words[at - 1]->id > word->id; at--)
		r->words[at] = r->words[at - 1];
	r->words[at] = word;
}

/* Takes the next piece of the key and tells its words apart, once for all blocks. False: there is
 * none. */
static bool read_piece(struct automaton *a, struct bytes *rest)
{
	struct reading *r = &a->reading;
	struct word *words[WORDS_MAX];
	struct bytes text;
	a->pieces++;
	r->words_len = r->len = 0;
	while (r->len < WORDS_MAX && next_word(rest, &text)) {
		struct word *word = words[r->len++] = map_get(&a->words, text);
		if (word != NULL && word->seen != a->pieces)
			add_word(a, word);
	}
	for (size_t i = 0; i < r->words_len; i++)
		r->words[i]->at = (uint32_t)i;
	for (size_t i = 0; i < r->len; i++)
		r->at[i] = words[i] == NULL ? NOWHERE : (uint8_t)words[i]->at;
	return r->len > 0;
}

/* What each word of the key leads to in this block. */
static void accept_words(struct automaton *a, const struct block *b)
{
	size_t at = 0;
	a->accepted[NOWHERE] = b->any;
	for (size_t i = 0; i < a->reading.words_len; i++) {
		uint32_t id = a->reading.words[i]->id;
		a->accepted[i] = b->any;
		at = search(b, at, id, 0);
		for (; at < b->wants_len && b->wants[at].word == id; at++)
			a->accepted[i].lanes[1 + b->wants[at].lane] |= b->wants[at].states;
	}
}

static bool is_none(const struct states *states)
{
	uint64_t left = 0;
	for (size_t i = 1; i <= LANES; i++)
		left |= states->lanes[i];
	return left == 0;
}

/* Lanes by the pair, as every machine of today has instructions for; they lie anywhere. */
typedef uint64_t lane_pair __attribute__((vector_size(16), aligned(8), may_alias));

static void step(struct states *restrict next, const struct states *restrict now,
		 const struct states *restrict accepted, const struct states *restrict stay)
{
	for (size_t i = 1; i <= LANES; i += 2) {
		lane_pair here = *(const lane_pair *)&now->lanes[i];
		lane_pair below = *(const lane_pair *)&now->lanes[i - 1];
		lane_pair on = here << 1 | below >> (LANE_STATES - 1);
		*(lane_pair *)&next->lanes[i] = (on & *(const lane_pair *)&accepted->lanes[i]) |
						(here & *(const lane_pair *)&stay->lanes[i]);
	}
}

static void read_in_block(struct automaton *a, struct block *b)
{
	enum { LOOK_EVERY = 4 }; /* Words: is any state left? */
	struct states next = { { 0 } };
	const struct reading *r = &a->reading;
	accept_words(a, b);
	for (size_t i = 0; i < r->len; i += 2) {
		step(&next, &b->now, &a->accepted[r->at[i]], &b->stay);
		if (i + 1 == r->len)
			b->now = next;
		else
			step(&b->now, &next, &a->accepted[r->at[i + 1]], &b->stay);
		if (i % LOOK_EVERY == 0 && is_none(&b->now))
			return;
	}
}

static void tell(const struct block *b, const struct topic_finding *finding)
{
	for (uint32_t i = 0; i < LANES; i++)
		for (uint64_t ends = b->now.lanes[1 + i] & b->last.lanes[1 + i]; ends != 0;
		     ends &= ends - 1) {
			uint32_t state = i * LANE_STATES + (uint32_t)__builtin_ctzll(ends);
			topic_end_tell(&b->runs[state / GROUP_STATES]->end, finding);
		}
}

void automaton_match(struct automaton *a, struct bytes key, const struct topic_finding *finding)
{
	struct bytes rest = words_of(key);
	if (list_is_empty(&a->blocks))
		return;
	list_each (node, &a->blocks) {
		struct block *b = list_entry(node, struct block, in_automaton);
		b->now = b->begin;
	}
	while (read_piece(a, &rest))
		list_each (node, &a->blocks)
			read_in_block(a, list_entry(node, struct block, in_automaton));
	list_each (node, &a->blocks)
		tell(list_entry(node, struct block, in_automaton), finding);
}
