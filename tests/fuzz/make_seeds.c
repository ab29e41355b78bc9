/* Writes a first corpus for fuzz_sessions to a directory: conversations that reach deep, for the
 * fuzzer to bend.
 *
 *   make_seeds DIR */
#include "method.h"
#include "properties.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static uint8_t seed[8192];
static struct writer out;

static void frame(uint8_t client, uint8_t type, uint8_t channel, struct bytes payload)
{
	write_u8(&out, client);
	write_u8(&out, type);
	write_u8(&out, channel);
	write_u16(&out, (uint16_t)payload.len);
	write_bytes(&out, payload);
}

static void say(uint8_t client, const struct method *m)
{
	uint8_t payload[512];
	struct writer w = writer_of(payload, sizeof payload);
	method_encode(&w, m);
	frame(client, 1, 1, bytes_of(payload, (size_t)(w.at - payload)));
}

static void publish(uint8_t client, const char *exchange, const char *key, const char *body)
{
	uint8_t header[64];
	struct method m = { .id = METHOD_basic_publish };
	struct properties p = { .flags = HAS_delivery_mode | HAS_headers,
				.delivery_mode = 2,
				.headers = bytes_of("\2CCA\0\0\0\7S\0\0\0\2q2", 15) };
	m.basic_publish.exchange = bytes_str(exchange);
	m.basic_publish.routing_key = bytes_str(key);
	m.basic_publish.mandatory = true;
	say(client, &m);
	struct writer w = writer_of(header, sizeof header);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, strlen(body));
	properties_encode(&w, &p);
	frame(client, 2, 1, bytes_of(header, (size_t)(w.at - header)));
	frame(client, 3, 1, bytes_str(body));
}

static void sync_disk(void)
{
	write_u8(&out, 4);
}

static void declare(uint8_t client, const char *queue, bool is_durable)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.durable = is_durable;
	say(client, &m);
	sync_disk();
}

