/* The broker's sessions and core behind a loopback socket, without server, disk or configuration.
 * Everything happens in its one thread; calls leave what they want under a lock, and wait until it
 * has been done. */
#include <leveret/mock.h>

#include "base/alloc.h"
#include "turn/diskless.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 256, READ_BYTES = 64 * 1024, TICK_MS = 100, MEMORY_BYTES = 1 << 30 };

struct peer {
	struct session *session;
	int fd;
	uint8_t *in;
	size_t in_len;
	size_t cut_after; /* Bytes; 0: never. */
	bool is_gone;
	bool is_resumed; /* Its session is to be offered input, even if there is none. */
};

struct lev_mock {
	char uri[64];
	int listener;
	int wake;
	pthread_t thread;
	pthread_mutex_t lock; /* Of what is wanted: */
	pthread_cond_t done;
	uint64_t asked;
	uint64_t answered;
	bool is_stopping;
	bool is_disk_stuck;
	bool is_down;
	bool is_cutting;
	bool is_block_new;
	bool is_blocked;
	char block_reason[256];
	uint64_t advance_ms;
	size_t cut_after;

	/* The thread's. */
	uint64_t ahead_ms; /* Of real time. */
	uint64_t ticked_ms;
	struct diskless diskless;
	bool is_made;
	struct peer peers[PEERS_MAX];
	size_t peers_len;
};

static uint64_t real_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- turns --- */

static void begin(struct lev_mock *mock)
{
	mock->diskless.host.now_ms = real_ms() + mock->ahead_ms;
	diskless_begin(&mock->diskless);
}

static void leave(struct peer *p)
{
	p->is_gone = true;
}

static void feed(struct peer *p)
{
	bool is_offered = p->is_resumed || (p->in_len > 0 && !session_is_full(p->session));
	if (p->is_gone || !is_offered || session_is_waiting(p->session))
		return;
	p->is_resumed = false;
	size_t used = session_input(p->session, bytes_of(p->in, p->in_len));
	memmove(p->in, p->in + used, p->in_len - used);
	p->in_len -= used;
	session_received(p->session);
}

