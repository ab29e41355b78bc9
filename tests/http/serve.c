/* Serve: a program with the server of HTTP in it, for tests/system/http_server.py. It prints its
 * port and serves on 127.0.0.1 until SIGTERM.
 *
 *   serve [LIMIT=NUMBER...] [certificate=FILE key=FILE]
 *
 *   /echo                   what the request is
 *   /bytes?n=N              N bytes; with &type=T of that type
 *   /status?code=N          an empty reply with it
 *   /header?value=V         a reply with the header x-value: V
 *   /later, /release        a request that is kept, and one that has all those answered, oldest first
 *   /stream?n=N&bytes=M     a stream of N pieces of M bytes, as fast as it is taken
 *   /events, /event?name=N  a stream of events, and one that sends its body to all those
 *   /counts                 connections, kept requests, clients that have gone, bytes held
 *
 * Of bodies: x-body-max: N allows N bytes, x-refuse has the request answered by 401 before. */
#include "base/alloc.h"
#include "http/server.h"
#include "net/listener.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 2000 };

struct kept {
	struct http_request *requests[KEPT_MAX];
	size_t len;
};

static struct {
	struct event_base *base;
	struct http_server *server;
	struct kept later;
	struct kept events;
	size_t gone;
} world;

static void keep(struct kept *k, struct http_request *r)
{
	if (k->len < KEPT_MAX)
		k->requests[k->len++] = r;
	else
		http_reply_error(r, 503, NULL, "too many");
}

static void forget(struct kept *k, const struct http_request *r)
{
	size_t to = 0;
	for (size_t i = 0; i < k->len; i++)
		if (k->requests[i] != r)
			k->requests[to++] = k->requests[i];
	k->len = to;
}

static size_t number(const struct http_request *r, const char *name)
{
	struct bytes value;
	size_t n = 0;
	if (http_parameter(r, name, &value))
		for (size_t i = 0; i < value.len && value.data[i] >= '0' && value.data[i] <= '9';
		     i++)
			n = n * 10 + (size_t)(value.data[i] - '0');
	return n;
}

/* A C string, valid until the next call. */
static const char *parameter(const struct http_request *r, const char *name)
{
	static char text[1000];
	struct bytes value = { NULL, 0 };
	http_parameter(r, name, &value);
	snprintf(text, sizeof text, "%.*s", BYTES_ARG(value));
	return text;
}

static void reply_text(struct http_request *r, const char *text)
{
	http_reply(r, 200, "text/plain", bytes_str(text));
}

/* --- handlers --- */

static void echo(struct http_request *r)
{
	char *text, peer[64];
	size_t len;
	unsigned sum = 0;
	FILE *f = open_memstream(&text, &len);
	fprintf(f, "%.*s ", BYTES_ARG(r->method_name));
	for (size_t i = 0; i < r->segments_len; i++)
		fprintf(f, "[%.*s]", BYTES_ARG(r->segments[i]));
	for (size_t i = 0; i < r->parameters_len; i++)
		fprintf(f, " ?%.*s=%.*s", BYTES_ARG(r->parameters[i].name),
			BYTES_ARG(r->parameters[i].value));
	for (size_t i = 0; i < r->body.len; i++)
		sum = sum * 31 + r->body.data[i];
	http_peer_text(&r->peer, peer, sizeof peer);
	fprintf(f, " body=%zu:%u tls=%d peer=%s", r->body.len, sum, r->is_tls, peer);
	fclose(f);
	http_reply(r, 200, "text/plain", bytes_of(text, len));
	free(text);
}

static void reply_bytes(struct http_request *r)
{
	size_t n = number(r, "n");
	const char *type = parameter(r, "type");
	uint8_t *bytes = malloc(n + 1);
	memset(bytes, 'a', n);
	http_reply(r, 200, type[0] == '\0' ? "text/plain" : type, bytes_of(bytes, n));
	free(bytes);
}

static void reply_status(struct http_request *r)
{
	http_reply(r, (unsigned)number(r, "code"), NULL, bytes_of(NULL, 0));
}

static void reply_header(struct http_request *r)
{
	struct bytes value = { NULL, 0 };
	http_parameter(r, "value", &value);
	struct http_header header = { "x-value", value };
	http_reply_with(r, 200, "text/plain", bytes_str("x"), &header, 1);
}

static void later_gone(void *arg, struct http_request *r)
{
	(void)arg;
	(void)r; /* It stays among those that are kept: answers to who has gone are dropped. */
	world.gone++;
}

static void later(struct http_request *r)
{
	http_on_gone(r, later_gone, NULL);
	keep(&world.later, r);
}

static void release(struct http_request *r)
{
	struct kept k = world.later;
	world.later.len = 0;
	for (size_t i = 0; i < k.len; i++)
		echo(k.requests[i]);
	reply_text(r, "released");
}

static void flow(void *arg, struct http_request *r)
{
	size_t *left = r->data, bytes = number(r, "bytes");
	uint8_t *piece = malloc(bytes + 1);
	(void)arg;
	memset(piece, 'b', bytes);
	while (*left > 0 && http_stream_write(r, bytes_of(piece, bytes)))
		--*left;
	free(piece);
	if (*left > 0)
		return;
	free(left);
	http_stream_end(r);
}

