/* Messages and answers, as text or as lines of JSON. */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16 };

/* Bytes that are no UTF-8 as {"base64": ...}. */
static json_t *bytes_to_json(const char *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	json_t *text = json_stringn(data, len);
	if (text != NULL)
		return text;
	char *out = malloc((len + 2) / 3 * 4 + 1), *at = out;
	for (size_t i = 0; i < len; i += 3) {
		unsigned group = (unsigned)(unsigned char)data[i] << 16;
		group |= i + 1 < len ? (unsigned)(unsigned char)data[i + 1] << 8 : 0;
		group |= i + 2 < len ? (unsigned char)data[i + 2] : 0;
		*at++ = digits[group >> 18];
		*at++ = digits[group >> 12 & 63];
		*at++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
		*at++ = i + 2 < len ? digits[group & 63] : '=';
	}
	*at = '\0';
	json_t *o = json_pack("{s:s}", "base64", out);
	free(out);
	return o;
}

static json_t *field_to_json(const struct lev_field *f, int depth);

static json_t *nested_to_json(const struct lev_field *outer, int depth)
{
	bool is_table = outer->type == 'F';
	json_t *all = is_table ? json_object() : json_array();
	struct lev_field f;
	for (size_t at = 0; depth < DEPTH_MAX && lev_field_next(outer, &at, &f);) {
		json_t *value = field_to_json(&f, depth + 1);
		if (is_table)
			json_object_setn_new(all, f.name, f.name_len, value);
		else
			json_array_append_new(all, value);
	}
	return all;
}

static json_t *field_to_json(const struct lev_field *f, int depth)
{
	switch (f->type) {
	case 'S':
	case 'x': return bytes_to_json(f->string, f->string_len);
	case 'I':
	case 'T': return json_integer(f->integer);
	case 'B': return json_boolean(f->integer != 0);
	case 'D': return json_real(f->real);
	case 'F':
	case 'A': return nested_to_json(f, depth);
	default: return json_null();
	}
}

static void set_str(json_t *o, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(o, name, json_string(value));
}

static json_t *properties_to_json(const struct lev_properties *p)
{
	json_t *o = json_object(), *headers = json_object();
	struct lev_field f;
	set_str(o, "content_type", p->content_type);
	set_str(o, "content_encoding", p->content_encoding);
	set_str(o, "correlation_id", p->correlation_id);
	set_str(o, "reply_to", p->reply_to);
	set_str(o, "message_id", p->message_id);
	set_str(o, "type", p->type);
	set_str(o, "user_id", p->user_id);
	set_str(o, "app_id", p->app_id);
	if (p->timestamp != 0)
		json_object_set_new(o, "timestamp", json_integer((json_int_t)p->timestamp));
	if (p->expiration_ms != 0)
		json_object_set_new(o, "expiration_ms", json_integer((json_int_t)p->expiration_ms));
	if (p->priority != 0)
		json_object_set_new(o, "priority", json_integer(p->priority));
	json_object_set_new(o, "persistent", json_boolean(!p->is_transient));
	for (size_t at = 0; lev_table_next(p->headers, &at, &f);)
		json_object_setn_new(headers, f.name, f.name_len, field_to_json(&f, 0));
	json_object_set_new(o, "headers", headers);
	return o;
}

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(o);
}

void print_message(const struct lev_message *m)
{
	if (!cli.is_json) {
		fwrite(m->body, 1, m->body_len, stdout);
		putchar('\n');
		fflush(stdout);
		return;
	}
	print_json(json_pack("{s:s, s:s, s:b, s:o, s:o}", "exchange", m->exchange, "routing_key",
			     m->routing_key, "redelivered", m->is_redelivered, "properties",
			     properties_to_json(&m->properties), "body",
			     bytes_to_json(m->body, m->body_len)));
}

void print_outcome(const char *key, const char *value)
{
	if (cli.is_quiet)
		return;
	if (cli.is_json)
		print_json(json_pack("{s:s}", key, value));
	else
		printf("%s\n", value);
}

void print_info(const char *queue, const struct lev_queue_info *info)
{
	if (cli.is_json)
		print_json(json_pack("{s:s, s:i, s:i}", "queue", queue, "messages",
				     (int)info->messages, "consumers", (int)info->consumers));
	else
		printf("%u messages, %u consumers\n", info->messages, info->consumers);
}