static void consume(uint8_t client, const char *queue, bool is_no_ack)
{
	struct method m = { .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(queue);
	m.basic_consume.consumer_tag = bytes_str("t");
	m.basic_consume.no_ack = is_no_ack;
	say(client, &m);
}

static void begin(void)
{
	out = writer_of(seed, sizeof seed);
	write_u8(&out, 1);
}

static void finish(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(seed, 1, (size_t)(out.at - seed), f) != (size_t)(out.at - seed) ||
	    fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void work(const char *dir)
{
	struct method ack = { .id = METHOD_basic_ack }, nack = { .id = METHOD_basic_nack },
		      recover = { .id = METHOD_basic_recover };
	begin();
	declare(0, "q", true);
	declare(0, "q2", false);
	say(0, &(struct method){ .id = METHOD_confirm_select });
	publish(0, "", "q", "one");
	publish(0, "", "q", "two");
	consume(1, "q", false);
	ack.basic_ack.delivery_tag = 1;
	say(1, &ack);
	nack.basic_nack.delivery_tag = 2;
	nack.basic_nack.requeue = true;
	say(1, &nack);
	recover.basic_recover.requeue = true;
	say(1, &recover);
	sync_disk();
	finish(dir, "work");
}

static void dead_letters(const char *dir)
{
	static const char arguments[] =
		"\26x-dead-letter-exchangeS\0\0\0\0\31x-dead-letter-routing-keyS\0\0\0\2q2"
		"\20x-delivery-limitI\0\0\0\1";
	struct method m = { .id = METHOD_queue_declare }, nack = { .id = METHOD_basic_nack };
	begin();
	declare(0, "q2", true);
	m.queue_declare.queue = bytes_str("q");
	m.queue_declare.durable = true;
	m.queue_declare.arguments = bytes_of(arguments, sizeof arguments - 1);
	say(0, &m);
	sync_disk();
	publish(0, "", "q", "rejected");
	publish(0, "", "q", "poison");
	consume(1, "q", false);
	nack.basic_nack.delivery_tag = 1;
	say(1, &nack);
	nack.basic_nack.requeue = true;
	for (nack.basic_nack.delivery_tag = 2; nack.basic_nack.delivery_tag < 5;
	     nack.basic_nack.delivery_tag++)
		say(1, &nack);
	consume(0, "q2", true);
	sync_disk();
	finish(dir, "dead_letters");
}

static void exchanges(const char *dir)
{
	static const char *const types[] = { "direct", "fanout", "topic", "headers" };
	for (size_t i = 0; i < 4; i++) {
		struct method x = { .id = METHOD_exchange_declare },
			      b = { .id = METHOD_queue_bind };
		struct method e = { .id = METHOD_exchange_bind }, u = { .id = METHOD_queue_unbind },
			      d = { .id = METHOD_exchange_delete };
		begin();
		declare(0, "q", false);
		x.exchange_declare.exchange = bytes_str("x");
		x.exchange_declare.type = bytes_str(types[i]);
		x.exchange_declare.auto_delete = true;
		x.exchange_declare.arguments =
			bytes_of("\22alternate-exchangeS\0\0\0\12amq.fanout", 34);
		say(0, &x);
		b.queue_bind.queue = bytes_str("q");
		b.queue_bind.exchange = bytes_str("x");
		b.queue_bind.routing_key = bytes_str("a.*.#");
		b.queue_bind.arguments = bytes_of("\7x-matchS\0\0\0\3any\1aI\0\0\0\1", 23);
		say(0, &b);
		e.exchange_bind.source = bytes_str("x");
		e.exchange_bind.destination = bytes_str("amq.topic");
		say(0, &e);
		publish(1, "x", "a.b", "body");
		u.queue_unbind.queue = bytes_str("q");
		u.queue_unbind.exchange = bytes_str("x");
		u.queue_unbind.routing_key = bytes_str("a.*.#");
		u.queue_unbind.arguments = b.queue_bind.arguments;
		say(0, &u);
		d.exchange_delete.exchange = bytes_str("x");
		say(0, &d);
		finish(dir, types[i]);
	}
}

static void transactions(const char *dir)
{
	struct method get = { .id = METHOD_basic_get }, qos = { .id = METHOD_basic_qos },
		      cancel = { .id = METHOD_basic_cancel };
	struct method purge = { .id = METHOD_queue_purge }, del = { .id = METHOD_queue_delete },
		      close = { .id = METHOD_channel_close };
	struct method ack = { .id = METHOD_basic_ack };
	begin();
	declare(0, "q", true);
	say(0, &(struct method){ .id = METHOD_tx_select });
	publish(0, "", "q", "one");
	say(0, &(struct method){ .id = METHOD_tx_commit });
	sync_disk();
	get.basic_get.queue = bytes_str("q");
	say(0, &get);
	ack.basic_ack.multiple = true;
	say(0, &ack);
	say(0, &(struct method){ .id = METHOD_tx_rollback });
	qos.basic_qos.prefetch_count = 1;
	qos.basic_qos.global = true;
	say(1, &qos);
	consume(1, "q", false);
	cancel.basic_cancel.consumer_tag = bytes_str("t");
	say(1, &cancel);
	consume(1, "amq.rabbitmq.reply-to", true);
	purge.queue_purge.queue = bytes_str("q");
	say(0, &purge);
	sync_disk();
	del.queue_delete.queue = bytes_str("q");
	say(0, &del);
	sync_disk();
	say(0, &close);
	finish(dir, "transactions");
}

static void pass_time(void)
{
	write_u8(&out, 5);
}

/* One after the other, each with a header and an expiration. */
static void publish_timed(const char *header, int32_t value, const char *expiration,
			  uint8_t priority)
{
	uint8_t headers[64], content[128];
	struct method m = { .id = METHOD_basic_publish };
	struct writer h = writer_of(headers, sizeof headers),
		      w = writer_of(content, sizeof content);
	struct properties p = { .flags = HAS_delivery_mode | HAS_headers | HAS_expiration |
					 HAS_priority,
				.delivery_mode = 2 };
	table_write_int(&h, header, value);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	p.expiration = bytes_str(expiration);
	p.priority = priority;
	m.basic_publish.routing_key = bytes_str("q");
	say(0, &m);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, 1);
	properties_encode(&w, &p);
	frame(0, 2, 1, bytes_of(content, (size_t)(w.at - content)));
	frame(0, 3, 1, bytes_str("x"));
}

static void clockwork(const char *dir)
{
	uint8_t arguments[400];
	struct writer w = writer_of(arguments, sizeof arguments);
	struct method m = { .id = METHOD_queue_declare }, nack = { .id = METHOD_basic_nack };
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("q"));
	table_write_int(&w, "x-message-ttl", 1500);
	table_write_int(&w, "x-max-length", 3);
	table_write_int(&w, "x-max-priority", 4);
	table_write_str(&w, "x-overflow", bytes_str("drop-lowest-priority"));
	table_write_int(&w, "x-retry-initial-ms", 700);
	table_write_int(&w, "x-consumer-timeout", 3000);
	table_write_str(&w, "x-group-header", bytes_str("g"));
	begin();
	m.queue_declare.queue = bytes_str("q");
	m.queue_declare.durable = true;
	m.queue_declare.arguments = bytes_of(arguments, (size_t)(w.at - arguments));
	say(0, &m);
	sync_disk();
	publish_timed("x-delay", 1000, "5000", 1);
	for (int i = 0; i < 4; i++)
		publish_timed("g", i & 1, i & 2 ? "900" : "5000", (uint8_t)i);
	sync_disk();
	consume(1, "q", false);
	pass_time();
	sync_disk();
	nack.basic_nack.delivery_tag = 1;
	nack.basic_nack.requeue = true;
	say(1, &nack);
	pass_time();
	consume(0, "amq.delayed", false);
	for (int i = 0; i < 4; i++) {
		sync_disk();
		pass_time();
	}
	finish(dir, "clockwork");
}

