#include "http/server.h"

#include "base/alloc.h"
#include "http/state.h"
#include "net/listener.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

const struct http_limits http_default_limits = {
	.connections_max = 1000,
	.body_bytes_max = 64 << 20,
	.memory_bytes_max = 256 << 20,
	.head_ms = 10000,
	.body_ms = 120000,
	.idle_ms = 60000,
	.stall_ms = 30000,
	.reply_ms = 120000,
	.linger_ms = 2000,
};

struct http_server *http_server_create(const struct http_options *options)
{
	struct http_server *s = alloc_zeroed(sizeof *s);
	s->options = *options;
	list_init(&s->listeners);
	list_init(&s->busy);
	list_init(&s->waiting);
	return s;
}

static void on_accepted(void *arg, int fd, const struct sockaddr *peer, struct ssl_ctx_st *tls)
{
	connection_accept(arg, fd, peer, tls);
}

static void on_listener_text(void *arg, const char *text)
{
	struct http_server *s = arg;
	if (s->options.log != NULL)
		s->options.log(s->options.arg, NULL, text);
}

bool http_server_listen(struct http_server *s, int fd, struct ssl_ctx_st *const *tls)
{
	struct listener_options options = {
		.base = s->options.base,
		.accepted = on_accepted,
		.log = on_listener_text,
		.arg = s,
	};
	struct listener *l = listener_create(&options, fd, tls);
	if (l == NULL)
		return false;
	list_push_tail(&s->listeners, listener_node(l));
	return true;
}

void http_server_destroy(struct http_server *s)
{
	s->calls_len++; /* So that none of those that are left is the last before the end of this.
			 */
	s->is_destroyed = true;
	list_each (node, &s->listeners)
		listener_destroy(listener_of(node));
	while (!list_is_empty(&s->waiting))
		connection_destroy(list_entry(s->waiting.next, struct connection, node));
	while (!list_is_empty(&s->busy))
		connection_destroy(list_entry(s->busy.next, struct connection, node));
	s->calls_len--;
	if (s->calls_len == 0)
		free(s);
}

size_t http_server_connections(const struct http_server *s)
{
	return s->connections_len;
}

size_t http_server_held_bytes(const struct http_server *s)
{
	return s->held_bytes;
}

void http_peer_text(const union http_peer *peer, char *text, size_t size)
{
	char address[INET6_ADDRSTRLEN];
	if (peer->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer->v4.sin_addr, address, sizeof address);
		snprintf(text, size, "%s:%u", address, ntohs(peer->v4.sin_port));
	} else if (peer->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer->v6.sin6_addr, address, sizeof address);
		snprintf(text, size, "[%s]:%u", address, ntohs(peer->v6.sin6_port));
	} else {
		snprintf(text, size, "local");
	}
}
