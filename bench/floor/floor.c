/* floor: the least that any AMQP broker must do on this machine, to measure brokers by. One thread;
 * it parses each publish and emits it as a delivery to the next consumer in turn. No queues, no
 * routing, no storage, no limits: a message without a consumer is dropped, a consumer that does not
 * read holds everything up, and confirms are sent at once.
 *
 *   floor [--port N]                  until it is killed
 *   floor --disk DIR [--bytes N]      instead: how often the disk takes N bytes and an fdatasync,
 *                                     one after the other */
#include "base/alloc.h"
#include "frame.h"
#include "method.h"
#include "table.h"

#include "disk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 64 * 1024,
	ROOM_BYTES = 16 * 1024,
	FRAME_MAX_BYTES = 131072,
	EVENTS_MAX = 64,
	CHANNELS_MAX = 2047,
	PATIENCE_MS = 500,
};

struct conn {
	int fd;
	bool has_header; /* "AMQP" has come. */
	bool is_confirming;
	uint64_t published; /* Of its confirm channel. */
	uint64_t confirmed;
	uint16_t confirm_channel;
	uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	size_t out_cap;
	bool is_touched;       /* Has output, and is on the list of those. */
	struct bytes exchange; /* Of the publish that is coming in, in its buffer. */
	struct bytes routing_key;
	struct consumer *target; /* Who gets its content. */
};

struct consumer {
	struct conn *
		conn; /* NULL: gone. Consumers are not freed: a publish may be on its way to one. */
	uint16_t channel;
	uint8_t tag[UINT8_MAX];
	uint8_t tag_len;
	uint64_t delivered;
};

static int epoll_fd;
static struct consumer **consumers;
static size_t consumers_len, consumers_cap, consumers_next;
static struct conn **touched;
static size_t touched_len, touched_cap;

/* --- output --- */

static uint8_t *room(struct conn *c, size_t len)
{
	c->out = alloc_grow(c->out, &c->out_cap, c->out_len + len, 1);
	if (!c->is_touched) {
		c->is_touched = true;
		touched = alloc_grow(touched, &touched_cap, touched_len + 1, sizeof(struct conn *));
		touched[touched_len++] = c;
	}
	return c->out + c->out_len;
}

static void send_method(struct conn *c, uint16_t channel, const struct method *m)
{
	size_t size = method_size(m);
	uint8_t *at = room(c, size + FRAME_OVERHEAD);
	frame_head(at, FRAME_METHOD, channel, (uint32_t)size);
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size);
	method_encode(&w, m);
	*w.at = FRAME_END;
	c->out_len += size + FRAME_OVERHEAD;
}

static void send_id(struct conn *c, uint16_t channel, uint32_t id)
{
	send_method(c, channel, &(struct method){ .id = id });
}

/* Waits where the peer does not read: what is measured is work, and nothing is kept. Who has not
 * read for a while is done. */
static bool write_all(struct conn *c)
{
	for (size_t at = 0; at < c->out_len;) {
		ssize_t n = write(c->fd, c->out + at, c->out_len - at);
		if (n > 0)
			at += (size_t)n;
		else if (errno != EAGAIN ||
			 poll(&(struct pollfd){ c->fd, POLLOUT, 0 }, 1, PATIENCE_MS) <= 0)
			return false;
	}
	c->out_len = 0;
	return true;
}

/* --- the fast path --- */

static void on_publish(struct conn *c, struct bytes payload)
{
	struct reader r = reader_of(
		payload.data + 6, payload.len - 6); /* After the method's number and the ticket. */
	c->exchange = read_shortstr(&r);
	c->routing_key = read_shortstr(&r);
	c->target = consumers_len == 0 ? NULL : consumers[consumers_next++ % consumers_len];
	if (c->is_confirming)
		c->published++;
	if (c->target == NULL)
		return;
	struct consumer *to = c->target;
	size_t size =
		4 + 1 + (size_t)to->tag_len + 8 + 1 + 2 + c->exchange.len + c->routing_key.len;
	uint8_t *at = room(to->conn, size + FRAME_OVERHEAD);
	frame_head(at, FRAME_METHOD, to->channel, (uint32_t)size);
	struct writer w = writer_of(at + FRAME_HEAD_BYTES, size + 1);
	write_u32(&w, METHOD_basic_deliver);
	write_shortstr(&w, bytes_of(to->tag, to->tag_len));
	write_u64(&w, ++to->delivered);
	write_u8(&w, 0);
	write_shortstr(&w, c->exchange);
	write_shortstr(&w, c->routing_key);
	write_u8(&w, FRAME_END);
	to->conn->out_len += size + FRAME_OVERHEAD;
}

