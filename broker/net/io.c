#include "net/io.h"

#include "base/alloc.h"
#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, FREE_MAX = 64 };

enum note_kind {
	NOTE_ADD, /* From the loop to the thread. */
	NOTE_WRITE,
	NOTE_GIVE_BACK,
	NOTE_END,
	NOTE_CLOSE,
	NOTE_INPUT, /* From the thread to the loop. */
	NOTE_WRITTEN,
	NOTE_CLOSED,
	NOTE_RELEASED,
};

struct note {
	enum note_kind kind;
	struct io_conn *conn;
	struct io_buffer *buffer;
	size_t bytes;
};

struct notes {
	struct note *items;
	size_t len;
	size_t cap;
};

/* The thread's, once it has been added, but for the first part. */
struct io_conn {
	struct io *io;
	void *arg;
	struct iovec asked[IO_IOV_MAX]; /* The write that is being handed over. */
	int asked_len;

	struct list node;
	struct transport transport;
	unsigned credits;
	bool can_read;
	bool can_write;
	bool is_ending;               /* io_end() was called, */
	bool is_ended;                /* and done. */
	bool is_closed;               /* That was said. */
	struct iovec iov[IO_IOV_MAX]; /* What of it is still to be written. */
	int iov_len;                  /* 0: there is no write. */
	int iov_at;
	size_t write_bytes;
};

struct io {
	struct io_events events;
	pthread_t thread;
	int epoll_fd;
	int thread_fd; /* Wakes the thread, */
	int loop_fd;   /* and the loop. */

	struct notes asked; /* The loop's: not handed over yet. */
	struct notes told;  /* The loop's: being handed out. */

	pthread_mutex_t mutex;
	struct notes to_thread;
	struct notes to_loop;
	bool is_asleep; /* The thread: it must be woken. */
	bool is_stopping;

	struct list conns; /* The thread's, as all below. */
	struct notes doing;
	struct notes done;
	struct io_buffer *free;
	unsigned free_len;
};

/* --- notes --- */

static void notes_add(struct notes *notes, struct note note)
{
	notes->items = alloc_grow(notes->items, &notes->cap, notes->len + 1, sizeof *notes->items);
	notes->items[notes->len++] = note;
}

static void notes_move(struct notes *to, struct notes *from)
{
	if (to->len == 0) {
		struct notes swap = *to;
		*to = *from;
		*from = swap;
		return;
	}
	for (size_t i = 0; i < from->len; i++)
		notes_add(to, from->items[i]);
	from->len = 0;
}

static void wake(int fd)
{
	uint64_t one = 1;
	if (write(fd, &one, sizeof one) != sizeof one)
		abort(); /* A counter that cannot overflow: the descriptor is broken. */
}

static void sleep_no_more(int fd)
{
	uint64_t count;
	if (read(fd, &count, sizeof count) == -1)
		count = 0; /* It was read before. */
}

/* --- the thread --- */

static void tell(struct io_conn *c, enum note_kind kind, struct io_buffer *buffer, size_t bytes)
{
	notes_add(&c->io->done, (struct note){ kind, c, buffer, bytes });
}

static void tell_closed(struct io_conn *c)
{
	if (!c->is_closed)
		tell(c, NOTE_CLOSED, NULL, 0);
	c->is_closed = true;
}

static struct io_buffer *buffer_take(struct io *io)
{
	struct io_buffer *b = io->free;
	if (b == NULL)
		return alloc_resize(NULL, sizeof *b);
	io->free = b->next;
	io->free_len--;
	return b;
}

static void buffer_give(struct io *io, struct io_buffer *b)
{
	if (io->free_len == FREE_MAX) {
		free(b);
		return;
	}
	b->next = io->free;
	io->free = b;
	io->free_len++;
}

static void advance(struct io_conn *c, size_t len)
{
	while (len > 0) {
		struct iovec *v = &c->iov[c->iov_at];
		size_t part = v->iov_len < len ? v->iov_len : len;
		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		len -= part;
		c->iov_at += v->iov_len == 0;
	}
}

static void write_some(struct io_conn *c)
{
	while (c->iov_at < c->iov_len && c->can_write) {
		ssize_t n =
			transport_write(&c->transport, c->iov + c->iov_at, c->iov_len - c->iov_at);
		if (n == TRANSPORT_CLOSED) {
			tell_closed(c);
			return;
		}
		c->can_write = n != TRANSPORT_WAIT;
		advance(c, (size_t)n);
	}
	if (c->iov_len > 0 && c->iov_at == c->iov_len) {
		tell(c, NOTE_WRITTEN, NULL, c->write_bytes);
		c->iov_len = c->iov_at = 0;
	}
	if (c->is_ending && !c->is_ended && c->iov_len == 0) {
		c->is_ended = true;
		transport_end(&c->transport);
	}
}

/* Plain: a read that does not fill the buffer leaves nothing behind. Under TLS only a read that has
 * to wait tells. */
