/* What is told to clients only when the disk has it. */
#include "broker.h"

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
