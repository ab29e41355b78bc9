/* An HTTP handler that asks a payment service (payments.c), behind a circuit breaker: while the breaker is open,
 * or when the service does not answer, the payment is put into a queue to be tried later, and the
 * customer hears 202 instead of waiting. One thread, libevent for HTTP and broker alike.
 *
 *   rest PORT [URI]         curl -X POST -d 42 http://127.0.0.1:PORT/payments */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <leveret/event.h>
#include <leveret/patterns.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_BYTES_MAX = 4096, ANSWER_MS = 300 };

static struct lev *lev;
static struct lev_on_event on_event;
static struct lev_breaker breaker;

/* A payment on its way. Its HTTP connection may be gone before its answer comes. */
struct payment {
	struct evhttp_request *request;
	uint64_t ticket; /* Of the breaker. */
	char amount[BODY_BYTES_MAX + 1];
};

static void answer(struct payment *p, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();
	evbuffer_add_printf(body, "%s\n", text);
	evhttp_send_reply(p->request, status, NULL, body);
	evbuffer_free(body);
	free(p);
}

static void stored(void *arg, const struct lev_outcome *outcome)
{
	answer(arg, outcome->result >= 0 ? 202 : 503,
	       outcome->result >= 0 ? "accepted, will be paid later" : outcome->text);
}

static void pay_later(struct payment *p)
{
	struct lev_publish later = { .routing_key = "payments.later",
				     .body = p->amount,
				     .body_len = strlen(p->amount),
				     .deadline = lev_in(2000) };
	if (lev_publish(lev, &later, stored, p, LEV_NOW) != LEV_OK)
		answer(p, 503, lev_reason());
}

static void paid(void *arg, int result, struct lev_message *reply)
{
	struct payment *p = arg;
	lev_breaker_end(&breaker, p->ticket, result, lev_now());
	if (result != LEV_OK) {
		pay_later(p);
		return;
	}
	answer(p, 200, reply->body);
	lev_message_free(reply);
}

static void on_payment(struct evhttp_request *request, void *arg)
{
	struct payment *p = calloc(1, sizeof *p);
	(void)arg;
	if (p == NULL) {
		evhttp_send_error(request, 503, NULL);
		return;
	}
	p->request = request;
	evbuffer_copyout(evhttp_request_get_input_buffer(request), p->amount, BODY_BYTES_MAX);
	struct lev_publish ask = { .routing_key = "payments",
				   .body = p->amount,
				   .body_len = strlen(p->amount) };
	p->ticket = lev_breaker_begin(&breaker, lev_now());
	int rc = p->ticket == 0 ? LEV_CIRCUIT_OPEN
				: lev_request_async(lev, &ask, paid, p, lev_in(ANSWER_MS));
	if (rc != LEV_OK) {
		lev_breaker_end(&breaker, p->ticket, rc, lev_now());
		pay_later(p);
	}
	lev_on_event_touch(&on_event);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

int main(int argc, char **argv)
{
	const struct lev_breaker_options options = { .failures = 3, .open_ms = 5000 };
	struct lev_options o = { .uri = argc > 2 ? argv[2] : "amqp://localhost",
				 .name = "shop",
				 .is_loop = true };
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	if (argc < 2)
		return fputs("usage: rest PORT [URI]\n", stderr), 2;
	lev_breaker_init(&breaker, &options);
	if (lev_open(&lev, &o, lev_in(5000)) < 0 ||
	    lev_declare_queue(lev, "payments.later", NULL, lev_in(5000)) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	evhttp_set_max_body_size(http, BODY_BYTES_MAX);
	evhttp_set_allowed_methods(http, EVHTTP_REQ_POST);
	evhttp_set_cb(http, "/payments", on_payment, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", (uint16_t)atoi(argv[1])) != 0)
		return fputs("rest: the port is taken\n", stderr), 1;
	struct event *stop = evsignal_new(base, SIGTERM, on_signal, base);
	event_add(stop, NULL);
	lev_on_event_begin(&on_event, lev, base);
	fprintf(stderr,
		"rest: POST an amount to http://127.0.0.1:%s/payments; while no `payments` runs beside "
		"it, the answer is that it will be paid later\n",
		argv[1]);
	puts("ready");
	fflush(stdout);
	event_base_dispatch(base);
	lev_on_event_end(&on_event);
	int rc = lev_close(lev, lev_in(5000));
	evhttp_free(http);
	event_free(stop);
	event_base_free(base);
	return rc < 0;
}
