#include "content.h"

#include "properties.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRIMMED_BYTES = 2048, SMALL_HEADERS = 1024, OWN_HEADERS_MAX = 1024 };

static const char key_header[] = "x-idempotency-key";

int content_check_name(const char *what, const char *name)
{
	if (name == NULL)
		return LEV_OK;
	if (strlen(name) > UINT8_MAX)
		return lev_fail(LEV_INVALID, "%s is longer than 255 bytes", what);
	if (!bytes_is_utf8(bytes_str(name)))
		return lev_fail(LEV_INVALID, "%s is not UTF-8", what);
	return LEV_OK;
}

size_t content_key(char out[UINT8_MAX + 1], const char *parent, const char *step)
{
	int len = step == NULL ? snprintf(out, UINT8_MAX + 1, "%s", parent)
			       : snprintf(out, UINT8_MAX + 1, "%s/%s", parent, step);
	return len < 0 || len > UINT8_MAX ? 0 : (size_t)len;
}

void content_digits(char *out, uint64_t number, unsigned base)
{
	char reversed[20];
	size_t len = 0;
	do
		reversed[len++] = "0123456789abcdef"[number % base];
	while ((number /= base) > 0);
	for (size_t i = 0; i < len; i++)
		out[i] = reversed[len - 1 - i];
	out[len] = '\0';
}

static int check(const struct lev_publish *p)
{
	const struct lev_properties none = { 0 },
				    *q = p->properties == NULL ? &none : p->properties;
	const struct {
		const char *what;
		const char *name;
	} names[] = {
		{ "exchange", p->exchange },
		{ "routing key", p->routing_key },
		{ "content_type", q->content_type },
		{ "content_encoding", q->content_encoding },
		{ "correlation_id", q->correlation_id },
		{ "reply_to", q->reply_to },
		{ "message_id", q->message_id },
		{ "type", q->type },
		{ "user_id", q->user_id },
		{ "app_id", q->app_id },
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int rc = content_check_name(names[i].what, names[i].name);
		if (rc != LEV_OK)
			return rc;
	}
	if (p->body == NULL && p->body_len > 0)
		return lev_fail(LEV_INVALID, "no body, but a length");
	if (p->delay_ms > INT64_MAX)
		return lev_fail(LEV_INVALID, "delay_ms is too large");
	return table_is_sound(q->headers);
}

/* Headers that were copied from a delivered message: what the library says itself must not be said
 * twice, for the first would count. */
static void write_given_headers(struct writer *w, const struct lev_publish *p,
				const struct content_extra *e)
{
	struct bytes rest = table_bytes(p->properties->headers), name;
	struct table_value v;
	while (table_next(&rest, &name, &v))
		if (!(e->has_sequence && bytes_has_prefix(name, "x-producer-")) &&
		    !(p->key != NULL && bytes_equal_str(name, key_header)) &&
		    !(p->delay_ms > 0 && bytes_equal_str(name, "x-delay")))
			table_write_value(w, name, &v);
}

static int write_headers(struct writer *w, const struct lev_publish *p,
			 const struct content_extra *e)
{
	char key[UINT8_MAX + 1];
	if (p->properties != NULL)
		write_given_headers(w, p, e);
	if (p->key != NULL) {
		size_t len = content_key(key, p->key, p->step);
		if (len == 0 || !bytes_is_utf8(bytes_of(key, len)))
			return lev_fail(LEV_INVALID,
					"an idempotency key has 1 to 255 bytes of UTF-8");
		table_write_str(w, key_header, bytes_of(key, len));
	}
	if (e->has_sequence) {
		table_write_str(w, "x-producer-id", e->producer_id);
		table_write_long(w, "x-producer-seq", (int64_t)e->sequence);
		if (e->epoch > 0)
			table_write_long(w, "x-producer-epoch", (int64_t)e->epoch);
	}
	if (p->delay_ms > 0)
		table_write_long(w, "x-delay", (int64_t)p->delay_ms);
	return LEV_OK;
}

static void set(struct properties *p, unsigned flag, struct bytes *field, const char *value)
{
	if (value == NULL)
		return;
	p->flags |= (uint16_t)flag;
	*field = bytes_str(value);
}

