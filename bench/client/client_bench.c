/* libleveret beside librabbitmq: the same broker, the same run, in turns.
 *
 *   client-bench PORT [MESSAGES [ROUNDS]]
 *
 * publish: persistent messages, confirmed, up to 1,000 in flight. consume: prefetch 1,000, each
 * acked by a call of its own. request: 500 requests in flight, answered by another connection;
 * beside a bare pair, which takes messages from one queue and puts them into another and does
 * nothing else. Prints messages a second and CPU of this process a message, for each round, and the
 * median of their ratios. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <leveret/patterns.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { WINDOW = 1000, REQUESTS = 500, BODY_MAX = 1024, ROUNDS_MAX = 99 };

static const char *port;
static size_t messages = 200000;
static char body[BODY_MAX];
static size_t body_len;

static void check(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "%s failed: %s\n", what, lev_reason());
	exit(1);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* --- librabbitmq --- */

static amqp_connection_state_t rabbit_open(void)
{
	amqp_connection_state_t c = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(c);
	check(amqp_socket_open(socket, "127.0.0.1", atoi(port)) == AMQP_STATUS_OK,
	      "librabbitmq: connect");
	check(amqp_login(c, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest")
			      .reply_type == AMQP_RESPONSE_NORMAL,
	      "login");
	amqp_channel_open(c, 1);
	check(amqp_get_rpc_reply(c).reply_type == AMQP_RESPONSE_NORMAL, "channel.open");
	return c;
}

static void rabbit_close(amqp_connection_state_t c)
{
	amqp_connection_close(c, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(c);
}

static void rabbit_wait_acks(amqp_connection_state_t c, uint64_t *confirmed)
{
	amqp_frame_t frame;
	check(amqp_simple_wait_frame(c, &frame) == AMQP_STATUS_OK, "librabbitmq: confirms");
	check(frame.payload.method.id == AMQP_BASIC_ACK_METHOD, "librabbitmq: basic.ack");
	*confirmed = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
}

static void rabbit_publish(void)
{
	amqp_connection_state_t c = rabbit_open();
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
					       .delivery_mode = 2 };
	amqp_bytes_t text = { body_len, body }, queue = amqp_cstring_bytes("bench");
	uint64_t confirmed = 0;
	amqp_confirm_select(c, 1);
	for (uint64_t i = 0; i < messages; i++) {
		while (i - confirmed >= WINDOW)
			rabbit_wait_acks(c, &confirmed);
		check(amqp_basic_publish(c, 1, amqp_empty_bytes, queue, 1, 0, &properties, text) ==
			      AMQP_STATUS_OK,
		      "librabbitmq: publish");
	}
	while (confirmed < messages)
		rabbit_wait_acks(c, &confirmed);
	rabbit_close(c);
}

static void rabbit_consume(void)
{
	amqp_connection_state_t c = rabbit_open();
	amqp_basic_qos(c, 1, 0, WINDOW, 0);
	amqp_basic_consume(c, 1, amqp_cstring_bytes("bench"), amqp_empty_bytes, 0, 0, 0,
			   amqp_empty_table);
	for (size_t i = 0; i < messages; i++) {
		amqp_envelope_t e;
		amqp_maybe_release_buffers(c);
		check(amqp_consume_message(c, &e, NULL, 0).reply_type == AMQP_RESPONSE_NORMAL,
		      "librabbitmq: consume");
		amqp_basic_ack(c, 1, e.delivery_tag, 0);
		amqp_destroy_envelope(&e);
	}
	rabbit_close(c);
}

/* --- libleveret --- */

static struct lev *lev_open_here(void)
{
	char uri[64];
	struct lev *lev;
	snprintf(uri, sizeof uri, "amqp://127.0.0.1:%s", port);
	check(lev_connect(&lev, uri, lev_in(10000)) == LEV_OK, "connect");
	return lev;
}

static atomic_ulong bad;

static void on_outcome(void *arg, const struct lev_outcome *outcome)
{
	(void)arg;
	atomic_fetch_add_explicit(&bad, outcome->result != LEV_OK, memory_order_relaxed);
}

static void leveret_publish(void)
{
	struct lev *lev = lev_open_here();
	struct lev_publish p = { .routing_key = "bench", .body = body, .body_len = body_len };
	for (size_t i = 0; i < messages; i++)
		check(lev_publish(lev, &p, on_outcome, NULL, lev_in(60000)) == LEV_OK, "publish");
	check(lev_flush(lev, lev_in(60000)) == LEV_OK && atomic_load(&bad) == 0, "flush");
	lev_close(lev, lev_in(10000));
}

static void leveret_consume(void)
{
	struct lev *lev = lev_open_here();
	struct lev_consumer *c;
	check(lev_consume(lev, &(struct lev_consume){ .queue = "bench", .prefetch = WINDOW }, &c,
			  lev_in(10000)) == LEV_OK,
	      "consume");
	for (size_t i = 0; i < messages; i++) {
		struct lev_message *m;
		check(lev_next(c, &m, lev_in(60000)) == LEV_OK && lev_ack(m) == LEV_OK, "next");
	}
	lev_cancel(c, lev_in(10000));
	lev_close(lev, lev_in(10000));
}

/* --- requests, and the bare pair --- */

static atomic_ulong answered;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void count_answer(void)
{
	if (atomic_fetch_add(&answered, 1) % 64 != 63 && atomic_load(&answered) != messages)
		return;
	pthread_mutex_lock(&lock);
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for_answers(size_t sent)
{
	pthread_mutex_lock(&lock);
	while (sent - atomic_load(&answered) >= REQUESTS ||
	       (sent == messages && atomic_load(&answered) < messages))
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void on_reply(void *arg, int result, struct lev_message *reply)
{
	(void)arg;
	check(result == LEV_OK, "request");
	lev_message_free(reply);
	count_answer();
}

static void answer(void *arg, struct lev_message *m)
{
	(void)arg;
	lev_reply(m, m->body, m->body_len, NULL);
	lev_message_free(m);
}

static void pass_on(void *arg, struct lev_message *m)
{
	const struct lev_properties transient = { .is_transient = true };
	struct lev_publish p = { .routing_key = "back",
				 .body = m->body,
				 .body_len = m->body_len,
				 .properties = &transient,
				 .is_optional = true };
	lev_publish(arg, &p, NULL, NULL, LEV_NOW);
	lev_message_free(m);
}

static void take_back(void *arg, struct lev_message *m)
{
	(void)arg;
	lev_message_free(m);
	count_answer();
}

static void go_and_return(bool is_request)
{
	struct lev_options bare = { .is_anonymous = true };
	char uri[64];
	struct lev *there, *here;
	struct lev_consumer *service, *back = NULL;
	const struct lev_queue transient = { .is_transient = true,
					     .is_exclusive = false,
					     .is_auto_delete = true };
	const struct lev_properties properties = { .is_transient = true };
	struct lev_publish p = { .routing_key = "service",
				 .body = body,
				 .body_len = body_len,
				 .properties = &properties,
				 .is_optional = true };
	snprintf(uri, sizeof uri, "amqp://127.0.0.1:%s", port);
	bare.uri = uri;
	atomic_store(&answered, 0);
	check(lev_open(&there, &bare, lev_in(10000)) == LEV_OK &&
		      lev_open(&here, &bare, lev_in(10000)) == LEV_OK,
	      "connect");
	check(lev_declare_queue(there, "service", &transient, lev_in(10000)) == LEV_OK &&
		      lev_declare_queue(here, "back", &transient, lev_in(10000)) == LEV_OK,
	      "declare");
	struct lev_consume o = { .queue = "service",
				 .is_no_ack = true,
				 .on_message = is_request ? answer : pass_on,
				 .arg = there };
	check(lev_consume(there, &o, &service, lev_in(10000)) == LEV_OK, "consume");
	o = (struct lev_consume){ .queue = "back", .is_no_ack = true, .on_message = take_back };
	check(is_request || lev_consume(here, &o, &back, lev_in(10000)) == LEV_OK, "consume");
	for (size_t i = 0; i < messages; i++) {
		wait_for_answers(i);
		int rc = is_request ? lev_request_async(here, &p, on_reply, NULL, lev_in(60000))
				    : lev_publish(here, &p, NULL, NULL, lev_in(60000));
		check(rc == LEV_OK, "send");
	}
	wait_for_answers(messages);
	lev_cancel(service, lev_in(10000));
	lev_cancel(back, lev_in(10000));
	lev_close(here, lev_in(10000));
	lev_close(there, lev_in(10000));
}

static void leveret_request(void)
{
	go_and_return(true);
}

static void leveret_pair(void)
{
	go_and_return(false);
}

/* --- rounds --- */

static void prepare(bool is_filled)
{
	struct lev *lev = lev_open_here();
	lev_delete_queue(lev, "bench", NULL, lev_in(10000));
	check(lev_declare_queue(lev, "bench", NULL, lev_in(10000)) == LEV_OK, "declare");
	lev_close(lev, lev_in(10000));
	if (is_filled)
		leveret_publish();
}

/* Messages a second. */
static double run(const char *what, void (*work)(void))
{
	double began = seconds(), cpu_began = cpu();
	work();
	double took = seconds() - began, cpu_took = cpu() - cpu_began;
	printf("  %-24s %9.0f /s  %6.2f us\n", what, (double)messages / took,
	       cpu_took / (double)messages * 1e6);
	fflush(stdout);
	return (double)messages / took;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void compare(const char *name, int rounds, bool is_filled, const char *first,
		    void (*a)(void), const char *second, void (*b)(void))
{
	double ratios[ROUNDS_MAX];
	printf("%s, %zu bytes\n", name, body_len);
	prepare(is_filled);
	a(); /* The broker's files grow in the first one, whoever it is. */
	for (int i = 0; i < rounds; i++) {
		prepare(is_filled);
		double rate = run(first, a);
		prepare(is_filled);
		ratios[i] = rate / run(second, b);
	}
	qsort(ratios, (size_t)rounds, sizeof *ratios, by_value);
	printf("  %s : %s = %.2f (median of %d)\n", first, second, ratios[rounds / 2], rounds);
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 3;
	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
		return fputs("usage: client-bench PORT [MESSAGES [ROUNDS]]\n", stderr), 2;
	port = argv[1];
	if (argc > 2)
		messages = strtoull(argv[2], NULL, 10);
	for (size_t size = 16; size <= BODY_MAX; size *= 64) {
		body_len = size;
		compare("publish, persistent, confirmed", rounds, false, "libleveret",
			leveret_publish, "librabbitmq", rabbit_publish);
		compare("consume, each acked", rounds, true, "libleveret", leveret_consume,
			"librabbitmq", rabbit_consume);
		compare("there and back, transient", rounds, false, "lev_request", leveret_request,
			"bare pair", leveret_pair);
	}
	return 0;
}
