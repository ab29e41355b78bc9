/* What is wanted is a name, which one of those with that name it is, and a value as far as values
 * are told apart (table_value_matches()), or any value. Of each there is one, with all bindings
 * that are found by it; a binding knows where it stands there, so it leaves without a search. */
#include "core/exchange/wants.h"
#include "core/exchange/binding.h"
#include "core/exchange/match.h"

#include "base/alloc.h"
#include "base/map.h"
#include "table.h"

#include <assert.h>
#include <stdlib.h>

/* A binding, and by which of its places it is found here. */
struct finder {
	struct binding *binding;
	size_t place;
};

struct wanted {
	struct bytes key; /* Owned. */
	struct finder *finders;
	size_t all_len; /* Of them, those that need all that they want. */
	size_t len;
	size_t cap;
};

struct wants {
	struct map wanted;    /* key -> struct wanted */
	struct wanted always; /* By those that want nothing at all, of all of it. */
	size_t of_any_value;
	size_t any_len; /* Bindings that any of their headers is enough for. */
	uint64_t matches;
	uint8_t *room; /* For a key. */
	size_t room_cap;
};

/* What is looked for on the way through a message's headers. */
struct search {
	const struct fields *headers;
	size_t any_found;
	void (*found)(void *arg, const struct binding *binding);
	void *arg;
};

struct wants *wants_create(uint64_t seed)
{
	struct wants *w = alloc_zeroed(sizeof *w);
	map_init(&w->wanted, seed);
	return w;
}

void wants_destroy(struct wants *w)
{
	if (w == NULL)
		return;
	assert(w->wanted.len == 0 && w->always.len == 0);
	map_fini(&w->wanted);
	free(w->always.finders);
	free(w->room);
	free(w);
}

/* --- what is wanted --- */

enum { ANY_VALUE = 'V' }; /* A void argument asks for the header, whatever it is. */

/* As values are told apart: an integer may be equal to a floating-point number. */
static char worth_of(const struct table_value *v, uint8_t number[TABLE_WORTH_BYTES],
		     struct bytes *worth)
{
	double real;
	char class = table_value_class(v);
	*worth = table_value_worth(v, number);
	if (class != 'd' || !table_value_real(v, &real) || !(real >= -0x1p63 && real < 0x1p63) ||
	    (double)(int64_t)real != real)
		return class;
	store_u64(number, (uint64_t)(int64_t)real);
	*worth = bytes_of(number, TABLE_WORTH_BYTES);
	return 'i';
}

/* Valid until the next one. */
static struct bytes key_of(struct wants *w, const struct field *f, uint32_t which, bool is_any)
{
	uint8_t number[TABLE_WORTH_BYTES];
	struct bytes worth = bytes_of(NULL, 0);
	char class = is_any ? ANY_VALUE : worth_of(&f->value, number, &worth);
	size_t len = 1 + f->name.len + sizeof which + 1 + worth.len;
	w->room = alloc_grow(w->room, &w->room_cap, len, 1);
	struct writer out = writer_of(w->room, len);
	write_shortstr(&out, f->name);
	write_raw(&out, &which, sizeof which);
	write_u8(&out, (uint8_t) class);
	write_bytes(&out, worth);
	assert(!out.failed);
	return bytes_of(w->room, len);
}

/* Which one of those of its name it is. */
static uint32_t which_of(const struct fields *fields, size_t i, uint32_t before)
{
	return i > 0 && bytes_equal(fields->items[i].name, fields->items[i - 1].name) ? before + 1
										      : 0;
}

static bool wants_any_value(const struct field *f)
{
	return f->value.type == ANY_VALUE;
}

/* --- bindings --- */

static void add_finder(struct wanted *wanted, struct binding *b, size_t place)
{
	wanted->finders =
		alloc_grow(wanted->finders, &wanted->cap, wanted->len + 1, sizeof *wanted->finders);
	wanted->all_len += !match_is_any(b);
	b->places[place] = (struct want_place){ wanted, wanted->len };
	wanted->finders[wanted->len++] = (struct finder){ b, place };
}

static struct wanted *wanted_find(struct wants *w, const struct field *f, uint32_t which)
{
	return map_get(&w->wanted, key_of(w, f, which, wants_any_value(f)));
}

