#include "api/payload.h"

#include "api/json_text.h"
#include "api/query.h"
#include "manage/table_json.h"

#include "base/alloc.h"
#include "table.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Properties go to consumers in one frame, and most of their clients take none that is longer than
 * 128 KiB; room is left for what the broker adds (x-death). */
enum { HEADERS_BYTES_MAX = 120 * 1024 };

/* --- JSON to properties --- */

static bool refuse_value(struct query *c, const char *what, const char *name)
{
	c->details = json_pack("[s, s]", what, name);
	return query_bad(c, "%s", name);
}

static bool read_text(struct query *c, const char *name, const json_t *v, struct properties *p,
		      unsigned flag, struct bytes *out)
{
	if (v == NULL)
		return true;
	if (!json_is_string(v))
		return refuse_value(c, "not_string", name);
	if (json_string_length(v) > UINT8_MAX)
		return query_bad(c, "%s has at most 255 bytes", name);
	*out = bytes_of(json_string_value(v), json_string_length(v));
	p->flags = (uint16_t)(p->flags | flag);
	return true;
}

static bool read_number(struct query *c, const char *name, const json_t *v, struct properties *p,
			unsigned flag, uint64_t *out)
{
	if (v == NULL)
		return true;
	if (!json_is_integer(v))
		return refuse_value(c, "not_int", name);
	*out = (uint64_t)json_integer_value(v);
	p->flags = (uint16_t)(p->flags | flag);
	return true;
}

static bool read_octet(struct query *c, const char *name, const json_t *v, struct properties *p,
		       unsigned flag, uint8_t *out)
{
	uint64_t n = 0;
	if (!read_number(c, name, v, p, flag, &n))
		return false;
	if (v != NULL && strcmp(name, "delivery_mode") == 0 && n > UINT8_MAX)
		return query_bad(c,
				 "406 PRECONDITION_FAILED - invalid message: "
				 "{delivery_mode_unknown,%llu}",
				 (unsigned long long)n);
	*out = (uint8_t)n;
	return true;
}

/* room: HEADERS_BYTES_MAX, where the table goes. */
static bool read_headers(struct query *c, const json_t *v, struct bytes key, uint8_t *room,
			 struct properties *p)
{
	struct writer w = writer_of(room, HEADERS_BYTES_MAX);
	bool is_empty = json_is_array(v) && json_array_size(v) == 0;
	if (v != NULL && !is_empty && !json_is_object(v))
		return query_bad(c, "headers: not an object");
	if (v != NULL && json_has_null(v))
		return query_bad(c, "null_not_allowed");
	if (json_is_object(v) && !table_write_json(&w, v))
		return query_bad(c, "headers: too deep, or a name is longer than 255 bytes");
	if (key.len > 0)
		table_write_str(&w, "x-idempotency-key", key);
	if (w.failed)
		return query_bad(c, "headers: too large");
	if (w.at > room) {
		p->headers = bytes_of(room, (size_t)(w.at - room));
		p->flags |= HAS_headers;
	}
	return true;
}