static bool flush(struct peer *p)
{
	struct outbuf *out = session_out(p->session);
	bool is_any = false;
	while (!p->is_gone && out->len > 0) {
		struct iovec iov;
		outbuf_iovec(out, &iov, 1);
		ssize_t n = send(p->fd, iov.iov_base, iov.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			leave(p);
		if (n <= 0)
			break;
		outbuf_consume(out, (size_t)n);
		session_sent(p->session);
		is_any = true;
	}
	session_check_output(p->session);
	if (session_phase(p->session) == SESSION_ENDED && out->len == 0)
		leave(p);
	return is_any;
}

/* True if there may be more to do at once. */
static bool turn(struct lev_mock *mock)
{
	bool is_busy = false;
	uint64_t before = mock->diskless.durable;
	begin(mock);
	for (size_t i = 0; i < mock->peers_len; i++)
		feed(&mock->peers[i]);
	is_busy |= diskless_end(&mock->diskless);
	if (!mock->is_disk_stuck && mock->diskless.durable != mock->diskless.submitted)
		diskless_sync(&mock->diskless);
	for (size_t i = 0; i < mock->peers_len; i++) {
		struct peer *p = &mock->peers[i];
		if (session_is_waiting(p->session))
			p->is_resumed = session_resume(p->session, mock->diskless.submitted,
						       mock->diskless.durable);
		is_busy |= p->is_resumed;
		is_busy |= flush(p);
	}
	return is_busy || before != mock->diskless.durable;
}

static void tick(struct lev_mock *mock)
{
	begin(mock);
	for (size_t i = 0; i < mock->peers_len; i++)
		session_tick(mock->peers[i].session);
	diskless_end(&mock->diskless);
	mock->ticked_ms = mock->diskless.host.now_ms;
}

static void settle(struct lev_mock *mock)
{
	while (turn(mock))
		;
}

/* --- peers --- */

static void accept_peer(struct lev_mock *mock)
{
	int fd = accept4(mock->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1)
		return;
	if (mock->is_down || mock->peers_len == PEERS_MAX) {
		close(fd);
		return;
	}
	struct session_peer peer = { .name = "mock", .is_loopback = true };
	if (getrandom(peer.seed, sizeof peer.seed, 0) != sizeof peer.seed)
		abort();
	struct peer *p = &mock->peers[mock->peers_len++];
	*p = (struct peer){ .fd = fd, .cut_after = mock->cut_after };
	begin(mock);
	p->session = session_create(&mock->diskless.host, &peer);
	diskless_end(&mock->diskless);
}

static void receive(struct lev_mock *mock, struct peer *p)
{
	size_t room = p->cut_after > 0 && p->cut_after < READ_BYTES ? p->cut_after : READ_BYTES;
	p->in = alloc_resize(p->in, p->in_len + room);
	ssize_t n = recv(p->fd, p->in + p->in_len, room, MSG_DONTWAIT);
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		leave(p);
	if (n <= 0)
		return;
	p->in_len += (size_t)n;
	if (p->cut_after > 0 &&
	    (p->cut_after -= (size_t)n) == 0) { /* What has come is looked at, and not answered. */
		begin(mock);
		feed(p);
		diskless_end(&mock->diskless);
		leave(p);
	}
}

static void remove_peers(struct lev_mock *mock)
{
	for (size_t i = 0; i < mock->peers_len;) {
		struct peer *p = &mock->peers[i];
		if (!p->is_gone) {
			i++;
			continue;
		}
		begin(mock);
		session_destroy(p->session);
		diskless_end(&mock->diskless);
		close(p->fd);
		free(p->in);
		*p = mock->peers[--mock->peers_len];
	}
}

/* --- what is wanted --- */

static void advance(struct lev_mock *mock)
{
	for (; mock->advance_ms > 0; settle(mock)) {
		uint64_t step = mock->advance_ms < 500 ? mock->advance_ms : 500;
		mock->ahead_ms += step;
		mock->advance_ms -= step;
		for (size_t i = 0; i < mock->peers_len; i++)
			session_received(mock->peers[i].session); /* Clients live in real time, and
								     are not to be thought dead. */
		tick(mock);
	}
}

static void block(struct lev_mock *mock)
{
	begin(mock);
	mock->diskless.host.alarm = mock->is_blocked ? mock->block_reason : NULL;
	for (size_t i = 0; i < mock->peers_len; i++)
		mock->peers[i].is_resumed |= session_alarm(mock->peers[i].session);
	diskless_end(&mock->diskless);
}

static void obey(struct lev_mock *mock)
{
	pthread_mutex_lock(&mock->lock);
	if (mock->is_cutting)
		for (size_t i = 0; i < mock->peers_len; i++)
			leave(&mock->peers[i]);
	mock->is_cutting = false;
	if (mock->is_block_new || mock->is_blocked)
		block(mock);
	mock->is_block_new = false;
	advance(mock);
	settle(mock);
	remove_peers(mock);
	mock->answered = mock->asked;
	pthread_cond_broadcast(&mock->done);
	pthread_mutex_unlock(&mock->lock);
}

static int wait_for(struct lev_mock *mock, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = mock->listener, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = mock->wake, .events = POLLIN };
	for (size_t i = 0; i < mock->peers_len; i++) {
		bool has_output = session_out(mock->peers[i].session)->len > 0;
		fds[2 + i] =
			(struct pollfd){ .fd = mock->peers[i].fd,
					 .events = (short)(POLLIN | (has_output ? POLLOUT : 0)) };
	}
	uint64_t next = core_next_due(mock->diskless.core), now = real_ms() + mock->ahead_ms;
	int ms = next <= now ? 0 : next - now < TICK_MS ? (int)(next - now) : TICK_MS;
	return poll(fds, 2 + (nfds_t)mock->peers_len, ms);
}

static void *run(void *arg)
{
	struct lev_mock *mock = arg;
	struct pollfd fds[2 + PEERS_MAX];
	uint64_t count;
	bool is_stopping = false;
	while (!is_stopping) {
		wait_for(mock, fds);
		size_t len = mock->peers_len;
		pthread_mutex_lock(&mock->lock);
		is_stopping = mock->is_stopping;
		if (fds[1].revents != 0 && read(mock->wake, &count, sizeof count) == -1 &&
		    errno != EAGAIN)
			abort();
		for (size_t i = 0; i < len; i++)
			if (fds[2 + i].revents & ~POLLOUT)
				receive(mock, &mock->peers[i]);
		if (fds[0].revents != 0)
			accept_peer(mock);
		pthread_mutex_unlock(&mock->lock);
		if (real_ms() + mock->ahead_ms >= mock->ticked_ms + TICK_MS)
			tick(mock);
		obey(mock);
	}
	return NULL;
}

