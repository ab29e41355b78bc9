#include "topology.h"

#include "fail.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARGUMENTS_ROOM = 1024 };

void topology_write_headers(const struct options *o, struct writer *w)
{
	if (strcmp(o->exchange_type, "headers") == 0 && o->exchange[0] != '\0')
		table_write_str(w, "bench", bytes_str("yes"));
}

/* key=value,...: numbers and booleans are sent as such. */
static struct bytes queue_arguments(const struct options *o, uint8_t room[ARGUMENTS_ROOM])
{
	struct writer w = writer_of(room, ARGUMENTS_ROOM);
	char list[sizeof o->queue_arguments], *rest = list, *field;
	snprintf(list, sizeof list, "%s", o->queue_arguments);
	while ((field = strsep(&rest, ",")) != NULL && *field != '\0') {
		char *value = strchr(field, '='), *end;
		if (value == NULL)
			fail(EXIT_USAGE, "--qa: '%s' is not KEY=VALUE", field);
		*value++ = '\0';
		long long number = strtoll(value, &end, 10);
		if (*value != '\0' && *end == '\0')
			table_write_long(&w, field, number);
		else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
			table_write_bool(&w, field, value[0] == 't');
		else
			table_write_str(&w, field, bytes_str(value));
	}
	if (w.failed)
		fail(EXIT_USAGE, "--qa: longer than %d bytes", ARGUMENTS_ROOM);
	return bytes_of(room, (size_t)(w.at - room));
}

static void declare_exchange(struct peer *p, const struct options *o)
{
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str(o->exchange);
	m.exchange_declare.type = bytes_str(o->exchange_type);
	m.exchange_declare.durable = o->is_persistent;
	peer_call(p, 1, &m, METHOD_exchange_declare_ok, NULL);
}

static void declare_queue(struct peer *p, const struct options *o, const char *name)
{
	uint8_t room[ARGUMENTS_ROOM];
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(name);
	m.queue_declare.durable = o->is_persistent;
	m.queue_declare.arguments = queue_arguments(o, room);
	peer_call(p, 1, &m, METHOD_queue_declare_ok, NULL);
}

static void bind(struct peer *p, const struct options *o, const char *queue, const char *key)
{
	uint8_t room[128];
	struct writer w = writer_of(room, sizeof room);
	topology_write_headers(o, &w);
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str(queue);
	m.queue_bind.exchange = bytes_str(o->exchange);
	m.queue_bind.routing_key = bytes_str(key);
	m.queue_bind.arguments = bytes_of(room, (size_t)(w.at - room));
	peer_call(p, 1, &m, METHOD_queue_bind_ok, NULL);
}

static void bind_queue(struct peer *p, const struct options *o, const char *queue)
{
	char key[NAME_MAX_BYTES + 8];
	bool is_by_queue = options_routes_by_queue(o) && !o->has_routing_key;
	snprintf(key, sizeof key, "%s%s", is_by_queue ? queue : o->routing_key,
		 o->keys > 0 ? ".#" : "");
	bind(p, o, queue, key);
}

void topology_declare(struct peer *p, const struct options *o)
{
	char name[NAME_MAX_BYTES], key[64];
	if (o->is_predeclared)
		return;
	bool has_exchange = o->exchange[0] != '\0';
	if (has_exchange)
		declare_exchange(p, o);
	for (uint32_t i = 0; i < options_queues(o); i++) {
		options_queue_name(o, i, name);
		declare_queue(p, o, name);
		if (has_exchange)
			bind_queue(p, o, name);
	}
	for (uint32_t i = 0; i < o->bindings; i++) {
		options_queue_name(o, i % options_queues(o), name);
		snprintf(key, sizeof key, "no.message.%u.has.*.#", i);
		bind(p, o, name, key);
	}
}

void topology_delete(struct peer *p, const struct options *o)
{
	char name[NAME_MAX_BYTES];
	if (o->is_predeclared || o->is_keeping)
		return;
	for (uint32_t i = 0; i < options_queues(o); i++) {
		options_queue_name(o, i, name);
		struct method m = { .id = METHOD_queue_delete };
		m.queue_delete.queue = bytes_str(name);
		peer_call(p, 1, &m, METHOD_queue_delete_ok, NULL);
	}
	if (o->exchange[0] == '\0')
		return;
	struct method m = { .id = METHOD_exchange_delete };
	m.exchange_delete.exchange = bytes_str(o->exchange);
	peer_call(p, 1, &m, METHOD_exchange_delete_ok, NULL);
}

uint64_t topology_ready(struct peer *p, const struct options *o)
{
	char name[NAME_MAX_BYTES];
	uint64_t ready = 0;
	for (uint32_t i = 0; i < options_queues(o); i++) {
		options_queue_name(o, i, name);
		struct method m = { .id = METHOD_queue_declare }, ok;
		m.queue_declare.queue = bytes_str(name);
		m.queue_declare.passive = true;
		peer_call(p, 1, &m, METHOD_queue_declare_ok, &ok);
		ready += ok.queue_declare_ok.message_count;
	}
	return ready;
}
