/* speed: one publisher, one consumer, one queue, against any AMQP 0-9-1 broker on this machine; messages a second and, given
 * the broker's process id, its CPU time a message. A first check, not the load tool: closed loop, throughput only.
 *
 *   speed --port 5672 --messages 1000000 --size 16                      transient, automatic acks
 *   speed --port 5672 --messages 100000 --size 1024 --persistent        durable, confirms (--window), each message acked
 *   ... --connections 64 --window 10                                    as many publishers, each with a window of its own
 *   ... --queue NAME --publish-only                                     leaves the messages in a queue that stays
 *   ... --queue NAME --drain                                            consumes them; says how long the first one took */
#include "frame.h"
#include "method.h"
#include "properties.h"
#include "table.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, BURST_BYTES = 64 * 1024, QUEUE_NAME_BYTES = 64, CONNECTIONS_MAX = 1000 };

struct options {
	uint16_t port;
	uint64_t messages;
	uint32_t size;
	uint32_t window;
	uint16_t prefetch;
	bool is_persistent;
	bool is_publish_only;
	bool is_drain;
	bool is_telling; /* How much is confirmed, as it goes. */
	uint32_t connections;
	long pid;
	char queue[QUEUE_NAME_BYTES];
};

struct peer {
	int fd;
	uint8_t *in;
	size_t in_len;
	uint32_t frame_max;
};

static struct options options = { .port = 5672, .messages = 1000000, .size = 16, .window = 1000, .prefetch = 1000 };
static atomic_bool is_consuming;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* User and system time of a process, in seconds. */
static double cpu_of(long pid)
{
	char path[64], line[1024];
	unsigned long long user, system;
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL || fgets(line, sizeof line, f) == NULL)
		die(path);
	fclose(f);
	char *after_name = strrchr(line, ')');
	if (sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		die(path);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void send_all(struct peer *p, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len > 0) {
		ssize_t n = write(p->fd, at, len);
		if (n <= 0)
			die("write");
		at += n;
		len -= (size_t)n;
	}
}

static size_t put_method(uint8_t *at, uint16_t channel, const struct method *m)
{
	size_t size = method_size(m);
	frame_head(at, FRAME_METHOD, channel, (uint32_t)size);
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size);
	method_encode(&w, m);
	*w.at = FRAME_END;
	return size + FRAME_OVERHEAD;
}

static void send_method(struct peer *p, uint16_t channel, const struct method *m)
{
	uint8_t buffer[1024];
	send_all(p, buffer, put_method(buffer, channel, m));
}

static void receive(struct peer *p)
{
	ssize_t n = read(p->fd, p->in + p->in_len, BUFFER_BYTES - p->in_len);
	if (n <= 0)
		die("the broker closed the connection");
	p->in_len += (size_t)n;
}

static void consumed(struct peer *p, size_t len)
{
	memmove(p->in, p->in + len, p->in_len - len);
	p->in_len -= len;
}

/* Waits for a method; anything else that the broker says is an error. */
static void expect(struct peer *p, uint32_t id)
{
	struct frame f;
	struct method m;
	size_t used;
	while (frame_parse(bytes_of(p->in, p->in_len), BUFFER_BYTES, &f, &used) != FRAME_OK)
		receive(p);
	if (f.type != FRAME_METHOD || method_decode(&m, f.payload) != METHOD_OK || m.id != id) {
		fprintf(stderr, "expected %s, got %s\n", method_name(id), method_name(m.id));
		exit(1);
	}
	if (id == METHOD_connection_tune)
		p->frame_max = m.connection_tune.frame_max;
	consumed(p, used);
}

static struct peer connect_peer(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(options.port) };
	struct peer p = { .fd = socket(AF_INET, SOCK_STREAM, 0), .in = malloc(BUFFER_BYTES) };
	int on = 1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(p.fd, (struct sockaddr *)&address, sizeof address) == -1)
		die("connect");
	setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	send_all(&p, "AMQP\0\0\11\1", 8);
	expect(&p, METHOD_connection_start);
	struct method m = { .id = METHOD_connection_start_ok };
	m.connection_start_ok.mechanism = bytes_str("PLAIN");
	m.connection_start_ok.response = bytes_of("\0guest\0guest", 12);
	m.connection_start_ok.locale = bytes_str("en_US");
	send_method(&p, 0, &m);
	expect(&p, METHOD_connection_tune);
	m = (struct method){ .id = METHOD_connection_tune_ok };
	m.connection_tune_ok.channel_max = 8;
	m.connection_tune_ok.frame_max = p.frame_max;
	send_method(&p, 0, &m);
	m = (struct method){ .id = METHOD_connection_open };
	m.connection_open.virtual_host = bytes_str("/");
	send_method(&p, 0, &m);
	expect(&p, METHOD_connection_open_ok);
	m = (struct method){ .id = METHOD_channel_open };
	send_method(&p, 1, &m);
	expect(&p, METHOD_channel_open_ok);
	return p;
}

