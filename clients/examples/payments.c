/* The payment service that rest.c asks: takes requests from the queue `payments` and answers them; with --later it
 * also pays what customers were told would be paid later, from `payments.later`. Until SIGTERM or SIGINT.
 *
 *   payments [--later] [URI] */
#include <leveret/patterns.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int pay(void *arg, const struct lev_message *m)
{
	char answer[64];
	(void)arg;
	int len = snprintf(answer, sizeof answer, "paid %.40s", (const char *)m->body);
	puts(answer);
	fflush(stdout);
	if (m->properties.reply_to != NULL)
		lev_reply(m, answer, (size_t)len, NULL);
	return LEV_JOB_OK;
}

int main(int argc, char **argv)
{
	const bool is_later = argc > 1 && strcmp(argv[1], "--later") == 0;
	const char *uri = argc > 1 + is_later ? argv[1 + is_later] : "amqp://localhost";
	/* The queue of requests goes with its last service, so that whoever asks then hears at once that
	 * nobody is there. */
	const struct lev_queue requests = { .is_auto_delete = true, .is_transient = true };
	const struct lev_worker_options now = { .queue = "payments", .handler = pay };
	const struct lev_worker_options later = { .queue = "payments.later", .handler = pay };
	struct lev *lev;
	struct lev_worker *worker, *second = NULL;
	sigset_t stop;
	int number;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	if (lev_connect(&lev, uri, lev_in(5000)) < 0 ||
	    lev_declare_queue(lev, "payments", &requests, lev_in(5000)) < 0 ||
	    lev_declare_queue(lev, "payments.later", NULL, lev_in(5000)) < 0 ||
	    lev_worker_start(lev, &now, &worker, lev_in(5000)) < 0 ||
	    (is_later && lev_worker_start(lev, &later, &second, lev_in(5000)) < 0))
		return fprintf(stderr, "payments: %s\n", lev_reason()), 1;
	fputs("payments: waiting for requests in the queue 'payments'\n", stderr);
	sigwait(&stop, &number);
	lev_worker_stop(second, lev_in(5000));
	lev_worker_stop(worker, lev_in(5000));
	return lev_close(lev, lev_in(5000)) < 0;
}
