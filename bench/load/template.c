#include "template.h"

#include "base/alloc.h"
#include "frame.h"
#include "method.h"
#include "properties.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

static const char key_digits[] = ".0000000";
static const char unique_digits[] = "0000000000000000";

/* Where the digits that end this text are in the wire form. */
static size_t find(const struct template *t, const char *digits)
{
	const uint8_t *at = memmem(t->wire, t->len, digits, strlen(digits));
	return (size_t)(at - t->wire);
}

static struct method publish_method(const struct template_of *of, char *key, size_t key_size)
{
	struct method m = { .id = METHOD_basic_publish };
	int len = snprintf(key, key_size, "%.*s%s", BYTES_ARG(of->routing_key),
			   of->has_key_digits ? key_digits : "");
	m.basic_publish.exchange = of->exchange;
	m.basic_publish.routing_key = bytes_of(key, (size_t)len);
	m.basic_publish.mandatory = of->is_mandatory;
	return m;
}

static struct properties properties_of(const struct template_of *of, struct writer *headers)
{
	struct properties p = { .flags = HAS_delivery_mode,
				.delivery_mode = of->is_persistent ? DELIVERY_MODE_PERSISTENT
								   : DELIVERY_MODE_TRANSIENT };
	uint8_t *begin = headers->at;
	write_bytes(headers, of->headers);
	if (of->idempotency_key != NULL) {
		char key[128];
		snprintf(key, sizeof key, "%s%s", of->idempotency_key, unique_digits);
		table_write_str(headers, "x-idempotency-key", bytes_str(key));
	}
	p.headers = bytes_of(begin, (size_t)(headers->at - begin));
	p.correlation_id = of->correlation_id;
	p.reply_to = of->reply_to;
	p.flags |= (uint16_t)((p.headers.len > 0 ? HAS_headers : 0) |
			      (p.correlation_id.len > 0 ? HAS_correlation_id : 0) |
			      (p.reply_to.len > 0 ? HAS_reply_to : 0));
	return p;
}

static void put_frame(struct writer *w, uint8_t type, uint16_t channel, size_t size)
{
	frame_head(write_room(w, FRAME_HEAD_BYTES), type, channel, (uint32_t)size);
}

void template_init(struct template *t, const struct template_of *of)
{
	char key[512];
	uint8_t headers_room[1024];
	struct writer headers = writer_of(headers_room, sizeof headers_room);
	struct method m = publish_method(of, key, sizeof key);
	struct properties p = properties_of(of, &headers);
	size_t body_max = of->frame_max - FRAME_OVERHEAD,
	       frames = (of->size + body_max - 1) / body_max;
	size_t header_size = CONTENT_FLAGS_AT + properties_size(&p);
	*t = (struct template){ .len = method_size(&m) + header_size + of->size +
				       (2 + frames) * FRAME_OVERHEAD };
	t->wire = alloc_zeroed(t->len);
	struct writer w = writer_of(t->wire, t->len);
	put_frame(&w, FRAME_METHOD, of->channel, method_size(&m));
	method_encode(&w, &m);
	write_u8(&w, FRAME_END);
	put_frame(&w, FRAME_HEADER, of->channel, header_size);
	write_u16(&w, CLASS_BASIC);
	write_u16(&w, 0);
	write_u64(&w, of->size);
	properties_encode(&w, &p);
	write_u8(&w, FRAME_END);
	size_t body_at = (size_t)(w.at - t->wire) + FRAME_HEAD_BYTES;
	for (size_t left = of->size; left > 0;) {
		size_t part = left < body_max ? left : body_max;
		put_frame(&w, FRAME_BODY, of->channel, part);
		memset(write_room(&w, part), 'x', part);
		write_u8(&w, FRAME_END);
		left -= part;
	}
	t->stamp_at = of->size >= STAMP_BYTES ? body_at : 0;
	t->key_at = of->has_key_digits ? find(t, key_digits) + 1 : 0;
	t->unique_at = of->idempotency_key != NULL ? find(t, unique_digits) : 0;
}

void template_fini(struct template *t)
{
	free(t->wire);
	t->wire = NULL;
}
