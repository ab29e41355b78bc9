/* What a publisher says again is recognized by its bytes: nothing that differs may be taken for the
 * same. */
#include "broker.h"

#include <criterion/criterion.h>

static struct broker *b;
static struct client *c;
static struct client *d;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	client_declare(c, "q", false);
	client_declare(c, "r", false);
	client_consume(d, "q", "tq", true, 0);
	client_consume(d, "r", "tr", true, 0);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(publish, .init = set_up, .fini = tear_down);

/* The next delivery, which must be for this consumer, with this body. */
static void expect(const char *tag, const char *body)
{
	struct method m = client_expect(d, METHOD_basic_deliver);
	struct frame f;
	cr_assert(bytes_equal_str(m.basic_deliver.consumer_tag, tag));
	cr_assert(client_frame(d, &f) && f.type == FRAME_HEADER);
	cr_assert(client_frame(d, &f) && bytes_equal_str(f.payload, body));
}

static void bind(const char *queue, const char *exchange, const char *key, bool is_unbind)
{
	struct method m = { .id = is_unbind ? METHOD_queue_unbind : METHOD_queue_bind };
	if (is_unbind)
		m.queue_unbind = (struct amqp_queue_unbind){ .queue = bytes_str(queue),
							     .exchange = bytes_str(exchange),
							     .routing_key = bytes_str(key) };
	else
		m.queue_bind = (struct amqp_queue_bind){ .queue = bytes_str(queue),
							 .exchange = bytes_str(exchange),
							 .routing_key = bytes_str(key) };
	client_method(c, 1, &m);
	client_expect(c, is_unbind ? METHOD_queue_unbind_ok : METHOD_queue_bind_ok);
}

Test(publish, another_key_after_the_same_one_twice_goes_elsewhere)
{
	client_publish(c, "", "q", "1", 1);
	client_publish(c, "", "q", "2", 1);
	client_publish(c, "", "r", "3", 1);
	client_publish(c, "", "q", "4", 1);
	expect("tq", "1");
	expect("tq", "2");
	expect("tr", "3");
	expect("tq", "4");
}

Test(publish, a_binding_that_comes_or_goes_between_two_of_the_same_counts)
{
	bind("q", "amq.direct", "k", false);
	client_publish(c, "amq.direct", "k", "1", 1);
	expect("tq", "1");
	bind("r", "amq.direct", "k", false);
	client_publish(c, "amq.direct", "k", "2", 1);
	expect("tq", "2");
	expect("tr", "2");
	bind("q", "amq.direct", "k", true);
	client_publish(c, "amq.direct", "k", "3", 1);
	expect("tr", "3");
	client_expect_nothing(d);
}

Test(publish, a_queue_that_was_deleted_gets_nothing_more)
{
	client_publish(c, "", "q", "1", 1);
	expect("tq", "1");
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("q");
	client_method(c, 1, &m);
	broker_sync(b);
	client_expect(c, METHOD_queue_delete_ok);
	client_expect(d, METHOD_basic_cancel);
	client_publish(c, "", "q", "2", 1);
	client_expect_nothing(d);
	client_declare(c, "q", false);
	client_consume(d, "q", "tq", true, 0);
	client_publish(c, "", "q", "3", 1);
	expect("tq", "3");
}

Test(publish, an_exchange_that_was_deleted_is_missed_by_the_next_publish)
{
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str("x");
	m.exchange_declare.type = bytes_str("fanout");
	client_method(c, 1, &m);
	client_expect(c, METHOD_exchange_declare_ok);
	client_publish(c, "x", "k", "1", 1);
	client_publish(c, "x", "k", "1", 1);
	m = (struct method){ .id = METHOD_exchange_delete };
	m.exchange_delete.exchange = bytes_str("x");
	client_method(d, 1, &m);
	client_expect(d, METHOD_exchange_delete_ok);
	client_publish(c, "x", "k", "2", 1);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no exchange 'x' in vhost '/'");
}

/* Same method, same length of the header: only the properties differ. */
Test(publish, other_properties_are_seen)
{
	client_declare(c, "durable", true);
	client_confirms(c);
	client_publish(c, "", "durable", "1", 1);
	client_expect(c, METHOD_basic_ack); /* At once: it is transient. */
	client_publish(c, "", "durable", "2", 2);
	client_expect_nothing(c);
	broker_sync(b);
	client_expect(c, METHOD_basic_ack);
	client_publish(c, "", "durable", "3", 1);
	client_expect(c, METHOD_basic_ack);
}

Test(publish, mandatory_is_part_of_what_must_be_the_same)
{
	struct method m = { .id = METHOD_basic_publish };
	struct properties p = { .flags = 0 };
	uint8_t wire[256];
	for (int i = 0; i < 4; i++) {
		struct writer w = writer_of(wire, sizeof wire);
		m.basic_publish.routing_key = bytes_str("nowhere");
		m.basic_publish.mandatory = i % 2;
		frame_head(write_room(&w, FRAME_HEAD_BYTES), FRAME_METHOD, 1,
			   (uint32_t)method_size(&m));
		method_encode(&w, &m);
		write_u8(&w, FRAME_END);
		frame_head(write_room(&w, FRAME_HEAD_BYTES), FRAME_HEADER, 1,
			   (uint32_t)(CONTENT_FLAGS_AT + properties_size(&p)));
		write_u16(&w, CLASS_BASIC);
		write_u16(&w, 0);
		write_u64(&w, 0);
		properties_encode(&w, &p);
		write_u8(&w, FRAME_END);
		client_send(c, bytes_of(wire, (size_t)(w.at - wire)));
		struct frame f;
		if (i % 2 == 1) {
			client_expect(c, METHOD_basic_return);
			cr_assert(client_frame(c, &f) && f.type == FRAME_HEADER);
		}
		client_expect_nothing(c);
	}
}
