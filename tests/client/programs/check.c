/* Does with a broker, over whatever its URI says, what a program would, and sees that everything is
 * as promised: on any AMQP 0-9-1 broker what needs no extension, and of the extensions that they
 * work, or that the library says clearly that they do not.
 *
 *   check URI */
#include "must.h"

#include <leveret/patterns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON lev_in(20000)

static struct lev *lev;
static bool is_leveret;

static bool contains(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static void outcomes(void)
{
	char key[40]; /* Not the last run's. */
	snprintf(key, sizeof key, "%llx-%p", (unsigned long long)lev_now(), (void *)lev);
	struct lev_table *arguments = lev_table_create();
	const struct lev_queue full = { .arguments = arguments };
	struct lev_publish p = { .routing_key = "check", .body = "a", .body_len = 1, .key = key };
	lev_table_set_int(arguments, "x-max-length", 1);
	lev_table_set_str(arguments, "x-overflow", "reject-publish");
	CHECK(lev_declare_queue(lev, "check", NULL, SOON) == LEV_OK &&
	      lev_declare_queue(lev, "check.full", &full, SOON) == LEV_OK);
	CHECK(lev_send(lev, "", "check", "1", 1, SOON) == LEV_OK);
	CHECK(lev_send(lev, "", "check.nowhere", "x", 1, SOON) == LEV_UNROUTABLE);
	CHECK(lev_send(lev, "check.no.such", "", "x", 1, SOON) == LEV_REFUSED &&
	      contains(lev_reason(), "404"));
	CHECK(lev_send(lev, "", "check.full", "x", 1, SOON) == LEV_OK);
	CHECK(lev_send(lev, "", "check.full", "x", 1, SOON) == LEV_REFUSED);
	CHECK(lev_publish_wait(lev, &p, SOON) == LEV_OK);
	CHECK(lev_publish_wait(lev, &p, SOON) == (is_leveret ? LEV_DUPLICATE : LEV_OK));
	p.body = "b";
	CHECK(lev_publish_wait(lev, &p, SOON) == (is_leveret ? LEV_CONFLICT : LEV_OK));
	CHECK(lev_purge(lev, "check", NULL, SOON) == LEV_OK &&
	      lev_delete_queue(lev, "check.full", NULL, SOON) == LEV_OK);
	lev_table_destroy(arguments);
}

static void many(void)
{
	char body[5000];
	struct lev_consumer *c;
	struct lev_message *m;
	memset(body, 'x', sizeof body);
	for (size_t i = 0; i < 5000; i++) {
		struct lev_publish p = { .routing_key = "check", .body = body, .body_len = i };
		CHECK(lev_publish(lev, &p, NULL, NULL, SOON) == LEV_OK);
	}
	CHECK(lev_flush(lev, SOON) == LEV_OK);
	CHECK(lev_consume(lev, &(struct lev_consume){ .queue = "check", .prefetch = 50 }, &c,
			  SOON) == LEV_OK);
	for (size_t i = 0; i < 5000; i++) {
		CHECK(lev_next(c, &m, SOON) == LEV_OK && m->body_len == i &&
		      memcmp(m->body, body, i) == 0);
		CHECK(lev_ack(m) == LEV_OK);
	}
	CHECK(lev_cancel(c, SOON) == LEV_OK);
}

static void settling(void)
{
	struct lev_consumer *c;
	struct lev_message *m;
	CHECK(lev_declare_with_dlq(lev, "check.jobs", NULL, SOON) == LEV_OK);
	CHECK(lev_send(lev, "", "check.jobs", "job", 3, SOON) == LEV_OK);
	CHECK(lev_consume(lev, &(struct lev_consume){ .queue = "check.jobs" }, &c, SOON) == LEV_OK);
	CHECK(lev_next(c, &m, SOON) == LEV_OK && !m->is_redelivered && lev_requeue(m) == LEV_OK);
	CHECK(lev_next(c, &m, SOON) == LEV_OK && m->is_redelivered);
	if (is_leveret) {
		CHECK(lev_retry_after(m, 1) == LEV_OK && lev_next(c, &m, SOON) == LEV_OK);
	} else {
		CHECK(lev_retry_after(m, 1) == LEV_UNSUPPORTED &&
		      contains(lev_reason(), "retry_after"));
	}
	CHECK(lev_reject(m) == LEV_OK && lev_cancel(c, SOON) == LEV_OK);
	uint64_t deadline = SOON;
	int rc;
	while ((rc = lev_get(lev, "check.jobs.dlq", &m, SOON)) == LEV_EMPTY)
		CHECK(lev_now() < deadline);
	CHECK(rc == LEV_OK && strcmp(m->body, "job") == 0);
	struct lev_field death;
	CHECK(lev_table_find(m->properties.headers, "x-death", &death) && death.type == 'A' &&
	      lev_ack(m) == LEV_OK);
	CHECK(lev_delete_queue(lev, "check.jobs", NULL, SOON) == LEV_OK &&
	      lev_delete_queue(lev, "check.jobs.dlq", NULL, SOON) == LEV_OK);
	CHECK(lev_delete_exchange(lev, "check.jobs.dlx", SOON) == LEV_OK);
}

static void transaction(void)
{
	struct lev_consumer *c;
	struct lev_message *m;
	struct lev_publish out = { .routing_key = "check.out", .body = "out", .body_len = 3 };
	CHECK(lev_declare_queue(lev, "check.out", NULL, SOON) == LEV_OK &&
	      lev_send(lev, "", "check", "in", 2, SOON) == LEV_OK);
	CHECK(lev_consume(lev, &(struct lev_consume){ .queue = "check", .is_tx = true }, &c,
			  SOON) == LEV_OK);
	CHECK(lev_next(c, &m, SOON) == LEV_OK && lev_tx_publish(c, &out) == LEV_OK &&
	      lev_ack(m) == LEV_OK && lev_rollback(c) == LEV_OK);
	CHECK(lev_next(c, &m, SOON) == LEV_OK && m->is_redelivered &&
	      lev_tx_publish(c, &out) == LEV_OK && lev_ack(m) == LEV_OK);
	CHECK(lev_commit(c, SOON) == LEV_OK && lev_cancel(c, SOON) == LEV_OK);
	CHECK(lev_get(lev, "check.out", &m, SOON) == LEV_OK && m->messages_left == 0 &&
	      lev_ack(m) == LEV_OK);
	CHECK(lev_delete_queue(lev, "check.out", NULL, SOON) == LEV_OK);
}

static void answer(void *arg, struct lev_message *m)
{
	(void)arg;
	lev_reply(m, "yes", 3, NULL);
	lev_ack(m);
}

static void requests(void)
{
	const struct lev_queue own = { .is_auto_delete = true, .is_transient = true };
	struct lev_publish ask = { .routing_key = "check.service", .body = "?", .body_len = 1 };
	struct lev_consumer *c;
	struct lev_message *m;
	CHECK(lev_declare_queue(lev, "check.service", &own, SOON) == LEV_OK);
	CHECK(lev_consume(lev,
			  &(struct lev_consume){ .queue = "check.service", .on_message = answer },
			  &c, SOON) == LEV_OK);
	for (int i = 0; i < 100; i++) {
		CHECK(lev_request(lev, &ask, &m, SOON) == LEV_OK && strcmp(m->body, "yes") == 0);
		lev_message_free(m);
	}
	CHECK(lev_cancel(c, SOON) == LEV_OK &&
	      lev_request(lev, &ask, &m, SOON) == LEV_NO_RESPONDER);
}

static void topics(void)
{
	const struct lev_queue own = { .is_exclusive = true, .is_transient = true };
	struct lev_message *m;
	uint64_t epoch, sequence;
	CHECK(lev_declare_exchange(lev, "check.topic", "topic", NULL, SOON) == LEV_OK &&
	      lev_declare_queue(lev, "check.own", &own, SOON) == LEV_OK);
	CHECK(lev_bind(lev, "check.own", "check.topic", "a.*.c", NULL, SOON) == LEV_OK);
	CHECK(lev_send(lev, "check.topic", "a.b.c", "x", 1, SOON) == LEV_OK &&
	      lev_send(lev, "check.topic", "a.c", "x", 1, SOON) == LEV_UNROUTABLE);
	CHECK(lev_get(lev, "check.own", &m, SOON) == LEV_OK && lev_ack(m) == LEV_OK);
	CHECK(lev_declare_exchange(lev, "check.topic", "fanout", NULL, SOON) == LEV_REFUSED &&
	      contains(lev_reason(), "406"));
	CHECK(lev_delete_exchange(lev, "check.topic", SOON) == LEV_OK &&
	      lev_delete_queue(lev, "check.own", NULL, SOON) == LEV_OK);
	int rc = lev_producer_info(lev, "check.nobody", &epoch, &sequence, SOON);
	CHECK(rc == (is_leveret ? LEV_EMPTY : LEV_UNSUPPORTED));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return fputs("usage: check URI\n", stderr), 2;
	CHECK(lev_connect(&lev, argv[1], SOON) == LEV_OK);
	is_leveret = lev_broker_can(lev, "idempotency");
	outcomes();
	many();
	settling();
	transaction();
	requests();
	topics();
	CHECK(lev_delete_queue(lev, "check", NULL, SOON) == LEV_OK &&
	      lev_close(lev, SOON) == LEV_OK);
	printf("%s: 1 passed, 0 failed\n",
	       is_leveret ? "Leveret" : "a broker without Leveret's extensions");
	return 0;
}
