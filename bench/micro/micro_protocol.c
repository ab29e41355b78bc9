/* The codec. */
#include "micro.h"

#include "base/map.h"
#include "frame.h"
#include "method.h"
#include "properties.h"
#include "table.h"

#include <stdio.h>

static uint8_t wire[4096];
static size_t wire_len;

static void parse_frames(void *arg, uint64_t rounds)
{
	struct frame f;
	size_t used;
	(void)arg;
	while (rounds-- > 0) {
		frame_parse(bytes_of(wire, wire_len), 131072, &f, &used);
		micro_use(&f);
	}
}

static void decode_method(void *arg, uint64_t rounds)
{
	struct method m;
	(void)arg;
	while (rounds-- > 0) {
		method_decode(&m, bytes_of(wire, wire_len));
		micro_use(&m);
	}
}

static void encode_method(void *arg, uint64_t rounds)
{
	uint8_t out[512];
	while (rounds-- > 0) {
		struct writer w = writer_of(out, sizeof out);
		method_encode(&w, arg);
		micro_use(out);
	}
}

static void decode_properties(void *arg, uint64_t rounds)
{
	struct properties p;
	(void)arg;
	while (rounds-- > 0) {
		properties_decode(&p, bytes_of(wire, wire_len));
		micro_use(&p);
	}
}

static void check_table(void *arg, uint64_t rounds)
{
	(void)arg;
	while (rounds-- > 0) {
		bool is_good = table_check(bytes_of(wire, wire_len));
		micro_use(&is_good);
	}
}

static void with_method(const char *name, const struct method *m)
{
	struct writer w = writer_of(wire, sizeof wire);
	char text[80];
	method_encode(&w, m);
	wire_len = (size_t)(w.at - wire);
	snprintf(text, sizeof text, "method_decode/%s", name);
	micro_run(text, decode_method, NULL, 1);
	snprintf(text, sizeof text, "method_encode/%s", name);
	micro_run(text, encode_method, (void *)m, 1);
}

static void methods(void)
{
	struct method m = { .id = METHOD_basic_publish };
	m.basic_publish.exchange = bytes_str("orders");
	m.basic_publish.routing_key = bytes_str("order.created.eu");
	with_method("basic.publish", &m);
	m = (struct method){ .id = METHOD_basic_ack };
	m.basic_ack.delivery_tag = 123456;
	with_method("basic.ack", &m);
	m = (struct method){ .id = METHOD_basic_deliver };
	m.basic_deliver.consumer_tag = bytes_str("amq.ctag-0123456789012345678901");
	m.basic_deliver.exchange = bytes_str("orders");
	m.basic_deliver.routing_key = bytes_str("order.created.eu");
	with_method("basic.deliver", &m);
}

static void properties(void)
{
	struct properties p = { .flags = HAS_delivery_mode, .delivery_mode = 2 };
	struct writer w = writer_of(wire, sizeof wire);
	properties_encode(&w, &p);
	wire_len = (size_t)(w.at - wire);
	micro_run("properties_decode/fields=1", decode_properties, NULL, 1);
	uint8_t headers[256];
	struct writer h = writer_of(headers, sizeof headers);
	table_write_str(&h, "x-idempotency-key", bytes_str("order-4711-create"));
	table_write_long(&h, "attempt", 3);
	p.flags |= HAS_headers | HAS_content_type | HAS_message_id | HAS_timestamp;
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	p.content_type = bytes_str("application/json");
	p.message_id = bytes_str("0b9f6a1c-2a55-4d0a-8a3b-3f7f0c2f1a77");
	w = writer_of(wire, sizeof wire);
	properties_encode(&w, &p);
	wire_len = (size_t)(w.at - wire);
	micro_run("properties_decode/fields=5,headers=2", decode_properties, NULL, 1);
	memcpy(wire, headers, p.headers.len);
	wire_len = p.headers.len;
	micro_run("table_check/fields=2", check_table, NULL, 1);
}

enum { NAMES = 100000, NAME_BYTES = 24 };
static char names[NAMES][NAME_BYTES];

static void find_names(void *arg, uint64_t rounds)
{
	uint32_t at = 12345;
	while (rounds-- > 0) {
		at = at * 1664525u + 1013904223u;
		const char *name = names[at % NAMES];
		micro_use(map_get(arg, bytes_of(name, strlen(name))));
	}
}

static void maps(void)
{
	struct map map;
	map_init(&map, 42);
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(names[i], NAME_BYTES, "some.queue.%u", i);
		map_put(&map, bytes_str(names[i]), names[i]);
	}
	micro_run("map_get/names=100000", find_names, &map, 1);
	map_fini(&map);
}

void micro_protocol(void)
{
	frame_head(wire, FRAME_BODY, 1, 16);
	wire[FRAME_HEAD_BYTES + 16] = FRAME_END;
	wire_len = 16 + FRAME_OVERHEAD;
	micro_run("frame_parse/body=16", parse_frames, NULL, 1);
	methods();
	properties();
	maps();
}
