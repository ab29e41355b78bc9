/* What is told to clients only when the disk has it. */
#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>

Test(durability, a_confirm_waits_for_the_disk)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_declare(c, "q", true);
	client_confirms(c);
	client_publish(c, "", "q", "one", 2);
	client_publish(c, "", "q", "two", 2);
	client_expect_nothing(c);
	broker_sync(b);
	struct method m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, 2);
	cr_assert(m.basic_ack.multiple);
	broker_destroy(b);
}

Test(durability, what_needs_no_disk_is_confirmed_at_once)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_declare(c, "durable", true);
	client_declare(c, "transient", false);
	client_confirms(c);
	client_publish(c, "", "durable", "transient message", 1);
	client_expect(c, METHOD_basic_ack);
	client_publish(c, "", "transient", "transient queue", 2);
	client_expect(c, METHOD_basic_ack);
	client_publish(c, "", "nowhere", "unroutable", 2);
	struct method m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, 3);
	cr_assert_not(m.basic_ack.multiple);
	broker_destroy(b);
}

Test(durability, confirms_go_out_in_order)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_declare(c, "durable", true);
	client_confirms(c);
	client_publish(c, "", "durable", "1", 2);
	client_publish(c, "", "nowhere", "2", 1);
	client_expect_nothing(c);
	broker_sync(b);
	struct method m = client_expect(c, METHOD_basic_ack);
	cr_assert_eq(m.basic_ack.delivery_tag, 2);
	cr_assert(m.basic_ack.multiple);
	client_expect_nothing(c);
	broker_destroy(b);
}

Test(durability, declare_ok_of_a_durable_queue_waits_for_the_disk)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *other = client_open(b);
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str("q");
	m.queue_declare.durable = true;
	client_method(c, 1, &m);
	client_expect_nothing(c);
	struct method qos = { .id = METHOD_basic_qos };
	client_method(c, 1, &qos);
	client_expect_nothing(c);
	client_method(other, 1, &qos);
	client_expect(other, METHOD_basic_qos_ok);
	broker_sync(b);
	client_expect(c, METHOD_queue_declare_ok);
	client_expect(c, METHOD_basic_qos_ok);
	broker_destroy(b);
}

Test(durability, a_transaction_is_one_turn_and_its_answer_waits)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *d = client_open(b);
	struct method select = { .id = METHOD_tx_select }, commit = { .id = METHOD_tx_commit };
	client_declare(c, "q", true);
	client_consume(d, "q", "t", false, 0);
	client_method(c, 1, &select);
	client_expect(c, METHOD_tx_select_ok);
	client_publish(c, "", "q", "one", 2);
	client_publish(c, "", "q", "two", 2);
	client_expect_nothing(d);
	client_method(c, 1, &commit);
	client_expect_deliver(d, "one", false);
	client_expect_deliver(d, "two", false);
	client_expect_nothing(c);
	broker_sync(b);
	client_expect(c, METHOD_tx_commit_ok);
	broker_destroy(b);
}

Test(durability, a_rolled_back_transaction_leaves_no_trace)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	struct method select = { .id = METHOD_tx_select }, rollback = { .id = METHOD_tx_rollback },
		      commit = { .id = METHOD_tx_commit };
	client_declare(c, "q", false);
	client_publish(c, "", "q", "one", 1);
	client_consume(c, "q", "t", false, 0);
	client_expect_deliver(c, "one", false);
	client_method(c, 1, &select);
	client_expect(c, METHOD_tx_select_ok);
	client_publish(c, "", "q", "never", 1);
	client_ack(c, 1, false);
	client_method(c, 1, &rollback);
	client_expect(c, METHOD_tx_rollback_ok);
	client_expect_nothing(c);
	client_nack(c, 1, false, true); /* It is unacked again. */
	client_method(c, 1, &commit);
	client_expect_deliver(c, "one", true);
	client_expect(c, METHOD_tx_commit_ok);
	broker_destroy(b);
}