static void flow_gone(void *arg, struct http_request *r)
{
	(void)arg;
	world.gone++;
	free(r->data);
	http_stream_end(r);
}

static void stream(struct http_request *r)
{
	size_t *left = alloc_zeroed(sizeof *left);
	*left = number(r, "n");
	r->data = left;
	http_on_gone(r, flow_gone, NULL);
	http_stream_on_room(r, flow, NULL);
	http_stream_begin(r, 200, "text/plain", NULL, 0);
	flow(NULL, r);
}

static void events_gone(void *arg, struct http_request *r)
{
	(void)arg;
	world.gone++;
	forget(&world.events, r);
	http_stream_end(r);
}

static void events(struct http_request *r)
{
	http_on_gone(r, events_gone, NULL);
	http_stream_begin(r, 200, "text/event-stream", NULL, 0);
	http_stream_event(r, NULL, bytes_str("hello"));
	keep(&world.events, r);
}

static void event(struct http_request *r)
{
	const char *name = parameter(r, "name");
	for (size_t i = 0; i < world.events.len; i++)
		http_stream_event(world.events.requests[i], name[0] == '\0' ? NULL : name, r->body);
	reply_text(r, "sent");
}

static void counts(struct http_request *r)
{
	char text[100];
	snprintf(text, sizeof text, "%zu %zu %zu %zu", http_server_connections(world.server),
		 world.later.len + world.events.len, world.gone,
		 http_server_held_bytes(world.server));
	reply_text(r, text);
}

static const struct {
	const char *segment;
	void (*handle)(struct http_request *r);
} routes[] = {
	{ "bytes", reply_bytes }, { "status", reply_status }, { "header", reply_header },
	{ "later", later },       { "release", release },     { "stream", stream },
	{ "events", events },     { "event", event },         { "counts", counts },
};

static void handle(void *arg, struct http_request *r)
{
	(void)arg;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (r->segments_len > 0 && bytes_equal_str(r->segments[0], routes[i].segment)) {
			routes[i].handle(r);
			return;
		}
	}
	echo(r);
}

static size_t body_max(void *arg, struct http_request *r)
{
	struct bytes value;
	(void)arg;
	if (http_header(r, "x-refuse", &value)) {
		http_reply_error(r, 401, NULL, "refused \"before\" the body");
		return 0;
	}
	if (!http_header(r, "x-body-max", &value))
		return SIZE_MAX;
	return strtoul((const char *)value.data, NULL, 10); /* A line's end follows. */
}

static void say(void *arg, const union http_peer *peer, const char *text)
{
	char name[64] = "listener";
	(void)arg;
	if (peer != NULL)
		http_peer_text(peer, name, sizeof name);
	fprintf(stderr, "%s: %s\n", name, text);
}

/* --- the program --- */

static bool set_limit(struct http_limits *limits, const char *argument)
{
	const char *value = strchr(argument, '=');
	size_t len = value == NULL ? 0 : (size_t)(value - argument);
#define SIZE(name)                                                                     \
	if (len == strlen(#name) && strncmp(argument, #name, len) == 0) {              \
		limits->name = (__typeof__(limits->name))strtoul(value + 1, NULL, 10); \
		return true;                                                           \
	}
	SIZE(connections_max)
	SIZE(body_bytes_max)
	SIZE(memory_bytes_max)
	SIZE(head_ms)
	SIZE(body_ms)
	SIZE(idle_ms)
	SIZE(stall_ms)
	SIZE(reply_ms)
	SIZE(linger_ms)
#undef SIZE
	return false;
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int fd = listener_socket((struct sockaddr *)&address, len);
	if (fd == -1 || getsockname(fd, (struct sockaddr *)&address, &len) == -1) {
		perror("listen");
		exit(1);
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

/* What is kept is answered when its server is gone already. */
static void end(void)
{
	http_server_destroy(world.server);
	event_base_loop(world.base, EVLOOP_NONBLOCK);
	for (size_t i = 0; i < world.later.len; i++)
		http_reply(world.later.requests[i], 200, NULL, bytes_of(NULL, 0));
}

int main(int argc, char **argv)
{
	static const struct http_header headers[] = { { "server",
							{ (const uint8_t *)"serve", 5 } } };
	struct tls_options tls_options = { 0 };
	struct ssl_ctx_st *tls = NULL;
	struct http_options options = { .limits = http_default_limits,
					.headers = headers,
					.headers_len = 1,
					.handle = handle,
					.body_max = body_max,
					.log = say };
	char why[300];
	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "certificate=", 12) == 0)
			tls_options.certificate_file = argv[i] + 12;
		else if (strncmp(argv[i], "key=", 4) == 0)
			tls_options.key_file = argv[i] + 4;
		else if (!set_limit(&options.limits, argv[i]))
			return 2;
	}
	if (tls_options.key_file != NULL &&
	    (tls = tls_create(&tls_options, why, sizeof why)) == NULL) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	options.base = world.base = event_base_new();
	world.server = http_server_create(&options);
	http_server_listen(world.server, listen_somewhere(), tls == NULL ? NULL : &tls);
	struct event *term = evsignal_new(world.base, SIGTERM, stop, world.base);
	event_add(term, NULL);
	event_base_dispatch(world.base);
	end();
	event_free(term);
	event_base_free(world.base);
	tls_destroy(tls);
	return 0;
}