static bool read_properties(struct query *c, struct bytes key, uint8_t *room, struct properties *p)
{
	const json_t *object = json_object_get(c->body, "properties");
	if (!json_is_object(object))
		return query_bad(c, "properties: not an object");
#define SHORTSTR(name)                                                                     \
	if (!read_text(c, #name, json_object_get(object, #name), p, HAS_##name, &p->name)) \
		return false;
#define TABLE(name)                                                         \
	if (!read_headers(c, json_object_get(object, #name), key, room, p)) \
		return false;
#define OCTET(name)                                                                         \
	if (!read_octet(c, #name, json_object_get(object, #name), p, HAS_##name, &p->name)) \
		return false;
#define LONGLONG(name)                                                                       \
	if (!read_number(c, #name, json_object_get(object, #name), p, HAS_##name, &p->name)) \
		return false;
#define PROPERTY(name, bit, kind) kind(name)
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
	return true;
}

/* --- the body --- */

static bool read_base64(struct query *c, const char *text, size_t len, struct bytes *out)
{
	uint8_t *room = alloc_resize(NULL, len / 4 * 3 + 3);
	size_t n;
	if (!base64_decode(bytes_of(text, len), room, &n)) {
		free(room);
		return refuse_value(c, "not_base64", text);
	}
	*out = bytes_of(room, n);
	return true;
}

static bool read_body(struct query *c, struct bytes *out)
{
	const json_t *v = json_object_get(c->body, "payload");
	const char *encoding = query_str(c, "payload_encoding");
	if (!json_is_string(v))
		return query_bad(c, "payload_not_string");
	if (encoding != NULL && strcmp(encoding, "base64") == 0)
		return read_base64(c, json_string_value(v), json_string_length(v), out);
	if (encoding == NULL || strcmp(encoding, "string") != 0) {
		c->details = json_pack("[s, O]", "unsupported_encoding",
				       json_object_get(c->body, "payload_encoding"));
		return query_bad(c, "payload_encoding");
	}
	*out = alloc_copy(bytes_of(json_string_value(v), json_string_length(v)));
	return true;
}

/* Numbers are taken for no key at all, as by RabbitMQ. */
static bool read_routing_key(struct query *c, struct bytes *out)
{
	const json_t *v = json_object_get(c->body, "routing_key");
	if (json_string_length(v) > UINT8_MAX)
		return query_bad(c, "a routing key has at most 255 bytes");
	*out = alloc_copy(json_is_string(v) ? bytes_of(json_string_value(v), json_string_length(v))
					    : bytes_of("", 0));
	return true;
}

bool payload_read(struct query *c, struct bytes key, struct payload *out)
{
	static const char *const names[] = { "routing_key", "properties", "payload",
					     "payload_encoding", NULL };
	struct properties p = { 0 };
	uint8_t *room = alloc_resize(NULL, HEADERS_BYTES_MAX);
	bool is_good = query_needs(c, names) && read_properties(c, key, room, &p) &&
		       read_body(c, &out->body) && read_routing_key(c, &out->routing_key);
	if (is_good) {
		size_t size = properties_size(&p);
		uint8_t *wire = alloc_resize(NULL, size);
		struct writer w = writer_of(wire, size);
		properties_encode(&w, &p);
		out->properties = bytes_of(wire, size);
	}
	free(room);
	return is_good;
}

void payload_fini(struct payload *p)
{
	free((void *)p->properties.data);
	free((void *)p->body.data);
	free((void *)p->routing_key.data);
}

/* --- and back --- */

json_t *payload_properties(struct bytes encoded)
{
	struct properties p;
	json_t *object = json_object();
	if (!properties_decode(&p, encoded))
		return object;
#define SHORTSTR(name) json_of_text(p.name)
#define TABLE(name)    table_json(p.name)
#define OCTET(name)    json_integer(p.name)
#define LONGLONG(name) json_integer((json_int_t)p.name)
#define PROPERTY(name, bit, kind) \
	if (p.flags & HAS_##name) \
		json_object_set_new(object, #name, kind(name));
#include "properties.def"
#undef PROPERTY
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
	return object;
}

void payload_put(json_t *object, struct bytes body, bool is_auto)
{
	json_t *text =
		is_auto ? json_stringn(body.len == 0 ? "" : (const char *)body.data, body.len)
			: NULL;
	if (text != NULL) {
		json_object_set_new(object, "payload", text);
		json_object_set_new(object, "payload_encoding", json_string("string"));
		return;
	}
	char *encoded = alloc_resize(NULL, (body.len + 2) / 3 * 4 + 1);
	int len = EVP_EncodeBlock((unsigned char *)encoded, body.data, (int)body.len);
	json_object_set_new(object, "payload", json_stringn(encoded, (size_t)len));
	json_object_set_new(object, "payload_encoding", json_string("base64"));
	free(encoded);
}