Test(durability, an_empty_commit_is_answered_at_once)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	struct method select = { .id = METHOD_tx_select }, commit = { .id = METHOD_tx_commit };
	client_method(c, 1, &select);
	client_expect(c, METHOD_tx_select_ok);
	client_method(c, 1, &commit);
	client_expect(c, METHOD_tx_commit_ok);
	broker_destroy(b);
}

/* Found by fuzzing: what a lost connection takes with it is recorded in a turn of its own. */
Test(durability, a_durable_auto_delete_queue_goes_with_its_lost_consumer)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *d = client_open(b);
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str("auto");
	m.queue_declare.durable = m.queue_declare.auto_delete = true;
	client_method(c, 1, &m);
	broker_sync(b);
	client_expect(c, METHOD_queue_declare_ok);
	client_consume(d, "auto", "t", false, 0);
	client_disconnect(d);
	m.queue_declare.passive = true;
	client_method(c, 1, &m);
	client_expect_close(c, METHOD_channel_close, 404,
			    "NOT_FOUND - no queue 'auto' in vhost '/'");
	broker_destroy(b);
}

/* --- what one has decided, another one is told: not before it is on disk either --- */

static struct method declare_durable(const char *queue, bool is_passive)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.durable = true;
	m.queue_declare.passive = is_passive;
	return m;
}

static struct method delete_queue(const char *queue)
{
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str(queue);
	return m;
}

static struct method durable_exchange(const char *name, bool is_passive)
{
	struct method m = { .id = METHOD_exchange_declare };
	m.exchange_declare.exchange = bytes_str(name);
	m.exchange_declare.type = bytes_str("fanout");
	m.exchange_declare.durable = true;
	m.exchange_declare.passive = is_passive;
	return m;
}

/* Two clients say the same: both are answered when the disk has what the first one decided. */
static void both_wait(struct broker *b, const struct method *first, const struct method *second,
		      uint32_t answer)
{
	struct client *c = client_open(b), *d = client_open(b);
	client_method(c, 1, first);
	client_method(d, 1, second);
	client_expect_nothing(c);
	client_expect_nothing(d);
	broker_sync(b);
	client_expect(c, answer);
	client_expect(d, answer);
	client_method(d, 1, second); /* It is on disk: no need to wait any more. */
	client_expect(d, answer);
	client_disconnect(c);
	client_disconnect(d);
}

Test(durability, whoever_declares_the_same_waits_for_the_disk)
{
	struct broker *b = broker_create();
	struct method active = declare_durable("q", false), passive = declare_durable("p", true),
		      other = declare_durable("p", false);
	both_wait(b, &active, &active, METHOD_queue_declare_ok);
	both_wait(b, &other, &passive, METHOD_queue_declare_ok);
	active = durable_exchange("x", false);
	other = durable_exchange("y", false);
	passive = durable_exchange("y", true);
	both_wait(b, &active, &active, METHOD_exchange_declare_ok);
	both_wait(b, &other, &passive, METHOD_exchange_declare_ok);
	broker_destroy(b);
}

Test(durability, whoever_binds_or_unbinds_the_same_waits_for_the_disk)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	client_declare(c, "q", true);
	struct method bind = { .id = METHOD_queue_bind }, unbind = { .id = METHOD_queue_unbind };
	bind.queue_bind.queue = unbind.queue_unbind.queue = bytes_str("q");
	bind.queue_bind.exchange = unbind.queue_unbind.exchange = bytes_str("amq.fanout");
	both_wait(b, &bind, &bind, METHOD_queue_bind_ok);
	both_wait(b, &unbind, &unbind, METHOD_queue_unbind_ok);
	broker_destroy(b);
}

