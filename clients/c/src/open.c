/* Opening and closing a handle. */
#include "connect.h"
#include "handle.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

static void on_open(void *arg)
{
	struct lev *lev = arg;
	lev->attempt_ms = LEV_NEVER;
	lev->opened_ms = lev->now_ms;
	channel_open(&lev->control.user.channel);
}

static int parse_uris(struct lev *lev, const char *text)
{
	struct bytes rest = bytes_str(text == NULL ? "amqp://" : text), one;
	size_t len = 0;
	for (struct bytes r = rest; uri_next(&r, &one);)
		len++;
	if (len == 0)
		return lev_fail(LEV_INVALID, "URI: empty");
	lev->uris = calloc(len, sizeof *lev->uris);
	if (lev->uris == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	while (uri_next(&rest, &one)) {
		int rc = uri_parse(&lev->uris[lev->uris_len++], one);
		if (rc != LEV_OK)
			return rc;
	}
	return LEV_OK;
}

static int take_seed(struct lev *lev)
{
	if (getrandom(&lev->random.state, sizeof lev->random.state, 0) != sizeof lev->random.state)
		return lev_fail(LEV_SYSTEM, "no random numbers");
	return LEV_OK;
}

static int name_producer(struct lev *lev, const struct lev_options *o)
{
	unsigned long long random[2];
	if (o->producer_id != NULL) {
		if (o->producer_id[0] == '\0' ||
		    content_check_name("producer_id", o->producer_id) != LEV_OK)
			return lev_fail(LEV_INVALID, "a producer_id has 1 to 255 bytes of UTF-8");
		snprintf(lev->producer_id, sizeof lev->producer_id, "%s", o->producer_id);
		return LEV_OK;
	}
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return lev_fail(LEV_SYSTEM, "no random numbers");
	snprintf(lev->producer_id, sizeof lev->producer_id, "%016llx%016llx", random[0], random[1]);
	return LEV_OK;
}

static int set_up(struct lev *lev, const struct lev_options *o)
{
	uint32_t window = o->window == 0 ? 1024 : o->window;
	if (window > 1024)
		return lev_fail(LEV_INVALID, "a window of more than 1,024");
	if (o->producer_epoch > INT64_MAX)
		return lev_fail(LEV_INVALID, "producer_epoch is too large");
	if (content_check_name("name", o->name) != LEV_OK)
		return LEV_INVALID;
	int rc = parse_uris(lev, o->uri);
	if (rc == LEV_OK)
		rc = take_seed(lev);
	if (rc == LEV_OK)
		rc = name_producer(lev, o);
	if (rc != LEV_OK)
		return rc;
	lev->name = strdup(o->name == NULL ? "leveret" : o->name);
	if (lev->name == NULL ||
	    publisher_init(&lev->publisher, lev, window,
			   o->window_bytes == 0 ? 64 * 1024 * 1024 : o->window_bytes) != LEV_OK)
		return fail_plainly(LEV_NO_MEMORY);
	lev->publisher.is_identified = !o->is_anonymous;
	lev->publisher.is_named = o->producer_id != NULL && !o->is_anonymous;
	lev->publisher.is_repeating = o->is_at_least_once;
	lev->publisher.producer_id = bytes_str(lev->producer_id);
	lev->publisher.epoch = o->producer_epoch;
	return LEV_OK;
}

static int create(struct lev **out, const struct lev_options *o)
{
	struct lev *lev = calloc(1, sizeof *lev);
	pthread_condattr_t attributes;
	if (lev == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	lev->is_loop = lev->is_readable = o->is_loop;
	lev->is_lazy = o->is_lazy;
	lev->connect_timeout_ms = o->connect_timeout_ms == 0 ? 5000 : o->connect_timeout_ms;
	lev->backoff_min_ms = o->backoff_min_ms == 0 ? 100 : o->backoff_min_ms;
	lev->backoff_max_ms = o->backoff_max_ms == 0 ? 10000 : o->backoff_max_ms;
	lev->message_bytes_max =
		o->message_bytes_max == 0 ? 128 * 1024 * 1024 : o->message_bytes_max;
	lev->on_event = o->on_event;
	lev->arg = o->arg;
	lev->wake_fd = -1;
	lev->socket.fd = -1;
	list_init(&lev->users);
	list_init(&lev->among_handles);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&lev->lock, NULL);
	pthread_cond_init(&lev->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	link_init(&lev->link, on_open, lev);
	int rc = set_up(lev, o);
	if (rc != LEV_OK) {
		handle_destroy(lev);
		return rc;
	}
	control_init(&lev->control, lev, true);
	control_init(&lev->getter, lev, false);
	fork_watch(lev);
	*out = lev;
	return LEV_OK;
}

/* A thread of the library's takes none of the program's signals. */
static int start_thread(struct lev *lev)
{
	sigset_t all, before;
	lev->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lev->wake_fd == -1)
		return lev_fail(LEV_SYSTEM, "no eventfd");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&lev->thread, NULL, handle_run, lev);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	lev->has_thread = error == 0;
	return error == 0 ? LEV_OK : lev_fail(LEV_SYSTEM, "no thread");
}

