#include "net/listener.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTS_MAX = 64, REST_MS = 100, LOG_EVERY_RESTS = 10 };

struct listener {
	struct list node;
	struct listener_options options;
	int fd;
	int spare_fd; /* Given up for a moment when there are no descriptors left. */
	unsigned rests;
	struct event *readable;
	struct event *rested;
	struct ssl_ctx_st *const *tls;
};

struct list *listener_node(struct listener *l)
{
	return &l->node;
}

struct listener *listener_of(struct list *node)
{
	return list_entry(node, struct listener, node);
}

socklen_t listener_address(const char *host, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	*address = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, host[0] == '\0' ? "0.0.0.0" : host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof *v6;
}

int listener_socket(const struct sockaddr *address, socklen_t len)
{
	int on = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void rest(struct listener *l, int why)
{
	static const struct timeval pause = { .tv_usec = REST_MS * 1000 };
	char text[128];
	close(l->spare_fd);
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd != -1)
		close(fd);
	l->spare_fd = open_spare();
	if (l->rests++ % LOG_EVERY_RESTS == 0) {
		snprintf(text, sizeof text, "cannot accept: %s", strerror(why));
		l->options.log(l->options.arg, text);
	}
	event_del(l->readable);
	event_add(l->rested, &pause);
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	(void)fd;
	(void)what;
	event_add(l->readable, NULL);
}

static void on_readable(evutil_socket_t listening, short what, void *arg)
{
	struct listener *l = arg;
	(void)what;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof peer;
		int fd = accept4(listening, (struct sockaddr *)&peer, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				rest(l, errno);
			return;
		}
		l->rests = 0;
		l->options.accepted(l->options.arg, fd, (struct sockaddr *)&peer,
				    l->tls == NULL ? NULL : *l->tls);
	}
}

struct listener *listener_create(const struct listener_options *options, int fd,
				 struct ssl_ctx_st *const *tls)
{
	struct listener *l = alloc_zeroed(sizeof *l);
	l->options = *options;
	l->fd = fd;
	l->tls = tls;
	l->spare_fd = open_spare();
	list_init(&l->node);
	l->readable = event_new(options->base, fd, EV_READ | EV_PERSIST, on_readable, l);
	l->rested = event_new(options->base, -1, EV_TIMEOUT, on_rested, l);
	if (l->readable == NULL || l->rested == NULL || event_add(l->readable, NULL) != 0) {
		listener_destroy(l);
		return NULL;
	}
	return l;
}

void listener_destroy(struct listener *l)
{
	list_remove(&l->node);
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->rested != NULL)
		event_free(l->rested);
	close(l->fd);
	if (l->spare_fd != -1)
		close(l->spare_fd);
	free(l);
}
