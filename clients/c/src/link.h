/* Link: the client's side of one AMQP connection, bytes in and bytes out. No sockets, no clock, no
 * threads.
 *
 * What was received goes into link_input(), what gathers in `out` is to be sent. A link that fails,
 * for whatever reason, is at LINK_DOWN with `failure` saying why; link_reset() then tells every
 * channel, and the link can be started again for the next connection.
 *
 * A channel is embedded in what uses it (publisher, consumer, ...), which gets what comes on it
 * through its operations. It keeps its user over connections: it is opened anew on each. Times are
 * milliseconds of any steady clock. */
#ifndef LEV_CLIENT_LINK_H
#define LEV_CLIENT_LINK_H

#include "buffer.h"
#include "message.h"
#include "method.h"
#include "reason.h"
#include "uri.h"

enum {
	LINK_FRAME_MAX = 131072,
	/* What frames may be larger than was agreed: a header cannot be cut, and brokers add to it
	 * (x-death, x-message-uid) after its publisher has filled a frame with it. */
	LINK_FRAME_EXCESS = 65536,
	LINK_CHANNELS_MAX = 2047,
	LINK_HEARTBEAT_S = 30, /* Wanted if neither the URI nor the broker says otherwise. */
	LINK_PROPERTIES_MAX = 16 * 1024,
};

enum link_phase {
	LINK_DOWN,
	LINK_HANDSHAKE,
	LINK_OPEN,
	LINK_CLOSING, /* We have said connection.close. */
	LINK_CLOSED,  /* And it has been answered. */
};

enum channel_state {
	CHANNEL_DOWN, /* It has no number. */
	CHANNEL_OPENING,
	CHANNEL_OPEN,
	CHANNEL_CLOSING, /* We have said channel.close: what comes is dropped. */
};

enum incoming_state { INCOMING_NONE, INCOMING_HEADER, INCOMING_BODY };

/* A method with content, while its header and body come. */
struct incoming {
	enum incoming_state state;
	uint32_t method; /* METHOD_basic_deliver, _get_ok or _return. */
	uint64_t delivery_tag;
	uint64_t body_got;
	uint64_t body_size;
	uint32_t messages_left; /* Of get-ok. */
	uint16_t reply_code;    /* Of a return, */
	char reply_text[UINT8_MAX + 1];
	bool is_redelivered;
	uint8_t exchange_len;
	uint8_t routing_key_len;
	char exchange[UINT8_MAX];
	char routing_key[UINT8_MAX];
	struct message *message; /* From the header on. */
};

struct channel;

struct channel_ops {
	void (*opened)(struct channel *ch);
	/* Any method without content but channel.close and the like. */
	void (*method)(struct channel *ch, const struct method *m);
	/* A whole message: takes over in->message. */
	void (*content)(struct channel *ch, struct incoming *in);
	/* The channel is down: by the broker's will (LEV_REFUSED), because we closed it (LEV_OK),
	 * or with the link. */
	void (*closed)(struct channel *ch, const struct reason *why);
};

struct channel {
	const struct channel_ops *ops;
	struct link *link;
	enum channel_state state;
	uint16_t number;
	uint64_t epoch; /* Counts openings. */
	struct incoming incoming;
};

struct link_options {
	const struct uri *uri; /* Borrowed for the life of the connection, as all here. */
	const char *name;
	uint64_t message_bytes_max;
};

struct link {
	struct link_options options;
	enum link_phase phase;
	struct buffer out;
	struct reason failure;  /* Why it is down. */
	uint32_t failed_method; /* What the broker blames, METHOD_...; 0: nothing. */
	bool is_fatal;          /* Trying again will not help. */
	bool was_open;
	uint32_t frame_max;
	uint16_t channel_max;
	uint64_t heartbeat_ms; /* 0: none. */
	uint64_t received_ms;
	uint64_t sent_ms; /* When something was sent last, or a heartbeat was put. */
	bool is_blocked;
	char blocked_reason[UINT8_MAX + 1];
	uint8_t properties[LINK_PROPERTIES_MAX]; /* The broker's, a table. */
	size_t properties_len;
	struct channel *channels[LINK_CHANNELS_MAX + 1]; /* By number. */
	void (*on_open)(void *arg);                      /* The connection is there. */
	void *arg;
};

void link_init(struct link *link, void (*on_open)(void *arg), void *arg);
void link_fini(struct link *link);

/* Begins a connection: the protocol header is in `out`. */
void link_start(struct link *link, const struct link_options *options, uint64_t now_ms);

/* Takes whole frames off the front of data; returns the bytes consumed. */
size_t link_input(struct link *link, struct bytes data, uint64_t now_ms);

/* Puts it down. The first failure counts. */
__attribute__((format(printf, 3, 4))) void link_fail(struct link *link, int result,
						     const char *format, ...);

/* Tells all channels that they are down. */
void link_reset(struct link *link);

/* Says goodbye: connection.close. */
void link_close(struct link *link);

/* Heartbeats, and an end to a peer that is silent. */
void link_tick(struct link *link, uint64_t now_ms);
uint64_t link_due(const struct link *link);

/* What the broker's server-properties.capabilities say. */
bool link_can(const struct link *link, const char *capability);

/* Without memory the link fails. */
void link_put_frame(struct link *link, uint8_t type, uint16_t channel, struct bytes payload);
void link_put_method(struct link *link, uint16_t channel, const struct method *m);

/* A publish: method, header and body in frames. The header is a content header's payload. */
struct content {
	struct bytes method; /* A method frame's payload. */
	struct bytes header;
	struct bytes body;
};
void link_put_content(struct link *link, uint16_t channel, const struct content *c);

/* --- channels --- */

void channel_init(struct channel *ch, struct link *link, const struct channel_ops *ops);

/* Asks for it; ops->opened tells when it is there. Without a free number: ops->closed. */
void channel_open(struct channel *ch);

/* ops->closed tells when it is. */
void channel_close(struct channel *ch);

/* At once, and without a word to its user, whose memory may go. The broker is told. */
void channel_abandon(struct channel *ch);

static inline bool channel_is_open(const struct channel *ch)
{
	return ch->state == CHANNEL_OPEN;
}

static inline void channel_put(struct channel *ch, const struct method *m)
{
	link_put_method(ch->link, ch->number, m);
}

#endif