static struct wanted *wanted_make(struct wants *w, const struct field *f, uint32_t which)
{
	struct wanted *wanted = wanted_find(w, f, which);
	if (wanted != NULL)
		return wanted;
	wanted = alloc_zeroed(sizeof *wanted);
	wanted->key = alloc_copy(key_of(w, f, which, wants_any_value(f)));
	w->of_any_value += wants_any_value(f);
	map_put(&w->wanted, wanted->key, wanted);
	return wanted;
}

static void add_by_each(struct wants *w, struct binding *b)
{
	uint32_t which = 0;
	w->any_len++;
	b->places = alloc_resize(NULL, (b->wanted.len + 1) * sizeof *b->places);
	for (size_t i = 0; i < b->wanted.len; i++) {
		which = which_of(&b->wanted, i, which);
		add_finder(wanted_make(w, &b->wanted.items[i], which), b, b->places_len++);
	}
}

static void add_by_rarest(struct wants *w, struct binding *b)
{
	uint32_t which = 0, rarest_which = 0;
	size_t rarest = 0, fewest = SIZE_MAX;
	b->places = alloc_resize(NULL, sizeof *b->places);
	b->places_len = 1;
	for (size_t i = 0; i < b->wanted.len && fewest > 0; i++) {
		which = which_of(&b->wanted, i, which);
		const struct wanted *wanted = wanted_find(w, &b->wanted.items[i], which);
		size_t len = wanted == NULL ? 0 : wanted->len;
		if (len >= fewest)
			continue;
		fewest = len;
		rarest = i;
		rarest_which = which;
	}
	if (b->wanted.len == 0)
		add_finder(&w->always, b, 0);
	else
		add_finder(wanted_make(w, &b->wanted.items[rarest], rarest_which), b, 0);
}

void wants_add(struct wants *w, struct binding *b)
{
	if (match_is_any(b))
		add_by_each(w, b);
	else
		add_by_rarest(w, b);
}

static bool is_of_any_value(const struct wanted *wanted)
{
	return wanted->key.data[wanted->key.len - 1] == ANY_VALUE &&
	       wanted->key.len == 1u + wanted->key.data[0] + sizeof(uint32_t) + 1;
}

/* The last one takes its place. */
static void leave(struct wants *w, const struct binding *b, const struct want_place *place)
{
	struct wanted *wanted = place->wanted;
	assert(place->at < wanted->len && wanted->finders[place->at].binding == b);
	wanted->all_len -= !match_is_any(b);
	struct finder last = wanted->finders[--wanted->len];
	wanted->finders[place->at] = last;
	last.binding->places[last.place].at = place->at;
	if (wanted->len > 0 || wanted == &w->always)
		return;
	w->of_any_value -= is_of_any_value(wanted);
	map_remove(&w->wanted, wanted->key);
	free((void *)wanted->key.data);
	free(wanted->finders);
	free(wanted);
}

void wants_remove(struct wants *w, struct binding *b)
{
	w->any_len -= match_is_any(b);
	for (size_t i = 0; i < b->places_len; i++)
		leave(w, b, &b->places[i]);
	free(b->places);
	b->places = NULL;
	b->places_len = 0;
}

/* --- matching --- */

static void look_at(struct wants *w, const struct wanted *wanted, struct search *s)
{
	if (s->any_found == w->any_len && wanted->all_len == 0)
		return; /* They have all been found. */
	for (size_t i = 0; i < wanted->len; i++) {
		struct binding *b = wanted->finders[i].binding;
		bool is_any = match_is_any(b);
		if (b->seen == w->matches || (!is_any && !match_all(b, s->headers)))
			continue;
		b->seen = w->matches;
		s->any_found += is_any;
		s->found(s->arg, b);
	}
}

void wants_match(struct wants *w, const struct fields *headers,
		 void (*found)(void *arg, const struct binding *binding), void *arg)
{
	struct search s = { headers, 0, found, arg };
	uint32_t which = 0;
	w->matches++;
	look_at(w, &w->always, &s);
	for (size_t i = 0; i < headers->len && w->wanted.len > 0; i++) {
		const struct field *f = &headers->items[i];
		which = which_of(headers, i, which);
		const struct wanted *wanted =
			f->value.type == ANY_VALUE
				? NULL
				: map_get(&w->wanted, key_of(w, f, which, false));
		if (wanted != NULL)
			look_at(w, wanted, &s);
		wanted = w->of_any_value == 0 ? NULL
					      : map_get(&w->wanted, key_of(w, f, which, true));
		if (wanted != NULL)
			look_at(w, wanted, &s);
	}
}
