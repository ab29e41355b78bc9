/* Lock, wait, turn. */
#include "handle.h"

#include "connect.h"
#include "frame.h"
#include "reply.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of this thread: whose callback it is in. */
static _Thread_local const struct lev *calling;

uint64_t lev_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t lev_in(uint64_t ms)
{
	uint64_t now = lev_now();
	return ms < LEV_NEVER - now ? now + ms : LEV_NEVER;
}

/* --- lock and wait --- */

void handle_destroy(struct lev *lev)
{
	fork_forget(lev);
	free(lev->uris);
	free(lev->name);
	connect_forget_addresses(lev);
	publisher_fini(&lev->publisher);
	content_fini(&lev->scratch);
	link_fini(&lev->link);
	buffer_fini(&lev->in);
	buffer_fini(&lev->writing);
	if (lev->wake_fd >= 0)
		close(lev->wake_fd);
	pthread_cond_destroy(&lev->changed);
	pthread_mutex_destroy(&lev->lock);
	free(lev);
}

int handle_missing(void)
{
	return lev_fail(LEV_INVALID,
			"no handle: what was to give it has failed, and said why in lev_reason()");
}

void handle_lock(struct lev *lev)
{
	pthread_mutex_lock(&lev->lock);
}

void handle_unlock(struct lev *lev)
{
	bool is_last = lev->is_ended && lev->held == 0;
	pthread_mutex_unlock(&lev->lock);
	if (is_last)
		handle_destroy(lev);
}

void handle_wake(struct lev *lev)
{
	const uint64_t one = 1;
	lev->has_news = true;
	if (!lev->is_sleeping || lev->is_woken || lev->is_forked)
		return;
	lev->is_woken = true;
	if (write(lev->wake_fd, &one, sizeof one) != sizeof one)
		abort(); /* An eventfd takes it, always. */
}

void handle_changed(struct lev *lev)
{
	if (lev->waiters > 0)
		pthread_cond_broadcast(&lev->changed);
}

bool handle_is_calling(const struct lev *lev)
{
	return calling == lev;
}

void handle_call_begin(struct lev *lev)
{
	pthread_mutex_unlock(&lev->lock);
	lev->called_in = calling;
	calling = lev;
}

void handle_call_end(struct lev *lev)
{
	calling = lev->called_in;
	pthread_mutex_lock(&lev->lock);
}

static void process(struct lev *lev);
static short want(const struct lev *lev);
static uint64_t due(const struct lev *lev);

/* Until there is something to do, or this time has come. The lock is not held. */
static short sleep_until(int fd, short events, int other_fd, uint64_t until)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events },
				 { .fd = other_fd, .events = POLLIN } };
	uint64_t now = lev_now();
	int ms = until <= now ? 0 : until - now < 3600 * 1000 ? (int)(until - now) : 3600 * 1000;
	return poll(fds, 2, ms) > 0 ? fds[0].revents : 0;
}

static void wait_turn(struct lev *lev, uint64_t deadline)
{
	uint64_t next = due(lev);
	int fd = lev->socket.fd;
	short events = want(lev);
	pthread_mutex_unlock(&lev->lock);
	sleep_until(fd, events, -1, next < deadline ? next : deadline);
	pthread_mutex_lock(&lev->lock);
	process(lev);
}

int handle_wait(struct lev *lev, bool (*is_done)(const void *arg), const void *arg,
		uint64_t deadline)
{
	if (lev->is_forked)
		return handle_gone(lev);
	while (!is_done(arg)) {
		if (lev->is_ended)
			return fail_plainly(LEV_CLOSED);
		if (deadline == LEV_NOW || lev_now() >= deadline)
			return fail_plainly(LEV_TIMEOUT);
		if (handle_is_calling(lev))
			return fail_plainly(LEV_IN_CALLBACK);
		if (lev->is_loop) {
			wait_turn(lev, deadline);
			continue;
		}
		struct timespec at = { .tv_sec = (time_t)(deadline / 1000),
				       .tv_nsec = (long)(deadline % 1000) * 1000000 };
		lev->waiters++;
		if (deadline == LEV_NEVER)
			pthread_cond_wait(&lev->changed, &lev->lock);
		else
			pthread_cond_timedwait(&lev->changed, &lev->lock, &at);
		lev->waiters--;
	}
	return LEV_OK;
}

/* --- users --- */

void handle_add(struct lev *lev, struct user *user, const struct user_ops *does)
{
	user->lev = lev;
	user->does = does;
	list_push_tail(&lev->users, &user->node);
}

void handle_remove(struct user *user)
{
	channel_abandon(&user->channel);
	list_remove(&user->node);
}