/* Header and body go on as they are. */
static void on_content(struct conn *c, const struct frame *f)
{
	struct consumer *to = c->target;
	if (to == NULL || to->conn == NULL)
		return;
	size_t size = f->payload.len + FRAME_OVERHEAD;
	uint8_t *at = room(to->conn, size);
	memcpy(at, f->payload.data - FRAME_HEAD_BYTES, size);
	store_u16(at + 1, to->channel);
	to->conn->out_len += size;
}

static void send_confirms(struct conn *c)
{
	if (!c->is_confirming || c->published == c->confirmed)
		return;
	struct method m = { .id = METHOD_basic_ack };
	m.basic_ack.delivery_tag = c->published;
	m.basic_ack.multiple = c->published - c->confirmed > 1;
	c->confirmed = c->published;
	send_method(c, c->confirm_channel, &m);
}

/* --- the rest --- */

static void send_start(struct conn *c)
{
	uint8_t properties[64];
	struct writer w = writer_of(properties, sizeof properties);
	struct method m = { .id = METHOD_connection_start };
	table_write_str(&w, "product", bytes_str("floor"));
	m.connection_start.version_minor = 9;
	m.connection_start.server_properties = bytes_of(properties, (size_t)(w.at - properties));
	m.connection_start.mechanisms = bytes_str("PLAIN");
	m.connection_start.locales = bytes_str("en_US");
	send_method(c, 0, &m);
}

static void send_tune(struct conn *c)
{
	struct method m = { .id = METHOD_connection_tune };
	m.connection_tune.channel_max = CHANNELS_MAX;
	m.connection_tune.frame_max = FRAME_MAX_BYTES;
	send_method(c, 0, &m);
}

static void add_consumer(struct conn *c, uint16_t channel, struct bytes tag)
{
	struct consumer *consumer = alloc_zeroed(sizeof *consumer);
	struct method ok = { .id = METHOD_basic_consume_ok };
	consumer->conn = c;
	consumer->channel = channel;
	consumer->tag_len = (uint8_t)(tag.len == 0 ? 1 : tag.len);
	memcpy(consumer->tag, tag.len == 0 ? (const uint8_t *)"c" : tag.data, consumer->tag_len);
	consumers =
		alloc_grow(consumers, &consumers_cap, consumers_len + 1, sizeof(struct consumer *));
	consumers[consumers_len++] = consumer;
	ok.basic_consume_ok.consumer_tag = bytes_of(consumer->tag, consumer->tag_len);
	send_method(c, channel, &ok);
}

static void declare_queue(struct conn *c, uint16_t channel, struct bytes name)
{
	struct method ok = { .id = METHOD_queue_declare_ok };
	ok.queue_declare_ok.queue = name;
	send_method(c, channel, &ok);
}

static void on_method(struct conn *c, const struct frame *f)
{
	struct method m;
	uint32_t id = f->payload.len >= 4 ? load_u32(f->payload.data) : 0;
	if (id == METHOD_basic_publish) {
		on_publish(c, f->payload);
		return;
	}
	if (id == METHOD_basic_ack || method_decode(&m, f->payload) != METHOD_OK)
		return;
	switch (m.id) {
	case METHOD_connection_start_ok: send_tune(c); break;
	case METHOD_connection_open: send_id(c, 0, METHOD_connection_open_ok); break;
	case METHOD_connection_close: send_id(c, 0, METHOD_connection_close_ok); break;
	case METHOD_channel_open: send_id(c, f->channel, METHOD_channel_open_ok); break;
	case METHOD_channel_close: send_id(c, f->channel, METHOD_channel_close_ok); break;
	case METHOD_exchange_declare: send_id(c, f->channel, METHOD_exchange_declare_ok); break;
	case METHOD_exchange_delete: send_id(c, f->channel, METHOD_exchange_delete_ok); break;
	case METHOD_queue_declare: declare_queue(c, f->channel, m.queue_declare.queue); break;
	case METHOD_queue_bind: send_id(c, f->channel, METHOD_queue_bind_ok); break;
	case METHOD_queue_delete: send_id(c, f->channel, METHOD_queue_delete_ok); break;
	case METHOD_basic_qos: send_id(c, f->channel, METHOD_basic_qos_ok); break;
	case METHOD_basic_consume: add_consumer(c, f->channel, m.basic_consume.consumer_tag); break;
	case METHOD_confirm_select:
		c->is_confirming = true;
		c->confirm_channel = f->channel;
		send_id(c, f->channel, METHOD_confirm_select_ok);
		break;
	default: break;
	}
}

