#include "headers.h"
#include "republish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const reason_names[] = { "rejected", "expired", "maxlen", "delivery_limit" };
static const char *const header_names[ROUTING_HEADERS] = { "a", "b", "c", "x-d" };

/* --- of what is published --- */

static void write_real(struct writer *w, double value, bool is_double)
{
	float single = (float)value;
	uint64_t bits;
	uint32_t few;
	memcpy(&bits, &value, sizeof bits);
	memcpy(&few, &single, sizeof few);
	write_u8(w, is_double ? 'd' : 'f');
	if (is_double)
		write_u64(w, bits);
	else
		write_u32(w, few);
}

static void write_number(struct writer *w, uint8_t value, uint64_t type)
{
	static const char types[] = "lbBsuIiLTfd";
	char t = types[type % (sizeof types - 1)];
	if (t == 'f' || t == 'd') {
		write_real(w, value, t == 'd');
		return;
	}
	write_u8(w, (uint8_t)t);
	if (strchr("bB", t) != NULL)
		write_u8(w, value);
	else if (strchr("su", t) != NULL)
		write_u16(w, value);
	else if (strchr("Ii", t) != NULL)
		write_u32(w, value);
	else
		write_u64(w, value);
}

static void write_header_value(struct writer *w, const char *name, enum routing_value value,
			       uint64_t type)
{
	if (value != H_ABSENT)
		write_shortstr(w, bytes_str(name));
	switch (value) {
	case H_ONE:
	case H_TWO: write_number(w, (uint8_t)value, type); break;
	case H_HALF: write_real(w, 1.5, type % 2 == 0); break;
	case H_TEXT:
	case H_DIGIT:
		write_u8(w, type % 2 == 0 ? 'S' : 'x');
		write_longstr(w, bytes_str(value == H_TEXT ? "text" : "1"));
		break;
	case H_TRUE:
		write_u8(w, 't');
		write_u8(w, 1);
		break;
	case H_VOID: write_u8(w, 'V'); break;
	case H_ABSENT:
	case H_VALUES: break;
	}
}

void headers_write_values(struct writer *w, const uint8_t *values, uint64_t type)
{
	for (unsigned i = 0; i < ROUTING_HEADERS; i++)
		write_header_value(w, header_names[i], values[i], type / (1 + i));
}

/* CC, and BCC. */
static void write_copy_keys(struct writer *w, const struct routing_message *route)
{
	for (unsigned i = 1; i < route->keys_len; i++) {
		write_shortstr(w, bytes_str(i == 1 ? "CC" : "BCC"));
		write_u8(w, 'A');
		uint8_t *began = write_room(w, 4);
		write_u8(w, 'S');
		write_longstr(w, bytes_str(route->keys[i]));
		table_end(w, began);
	}
}

/* A value of any type, the bytes of which nobody in the broker has a use for. */
static void write_any_value(struct sim *s, struct writer *w)
{
	static const char types[] = "tbBsuIilLfdDTSxAFV";
	static const uint8_t sizes[] = { 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8 };
	uint32_t kind = below(s, sizeof types - 1);
	write_u8(w, (uint8_t)types[kind]);
	if (kind < sizeof sizes) {
		for (uint8_t i = 0; i < sizes[kind]; i++)
			write_u8(w, types[kind] == 't' ? (uint8_t)below(s, 2)
						       : (uint8_t)below(s, 256));
		return;
	}
	if (types[kind] == 'V')
		return;
	uint8_t *began = write_room(w, 4);
	if (types[kind] == 'A')
		write_u8(w, 'b');
	if (types[kind] == 'S' || types[kind] == 'x')
		write_bytes(w, bytes_of("text with \0", below(s, 11)));
	if (types[kind] == 'F')
		table_write_long(w, "count", below(s, 100));
	if (types[kind] == 'A')
		write_u8(w, 7);
	table_end(w, began);
}