static ssize_t read_once(struct io_conn *c, struct io_buffer *b)
{
	ssize_t n = transport_read(&c->transport, b->bytes + IO_HEADROOM, IO_BUFFER_BYTES);
	c->can_read = n == IO_BUFFER_BYTES || (n > 0 && c->transport.ssl != NULL);
	if (n == TRANSPORT_CLOSED)
		tell_closed(c);
	return n;
}

static void read_some(struct io_conn *c)
{
	while (c->can_read && c->credits > 0) {
		struct io_buffer *b = buffer_take(c->io);
		ssize_t n = read_once(c, b);
		if (n > 0) {
			b->len = (size_t)n;
			c->credits--;
			tell(c, NOTE_INPUT, b, 0);
		} else {
			buffer_give(c->io, b);
		}
	}
}

static int watch(struct io_conn *c, int operation)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data.ptr = c };
	return epoll_ctl(c->io->epoll_fd, operation, c->transport.fd, &e);
}

/* Once, however much there is: whose connection is being ended may go on sending, and the others
 * have their turn. To watch it anew brings the event again. */
static void drop_some(struct io_conn *c)
{
	if (!c->can_read)
		return;
	struct io_buffer *b = buffer_take(c->io);
	read_once(c, b);
	buffer_give(c->io, b);
	if (c->can_read && watch(c, EPOLL_CTL_MOD) == -1)
		tell_closed(c);
}

static void run(struct io_conn *c)
{
	if (!c->is_closed)
		write_some(c);
	if (!c->is_closed && c->is_ending)
		drop_some(c);
	else if (!c->is_closed)
		read_some(c);
}

static void conn_free(struct io_conn *c)
{
	list_remove(&c->node);
	transport_close(&c->transport);
}

static void add(struct io *io, struct io_conn *c)
{
	list_push_tail(&io->conns, &c->node);
	if (watch(c, EPOLL_CTL_ADD) == -1)
		tell_closed(c);
}

static void take_write(struct io_conn *c)
{
	memcpy(c->iov, c->asked, (size_t)c->asked_len * sizeof *c->iov);
	c->iov_len = c->asked_len;
	c->iov_at = 0;
	c->write_bytes = 0;
	for (int i = 0; i < c->iov_len; i++)
		c->write_bytes += c->iov[i].iov_len;
}

static void follow(struct io *io, const struct note *note)
{
	struct io_conn *c = note->conn;
	switch (note->kind) {
	case NOTE_ADD: add(io, c); return;
	case NOTE_WRITE: take_write(c); break;
	case NOTE_GIVE_BACK:
		buffer_give(io, note->buffer);
		c->credits++;
		break;
	case NOTE_END: c->is_ending = true; break;
	case NOTE_CLOSE:
		conn_free(c);
		tell(c, NOTE_RELEASED, NULL, 0);
		return;
	case NOTE_INPUT:
	case NOTE_WRITTEN:
	case NOTE_CLOSED:
	case NOTE_RELEASED: abort(); /* Those go the other way. */
	}
	run(c);
}

/* Hands over what has been done and takes what is asked for; false: the end. */
static bool exchange(struct io *io)
{
	pthread_mutex_lock(&io->mutex);
	bool is_news = io->done.len > 0 && io->to_loop.len == 0;
	notes_move(&io->to_loop, &io->done);
	notes_move(&io->doing, &io->to_thread);
	io->is_asleep = io->doing.len == 0;
	bool is_going_on = !io->is_stopping;
	pthread_mutex_unlock(&io->mutex);
	if (is_news)
		wake(io->loop_fd);
	return is_going_on;
}