static void on_input(struct conn *c)
{
	struct frame f;
	size_t at = 0, used;
	if (!c->has_header && c->in_len >= PROTOCOL_HEADER_BYTES) {
		c->has_header = true;
		at = PROTOCOL_HEADER_BYTES;
		send_start(c);
	}
	while (c->has_header && frame_parse(bytes_of(c->in + at, c->in_len - at), FRAME_MAX_BYTES,
					    &f, &used) == FRAME_OK) {
		at += used;
		if (f.type == FRAME_METHOD)
			on_method(c, &f);
		else if (f.type != FRAME_HEARTBEAT)
			on_content(c, &f);
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	send_confirms(c);
}

/* --- connections --- */

static void conn_gone(struct conn *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < consumers_len; i++)
		if (consumers[i]->conn == c)
			consumers[i]->conn = NULL;
		else
			consumers[kept++] = consumers[i];
	consumers_len = kept;
	kept = 0;
	for (size_t i = 0; i < touched_len; i++)
		if (touched[i] != c)
			touched[kept++] = touched[i];
	touched_len = kept;
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

static void accept_conn(int listen_fd)
{
	struct conn *c = alloc_zeroed(sizeof *c);
	int on = 1;
	c->fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd == -1) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->in = alloc_resize(NULL, FRAME_MAX_BYTES + READ_BYTES);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void read_conn(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->in_len, READ_BYTES);
	if (n == 0 || (n == -1 && errno != EAGAIN)) {
		conn_gone(c);
		return;
	}
	if (n > 0) {
		c->in_len += (size_t)n;
		on_input(c);
	}
}

/* Who has gone is noticed when it is read. */
static void write_touched(void)
{
	for (size_t i = 0; i < touched_len; i++) {
		touched[i]->is_touched = false;
		if (!write_all(touched[i]))
			touched[i]->out_len = 0;
	}
	touched_len = 0;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1 || listen(fd, 1024) == -1) {
		perror("floor");
		exit(1);
	}
	return fd;
}

_Noreturn static void serve(uint16_t port)
{
	struct epoll_event events[EVENTS_MAX], e = { .events = EPOLLIN, .data.ptr = NULL };
	int listen_fd = listen_on(port);
	signal(SIGPIPE, SIG_IGN);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &e);
	printf("floor: listening on 127.0.0.1:%u\n", port);
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_conn(listen_fd);
			else
				read_conn(events[i].data.ptr);
		}
		write_touched();
	}
}

int main(int argc, char **argv)
{
	static const struct option all[] = { { "port", 1, NULL, 'p' },
					     { "disk", 1, NULL, 'd' },
					     { "bytes", 1, NULL, 'b' },
					     { "seconds", 1, NULL, 's' },
					     { 0 } };
	uint16_t port = 5679;
	struct disk_options disk = { .bytes = 512, .seconds = 3 };
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;)
		switch (c) {
		case 'p': port = (uint16_t)atoi(optarg); break;
		case 'd': disk.dir = optarg; break;
		case 'b': disk.bytes = strtoul(optarg, NULL, 10); break;
		case 's': disk.seconds = atof(optarg); break;
		default:
			fprintf(stderr,
				"usage: floor [--port N] | --disk DIR [--bytes N] [--seconds S]\n");
			return 2;
		}
	if (disk.dir != NULL)
		return disk_measure(&disk);
	serve(port);
}
