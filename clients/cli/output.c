/* Messages and answers, as text or as lines of JSON. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 200 };

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

/* A name that is no UTF-8 has its bytes above 127 as characters of Latin-1. */
static void set_field(json_t *o, const struct lev_field *f, json_t *value)
{
	char name[2 * UINT8_MAX], *at = name;
	if (json_object_setn(o, f->name, f->name_len, value) != 0) {
		for (size_t i = 0; i < f->name_len && i < UINT8_MAX; i++) {
			unsigned char c = (unsigned char)f->name[i];
			if (c >= 0x80)
				*at++ = (char)(0xc0 | c >> 6);
			*at++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
		}
		json_object_setn(o, name, (size_t)(at - name), value);
	}
	json_decref(value);
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
			set_field(all, &f, value);
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

static json_t *text_to_json(const char *text)
{
	return bytes_to_json(text, strlen(text));
}

static void set_str(json_t *o, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(o, name, text_to_json(value));
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
		set_field(headers, &f, field_to_json(&f, 0));
	json_object_set_new(o, "headers", headers);
	return o;
}

bool is_output_gone(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };
	if (poll(&out, 1, 0) <= 0 || (out.revents & POLLERR) == 0)
		return false;
	errno = EPIPE;
	return true;
}

/* True if it has been written, as far as the operating system says. */
static bool flush_line(void)
{
	putchar('\n');
	return fflush(stdout) == 0 && !ferror(stdout) && !is_output_gone();
}

static bool print_json(json_t *o)
{
	bool is_written = o != NULL && json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(o);
	return is_written && flush_line();
}

bool print_message(const struct lev_message *m)
{
	if (!cli.is_json) {
		fwrite(m->body, 1, m->body_len, stdout);
		return flush_line();
	}
	return print_json(json_pack("{s:o, s:o, s:b, s:o, s:o}", "exchange",
				    text_to_json(m->exchange), "routing_key",
				    text_to_json(m->routing_key), "redelivered", m->is_redelivered,
				    "properties", properties_to_json(&m->properties), "body",
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
		print_json(json_pack("{s:s, s:I, s:I}", "queue", queue, "messages",
				     (json_int_t)info->messages, "consumers",
				     (json_int_t)info->consumers));
	else
		printf("%u messages, %u consumers\n", info->messages, info->consumers);
}
