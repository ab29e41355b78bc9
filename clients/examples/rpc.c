/* Squares by request and response; then what happens when nobody is there.
 *
 *   rpc [URI] */
#include <leveret/patterns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void square(void *arg, struct lev_message *request)
{
	char text[32];
	(void)arg;
	long n = strtol(request->body, NULL, 10);
	int len = snprintf(text, sizeof text, "%ld", n * n);
	lev_reply(request, text, (size_t)len, NULL);
	lev_ack(request);
}

static void ask(struct lev *lev, const char *number)
{
	struct lev_publish request = { .routing_key = "squares",
				       .body = number,
				       .body_len = strlen(number) };
	struct lev_message *reply;
	if (lev_request(lev, &request, &reply, lev_in(2000)) < 0) {
		printf("%s: %s\n", number, lev_reason());
		return;
	}
	printf("%s: %s\n", number, (const char *)reply->body);
	lev_message_free(reply);
}

int main(int argc, char **argv)
{
	/* The queue goes with its last responder, so that whoever asks then hears at once that
	 * nobody is there. */
	const struct lev_queue queue = { .is_auto_delete = true, .is_transient = true };
	const struct lev_consume consume = { .queue = "squares", .on_message = square };
	struct lev_consumer *responder;
	struct lev *lev;
	if (lev_connect(&lev, argc > 1 ? argv[1] : "amqp://localhost", lev_in(5000)) < 0 ||
	    lev_declare_queue(lev, "squares", &queue, lev_in(5000)) < 0 ||
	    lev_consume(lev, &consume, &responder, lev_in(5000)) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	ask(lev, "7");
	ask(lev, "12");
	lev_cancel(responder, lev_in(5000));
	ask(lev, "13");
	return lev_close(lev, lev_in(5000)) < 0;
}
