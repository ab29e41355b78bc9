/* Connecting, turning, waiting. */
#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
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

/* --- lock and wait ------------------------------------------------------------------------------------------------- */

static void destroy(struct lev *lev)
{
	free(lev->uris);
	free(lev->name);
	if (lev->addresses != NULL)
		freeaddrinfo(lev->addresses);
	publisher_fini(&lev->publisher);
	link_fini(&lev->link);
	buffer_fini(&lev->in);
	buffer_fini(&lev->writing);
	if (lev->wake_fd >= 0)
		close(lev->wake_fd);
	pthread_cond_destroy(&lev->changed);
	pthread_mutex_destroy(&lev->lock);
	free(lev);
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
		destroy(lev);
}

void handle_wake(struct lev *lev)
{
	const uint64_t one = 1;
	lev->has_news = true;
	if (!lev->is_sleeping || lev->is_woken)
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
	calling = lev;
}

void handle_call_end(struct lev *lev)
{
	calling = NULL;
	pthread_mutex_lock(&lev->lock);
}

static void process(struct lev *lev);
static short want(const struct lev *lev);
static uint64_t due(const struct lev *lev);

/* Until there is something to do, or this time has come. The lock is not held. */
static short sleep_until(int fd, short events, int other_fd, uint64_t until)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events }, { .fd = other_fd, .events = POLLIN } };
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

int handle_wait(struct lev *lev, bool (*is_done)(const void *arg), const void *arg, uint64_t deadline)
{
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
		struct timespec at = { .tv_sec = (time_t)(deadline / 1000), .tv_nsec = (long)(deadline % 1000) * 1000000 };
		lev->waiters++;
		if (deadline == LEV_NEVER)
			pthread_cond_wait(&lev->changed, &lev->lock);
		else
			pthread_cond_timedwait(&lev->changed, &lev->lock, &at);
		lev->waiters--;
	}
	return LEV_OK;
}

/* --- users ----------------------------------------------------------------------------------------------------------- */

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

static void check_ready(struct lev *lev)
{
	if (!lev->is_set_up || lev->restoring > 0 || lev->is_ready)
		return;
	lev->is_ready = lev->was_ready = true;
	lev->rounds = 0;
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

void handle_restored(struct lev *lev)
{
	assert(lev->restoring > 0);
	lev->restoring--;
	check_ready(lev);
}

static void on_open(void *arg)
{
	struct lev *lev = arg;
	lev->attempt_ms = LEV_NEVER;
	channel_open(&lev->control.user.channel);
}

/* --- connecting -------------------------------------------------------------------------------------------------------- */

static void forget_addresses(struct lev *lev)
{
	if (lev->addresses != NULL)
		freeaddrinfo(lev->addresses);
	lev->addresses = lev->address = NULL;
}

/* After a round over all brokers that has failed. */
static uint64_t pause_ms(struct lev *lev)
{
	uint64_t ms = lev->backoff_min_ms;
	for (unsigned i = 1; i < lev->rounds && ms < lev->backoff_max_ms; i++)
		ms *= 2;
	if (ms > lev->backoff_max_ms)
		ms = lev->backoff_max_ms;
	return ms - prng_below(&lev->random, (uint32_t)(ms / 2) + 1);
}

/* This attempt has failed: the next address, the next broker, or the next round. */
static void attempt_failed(struct lev *lev, const struct reason *why, bool is_hopeless)
{
	lev->failure = *why;
	socket_close(&lev->socket);
	lev->retry_ms = lev->now_ms;
	if (lev->address != NULL && lev->address->ai_next != NULL && !is_hopeless) {
		lev->address = lev->address->ai_next;
		return;
	}
	forget_addresses(lev);
	lev->uri_at = (lev->uri_at + 1) % lev->uris_len;
	lev->hopeless += is_hopeless;
	if (++lev->tried < lev->uris_len)
		return;
	if (lev->hopeless == lev->uris_len && !lev->was_ready && !lev->is_lazy)
		lev->is_given_up = true;
	lev->tried = lev->hopeless = 0;
	lev->rounds++;
	lev->retry_ms = lev->now_ms + pause_ms(lev);
	handle_changed(lev);
}

static bool resolve(struct lev *lev, const struct uri *uri)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
	if (lev->addresses != NULL)
		return true;
	pthread_mutex_unlock(&lev->lock); /* It may take seconds. */
	int rc = getaddrinfo(uri->host, uri->port, &hints, &found);
	pthread_mutex_lock(&lev->lock);
	lev->addresses = lev->address = rc == 0 ? found : NULL;
	if (rc == 0)
		return true;
	struct reason why;
	reason_set(&why, LEV_UNREACHABLE, "%s: %s", uri->host, gai_strerror(rc));
	attempt_failed(lev, &why, false);
	return false;
}

