/* Publishes N messages, each with an identity (the handle's sequence, or every third a key of its
 * own), and sees that each has exactly one outcome, which is that it is stored. Then, or with
 * "verify", that the queue holds each once.
 *
 *   publishes publish URI N
 *   publishes verify URI N */
#include <leveret/leveret.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *outcomes; /* Of each, how many. */
static unsigned long bad;

static void on_outcome(void *arg, const struct lev_outcome *outcome)
{
	outcomes[(size_t)arg]++;
	if (outcome->result < 0 && bad++ < 10)
		fprintf(stderr, "message %zu: %s: %s\n", (size_t)arg,
			lev_result_name(outcome->result), outcome->text);
}

static int publish(struct lev *lev, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char text[24];
		int text_len = snprintf(text, sizeof text, "%zu", i);
		struct lev_publish p = { .routing_key = "publishes",
					 .body = text,
					 .body_len = (size_t)text_len,
					 .key = i % 3 == 0 ? text : NULL };
		int rc = lev_publish(lev, &p, on_outcome, (void *)i, lev_in(120000));
		if (rc != LEV_OK)
			return fprintf(stderr, "message %zu: %s\n", i, lev_reason()), 1;
	}
	if (lev_flush(lev, lev_in(120000)) != LEV_OK)
		return fprintf(stderr, "flush: %s\n", lev_reason()), 1;
	for (size_t i = 0; i < len; i++)
		if (outcomes[i] != 1)
			return fprintf(stderr, "message %zu has %d outcomes\n", i, outcomes[i]), 1;
	printf("%zu published, each with one outcome\n", len);
	return bad > 0;
}

static int verify(struct lev *lev, size_t len)
{
	struct lev_consumer *c;
	struct lev_message *m;
	size_t got = 0, last = 0;
	unsigned long disorder = 0;
	if (lev_consume(lev, &(struct lev_consume){ .queue = "publishes", .prefetch = 5000 }, &c,
			lev_in(10000)) != LEV_OK)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	for (; lev_next(c, &m, lev_in(2000)) == LEV_OK; got++) {
		size_t i = strtoull(m->body, NULL, 10);
		if (i >= len || outcomes[i]++ != 0)
			return fprintf(stderr, "message %zu is there again\n", i), 1;
		disorder += i < last;
		last = i;
		lev_ack(m);
	}
	lev_cancel(c, lev_in(10000));
	if (got != len || disorder > 0)
		return fprintf(stderr, "%zu of %zu are there, %lu out of order\n", got, len,
			       disorder),
		       1;
	printf("%zu are there, each once and in order\n", got);
	return 0;
}

int main(int argc, char **argv)
{
	struct lev *lev;
	size_t len = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	if (len == 0)
		return fputs("usage: publishes publish|verify URI N\n", stderr), 2;
	outcomes = calloc(len, 1);
	struct lev_options o = { .uri = argv[2], .backoff_max_ms = 200 };
	if (outcomes == NULL || lev_open(&lev, &o, lev_in(10000)) != LEV_OK ||
	    lev_declare_queue(lev, "publishes", NULL, lev_in(10000)) != LEV_OK)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	int status = strcmp(argv[1], "publish") == 0 ? publish(lev, len) : verify(lev, len);
	lev_close(lev, lev_in(10000));
	free(outcomes);
	return status;
}
