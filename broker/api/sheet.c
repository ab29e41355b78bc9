#include "api/sheet.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, TEXTS_MAX = 9 };

struct chunk {
	struct chunk *next;
	size_t used;
	uint8_t data[];
};

struct sheet {
	enum sheet_kind kind;
	uint8_t *rows;
	size_t len;
	size_t cap;
	struct chunk *chunks; /* The texts. */
	size_t chunk_bytes;   /* Of the first one. */
};

#define TEXT(row, field) offsetof(struct row, field)

/* Of each kind: the size of a row, where its virtual host stands, and its other texts. */
static const struct kind {
	size_t size;
	size_t vhost;
	size_t texts_len;
	size_t texts[TEXTS_MAX];
} kinds[SHEET_KINDS] = {
	[SHEET_QUEUES] = { sizeof(struct queue_row),
			   TEXT(queue_row, i.vhost),
			   9,
			   { TEXT(queue_row, i.name), TEXT(queue_row, i.arguments),
			     TEXT(queue_row, i.policy.name), TEXT(queue_row, i.policy.definition),
			     TEXT(queue_row, i.policy.operator_name),
			     TEXT(queue_row, i.policy.operator_definition),
			     TEXT(queue_row, i.active_tag), TEXT(queue_row, owner),
			     TEXT(queue_row, active_channel) } },
	[SHEET_EXCHANGES] = { sizeof(struct exchange_row),
			      TEXT(exchange_row, i.vhost),
			      6,
			      { TEXT(exchange_row, i.name), TEXT(exchange_row, i.arguments),
				TEXT(exchange_row, i.policy.name),
				TEXT(exchange_row, i.policy.definition),
				TEXT(exchange_row, i.policy.operator_name),
				TEXT(exchange_row, i.policy.operator_definition) } },
	[SHEET_BINDINGS] = { sizeof(struct binding_row),
			     TEXT(binding_row, i.vhost),
			     4,
			     { TEXT(binding_row, i.source), TEXT(binding_row, i.destination),
			       TEXT(binding_row, i.routing_key), TEXT(binding_row, i.arguments) } },
	[SHEET_CHANNELS] = { sizeof(struct channel_row),
			     TEXT(channel_row, i.vhost),
			     2,
			     { TEXT(channel_row, i.user), TEXT(channel_row, connection) } },
	[SHEET_CONSUMERS] = { sizeof(struct consumer_row),
			      TEXT(consumer_row, i.vhost),
			      5,
			      { TEXT(consumer_row, i.queue), TEXT(consumer_row, i.tag),
				TEXT(consumer_row, i.arguments), TEXT(consumer_row, connection),
				TEXT(consumer_row, user) } },
	[SHEET_CONNECTIONS] = { sizeof(struct connection_row),
				TEXT(connection_row, i.vhost),
				3,
				{ TEXT(connection_row, i.user),
				  TEXT(connection_row, i.client_properties),
				  TEXT(connection_row, name) } },
};

struct sheet *sheet_create(enum sheet_kind kind)
{
	struct sheet *s = alloc_zeroed(sizeof *s);
	s->kind = kind;
	return s;
}

void sheet_free(struct sheet *s)
{
	if (s == NULL)
		return;
	for (struct chunk *next; s->chunks != NULL; s->chunks = next) {
		next = s->chunks->next;
		free(s->chunks);
	}
	free(s->rows);
	free(s);
}

static void keep(struct sheet *s, struct bytes *text)
{
	if (text->len == 0) {
		*text = bytes_of("", 0);
		return;
	}
	if (s->chunks == NULL || s->chunk_bytes - s->chunks->used < text->len) {
		size_t bytes = text->len > CHUNK_BYTES ? text->len : CHUNK_BYTES;
		struct chunk *fresh = alloc_resize(NULL, sizeof *fresh + bytes);
		fresh->next = s->chunks;
		fresh->used = 0;
		s->chunks = fresh;
		s->chunk_bytes = bytes;
	}
	uint8_t *to = s->chunks->data + s->chunks->used;
	memcpy(to, text->data, text->len);
	s->chunks->used += text->len;
	text->data = to;
}

/* Neighbours often are in the same virtual host. */
static void keep_vhost(struct sheet *s, uint8_t *row)
{
	const struct kind *k = &kinds[s->kind];
	struct bytes *vhost = (struct bytes *)(void *)(row + k->vhost);
	if (s->len > 0) {
		struct bytes last = sheet_row_vhost(s->kind, row - k->size);
		if (bytes_equal(last, *vhost)) {
			*vhost = last;
			return;
		}
	}
	keep(s, vhost);
}

void sheet_add(struct sheet *s, const void *from)
{
	const struct kind *k = &kinds[s->kind];
	s->rows = alloc_grow(s->rows, &s->cap, s->len + 1, k->size);
	uint8_t *row = s->rows + s->len * k->size;
	memcpy(row, from, k->size);
	keep_vhost(s, row);
	for (size_t i = 0; i < k->texts_len; i++)
		keep(s, (struct bytes *)(void *)(row + k->texts[i]));
	s->len++;
}

size_t sheet_len(const struct sheet *s)
{
	return s->len;
}

const void *sheet_row(const struct sheet *s, size_t at)
{
	return s->rows + at * kinds[s->kind].size;
}

enum sheet_kind sheet_kind(const struct sheet *s)
{
	return s->kind;
}

struct bytes sheet_row_vhost(enum sheet_kind kind, const void *row)
{
	return *(const struct bytes *)(const void *)((const uint8_t *)row + kinds[kind].vhost);
}