static void connect_next(struct lev *lev)
{
	const struct uri *uri = &lev->uris[lev->uri_at];
	struct reason why;
	if (!resolve(lev, uri))
		return;
	lev->attempt_ms = lev->now_ms + (uri->timeout_ms != 0 ? uri->timeout_ms : lev->connect_timeout_ms);
	if (socket_connect(&lev->socket, uri, lev->address, &why) != LEV_OK)
		attempt_failed(lev, &why, false);
}

static void advance(struct lev *lev)
{
	const struct uri *uri = &lev->uris[lev->uri_at];
	struct reason why;
	int rc = socket_advance(&lev->socket, uri, &why);
	if (rc != LEV_OK) {
		attempt_failed(lev, &why, rc == LEV_TLS);
		return;
	}
	if (lev->socket.state != SOCKET_OPEN)
		return;
	struct link_options options = { .uri = uri, .name = lev->name, .message_bytes_max = lev->message_bytes_max };
	buffer_clear(&lev->in);
	buffer_clear(&lev->writing);
	link_start(&lev->link, &options, lev->now_ms);
}

static void check_attempt(struct lev *lev)
{
	struct reason why;
	if (lev->socket.state == SOCKET_NONE || lev->now_ms < lev->attempt_ms)
		return;
	if (lev->socket.state == SOCKET_OPEN && lev->link.phase != LINK_HANDSHAKE)
		return;
	reason_set(&why, LEV_TIMEOUT, "%s:%s: no connection in time", lev->uris[lev->uri_at].host, lev->uris[lev->uri_at].port);
	if (lev->socket.state == SOCKET_OPEN)
		link_fail(&lev->link, LEV_TIMEOUT, "%s", why.text);
	else
		attempt_failed(lev, &why, false);
}

/* What was a connection is none any more. The same broker is tried again first. */
static void connection_ended(struct lev *lev)
{
	bool was_open = lev->link.was_open, is_fatal = lev->link.is_fatal;
	struct reason why = lev->link.failure;
	lev->is_set_up = lev->is_ready = false;
	link_reset(&lev->link);
	lev->restoring = 0;
	if (!was_open) {
		attempt_failed(lev, &why, is_fatal);
		return;
	}
	lev->failure = why;
	socket_close(&lev->socket);
	forget_addresses(lev);
	lev->tried = lev->hopeless = 0;
	lev->rounds++;
	lev->retry_ms = lev->now_ms + pause_ms(lev);
	handle_changed(lev);
}

/* --- bytes --------------------------------------------------------------------------------------------------------------- */

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
		link_fail(&lev->link, LEV_DISCONNECTED, "%s:%s closed the connection", lev->uris[lev->uri_at].host,
			  lev->uris[lev->uri_at].port);
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

/* --- turns ---------------------------------------------------------------------------------------------------------------- */

static bool has_output(const struct lev *lev)
{
	return buffer_left(&lev->writing) > 0 || buffer_left(&lev->link.out) > 0;
}

static short want(const struct lev *lev)
{
	short wanted = socket_want(&lev->socket, has_output(lev));
	return (short)(lev->full > 0 && lev->socket.state == SOCKET_OPEN ? wanted & ~POLLIN : wanted);
}

