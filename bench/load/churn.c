#include "churn.h"

#include "base/alloc.h"
#include "fail.h"
#include "now.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct churner {
	struct control *control;
	struct stats stats;
	pthread_t thread;
	struct peer peer; /* With channel 1; not for connections, which are what is churned then. */
	char queue[64];
};

static void churn_connection(struct churner *c)
{
	struct peer peer;
	struct method m = { .id = METHOD_connection_close };
	m.connection_close.reply_code = 200;
	peer_open(&peer, &c->control->options->target, c->control->options->frame_max, NULL);
	peer_open_channel(&peer, 1);
	peer_call(&peer, 0, &m, METHOD_connection_close_ok, NULL);
	peer_close(&peer);
}

static void churn_channel(struct churner *c)
{
	struct method m = { .id = METHOD_channel_close };
	m.channel_close.reply_code = 200;
	peer_open_channel(&c->peer, 2);
	peer_call(&c->peer, 2, &m, METHOD_channel_close_ok, NULL);
}

static void declare(struct churner *c, const char *name)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(name);
	m.queue_declare.durable = c->control->options->is_persistent;
	peer_call(&c->peer, 1, &m, METHOD_queue_declare_ok, NULL);
}

static void delete (struct churner *c, const char *name)
{
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str(name);
	peer_call(&c->peer, 1, &m, METHOD_queue_delete_ok, NULL);
}

static void churn_queue(struct churner *c)
{
	declare(c, c->queue);
	delete (c, c->queue);
}

static void churn_binding(struct churner *c)
{
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str(c->queue);
	m.queue_bind.exchange = bytes_str("amq.topic");
	m.queue_bind.routing_key = bytes_str("bench.*.churn");
	peer_call(&c->peer, 1, &m, METHOD_queue_bind_ok, NULL);
	m = (struct method){ .id = METHOD_queue_unbind };
	m.queue_unbind.queue = bytes_str(c->queue);
	m.queue_unbind.exchange = bytes_str("amq.topic");
	m.queue_unbind.routing_key = bytes_str("bench.*.churn");
	peer_call(&c->peer, 1, &m, METHOD_queue_unbind_ok, NULL);
}

static void *work(void *arg)
{
	struct churner *c = arg;
	static void (*const churn[])(struct churner *) = {
		[CHURN_CONNECTIONS] = churn_connection,
		[CHURN_CHANNELS] = churn_channel,
		[CHURN_QUEUES] = churn_queue,
		[CHURN_BINDINGS] = churn_binding,
	};
	const struct options *o = c->control->options;
	uint64_t left = o->producer_messages > 0 ? o->producer_messages : UINT64_MAX,
		 start = c->control->start_ns;
	struct timespec until = { (time_t)(start / NS_PER_S), (long)(start % NS_PER_S) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	while (left-- > 0 && atomic_load(&c->control->is_producing)) {
		uint64_t began = now_ns();
		churn[o->churn](c);
		histogram_add(&c->stats.consumer, now_ns() - began, 1);
		stats_count(&c->stats, COUNT_SENT, 1);
		stats_count(&c->stats, COUNT_RECEIVED, 1);
	}
	atomic_fetch_sub(&c->control->producers_left, 1);
	return NULL;
}

struct churner *churner_create(struct control *control, uint32_t index)
{
	struct churner *c = alloc_zeroed(sizeof *c);
	c->control = control;
	c->peer.fd = -1;
	snprintf(c->queue, sizeof c->queue, "leveret-bench.%d.churn.%u", (int)getpid(), index);
	if (control->options->churn != CHURN_CONNECTIONS) {
		peer_open(&c->peer, &control->options->target, control->options->frame_max, NULL);
		peer_open_channel(&c->peer, 1);
	}
	if (control->options->churn == CHURN_BINDINGS)
		declare(c, c->queue);
	return c;
}

void churner_start(struct churner *c)
{
	if (pthread_create(&c->thread, NULL, work, c) != 0)
		fail(EXIT_BROKER, "cannot create a thread");
}

void churner_join(struct churner *c)
{
	pthread_join(c->thread, NULL);
	if (c->control->options->churn == CHURN_BINDINGS)
		delete (c, c->queue);
	if (c->peer.fd != -1)
		peer_close(&c->peer);
}

struct stats *churner_stats(struct churner *c)
{
	return &c->stats;
}

void churner_destroy(struct churner *c)
{
	free(c);
}