int handle_publish(struct user *user, const struct lev_publish *publish,
		   const struct content_extra *extra)
{
	struct content_block *block = &user->lev->scratch;
	struct content_extra apart = *extra;
	apart.is_body_apart = true;
	int rc = content_encode(block, publish, &apart);
	if (rc == LEV_OK && block->header_len > user->lev->link.frame_max - FRAME_OVERHEAD)
		rc = lev_fail(LEV_INVALID, "headers are larger than this broker's frames");
	if (rc == LEV_OK) {
		struct content c = content_of(block);
		c.body = bytes_of(publish->body, publish->body_len);
		link_put_content(&user->lev->link, user->channel.number, &c);
		handle_wake(user->lev);
	}
	content_trim(block);
	return rc;
}

static void check_ready(struct lev *lev)
{
	if (!lev->is_set_up || lev->restoring > 0 || lev->is_ready)
		return;
	lev->is_ready = lev->was_ready = true;
	handle_changed(lev);
}

void handle_set_up(struct lev *lev)
{
	lev->is_set_up = true;
	lev->publisher.is_idempotent = link_can(&lev->link, "idempotency");
	list_each (node, &lev->users) {
		struct user *user = list_entry(node, struct user, node);
		if (lev->link.phase == LINK_OPEN)
			user->does->restore(user);
	}
	check_ready(lev);
}

bool handle_is_held(const struct lev *lev, uint16_t reply_code)
{
	return (reply_code == REPLY_RESOURCE_LOCKED || reply_code == REPLY_ACCESS_REFUSED) &&
	       lev->now_ms < lev->holding_ms;
}

void handle_restored(struct lev *lev)
{
	assert(lev->restoring > 0);
	lev->restoring--;
	check_ready(lev);
}

/* --- bytes --- */

static void read_some(struct lev *lev)
{
	uint8_t *at = buffer_room(&lev->in, HANDLE_READ_BYTES);
	if (at == NULL) {
		link_fail(&lev->link, LEV_NO_MEMORY, "no memory for input");
		return;
	}
	pthread_mutex_unlock(&lev->lock);
	ssize_t n = socket_read(&lev->socket, at, HANDLE_READ_BYTES);
	pthread_mutex_lock(&lev->lock);
	if (n == SOCKET_WAIT)
		return;
	if (n == SOCKET_ENDED) {
		link_fail(&lev->link, LEV_DISCONNECTED, "%s:%s closed the connection",
			  lev->uris[lev->uri_at].host, lev->uris[lev->uri_at].port);
		return;
	}
	buffer_commit(&lev->in, (size_t)n);
	buffer_take(&lev->in, link_input(&lev->link, buffer_bytes(&lev->in), lev->now_ms));
}

/* The link goes on filling its own buffer while this one is being sent. */
static void write_some(struct lev *lev)
{
	struct buffer *out = &lev->writing;
	if (buffer_left(out) == 0) {
		struct buffer empty = *out;
		buffer_clear(&empty);
		*out = lev->link.out;
		lev->link.out = empty;
	}
	if (buffer_left(out) == 0)
		return;
	pthread_mutex_unlock(&lev->lock);
	ssize_t n = socket_write(&lev->socket, out->data + out->at, buffer_left(out));
	pthread_mutex_lock(&lev->lock);
	if (n == SOCKET_ENDED)
		link_fail(&lev->link, LEV_DISCONNECTED, "the connection broke while sending");
	if (n <= 0)
		return;
	buffer_take(out, (size_t)n);
	lev->link.sent_ms = lev->now_ms;
}

/* --- turns --- */

static bool has_output(const struct lev *lev)
{
	return buffer_left(&lev->writing) > 0 || buffer_left(&lev->link.out) > 0;
}

static short want(const struct lev *lev)
{
	if (lev->is_forked)
		return 0;
	short wanted = socket_want(&lev->socket, has_output(lev));
	return (short)(lev->full > 0 && lev->socket.state == SOCKET_OPEN ? wanted & ~POLLIN
									 : wanted);
}

static uint64_t due(const struct lev *lev)
{
	if (lev->is_forked)
		return LEV_NEVER;
	if (lev->has_news)
		return LEV_NOW;
	uint64_t next = lev->socket.state == SOCKET_NONE
				? (lev->is_given_up || lev->is_stopping ? LEV_NEVER : lev->retry_ms)
				: lev->attempt_ms;
	uint64_t beat = lev->socket.state == SOCKET_OPEN ? link_due(&lev->link) : LEV_NEVER;
	if (beat < next)
		next = beat;
	list_each (node, &lev->users) {
		const struct user *user = list_entry(node, struct user, node);
		uint64_t at = user->does->due == NULL ? LEV_NEVER : user->does->due(user);
		if (at < next)
			next = at;
	}
	return next;
}