static bool is_decided(const void *arg)
{
	const struct lev *lev = arg;
	return lev->is_ready || lev->is_given_up;
}

static bool has_ended(const void *arg)
{
	const struct lev *lev = arg;
	return lev->link.phase == LINK_CLOSED || lev->link.phase == LINK_DOWN;
}

static void stop(struct lev *lev)
{
	handle_lock(lev);
	lev->is_stopping = lev->is_ended = true;
	lev->held++; /* Not yet to be freed. */
	handle_wake(lev);
	handle_changed(lev);
	handle_unlock(lev);
	if (lev->has_thread)
		pthread_join(lev->thread, NULL);
	handle_lock(lev);
	if (lev->link.phase != LINK_DOWN && lev->link.phase != LINK_CLOSED)
		link_fail(&lev->link, LEV_CLOSED, "%s", lev_result_text(LEV_CLOSED));
	link_reset(&lev->link);
	socket_close(&lev->socket);
	list_each (node, &lev->users) {
		struct user *user = list_entry(node, struct user, node);
		if (user->does->stop != NULL)
			user->does->stop(user);
	}
	handle_report(lev);
	list_each (node, &lev->users) {
		struct user *user = list_entry(node, struct user, node);
		list_remove(node);
		user->does->end(user);
	}
	lev->held--;
	handle_unlock(lev);
}

int lev_open(struct lev **out, const struct lev_options *options, uint64_t deadline)
{
	if (options == NULL)
		return lev_fail(LEV_INVALID, "no options");
	struct lev *lev = NULL;
	int rc = create(&lev, options);
	if (rc != LEV_OK)
		return rc;
	rc = options->is_loop ? LEV_OK : start_thread(lev);
	if (rc == LEV_OK && !options->is_lazy) {
		handle_lock(lev);
		rc = handle_wait(lev, is_decided, lev, deadline);
		if (rc == LEV_TIMEOUT && lev->failure.result != LEV_OK)
			rc = fail_with(&lev->failure);
		else if (rc == LEV_OK && lev->is_given_up)
			rc = fail_with(&lev->failure);
		handle_unlock(lev);
	}
	if (rc == LEV_OK)
		*out = lev;
	else
		stop(lev);
	return rc;
}

int lev_connect(struct lev **out, const char *uri, uint64_t deadline)
{
	return lev_open(out, &(struct lev_options){ .uri = uri }, deadline);
}

static bool is_flushed(const void *arg)
{
	return publisher_is_idle(&((const struct lev *)arg)->publisher);
}

int lev_flush(struct lev *lev, uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	handle_lock(lev);
	int rc = handle_wait(lev, is_flushed, lev, deadline);
	handle_unlock(lev);
	return rc;
}

/* A broker that is well answers at once: it has a moment even if there is no time left, and not for
 * ever. */
static uint64_t goodbye_deadline(uint64_t deadline)
{
	uint64_t least = lev_in(200), most = lev_in(5000);
	return deadline < least ? least : deadline > most ? most : deadline;
}

int lev_close(struct lev *lev, uint64_t deadline)
{
	if (lev == NULL)
		return LEV_OK;
	if (lev->is_forked)
		return handle_gone(lev);
	if (handle_is_calling(lev))
		return fail_plainly(LEV_IN_CALLBACK);
	int rc = lev_flush(lev, deadline);
	handle_lock(lev);
	handle_run_users(lev); /* Acks that have not been put. */
	lev->is_stopping = true;
	if (lev->link.phase == LINK_OPEN) {
		link_close(&lev->link);
		handle_wake(lev);
		handle_wait(lev, has_ended, lev, goodbye_deadline(deadline));
	}
	handle_unlock(lev);
	stop(lev);
	return rc;
}

bool lev_is_connected(struct lev *lev)
{
	if (lev == NULL)
		return false;
	handle_lock(lev);
	bool is_ready = lev->is_ready && !lev->is_forked;
	handle_unlock(lev);
	return is_ready;
}

bool lev_broker_can(struct lev *lev, const char *capability)
{
	if (lev == NULL)
		return false;
	handle_lock(lev);
	bool can = lev->link.phase == LINK_OPEN && link_can(&lev->link, capability);
	handle_unlock(lev);
	return can;
}