static void declare(struct peer *p)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(options.queue);
	m.queue_declare.durable = options.is_persistent;
	send_method(p, 1, &m);
	expect(p, METHOD_queue_declare_ok);
}

/* --- the consumer's thread ------------------------------------------------------------------------------------- */

static size_t put_ack(uint8_t *at, uint64_t tag)
{
	struct method m = { .id = METHOD_basic_ack };
	m.basic_ack.delivery_tag = tag;
	return put_method(at, 1, &m);
}

static void *consume(void *unused)
{
	static uint8_t acks[BUFFER_BYTES];
	struct peer p = connect_peer();
	struct method m = { .id = METHOD_basic_qos };
	(void)unused;
	m.basic_qos.prefetch_count = options.prefetch;
	send_method(&p, 1, &m);
	expect(&p, METHOD_basic_qos_ok);
	m = (struct method){ .id = METHOD_basic_consume };
	m.basic_consume.queue = bytes_str(options.queue);
	m.basic_consume.no_ack = !options.is_persistent;
	send_method(&p, 1, &m);
	expect(&p, METHOD_basic_consume_ok);
	is_consuming = true;
	double began = now_s();
	for (uint64_t left = options.messages; left > 0;) {
		size_t at = 0, used, acks_len = 0;
		struct frame f;
		receive(&p);
		while (left > 0 && frame_parse(bytes_of(p.in + at, p.in_len - at), BUFFER_BYTES, &f, &used) == FRAME_OK) {
			at += used;
			if (f.type == FRAME_BODY && left-- == options.messages && options.is_drain)
				printf("first delivery after %.1f ms\n", (now_s() - began) * 1000);
			else if (f.type == FRAME_METHOD && options.is_persistent)
				acks_len += put_ack(acks + acks_len, load_u64(f.payload.data + 5 + f.payload.data[4]));
		}
		consumed(&p, at);
		send_all(&p, acks, acks_len);
	}
	close(p.fd);
	return NULL;
}

/* --- the publisher --------------------------------------------------------------------------------------------- */

static size_t put_publish(uint8_t *at)
{
	uint8_t *start = at;
	struct method m = { .id = METHOD_basic_publish };
	m.basic_publish.routing_key = bytes_str(options.queue);
	at += put_method(at, 1, &m);
	struct properties props = { .flags = HAS_delivery_mode, .delivery_mode = options.is_persistent ? 2 : 1 };
	size_t size = CONTENT_FLAGS_AT + properties_size(&props);
	frame_head(at, FRAME_HEADER, 1, (uint32_t)size);
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size);
	write_u16(&w, CLASS_BASIC);
	write_u16(&w, 0);
	write_u64(&w, options.size);
	properties_encode(&w, &props);
	*w.at = FRAME_END;
	at = w.at + 1;
	frame_head(at, FRAME_BODY, 1, options.size);
	memset(at + FRAME_HEAD_BYTES, 'x', options.size);
	at[FRAME_HEAD_BYTES + options.size] = FRAME_END;
	return (size_t)(at + FRAME_OVERHEAD + options.size - start);
}

/* Confirms in what has come: the highest tag answered. */
static uint64_t take_confirms(struct peer *p, uint64_t confirmed)
{
	struct frame f;
	struct method m;
	size_t at = 0, used;
	while (frame_parse(bytes_of(p->in + at, p->in_len - at), BUFFER_BYTES, &f, &used) == FRAME_OK) {
		at += used;
		if (f.type != FRAME_METHOD || method_decode(&m, f.payload) != METHOD_OK || m.id != METHOD_basic_ack)
			continue;
		confirmed = m.basic_ack.multiple ? m.basic_ack.delivery_tag : confirmed + 1; /* Each tag is answered once. */
	}
	consumed(p, at);
	return confirmed;
}

static void publish(struct peer *p, uint64_t messages)
{
	uint8_t *one = malloc((size_t)options.size + 1024);
	size_t one_len = put_publish(one);
	uint64_t per_burst = BURST_BYTES / one_len + 1, sent = 0, confirmed = 0;
	uint8_t *burst = malloc(per_burst * one_len);
	for (uint64_t i = 0; i < per_burst; i++)
		memcpy(burst + i * one_len, one, one_len);
	while (sent < messages || (options.is_persistent && confirmed < messages)) {
		uint64_t n = messages - sent < per_burst ? messages - sent : per_burst;
		uint64_t room = options.is_persistent ? options.window - (sent - confirmed) : n;
		n = n < room ? n : room;
		send_all(p, burst, n * one_len);
		sent += n;
		if (options.is_persistent && (sent - confirmed == options.window || sent == messages)) {
			receive(p);
			confirmed = take_confirms(p, confirmed);
			if (options.is_telling) {
				printf("confirmed %llu\n", (unsigned long long)confirmed);
				fflush(stdout);
			}
		}
	}
	free(one);
	free(burst);
}