Test(durability, whoever_deletes_or_purges_the_same_waits_for_the_disk)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	struct method m = durable_exchange("x", false), delete_it = delete_queue("q"),
		      purge = { .id = METHOD_queue_purge };
	purge.queue_purge.queue = bytes_str("q");
	client_declare(c, "q", true);
	client_method(c, 1, &m);
	broker_sync(b);
	client_expect(c, METHOD_exchange_declare_ok);
	client_publish(c, "", "q", "one", 2);
	broker_sync(b);
	both_wait(b, &purge, &purge, METHOD_queue_purge_ok);
	both_wait(b, &delete_it, &delete_it, METHOD_queue_delete_ok);
	m = (struct method){ .id = METHOD_exchange_delete };
	m.exchange_delete.exchange = bytes_str("x");
	both_wait(b, &m, &m, METHOD_exchange_delete_ok);
	broker_destroy(b);
}

Test(durability, what_is_not_durable_waits_for_nobody)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *d = client_open(b);
	struct method durable = declare_durable("q", false), m = { .id = METHOD_queue_purge };
	client_method(c, 1, &durable);
	client_declare(d, "transient", false);
	client_bind(d, "transient", "amq.fanout", "");
	client_publish(d, "", "transient", "one", 2);
	m.queue_purge.queue = bytes_str("transient");
	client_method(d, 1, &m);
	client_expect(d, METHOD_queue_purge_ok);
	m = delete_queue("transient");
	client_method(d, 1, &m);
	client_expect(d, METHOD_queue_delete_ok);
	client_expect_nothing(c);
	broker_destroy(b);
}

Test(durability, no_reply_follows_the_close_of_its_channel)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b);
	uint8_t arguments[64];
	struct writer w = writer_of(arguments, sizeof arguments);
	table_write_long(&w, "x-consumer-timeout", 1000);
	client_declare(c, "q", false);
	struct method m = { .id = METHOD_basic_consume }, durable = declare_durable("d", false);
	m.basic_consume.queue = bytes_str("q");
	m.basic_consume.consumer_tag = bytes_str("t");
	m.basic_consume.arguments = bytes_of(arguments, (size_t)(w.at - arguments));
	client_method(c, 1, &m);
	client_expect(c, METHOD_basic_consume_ok);
	client_publish(c, "", "q", "x", 1);
	client_expect_deliver(c, "x", false);
	client_method(c, 1, &durable);
	broker_advance(b, 2000); /* The lease ends, and with it the channel. */
	client_expect(c, METHOD_channel_close);
	broker_sync(b);
	client_expect_nothing(c);
	m = (struct method){ .id = METHOD_channel_close_ok };
	client_method(c, 1, &m);
	m = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &m);
	client_expect(c, METHOD_channel_open_ok);
	broker_destroy(b);
}

Test(durability, consumers_hear_of_a_deletion_when_it_is_on_disk)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *d = client_open(b);
	struct method m = delete_queue("q");
	client_declare(c, "q", true);
	client_consume(c, "q", "own", true, 0);
	client_consume(d, "q", "other", true, 0);
	client_method(c, 1, &m);
	client_expect_nothing(c);
	client_expect_nothing(d);
	broker_sync(b);
	client_expect(c, METHOD_queue_delete_ok);
	client_expect(c, METHOD_basic_cancel);
	client_expect(d, METHOD_basic_cancel);
	client_declare(c, "q", true);
	client_consume(d, "q", "other", true, 0); /* The tag is free again. */
	broker_destroy(b);
}

Test(durability, a_consumer_that_leaves_before_is_not_told)
{
	struct broker *b = broker_create();
	struct client *c = client_open(b), *d = client_open(b), *e = client_open(b);
	struct method m = delete_queue("q"), cancel = { .id = METHOD_basic_cancel };
	cancel.basic_cancel.consumer_tag = bytes_str("t");
	client_declare(c, "q", true);
	client_consume(d, "q", "t", true, 0);
	client_consume(e, "q", "t", true, 0);
	client_method(c, 1, &m);
	client_method(d, 1, &cancel);
	client_expect(d, METHOD_basic_cancel_ok);
	client_disconnect(e);
	broker_sync(b);
	client_expect(c, METHOD_queue_delete_ok);
	client_expect_nothing(d);
	broker_destroy(b);
}
