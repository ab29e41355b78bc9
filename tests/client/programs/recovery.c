/* How a handle comes back, in a made-up world whose clock only moves when somebody waits. */
#include "fake.h"
#include "must.h"

#include <leveret/poll.h>
#include <stdio.h>

static struct lev *lev;
static unsigned disconnects;

static void on_event(void *arg, enum lev_event event, const char *text)
{
	(void)arg;
	(void)text;
	disconnects += event == LEV_EVENT_DISCONNECTED;
}

static void begin(void)
{
	const struct lev_options o = { .uri = "amqp://a", .is_loop = true, .on_event = on_event };
	fake_reset();
	disconnects = 0;
	CHECK(lev_open(&lev, &o, lev_in(1000)) == LEV_OK);
}

static void end(void)
{
	CHECK(lev_close(lev, lev_in(1000)) == LEV_OK);
}

/* Turns until the clock says so; each waits for what is due. */
static void run_until(uint64_t ms)
{
	while (fake.now_ms < ms) {
		struct lev_queue_info info;
		lev_queue_info(lev, "waits", &info, ms < fake.now_ms + 50 ? ms : fake.now_ms + 50);
		fake.now_ms++;
	}
}

static void a_connection_that_does_not_last_is_not_tried_all_the_time(void)
{
	begin();
	uint64_t until = fake.now_ms + 60000;
	unsigned before = fake.connections;
	while (fake.now_ms < until) {
		if (lev_is_connected(lev))
			fake_cut(); /* As soon as it is there. */
		run_until(fake.now_ms + 30);
	}
	CHECK(fake.connections - before >= 8 && fake.connections - before < 25);
	run_until(fake.now_ms + 20000); /* This one lasts: */
	CHECK(lev_is_connected(lev));
	before = fake.connections;
	fake_cut();
	run_until(fake.now_ms + 1000); /* the first pause is short again. */
	CHECK(fake.connections == before + 1 && lev_is_connected(lev));
	end();
}

static struct lev_consumer *consume(const char *queue, bool is_exclusive)
{
	struct lev_consumer *c;
	const struct lev_consume o = { .queue = queue, .is_exclusive = is_exclusive };
	CHECK(lev_consume(lev, &o, &c, lev_in(1000)) == LEV_OK);
	return c;
}

static void what_the_last_connection_still_holds_is_waited_for(void)
{
	const struct lev_queue own = { .is_exclusive = true, .is_transient = true };
	struct lev_message *m;
	begin();
	CHECK(lev_declare_queue(lev, "own", &own, lev_in(1000)) == LEV_OK);
	CHECK(lev_bind(lev, "own", "amq.topic", "#", NULL, lev_in(1000)) == LEV_OK);
	struct lev_consumer *c = consume("q", true);
	unsigned declared = fake.declared;
	fake.held_until = fake.now_ms + 25000; /* Its heartbeat is 10 s. */
	fake.deliveries = 1;
	fake_cut();
	run_until(fake.now_ms + 5000);
	CHECK(lev_send(lev, "", "q", "x", 1, lev_in(1000)) == LEV_OK); /* All else goes on. */
	CHECK(lev_next(c, &m, LEV_NOW) == LEV_TIMEOUT && fake.connections == 2);
	fake.declared = declared;
	run_until(fake.held_until + 2000);
	CHECK(lev_is_connected(lev) && fake.connections == 2);
	CHECK(lev_next(c, &m, lev_in(1000)) == LEV_OK && lev_ack(m) == LEV_OK);
	CHECK(fake.declared > declared);
	CHECK(lev_cancel(c, lev_in(1000)) == LEV_OK);
	end();
}

static void what_is_held_for_longer_is_somebody_elses(void)
{
	const struct lev_queue own = { .is_exclusive = true, .is_transient = true };
	struct lev_message *m;
	begin();
	CHECK(lev_declare_queue(lev, "own", &own, lev_in(1000)) == LEV_OK);
	struct lev_consumer *c = consume("q", true);
	fake.held_until = LEV_NEVER;
	fake_cut();
	run_until(fake.now_ms + 60000);
	CHECK(lev_next(c, &m, LEV_NOW) == LEV_CLOSED && lev_is_connected(lev));
	CHECK(lev_cancel(c, lev_in(1000)) == LEV_OK);
	end();
}

/* The properties end in the middle of a table. */
static void what_cannot_be_read_is_handed_over_as_it_came(void)
{
	static const uint8_t header[] = { 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0, 0, 0, 9, 1 };
	struct method deliver = { .id = METHOD_basic_deliver };
	struct lev_message *m;
	begin();
	struct lev_consumer *c = consume("q", false);
	deliver.basic_deliver.consumer_tag = bytes_str("leveret");
	deliver.basic_deliver.delivery_tag = 1;
	deliver.basic_deliver.routing_key = bytes_str("q");
	for (uint16_t channel = 2; channel < 5; channel++) {
		deliver.basic_deliver.delivery_tag = 1;
		if (channel == 3) /* The consumer's, after control's and the publisher's. */
			fake_say_message(channel, &deliver, bytes_of(header, sizeof header),
					 bytes_str("hi"));
	}
	CHECK(lev_next(c, &m, lev_in(1000)) == LEV_OK);
	CHECK(m->body_len == 2 && m->raw_properties != NULL && m->raw_properties_len == 7);
	CHECK(m->properties.message_id == NULL && lev_message_uid(m) == NULL);
	CHECK(lev_ack(m) == LEV_OK && disconnects == 0);
	CHECK(lev_cancel(c, lev_in(1000)) == LEV_OK);
	end();
}

int main(void)
{
	a_connection_that_does_not_last_is_not_tried_all_the_time();
	what_the_last_connection_still_holds_is_waited_for();
	what_is_held_for_longer_is_somebody_elses();
	what_cannot_be_read_is_handed_over_as_it_came();
	puts("4 passed, 0 failed");
	return 0;
}
