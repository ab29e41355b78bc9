#include "worker.h"

#include "base/alloc.h"
#include "fail.h"
#include "now.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
	READ_BYTES = 256 * 1024,
	EVENTS_MAX = 256,
	LOOK_MS = 50, /* How often a worker that has nothing to do looks whether it is over. */
};

struct worker {
	struct control *control;
	struct stats *stats;
	pthread_t thread;
	int epoll_fd;
	struct link **links;
	uint64_t *due; /* By link, in an array of its own: all of it is searched for what is due. */
	size_t links_len;
	size_t links_cap;
	size_t due_cap;
	uint64_t next_due;
	uint32_t *queued; /* Links to be run again, */
	uint32_t *next;   /* and those of the round after. */
	size_t queued_len;
	uint8_t *in;
	size_t in_cap;
};

struct worker *worker_create(struct control *control)
{
	struct worker *w = alloc_zeroed(sizeof *w);
	w->control = control;
	w->stats = alloc_zeroed(sizeof *w->stats);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd == -1)
		fail(EXIT_BROKER, "epoll: %s", strerror(errno));
	w->next_due = UINT64_MAX;
	return w;
}

void worker_add(struct worker *w, struct link *link)
{
	link->worker = w;
	link->index = (uint32_t)w->links_len;
	w->links = alloc_grow(w->links, &w->links_cap, w->links_len + 1, sizeof(struct link *));
	w->due = alloc_grow(w->due, &w->due_cap, w->links_len + 1, sizeof *w->due);
	w->due[w->links_len] = UINT64_MAX;
	link->can_read = true; /* Something may have come while it was set up. */
	w->links[w->links_len++] = link;
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data.ptr = link };
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, link->peer.fd, &e) == -1)
		fail(EXIT_BROKER, "epoll: %s", strerror(errno));
}

struct stats *worker_stats(struct worker *w)
{
	return w->stats;
}

struct control *worker_control(struct worker *w)
{
	return w->control;
}

/* --- links --- */

static void keep_left(struct link *l, struct bytes rest)
{
	uint8_t *old = l->left;
	l->left = NULL;
	if (rest.len > 0) {
		l->left = alloc_resize(NULL, rest.len);
		memcpy(l->left, rest.data, rest.len);
	}
	l->left_len = rest.len;
	free(old);
}

/* Hands out whole frames; returns how many bytes they were. */
static size_t take_frames(struct link *l, struct bytes in, uint64_t now)
{
	struct frame f;
	size_t at = 0, used;
	while (!l->is_paused) {
		int rc = frame_parse(bytes_of(in.data + at, in.len - at), l->peer.frame_max, &f,
				     &used);
		if (rc == FRAME_INCOMPLETE)
			break;
		if (rc != FRAME_OK)
			fail(EXIT_BROKER, "the broker sent a frame that is none");
		at += used;
		l->on_frame(l, &f, now);
	}
	return at;
}

/* A read that fills less than the room it has leaves nothing behind. */
bool link_read(struct link *l)
{
	struct worker *w = l->worker;
	if (l->is_paused)
		return false;
	if (l->left_len + READ_BYTES > w->in_cap) {
		w->in_cap = l->left_len + READ_BYTES;
		w->in = alloc_resize(w->in, w->in_cap);
	}
	size_t len = l->left_len;
	if (len > 0)
		memcpy(w->in, l->left, len);
	ssize_t n = 0;
	if (l->can_read) {
		bool is_early = l->peer.in_len >
				0; /* It came while setting up: the socket has not been read yet. */
		n = peer_read(&l->peer, w->in + len, READ_BYTES);
		if (n == PEER_CLOSED)
			peer_lost(&l->peer);
		l->can_read = n == READ_BYTES || is_early || (n > 0 && l->peer.ssl != NULL);
		len += (size_t)n;
	}
	size_t used = take_frames(l, bytes_of(w->in, len), now_ns());
	if (used > 0 || n > 0)
		keep_left(l, bytes_of(w->in + used, len - used));
	return l->can_read && !l->is_paused;
}

uint8_t *link_room(struct link *l, size_t len)
{
	l->out = alloc_grow(l->out, &l->out_cap, l->out_len + len, 1);
	return l->out + l->out_len;
}

void link_commit(struct link *l, size_t len)
{
	l->out_len += len;
}