static void tell(struct lev *lev, enum lev_event event, const char *text)
{
	char copy[sizeof lev->failure.text];
	if (lev->on_event == NULL)
		return;
	snprintf(copy, sizeof copy, "%s", text);
	handle_call_begin(lev);
	lev->on_event(lev->arg, event, copy);
	handle_call_end(lev);
}

static void tell_events(struct lev *lev)
{
	if (lev->told_blocked && !lev->link.is_blocked) {
		lev->told_blocked = false;
		tell(lev, LEV_EVENT_UNBLOCKED, "");
	}
	if (lev->told_ready && !lev->is_ready) {
		lev->told_ready = false;
		tell(lev, LEV_EVENT_DISCONNECTED, lev->failure.text);
	}
	if (!lev->told_ready && lev->is_ready) {
		lev->told_ready = true;
		tell(lev, LEV_EVENT_CONNECTED, lev->uris[lev->uri_at].host);
	}
	if (!lev->told_blocked && lev->link.is_blocked) {
		lev->told_blocked = true;
		tell(lev, LEV_EVENT_BLOCKED, lev->link.blocked_reason);
	}
}

/* Callbacks may add and remove users, but not the one that is being reported: whoever wants to
 * remove that has to wait. */
void handle_report(struct lev *lev)
{
	for (struct list *node = lev->users.next; node != &lev->users; node = node->next) {
		struct user *user = list_entry(node, struct user, node);
		if (user->does->report == NULL)
			continue;
		lev->reporting = user;
		user->does->report(user);
		lev->reporting = NULL;
	}
	tell_events(lev);
}

void handle_run_users(struct lev *lev)
{
	list_each (node, &lev->users) {
		struct user *user = list_entry(node, struct user, node);
		if (user->does->tick != NULL)
			user->does->tick(user, lev->now_ms); /* It may be its end. */
	}
	list_each (node, &lev->users) {
		struct user *user = list_entry(node, struct user, node);
		if (user->does->flush != NULL && lev->link.phase == LINK_OPEN)
			user->does->flush(user);
	}
}

/* One turn: what has come, what is due, what is to be sent, and then callbacks. */
static void process(struct lev *lev)
{
	if (lev->is_processing || lev->is_forked)
		return;
	lev->is_processing = true;
	lev->has_news = false;
	lev->now_ms = lev_now();
	if (lev->socket.state != SOCKET_OPEN)
		connect_turn(lev);
	else if (lev->full == 0 && lev->is_readable)
		read_some(lev);
	if (lev->full > 0)
		lev->link.received_ms = lev->now_ms; /* It is we who do not listen. */
	connect_check(lev);
	handle_run_users(lev);
	if (lev->socket.state == SOCKET_OPEN) {
		link_tick(&lev->link, lev->now_ms);
		if (lev->link.phase != LINK_DOWN)
			write_some(lev);
		if (lev->link.phase == LINK_DOWN)
			connect_lost(lev);
		if (lev->link.phase == LINK_CLOSED)
			handle_changed(lev);
	}
	handle_report(lev);
	lev->is_processing = false;
}

void *handle_run(void *arg)
{
	struct lev *lev = arg;
	uint64_t count;
	pthread_mutex_lock(&lev->lock);
	while (!lev->is_ended) {
		process(lev);
		uint64_t until = due(lev);
		int fd = lev->socket.fd;
		short events = want(lev);
		lev->is_sleeping = true;
		pthread_mutex_unlock(&lev->lock);
		short ready = sleep_until(fd, events, lev->wake_fd, until);
		pthread_mutex_lock(&lev->lock);
		lev->is_readable = (ready & ~POLLOUT) != 0 || lev->socket.ssl != NULL;
		lev->is_sleeping = false;
		if (lev->is_woken && read(lev->wake_fd, &count, sizeof count) == sizeof count)
			lev->is_woken = false;
	}
	pthread_mutex_unlock(&lev->lock);
	return NULL;
}

/* --- loop mode --- */

int lev_fd(struct lev *lev)
{
	if (lev == NULL)
		return -1;
	return lev->socket.fd;
}

short lev_want(struct lev *lev)
{
	if (lev == NULL)
		return 0;
	return want(lev);
}

uint64_t lev_due(struct lev *lev)
{
	if (lev == NULL)
		return LEV_NEVER;
	return due(lev);
}

void lev_process(struct lev *lev)
{
	if (lev == NULL)
		return;
	handle_lock(lev);
	process(lev);
	handle_unlock(lev);
}