/* expiration has room for the number. */
static struct properties properties_of(const struct lev_publish *publish,
				       const struct content_extra *e, struct bytes headers,
				       char expiration[24])
{
	const struct lev_properties none = { 0 },
				    *q = publish->properties == NULL ? &none : publish->properties;
	struct properties p = { .flags = HAS_delivery_mode };
	p.delivery_mode = q->is_transient ? DELIVERY_MODE_TRANSIENT : DELIVERY_MODE_PERSISTENT;
	set(&p, HAS_content_type, &p.content_type, q->content_type);
	set(&p, HAS_content_encoding, &p.content_encoding, q->content_encoding);
	set(&p, HAS_correlation_id, &p.correlation_id,
	    e->correlation_id != NULL ? e->correlation_id : q->correlation_id);
	set(&p, HAS_reply_to, &p.reply_to, e->reply_to != NULL ? e->reply_to : q->reply_to);
	set(&p, HAS_message_id, &p.message_id, q->message_id);
	set(&p, HAS_type, &p.type, q->type);
	set(&p, HAS_user_id, &p.user_id, q->user_id);
	set(&p, HAS_app_id, &p.app_id, q->app_id);
	if (headers.len > 0) {
		p.flags |= HAS_headers;
		p.headers = headers;
	}
	if (q->priority > 0) {
		p.flags |= HAS_priority;
		p.priority = q->priority;
	}
	if (q->timestamp > 0) {
		p.flags |= HAS_timestamp;
		p.timestamp = q->timestamp;
	}
	uint64_t expires = q->expiration_ms;
	if (e->expiration_ms > 0 && (expires == 0 || e->expiration_ms < expires))
		expires = e->expiration_ms;
	if (expires > 0) {
		content_digits(expiration, expires, 10);
		set(&p, HAS_expiration, &p.expiration, expiration);
	}
	return p;
}

static int reserve(struct content_block *b, size_t need)
{
	if (b->cap >= need)
		return LEV_OK;
	uint8_t *data = malloc(need);
	if (data == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	free(b->data);
	b->data = data;
	b->cap = need;
	return LEV_OK;
}

static int encode(struct content_block *b, const struct lev_publish *publish,
		  const struct content_extra *e, struct bytes headers)
{
	char expiration[24];
	struct properties p = properties_of(publish, e, headers, expiration);
	struct method m = { .id = METHOD_basic_publish };
	m.basic_publish.exchange = bytes_str(publish->exchange == NULL ? "" : publish->exchange);
	m.basic_publish.routing_key =
		bytes_str(publish->routing_key == NULL ? "" : publish->routing_key);
	m.basic_publish.mandatory = e->is_mandatory;
	size_t method_len = method_size(&m), header_len = CONTENT_FLAGS_AT + properties_size(&p);
	size_t body_len = e->is_body_apart ? 0 : publish->body_len;
	int rc = reserve(b, method_len + header_len + body_len);
	if (rc != LEV_OK)
		return rc;
	struct writer w = writer_of(b->data, b->cap);
	method_encode(&w, &m);
	write_u16(&w, CLASS_BASIC);
	write_u16(&w, 0);
	write_u64(&w, publish->body_len);
	properties_encode(&w, &p);
	write_raw(&w, publish->body, body_len);
	if (w.failed)
		return lev_fail(LEV_INVALID, "a property is too long");
	b->method_len = (uint32_t)method_len;
	b->header_len = (uint32_t)header_len;
	b->body_len = body_len;
	return LEV_OK;
}

int content_encode(struct content_block *b, const struct lev_publish *publish,
		   const struct content_extra *e)
{
	uint8_t small[SMALL_HEADERS], *headers = small;
	int rc = check(publish);
	if (rc != LEV_OK)
		return rc;
	size_t need =
		OWN_HEADERS_MAX +
		(publish->properties == NULL ? 0 : table_bytes(publish->properties->headers).len);
	if (need > sizeof small && (headers = malloc(need)) == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	struct writer w = writer_of(headers, need);
	rc = write_headers(&w, publish, e);
	if (rc == LEV_OK)
		rc = encode(b, publish, e, bytes_of(headers, (size_t)(w.at - headers)));
	if (headers != small)
		free(headers);
	return rc;
}

void content_trim(struct content_block *b)
{
	if (b->cap > TRIMMED_BYTES)
		content_fini(b);
}

void content_fini(struct content_block *b)
{
	free(b->data);
	*b = (struct content_block){ 0 };
}

struct bytes content_exchange(const struct content_block *b)
{
	struct method m;
	return method_decode(&m, bytes_of(b->data, b->method_len)) == METHOD_OK
		       ? m.basic_publish.exchange
		       : bytes_of(NULL, 0);
}

bool content_find_header(const struct content_block *b, const char *name, struct bytes *raw)
{
	struct properties p;
	struct table_value v;
	const uint8_t *header = b->data + b->method_len;
	if (!properties_decode(
		    &p, bytes_of(header + CONTENT_FLAGS_AT, b->header_len - CONTENT_FLAGS_AT)) ||
	    !table_find(p.headers, name, &v))
		return false;
	*raw = v.raw;
	return true;
}