/* On, or off again. */
static void toggle_alarm(void)
{
	write_u8(&out, 8);
}

/* What is kept meets waits for the disk, another alarm, and closes. */
static void alarms(const char *dir)
{
	struct method close = { .id = METHOD_channel_close },
		      end = { .id = METHOD_connection_close };
	begin();
	declare(0, "q", true);
	sync_disk();
	publish(0, "", "q", "before");
	toggle_alarm();
	publish(0, "", "q", "kept");
	declare(0, "q2", true);
	publish(1, "", "q2", "kept");
	publish(0, "nowhere", "q", "refused");
	say(0, &close);
	consume(1, "q", true);
	toggle_alarm();
	toggle_alarm();
	sync_disk();
	publish(0, "", "q", "ignored");
	say(1, &end);
	toggle_alarm();
	sync_disk();
	finish(dir, "alarms");
}

/* --- what applications and brokers put into headers --- */

static void restart(bool is_checkpointed)
{
	if (is_checkpointed) {
		write_u8(&out, 10);
		sync_disk();
	}
	write_u8(&out, 9);
}

static void publish_table(uint8_t client, const char *key, const struct writer *table,
			  const uint8_t *from)
{
	uint8_t content[700];
	struct method m = { .id = METHOD_basic_publish };
	struct properties p = { .flags = HAS_delivery_mode | HAS_headers,
				.delivery_mode = 2,
				.headers = bytes_of(from, (size_t)(table->at - from)) };
	m.basic_publish.routing_key = bytes_str(key);
	say(client, &m);
	struct writer w = writer_of(content, sizeof content);
	write_u32(&w, (uint32_t)CLASS_BASIC << 16);
	write_u64(&w, 1);
	properties_encode(&w, &p);
	frame(client, 2, 1, bytes_of(content, (size_t)(w.at - content)));
	frame(client, 3, 1, bytes_str("m"));
}

/* Of each type that a field may have, as an application would use it. */
static void write_any(struct writer *w)
{
	table_write_str(w, "customer", bytes_str("ada"));
	table_write_int(w, "attempt", 1);
	table_write_long(w, "order", INT64_MAX);
	table_write_bool(w, "urgent", true);
	write_shortstr(w, bytes_str("none"));
	write_u8(w, 'V');
	write_shortstr(w, bytes_str("at"));
	write_u8(w, 'T');
	write_u64(w, 1700000000);
	write_shortstr(w, bytes_str("price"));
	write_u8(w, 'd');
	write_u64(w, 0x3ff8000000000000);
	write_shortstr(w, bytes_str("raw"));
	write_u8(w, 'x');
	write_u32(w, 2);
	write_bytes(w, bytes_str("\377\376"));
}

/* An entry of x-death by somebody else: a count that is text, a queue that is a number, no reason.
 */
