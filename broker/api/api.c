/* The thread of the management: its life. */
#include "api/api.h"

#include "api/metrics.h"
#include "api/query.h"
#include "api/rates.h"
#include "api/sessions.h"
#include "base/alloc.h"
#include "http/server.h"
#include "net/clock.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum { TIDY_S = 10 };

static void handle(void *arg, struct http_request *request)
{
	query_begin(query_create(arg, request));
}

static void on_log(void *arg, const union http_peer *peer, const char *text)
{
	const struct api *a = arg;
	char name[64] = "";
	if (peer != NULL)
		http_peer_text(peer, name, sizeof name);
	a->options.log(a->options.arg, name, text);
}

static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct api *a = arg;
	(void)fd;
	(void)what;
	rates_tidy(a->rates, clock_steady_ms());
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct api *a = arg;
	(void)fd;
	(void)what;
	event_base_loopbreak(a->base);
}

static bool set_up(struct api *a)
{
	static const struct http_header headers[] = {
		{ "x-content-type-options", { (const uint8_t *)"nosniff", 7 } },
	};
	struct timeval tidy = { .tv_sec = TIDY_S };
	struct http_options http = { .base = a->base,
				     .limits = http_default_limits,
				     .headers = headers,
				     .headers_len = 1,
				     .handle = handle,
				     .log = on_log,
				     .arg = a };
	struct desk_options desk = { .loop = a->options.loop,
				     .asker = a->base,
				     .begin_turn = a->options.begin_turn,
				     .arg = a->options.arg };
	a->desk = desk_create(&desk);
	a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->stop = event_new(a->base, a->stop_fd, EV_READ, on_stop, a);
	a->tidy = event_new(a->base, -1, EV_PERSIST, on_tidy, a);
	a->server = http_server_create(&http);
	http.handle = metrics_handle;
	a->metrics = http_server_create(&http);
	return a->desk != NULL && a->stop != NULL && a->tidy != NULL && a->server != NULL &&
	       a->metrics != NULL && event_add(a->tidy, &tidy) == 0 &&
	       event_add(a->stop, NULL) == 0;
}

struct api *api_create(const struct api_options *options)
{
	struct api *a = alloc_zeroed(sizeof *a);
	a->options = *options;
	if (getrandom(&a->seed, sizeof a->seed, 0) != (ssize_t)sizeof a->seed)
		abort();
	map_init(&a->deeds, a->seed);
	a->rates = rates_create(a->seed);
	a->sessions = sessions_create(a->seed);
	a->base = event_base_new();
	if (a->base != NULL && set_up(a))
		return a;
	api_destroy(a);
	errno = ENOMEM;
	return NULL;
}

bool api_listen(struct api *a, int fd, bool is_tls)
{
	return http_server_listen(a->server, fd, is_tls ? &a->tls : NULL);
}

/* A context on its way to the thread that uses it. */
struct renewal {
	struct desk_job job;
	struct api *api;
	struct ssl_ctx_st *fresh; /* Owned. */
};

static void renew(struct desk_job *job, bool is_dropped)
{
	struct renewal *r = list_entry(job, struct renewal, job);
	(void)is_dropped;
	tls_destroy(r->api->tls);
	r->api->tls = r->fresh;
	free(r);
}

void api_set_tls(struct api *a, struct ssl_ctx_st *context)
{
	struct renewal *r = alloc_zeroed(sizeof *r);
	r->job.done = renew;
	r->api = a;
	r->fresh = context;
	if (a->is_running)
		desk_tell(a->desk, &r->job);
	else
		renew(&r->job, false);
}

static void *run(void *arg)
{
	struct api *a = arg;
	event_base_loop(a->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

bool api_listen_metrics(struct api *a, int fd)
{
	return http_server_listen(a->metrics, fd, NULL);
}

/* Signals are the loop's. */
bool api_start(struct api *a)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&a->thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	a->is_running = errno == 0;
	return a->is_running;
}

void api_destroy(struct api *a)
{
	if (a == NULL)
		return;
	if (a->is_running) {
		eventfd_write(a->stop_fd, 1);
		pthread_join(a->thread, NULL);
	}
	desk_destroy(a->desk);
	if (a->metrics != NULL)
		http_server_destroy(a->metrics);
	if (a->server != NULL) {
		http_server_destroy(a->server);
		event_base_loop(a->base, EVLOOP_NONBLOCK);
	}
	if (a->stop != NULL)
		event_free(a->stop);
	if (a->stop_fd > 0)
		close(a->stop_fd);
	if (a->tidy != NULL)
		event_free(a->tidy);
	if (a->base != NULL)
		event_base_free(a->base);
	tls_destroy(a->tls);
	rates_destroy(a->rates);
	sessions_destroy(a->sessions);
	map_fini(&a->deeds);
	free(a);
}

bool api_work(struct api *a)
{
	return a != NULL && desk_work(a->desk);
}

void api_durable(struct api *a, uint64_t durable)
{
	if (a != NULL)
		desk_durable(a->desk, durable);
}
