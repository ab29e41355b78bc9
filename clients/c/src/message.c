#include "message.h"

#include "properties.h"
#include "reason.h"

#include <stdlib.h>

/* Copies a string to *at with a NUL, and moves *at on. */
static const char *keep(char **at, struct bytes b)
{
	char *copy = *at;
	if (b.len > 0)
		memcpy(copy, b.data, b.len);
	copy[b.len] = '\0';
	*at += b.len + 1;
	return copy;
}

static const char *keep_if(char **at, const struct properties *p, unsigned flag, struct bytes b)
{
	return p->flags & flag ? keep(at, b) : NULL;
}

static uint64_t milliseconds(struct bytes text)
{
	uint64_t ms = 0;
	for (size_t i = 0; i < text.len && i < 15 && text.data[i] >= '0' && text.data[i] <= '9';
	     i++)
		ms = ms * 10 + (uint64_t)(text.data[i] - '0');
	return ms;
}

static void keep_properties(struct message *m, char **at, const struct properties *p)
{
	m->headers = (struct lev_table){ .data = (uint8_t *)*at, .len = p->headers.len };
	keep(at, p->headers);
	m->of.properties = (struct lev_properties){
		.content_type = keep_if(at, p, HAS_content_type, p->content_type),
		.content_encoding = keep_if(at, p, HAS_content_encoding, p->content_encoding),
		.correlation_id = keep_if(at, p, HAS_correlation_id, p->correlation_id),
		.reply_to = keep_if(at, p, HAS_reply_to, p->reply_to),
		.message_id = keep_if(at, p, HAS_message_id, p->message_id),
		.type = keep_if(at, p, HAS_type, p->type),
		.user_id = keep_if(at, p, HAS_user_id, p->user_id),
		.app_id = keep_if(at, p, HAS_app_id, p->app_id),
		.timestamp = p->timestamp,
		.expiration_ms = milliseconds(p->expiration),
		.priority = p->priority,
		.is_transient = p->delivery_mode != DELIVERY_MODE_PERSISTENT,
		.headers = &m->headers,
	};
}

enum { NULS = 16 }; /* One for each string, at most. */

int message_create(struct message **out, struct bytes exchange, struct bytes routing_key,
		   struct bytes header, uint64_t body_max, uint64_t *body_size)
{
	struct reader r = reader_of(header.data, header.len);
	struct properties p;
	read_u32(&r);
	uint64_t size = read_u64(&r);
	if (r.failed || size > body_max)
		return LEV_PROTOCOL;
	struct bytes encoded = bytes_of(r.at, reader_left(&r));
	bool is_read = properties_decode(&p, encoded);
	if (!is_read)
		p = (struct properties){ .delivery_mode = DELIVERY_MODE_PERSISTENT };
	struct message *m = malloc(sizeof *m + exchange.len + routing_key.len + header.len + NULS +
				   encoded.len + (size_t)size + 1);
	if (m == NULL)
		return LEV_NO_MEMORY;
	memset(m, 0, sizeof *m);
	char *at = (char *)(m + 1);
	m->of.exchange = keep(&at, exchange);
	m->of.routing_key = keep(&at, routing_key);
	keep_properties(m, &at, &p);
	if (!is_read) {
		m->of.raw_properties = keep(&at, encoded);
		m->of.raw_properties_len = encoded.len;
	}
	m->of.body = at;
	m->of.body_len = (size_t)size;
	at[size] = '\0';
	*body_size = size;
	*out = m;
	return LEV_OK;
}

void message_destroy(struct message *m)
{
	free(m);
}

uint8_t *message_body(struct message *m)
{
	return (uint8_t *)(uintptr_t)m->of.body;
}

const char *lev_message_uid(const struct lev_message *message)
{
	if (message == NULL)
		return NULL;
	struct message *m = (struct message *)(uintptr_t)message;
	if (m->uid[0] == '\0' &&
	    !lev_table_str(&m->headers, "x-message-uid", m->uid, sizeof m->uid))
		return message->properties.message_id;
	return m->uid;
}