static void write_death(struct writer *w, bool is_odd)
{
	write_shortstr(w, bytes_str("x-death"));
	write_u8(w, 'A');
	uint8_t *array = write_room(w, 4);
	write_u8(w, 'F');
	uint8_t *entry = write_room(w, 4);
	if (is_odd) {
		table_write_str(w, "count", bytes_str("many"));
		table_write_int(w, "queue", 7);
	} else {
		table_write_long(w, "count", 1);
		table_write_str(w, "queue", bytes_str("q"));
		table_write_str(w, "reason", bytes_str("rejected"));
		table_write_str(w, "exchange", bytes_str(""));
	}
	table_end(w, entry);
	if (is_odd)
		write_u8(w, 'V');
	table_end(w, array);
}

/* What died comes from elsewhere with a history, dies here, and is published again with all that
 * its consumer saw. */
static void copies(const char *dir)
{
	static const char arguments[] =
		"\26x-dead-letter-exchangeS\0\0\0\0\31x-dead-letter-routing-keyS\0\0\0\2q2";
	struct method m = { .id = METHOD_queue_declare }, nack = { .id = METHOD_basic_nack };
	begin();
	declare(0, "q2", true);
	m.queue_declare.queue = bytes_str("q");
	m.queue_declare.durable = true;
	m.queue_declare.arguments = bytes_of(arguments, sizeof arguments - 1);
	say(0, &m);
	sync_disk();
	for (int i = 0; i < 4; i++) {
		uint8_t table[600];
		struct writer w = writer_of(table, sizeof table);
		write_any(&w);
		write_death(&w, i & 1);
		if (i & 2)
			table_write_str(&w, "x-message-uid", bytes_str("0000000000000001"));
		table_write_str(&w, "x-producer-id", bytes_str("p"));
		table_write_long(&w, "x-producer-epoch", 1);
		table_write_long(&w, "x-producer-seq", i);
		publish_table(0, "q", &w, table);
	}
	sync_disk();
	consume(1, "q", false);
	nack.basic_nack.delivery_tag = 4;
	nack.basic_nack.multiple = true;
	say(1, &nack);
	sync_disk();
	restart(true);
	consume(1, "q2", false);
	sync_disk();
	finish(dir, "copies");
}

/* Keys of each mode, with the same message again before and after crashes, and while they are
 * loaded. */
static void keys(const char *dir)
{
	static const char *const modes[] = { "window", "sliding", "while-queued" };
	struct method get = { .id = METHOD_basic_get }, purge = { .id = METHOD_queue_purge };
	for (size_t i = 0; i < 3; i++) {
		uint8_t arguments[64], table[64];
		struct writer a = writer_of(arguments, sizeof arguments),
			      w = writer_of(table, sizeof table);
		struct method m = { .id = METHOD_queue_declare };
		table_write_str(&a, "x-idempotency", bytes_str(modes[i]));
		table_write_str(&w, "x-idempotency-key", bytes_str("k"));
		begin();
		m.queue_declare.queue = bytes_str("q");
		m.queue_declare.durable = true;
		m.queue_declare.arguments = bytes_of(arguments, (size_t)(a.at - arguments));
		say(0, &m);
		say(0, &(struct method){ .id = METHOD_confirm_select });
		publish_table(0, "q", &w, table);
		publish_table(0, "q", &w, table);
		sync_disk();
		restart(true);
		publish_table(0, "q", &w, table);
		get.basic_get.queue = bytes_str("q");
		say(0, &get);
		sync_disk();
		purge.queue_purge.queue = bytes_str("q");
		say(1, &purge);
		sync_disk();
		publish_table(1, "q", &w, table);
		sync_disk();
		restart(false);
		publish_table(1, "q", &w, table);
		sync_disk();
		finish(dir, modes[i]);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: make_seeds DIR\n", stderr);
		return 2;
	}
	if (mkdir(argv[1], 0777) == -1 && errno != EEXIST) {
		perror(argv[1]);
		return 1;
	}
	work(argv[1]);
	exchanges(argv[1]);
	transactions(argv[1]);
	dead_letters(argv[1]);
	clockwork(argv[1]);
	alarms(argv[1]);
	copies(argv[1]);
	keys(argv[1]);
	return 0;
}