/* Has the thread look at what is wanted now, and waits until it has. The lock is held, and let go
 * of. */
static void ask(struct lev_mock *mock)
{
	const uint64_t one = 1;
	uint64_t mine = ++mock->asked;
	if (write(mock->wake, &one, sizeof one) != sizeof one)
		abort();
	while (mock->answered < mine)
		pthread_cond_wait(&mock->done, &mock->lock);
	pthread_mutex_unlock(&mock->lock);
}

void lev_mock_advance(struct lev_mock *mock, uint64_t ms)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->advance_ms += ms;
	ask(mock);
}

void lev_mock_stick_disk(struct lev_mock *mock, bool is_stuck)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->is_disk_stuck = is_stuck;
	ask(mock);
}

void lev_mock_cut(struct lev_mock *mock, bool is_down)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->is_cutting = true;
	mock->is_down = is_down;
	ask(mock);
}

void lev_mock_block(struct lev_mock *mock, const char *reason)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->is_block_new = true;
	mock->is_blocked = reason != NULL;
	if (reason != NULL)
		snprintf(mock->block_reason, sizeof mock->block_reason, "%s", reason);
	ask(mock);
}

void lev_mock_cut_after(struct lev_mock *mock, size_t bytes)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->cut_after = 0; /* The next connections are safe. */
	for (size_t i = 0; i < mock->peers_len; i++)
		mock->peers[i].cut_after = bytes;
	ask(mock);
}

const char *lev_mock_uri(const struct lev_mock *mock)
{
	if (mock == NULL)
		return "";
	return mock->uri;
}

/* --- life --- */

static int listen_somewhere(struct lev_mock *mock)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	mock->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mock->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mock->listener == -1 || mock->wake == -1 ||
	    bind(mock->listener, (struct sockaddr *)&address, len) == -1 ||
	    listen(mock->listener, 64) == -1 ||
	    getsockname(mock->listener, (struct sockaddr *)&address, &len) == -1)
		return LEV_SYSTEM;
	snprintf(mock->uri, sizeof mock->uri, "amqp://127.0.0.1:%u", ntohs(address.sin_port));
	return LEV_OK;
}

static void create_core(struct lev_mock *mock)
{
	const struct core_options core = {
		.hash_seed = 1,
		.memory_budget_bytes = MEMORY_BYTES,
		.queues_max = 10000,
		.exchanges_max = 10000,
		.bindings_max = 100000,
		.consumers_max = 1000,
	};
	diskless_init(&mock->diskless, &core, "Leveret (mock)");
	mock->is_made = true;
}

static void destroy(struct lev_mock *mock)
{
	for (size_t i = 0; i < mock->peers_len; i++)
		leave(&mock->peers[i]);
	if (mock->is_made) {
		remove_peers(mock);
		diskless_fini(&mock->diskless);
	}
	if (mock->listener != -1)
		close(mock->listener);
	if (mock->wake != -1)
		close(mock->wake);
	pthread_cond_destroy(&mock->done);
	pthread_mutex_destroy(&mock->lock);
	free(mock);
}

int lev_mock_start(struct lev_mock **out)
{
	struct lev_mock *mock = alloc_zeroed(sizeof *mock);
	sigset_t all, before;
	mock->listener = mock->wake = -1;
	pthread_mutex_init(&mock->lock, NULL);
	pthread_cond_init(&mock->done, NULL);
	if (listen_somewhere(mock) != LEV_OK) {
		destroy(mock);
		return LEV_SYSTEM;
	}
	create_core(mock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&mock->thread, NULL, run, mock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		destroy(mock);
		return LEV_SYSTEM;
	}
	*out = mock;
	return LEV_OK;
}

void lev_mock_stop(struct lev_mock *mock)
{
	if (mock == NULL)
		return;
	pthread_mutex_lock(&mock->lock);
	mock->is_stopping = true;
	ask(mock);
	pthread_join(mock->thread, NULL);
	destroy(mock);
}