static uint64_t due(const struct lev *lev)
{
	if (lev->has_news)
		return LEV_NOW;
	uint64_t next = lev->socket.state == SOCKET_NONE ? (lev->is_given_up || lev->is_stopping ? LEV_NEVER : lev->retry_ms)
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

/* Callbacks may add and remove users, but not the one that is being reported: whoever wants to remove that has to wait. */
static void report(struct lev *lev)
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

static void run_users(struct lev *lev)
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
	if (lev->is_processing)
		return;
	lev->is_processing = true;
	lev->has_news = false;
	lev->now_ms = lev_now();
	if (lev->socket.state == SOCKET_NONE && lev->now_ms >= lev->retry_ms && !lev->is_given_up && !lev->is_stopping)
		connect_next(lev);
	if (lev->socket.state == SOCKET_CONNECTING || lev->socket.state == SOCKET_SECURING)
		advance(lev);
	else if (lev->socket.state == SOCKET_OPEN && lev->full == 0 && lev->is_readable)
		read_some(lev);
	if (lev->full > 0)
		lev->link.received_ms = lev->now_ms; /* It is we who do not listen. */
	check_attempt(lev);
	run_users(lev);
	if (lev->socket.state == SOCKET_OPEN) {
		link_tick(&lev->link, lev->now_ms);
		if (lev->link.phase != LINK_DOWN)
			write_some(lev);
		if (lev->link.phase == LINK_DOWN)
			connection_ended(lev);
		if (lev->link.phase == LINK_CLOSED)
			handle_changed(lev);
	}
	report(lev);
	lev->is_processing = false;
}

static void *run(void *arg)
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

/* --- opening ----------------------------------------------------------------------------------------------------------------- */

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
		if (o->producer_id[0] == '\0' || content_check_name("producer_id", o->producer_id) != LEV_OK)
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
	uint32_t window = o->window == 0 ? 1000 : o->window;
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
	    publisher_init(&lev->publisher, lev, window, o->window_bytes == 0 ? 64 * 1024 * 1024 : o->window_bytes) != LEV_OK)
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
	lev->message_bytes_max = o->message_bytes_max == 0 ? 128 * 1024 * 1024 : o->message_bytes_max;
	lev->on_event = o->on_event;
	lev->arg = o->arg;
	lev->wake_fd = -1;
	lev->socket.fd = -1;
	list_init(&lev->users);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&lev->lock, NULL);
	pthread_cond_init(&lev->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	link_init(&lev->link, on_open, lev);
	int rc = set_up(lev, o);
	if (rc != LEV_OK) {
		destroy(lev);
		return rc;
	}
	control_init(&lev->control, lev, true);
	control_init(&lev->getter, lev, false);
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
	int error = pthread_create(&lev->thread, NULL, run, lev);
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
	report(lev);
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
	handle_lock(lev);
	int rc = handle_wait(lev, is_flushed, lev, deadline);
	handle_unlock(lev);
	return rc;
}

/* A broker that is well answers at once: it has a moment even if there is no time left, and not for ever. */
static uint64_t goodbye_deadline(uint64_t deadline)
{
	uint64_t least = lev_in(200), most = lev_in(5000);
	return deadline < least ? least : deadline > most ? most : deadline;
}

int lev_close(struct lev *lev, uint64_t deadline)
{
	if (lev == NULL)
		return LEV_OK;
	if (handle_is_calling(lev))
		return fail_plainly(LEV_IN_CALLBACK);
	int rc = lev_flush(lev, deadline);
	handle_lock(lev);
	run_users(lev); /* Acks that have not been put. */
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
	handle_lock(lev);
	bool is_ready = lev->is_ready;
	handle_unlock(lev);
	return is_ready;
}

bool lev_broker_can(struct lev *lev, const char *capability)
{
	handle_lock(lev);
	bool can = lev->link.phase == LINK_OPEN && link_can(&lev->link, capability);
	handle_unlock(lev);
	return can;
}

/* --- loop mode ---------------------------------------------------------------------------------------------------------------- */

int lev_fd(struct lev *lev)
{
	return lev->socket.fd;
}

short lev_want(struct lev *lev)
{
	return want(lev);
}

uint64_t lev_due(struct lev *lev)
{
	return due(lev);
}

void lev_process(struct lev *lev)
{
	handle_lock(lev);
	process(lev);
	handle_unlock(lev);
}