/* In an array that should have tables. */
static void write_stray(struct sim *s, struct writer *w)
{
	static const char types[] = "SIV";
	char type = types[below(s, sizeof types - 1)];
	write_u8(w, (uint8_t)type);
	if (type == 'S')
		write_longstr(w, bytes_str("rejected"));
	else if (type == 'I')
		write_u32(w, 1);
}

/* A field of a death, or nothing, or something of another type in its place. */
static void write_untold(struct sim *s, struct writer *w, const char *name)
{
	switch (below(s, 4)) {
	case 0: table_write_bool(w, name, true); break;
	case 1:
		write_shortstr(w, bytes_str(name));
		write_u8(w, 'V');
		break;
	case 2:
		write_shortstr(w, bytes_str(name));
		write_real(w, 2, true);
		break;
	}
}

static void write_death(struct sim *s, struct writer *w, const struct model_death *d)
{
	if (d->queue == MODEL_NO_QUEUE)
		write_untold(s, w, "queue");
	else
		table_write_str(w, "queue",
				d->queue == MODEL_ELSEWHERE ? bytes_str("elsewhere")
							    : queue_name(s, d->queue));
	if (d->count > 0)
		table_write_long(w, "count", (int64_t)d->count);
	else
		write_untold(s, w, "count");
	if (d->reason == DIED_UNTOLD)
		write_untold(s, w, "reason");
	else
		table_write_str(w, "reason", bytes_str(reason_names[d->reason]));
}

static void write_deaths(struct sim *s, struct writer *w, const struct model_publish *p)
{
	if (p->is_story_none)
		table_write_str(w, "x-death", bytes_str("three times"));
	if (p->deaths_len == 0)
		return;
	write_shortstr(w, bytes_str("x-death"));
	write_u8(w, 'A');
	uint8_t *array = write_room(w, 4);
	for (unsigned i = 0; i < p->deaths_len; i++) {
		if (i < p->strays)
			write_stray(s, w);
		write_u8(w, 'F');
		uint8_t *table = write_room(w, 4);
		if (below(s, 2)) {
			write_shortstr(w, bytes_str("time"));
			write_any_value(s, w);
		}
		write_death(s, w, &p->deaths[i]);
		table_end(w, table);
	}
	table_end(w, array);
}

static void write_producer(struct writer *w, const struct model_publish *p)
{
	if (p->producer == 0)
		return;
	table_write_str(w, "x-producer-id", bytes_str(p->producer == 1 ? "p" : "another"));
	table_write_long(w, "x-producer-seq", p->number);
	if (p->epoch > 0)
		table_write_int(w, "x-producer-epoch", (int32_t)p->epoch);
}

static void write_own(struct writer *w, const struct model_publish *p)
{
	char text[16];
	if (p->delay_ms > 0)
		table_write_long(w, "x-delay", (int64_t)p->delay_ms);
	if (p->group > 0)
		table_write_long(w, "group", p->group);
	snprintf(text, sizeof text, "%u", p->key);
	if (p->key > 0)
		table_write_str(w, "x-idempotency-key", bytes_str(text));
}

/* In any order, and with others among them, which must come out as they went in. */
void headers_write(struct sim *s, struct writer *w, struct writer *others,
		   const struct model_publish *p, const struct routing_message *route)
{
	uint32_t first = below(s, 5), others_len = below(s, 3) == 0 ? 1 + below(s, 3) : 0;
	for (uint32_t i = 0; i < 5; i++) {
		uint8_t *at = w->at;
		char name[4] = { 'n', (char)('0' + i), 0 };
		if (i < others_len) {
			write_shortstr(w, bytes_str(name));
			write_any_value(s, w);
			write_bytes(others, bytes_of(at, (size_t)(w->at - at)));
		}
		switch ((first + i) % 5) {
		case 0: headers_write_values(w, route->headers, p->id); break;
		case 1: write_own(w, p); break;
		case 2: write_copy_keys(w, route); break;
		case 3: write_producer(w, p); break;
		case 4: write_deaths(s, w, p); break;
		}
	}
}