bool link_flush(struct link *l)
{
	while (l->out_at < l->out_len && l->can_write) {
		ssize_t n = peer_write(&l->peer, l->out + l->out_at, l->out_len - l->out_at);
		if (n == PEER_CLOSED)
			peer_lost(&l->peer);
		l->out_at += (size_t)n;
		l->can_write = l->out_at == l->out_len;
	}
	if (l->out_at < l->out_len)
		return false;
	l->out_at = l->out_len = 0;
	return true;
}

void link_set_due(struct link *l, uint64_t due_ns)
{
	l->worker->due[l->index] = due_ns;
	if (due_ns < l->worker->next_due)
		l->worker->next_due = due_ns;
}

/* --- the thread --- */

static void run(struct worker *w, struct link *l)
{
	bool is_more = l->run(l, now_ns());
	if (is_more && !l->is_queued) {
		l->is_queued = true;
		w->queued[w->queued_len++] = l->index;
	}
}

static void run_events(struct worker *w, const struct epoll_event *events, int events_len)
{
	for (int i = 0; i < events_len; i++) {
		struct link *l = events[i].data.ptr;
		l->can_read |=
			(events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
		l->can_write |= (events[i].events & EPOLLOUT) != 0;
		run(w, l);
	}
}

static void run_due(struct worker *w, uint64_t now)
{
	if (w->next_due > now)
		return;
	w->next_due = UINT64_MAX;
	for (size_t i = 0; i < w->links_len; i++) {
		if (w->due[i] <= now) {
			w->due[i] = UINT64_MAX;
			run(w, w->links[i]);
		}
		if (w->due[i] < w->next_due)
			w->next_due = w->due[i];
	}
}

static void run_queued(struct worker *w)
{
	size_t len = w->queued_len;
	uint32_t *round = w->queued;
	w->queued = w->next;
	w->next = round;
	w->queued_len = 0;
	for (size_t i = 0; i < len; i++) {
		w->links[round[i]]->is_queued = false;
		run(w, w->links[round[i]]);
	}
}

static int wait_for_events(struct worker *w, struct epoll_event *events)
{
	struct timespec timeout = { 0, 0 };
	uint64_t now = now_ns();
	if (w->queued_len == 0 && w->next_due > now) {
		uint64_t ns = w->next_due - now;
		timeout.tv_nsec =
			(long)(ns < (uint64_t)LOOK_MS * NS_PER_MS ? ns
								  : (uint64_t)LOOK_MS * NS_PER_MS);
	}
	int n = epoll_pwait2(w->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
	if (n == -1 && errno != EINTR)
		fail(EXIT_BROKER, "epoll: %s", strerror(errno));
	return n;
}

/* Everything runs once at the beginning, and once more at the end. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event events[EVENTS_MAX];
	bool was_producing = true;
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (size_t i = 0; i < w->links_len; i++)
		run(w, w->links[i]);
	while (!atomic_load_explicit(&w->control->is_over, memory_order_relaxed)) {
		run_events(w, events, wait_for_events(w, events));
		run_due(w, now_ns());
		run_queued(w);
		bool is_producing =
			atomic_load_explicit(&w->control->is_producing, memory_order_relaxed);
		for (size_t i = 0; was_producing && !is_producing && i < w->links_len; i++)
			run(w, w->links[i]);
		was_producing = is_producing;
	}
	for (size_t i = 0; i < w->links_len; i++)
		w->links[i]->run(w->links[i], now_ns());
	return NULL;
}

void worker_start(struct worker *w)
{
	w->queued = alloc_zeroed((w->links_len + 1) * sizeof *w->queued);
	w->next = alloc_zeroed((w->links_len + 1) * sizeof *w->next);
	if (pthread_create(&w->thread, NULL, work, w) != 0)
		fail(EXIT_BROKER, "cannot create a thread");
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
}

void worker_destroy(struct worker *w)
{
	for (size_t i = 0; i < w->links_len; i++) {
		peer_close(&w->links[i]->peer);
		free(w->links[i]->left);
		free(w->links[i]->out);
	}
	close(w->epoll_fd);
	free(w->links);
	free(w->due);
	free(w->queued);
	free(w->next);
	free(w->in);
	free(w->stats);
	free(w);
}