static void *work(void *arg)
{
	struct io *io = arg;
	struct epoll_event events[EVENTS_MAX];
	while (exchange(io)) {
		int n = epoll_wait(io->epoll_fd, events, EVENTS_MAX, io->doing.len > 0 ? 0 : -1);
		for (size_t i = 0; i < io->doing.len; i++)
			follow(io, &io->doing.items[i]);
		io->doing.len = 0;
		for (int i = 0; i < n; i++) {
			struct io_conn *c = events[i].data.ptr;
			if (c == NULL) {
				sleep_no_more(io->thread_fd);
				continue;
			}
			if (c->transport.fd == -1)
				continue; /* Closed a moment ago. */
			c->can_read |= (events[i].events &
					(EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
			c->can_write |= (events[i].events & EPOLLOUT) != 0;
			run(c);
		}
	}
	return NULL;
}

/* --- the loop --- */

static bool start(struct io *io)
{
	sigset_t all, before;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	io->thread_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	io->loop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (io->epoll_fd == -1 || io->thread_fd == -1 || io->loop_fd == -1 ||
	    epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, io->thread_fd, &e) == -1)
		return false;
	sigfillset(&all); /* Signals are the loop's. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&io->thread, NULL, work, io);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0)
		return false;
	pthread_setname_np(io->thread, "io");
	return true;
}

static void io_free(struct io *io)
{
	while (io->free != NULL) {
		struct io_buffer *next = io->free->next;
		free(io->free);
		io->free = next;
	}
	struct notes *all[] = { &io->asked,   &io->told,  &io->to_thread,
				&io->to_loop, &io->doing, &io->done };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]->items);
	int fds[] = { io->epoll_fd, io->thread_fd, io->loop_fd };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] != -1)
			close(fds[i]);
	pthread_mutex_destroy(&io->mutex);
	free(io);
}

struct io *io_create(const struct io_events *events)
{
	struct io *io = alloc_zeroed(sizeof *io);
	io->events = *events;
	io->epoll_fd = io->thread_fd = io->loop_fd = -1;
	list_init(&io->conns);
	pthread_mutex_init(&io->mutex, NULL);
	if (start(io))
		return io;
	int why = errno;
	io_free(io);
	errno = why;
	return NULL;
}

/* Buffers on their way, either way, are freed; connections that were released and never heard of,
 * too. */
static void drop_notes(struct notes *notes)
{
	for (size_t i = 0; i < notes->len; i++) {
		struct note *n = &notes->items[i];
		if (n->kind == NOTE_INPUT || n->kind == NOTE_GIVE_BACK)
			free(n->buffer);
		if (n->kind == NOTE_RELEASED)
			free(n->conn);
	}
	notes->len = 0;
}

/* Nothing is lost by the order: what the loop asked for last is added first, then everything is
 * closed. */
void io_destroy(struct io *io)
{
	pthread_mutex_lock(&io->mutex);
	io->is_stopping = true;
	pthread_mutex_unlock(&io->mutex);
	wake(io->thread_fd);
	pthread_join(io->thread, NULL);
	notes_move(&io->to_thread, &io->asked);
	for (size_t i = 0; i < io->to_thread.len; i++)
		if (io->to_thread.items[i].kind == NOTE_ADD)
			list_push_tail(&io->conns, &io->to_thread.items[i].conn->node);
	for (size_t i = 0; i < io->doing.len; i++)
		if (io->doing.items[i].kind == NOTE_ADD)
			list_push_tail(&io->conns, &io->doing.items[i].conn->node);
	struct notes *all[] = { &io->told, &io->to_thread, &io->to_loop, &io->doing, &io->done };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		drop_notes(all[i]);
	while (!list_is_empty(&io->conns)) {
		struct io_conn *c = list_entry(io->conns.next, struct io_conn, node);
		conn_free(c);
		free(c);
	}
	io_free(io);
}

/* After it has told of its end the thread leaves the transport alone. */
bool io_why(const struct io_conn *c, char *out, size_t size)
{
	return transport_why(&c->transport, out, size);
}

int io_fd(const struct io *io)
{
	return io->loop_fd;
}

void io_take(struct io *io)
{
	sleep_no_more(io->loop_fd);
	pthread_mutex_lock(&io->mutex);
	notes_move(&io->told, &io->to_loop);
	pthread_mutex_unlock(&io->mutex);
	for (size_t i = 0; i < io->told.len; i++) {
		const struct note *n = &io->told.items[i];
		void *arg = n->conn->arg;
		switch (n->kind) {
		case NOTE_INPUT: io->events.input(arg, n->buffer); break;
		case NOTE_WRITTEN: io->events.written(arg, n->bytes); break;
		case NOTE_CLOSED: io->events.closed(arg); break;
		case NOTE_RELEASED:
			free(n->conn);
			io->events.released(arg);
			break;
		default: abort();
		}
	}
	io->told.len = 0;
}

void io_kick(struct io *io)
{
	if (io->asked.len == 0)
		return;
	pthread_mutex_lock(&io->mutex);
	notes_move(&io->to_thread, &io->asked);
	bool is_asleep = io->is_asleep;
	io->is_asleep = false;
	pthread_mutex_unlock(&io->mutex);
	if (is_asleep)
		wake(io->thread_fd);
}

static void ask(struct io_conn *c, enum note_kind kind, struct io_buffer *buffer)
{
	notes_add(&c->io->asked, (struct note){ kind, c, buffer, 0 });
}

struct io_conn *io_add(struct io *io, const struct transport *transport, void *conn)
{
	struct io_conn *c = alloc_zeroed(sizeof *c);
	c->io = io;
	c->arg = conn;
	c->transport = *transport;
	c->credits = IO_CREDITS;
	ask(c, NOTE_ADD, NULL);
	return c;
}

void io_write(struct io_conn *c, const struct iovec *iov, int iov_len)
{
	memcpy(c->asked, iov, (size_t)iov_len * sizeof *iov);
	c->asked_len = iov_len;
	ask(c, NOTE_WRITE, NULL);
}

void io_give_back(struct io_conn *c, struct io_buffer *buffer)
{
	ask(c, NOTE_GIVE_BACK, buffer);
}

void io_end(struct io_conn *c)
{
	ask(c, NOTE_END, NULL);
}

void io_close(struct io_conn *c)
{
	ask(c, NOTE_CLOSE, NULL);
}