/* --- of what is delivered --- */

static const char copy_header[] = "copy";

void headers_write_id(struct writer *w, uint64_t id)
{
	table_write_long(w, copy_header, (int64_t)id);
}

bool headers_is_id(struct bytes name)
{
	return bytes_equal_str(name, copy_header);
}

uint64_t headers_id(struct bytes properties, struct bytes body)
{
	struct properties p;
	uint64_t id;
	int64_t own;
	memcpy(&id, body.data, sizeof id);
	return properties_decode(&p, properties) && (p.flags & HAS_headers) &&
			       table_find_integer(p.headers, copy_header, &own)
		       ? (uint64_t)own
		       : id;
}

uint64_t message_id(const struct message *m)
{
	return headers_id(message_properties(m), message_body(m));
}

/* 0: there is none. */
static uint64_t uid_of(struct sim *s, struct bytes headers, const char *name)
{
	char text[17] = { 0 }, *end;
	struct bytes digits;
	if (!table_find_string(headers, name, &digits))
		return 0;
	MODEL_CHECK(&s->model, digits.len == sizeof text - 1);
	memcpy(text, digits.data, digits.len);
	uint64_t uid = strtoull(text, &end, 16);
	MODEL_CHECK(&s->model, *end == 0 && uid != 0);
	return uid;
}

static void check_identity(struct sim *s, const struct message *m, struct bytes headers)
{
	static const char *const hidden[] = { "x-producer-id", "x-producer-seq",
					      "x-producer-epoch" };
	struct table_value v;
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		MODEL_CHECK(&s->model, !table_find(headers, hidden[i], &v));
	s->model.told.uid = uid_of(s, headers, "x-message-uid");
	s->model.told.origin = uid_of(s, headers, "x-original-uid");
	model_uid_told(&s->model, message_id(m));
}

/* Others' headers have come through as they were. */
static void check_others(struct sim *s, const struct message *m, struct bytes headers)
{
	struct bytes body = message_body(m), name;
	struct bytes others = bytes_of(body.data + 10, load_u16(body.data + 8));
	struct table_value was, is;
	char text[8] = { 0 };
	while (table_next(&others, &name, &was)) {
		memcpy(text, name.data, name.len);
		MODEL_CHECK(&s->model, table_find(headers, text, &is));
		MODEL_CHECK(&s->model, is.type == was.type && bytes_equal(is.raw, was.raw));
	}
}

static struct model_death death_of(struct sim *s, struct bytes entry)
{
	struct model_death d = { MODEL_NO_QUEUE, DIED_UNTOLD, 0 };
	struct bytes queue, reason;
	int64_t count;
	if (table_find_string(entry, "queue", &queue))
		d.queue = queue.data[0] == 'q' ? (unsigned)(queue.data[1] - '0') : MODEL_ELSEWHERE;
	if (table_find_string(entry, "reason", &reason))
		for (d.reason = 0; !bytes_equal_str(reason, reason_names[d.reason]);)
			MODEL_CHECK(&s->model, d.reason++ < DIED_LIMIT);
	if (table_find_integer(entry, "count", &count))
		d.count = (uint64_t)count;
	return d;
}

void headers_check(struct sim *s, const struct message *m)
{
	struct model_story *told = &s->model.told;
	struct properties p;
	struct bytes story, entry;
	struct table_value v;
	told->len = told->strays = 0;
	MODEL_CHECK(&s->model, properties_decode(&p, message_properties(m)));
	check_others(s, m, p.headers);
	check_identity(s, m, p.headers);
	if (table_find_array(p.headers, "x-death", &story))
		while (array_next(&story, &v)) {
			bool is_death = table_value_table(&v, &entry);
			told->strays += !is_death;
			MODEL_CHECK(&s->model, told->len < MODEL_DEATHS_MAX);
			if (is_death)
				told->deaths[told->len++] = death_of(s, entry);
		}
	republish_keep(s, m, p.headers);
}