static struct peer connect_publisher(void)
{
	struct peer p = connect_peer();
	declare(&p);
	if (options.is_persistent) {
		struct method m = { .id = METHOD_confirm_select };
		send_method(&p, 1, &m);
		expect(&p, METHOD_confirm_select_ok);
	}
	return p;
}

static void *publish_share(void *peer)
{
	publish(peer, options.messages / options.connections);
	return NULL;
}

static void parse(int argc, char **argv)
{
	static const struct option all[] = {
		{ "port", 1, NULL, 'p' },     { "messages", 1, NULL, 'm' },    { "size", 1, NULL, 's' },
		{ "window", 1, NULL, 'w' },   { "persistent", 0, NULL, 'd' },  { "pid", 1, NULL, 'i' },
		{ "prefetch", 1, NULL, 'q' }, { "connections", 1, NULL, 'c' }, { "publish-only", 0, NULL, 'o' },
		{ "tell", 0, NULL, 't' },     { "drain", 0, NULL, 'r' },       { "queue", 1, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;)
		switch (c) {
		case 'p': options.port = (uint16_t)atoi(optarg); break;
		case 'm': options.messages = strtoull(optarg, NULL, 10); break;
		case 's': options.size = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'w': options.window = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'q': options.prefetch = (uint16_t)atoi(optarg); break;
		case 'd': options.is_persistent = true; break;
		case 'c': options.connections = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'o': options.is_publish_only = true; break;
		case 't': options.is_telling = true; break;
		case 'r': options.is_drain = true; break;
		case 'n': snprintf(options.queue, sizeof options.queue, "%s", optarg); break;
		case 'i': options.pid = atol(optarg); break;
		default:
			fprintf(stderr, "usage: speed [--port N] [--messages N] [--size BYTES] [--persistent] [--window N] "
					"[--prefetch N] [--pid BROKER] [--connections N] [--queue NAME [--publish-only | "
					"--drain]]\n");
			exit(2);
		}
	if (options.queue[0] == '\0')
		snprintf(options.queue, sizeof options.queue, "speed.%d", (int)getpid());
	if (options.connections == 0 || options.connections > CONNECTIONS_MAX)
		options.connections = 1;
	options.messages -= options.messages % options.connections;
}

int main(int argc, char **argv)
{
	static struct peer peers[CONNECTIONS_MAX];
	static pthread_t threads[CONNECTIONS_MAX];
	pthread_t consumer;
	parse(argc, argv);
	uint32_t publishers = options.is_drain ? 0 : options.connections;
	peers[0] = connect_publisher();
	for (uint32_t i = 1; i < publishers; i++)
		peers[i] = connect_publisher();
	double cpu = options.pid == 0 ? 0 : cpu_of(options.pid);
	double began = now_s();
	if (!options.is_publish_only)
		pthread_create(&consumer, NULL, consume, NULL);
	while (!options.is_publish_only && !options.is_drain && !is_consuming)
		usleep(1000);
	if (!options.is_drain) {
		cpu = options.pid == 0 ? 0 : cpu_of(options.pid);
		began = now_s();
	}
	for (uint32_t i = 0; i < publishers; i++)
		pthread_create(&threads[i], NULL, publish_share, &peers[i]);
	for (uint32_t i = 0; i < publishers; i++)
		pthread_join(threads[i], NULL);
	if (!options.is_publish_only)
		pthread_join(consumer, NULL);
	double took = now_s() - began;
	cpu = options.pid == 0 ? 0 : cpu_of(options.pid) - cpu;
	if (!options.is_publish_only) {
		struct method m = { .id = METHOD_queue_delete };
		m.queue_delete.queue = bytes_str(options.queue);
		send_method(&peers[0], 1, &m);
		expect(&peers[0], METHOD_queue_delete_ok);
	}
	printf("%llu messages of %u bytes, %s: %.0f/s", (unsigned long long)options.messages, options.size,
	       options.is_publish_only ? "published"
	       : options.is_drain      ? "drained"
	       : options.is_persistent ? "persistent, confirmed, acked one by one"
				       : "transient",
	       (double)options.messages / took);
	if (options.pid != 0)
		printf(", %.2f us of the broker's CPU each", cpu * 1e6 / (double)options.messages);
	printf("\n");
	return 0;
}
