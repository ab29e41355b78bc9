/* State: what the session's own files share. Nothing outside session/ includes this. */
#ifndef LEV_SESSION_STATE_H
#define LEV_SESSION_STATE_H

#include "frame.h"
#include "method.h"
#include "properties.h"
#include "session/session.h"

struct user;

enum handshake {
	AWAIT_HEADER,
	AWAIT_START_OK,
	AWAIT_LOGIN,   /* The password is being looked at. */
	AWAIT_SILENCE, /* It was wrong, and nothing more is said. */
	AWAIT_TUNE_OK,
	AWAIT_OPEN,
	HANDSHAKE_DONE,
};

enum content_state {
	CONTENT_NONE,
	CONTENT_HEADER, /* basic.publish has come: its header must follow, */
	CONTENT_BODY,   /* and its body. */
};

enum {
	PUBLISH_TAIL_AT = 6, /* Of its payload: exchange and routing key, after the method's number
				and the ticket. */
	PUBLISH_BYTES_MAX = PUBLISH_TAIL_AT + 2 * (1 + UINT8_MAX) + 1,
	KNOWN_PROPERTIES_MAX = 64,
};

/* A publish whose content has not all arrived, and what is known from those before: publishers
 * repeat themselves, and what is the same to the byte is not decoded again. */
struct pending_content {
	uint8_t publish[PUBLISH_BYTES_MAX]; /* The method's payload. */
	uint16_t publish_len;
	bool is_mandatory;
	uint8_t known_len;       /* Of the properties decoded last, if they were short. */
	struct message *message; /* From the header on. */
	struct properties known; /* Views into known_wire. */
	uint8_t known_wire[KNOWN_PROPERTIES_MAX];
};

struct session_channel {
	struct session *session;
	struct channel *channel; /* NULL: we have said channel.close and wait for close-ok. */
	uint16_t number;
	enum content_state content_state;
	uint64_t allowed; /* The user's version at which the publish in content was; 0: it was not.
			   */
	bool is_held;     /* Frames of it are kept: what follows is, too. */
	struct pending_content *content; /* Made with the first publish. */
	struct bytes last_queue;         /* Owned: what an empty queue name stands for. */
};

/* Frames that wait for an alarm to end (hold.c), whole and in order. */
struct kept {
	uint8_t *data; /* Owned. */
	size_t len;
	size_t cap;
	uint32_t channels; /* How many they are of. */
	bool is_due;       /* They are to be gone through before anything else is taken. */
	bool is_full;      /* There is no room for the next one. */
};

struct session {
	struct session_host *host;
	struct session_peer peer;
	struct outbuf out;
	enum session_phase phase;
	enum handshake handshake;
	struct connection *connection;  /* From connection.open on. */
	struct bytes user;              /* Owned, */
	struct bytes client_properties; /* as this. */
	struct user *account;           /* Held; NULL: one who may do everything. */
	struct access *access;          /* Owned, from connection.open on; NULL as above. */
	uint32_t frame_max;
	uint16_t channel_max;
	uint16_t heartbeat_s;
	const char *mechanism;   /* Of the login: a literal. */
	bool knows_auth_failure; /* Client capabilities. */
	bool knows_cancel;
	bool knows_blocked;
	bool knows_idempotency;
	bool has_published;
	bool is_blocked;
	bool is_writable;
	bool is_retry;          /* The frame at the front of the input is to be tried again. */
	uint64_t wait_sequence; /* 0: it does not wait for the journal. */
	struct bytes held;      /* Owned: the reply to be sent then, */
	uint16_t held_channel;  /* and on which channel. */
	struct kept kept;
	struct session_channel **channels; /* By number; NULL: not open. */
	size_t channels_len;
	size_t channels_open;
	uint64_t names_last;
	uint64_t began_ms;
	uint64_t reads;
	uint64_t read_bytes;
	uint64_t writes;
	uint64_t received_ms;
	uint64_t sent_ms;
	uint64_t moved_ms;    /* When its output moved last, or there was none. */
	uint64_t conflict_ms; /* When one was logged last. */
	uint64_t rechecked;   /* The user's version at the last session_recheck(). */
	uint64_t closing_ms;  /* When connection.close was sent, or a login was refused. */
};

/* RETRY: nothing has happened, the frame is to come again in the next turn. */
enum handled { HANDLED, RETRY };

enum name_bytes { NAME_BYTES = 40 };

/* A name nobody else has or can guess: prefix and 22 characters. buffer has NAME_BYTES at least. */
struct bytes session_name(struct session *s, const char *prefix, char *buffer);

/* --- output.c --- */

void send_method(struct session *s, uint16_t channel, const struct method *m);
/* Sends the reply to what the core has just done once the journal holds what it says. The session
 * waits for that. */
void send_when_durable(struct session *s, uint16_t channel, const struct method *m);
void send_held(struct session *s);
/* The channel is closed: there is nothing to be said on it any more. */
void drop_held(struct session *s, uint16_t channel);
void send_content(struct session *s, uint16_t channel, struct message *message);
void send_deliver(struct session_channel *ch, const struct effect *effect);
void send_get_ok(struct session_channel *ch, const struct effect *effect, uint64_t messages);

/* --- session.c --- */

/* False, and a refusal that names the limit, if a table that has been checked is larger than those
 * of peers may be; what: "headers". */
bool session_takes_table(const struct session *s, struct bytes table, const char *what,
			 struct refusal *refusal);
/* Turns a refusal into channel.close or connection.close; method is what was refused, 0 if it was a
 * frame. */
void refuse_method(struct session *s, struct session_channel *ch, uint32_t method,
		   const struct refusal *refusal);
__attribute__((format(printf, 4, 5))) void refuse_connection(struct session *s, uint32_t method,
							     enum reply_code code,
							     const char *format, ...);
/* NULL: not open. */
static inline struct session_channel *session_channel(const struct session *s, uint16_t number)
{
	return number < s->channels_len ? s->channels[number] : NULL;
}

struct session_channel *session_channel_open(struct session *s, uint16_t number);
void session_channel_destroy(struct session_channel *ch);
/* Ends without a word: the peer is not owed one, or would not understand it. */
void session_end(struct session *s);
void session_log(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what an operator may want to mend. */
void session_warn(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- permit.c --- */

/* Whether the user may make the publish in ch->content. False, and a refusal. */
bool permitted_publish(struct session_channel *ch, struct refusal *refusal);

/* --- hold.c --- */

/* True if this frame must wait. Only to be asked while there is an alarm or something is kept. */
bool hold_wants(struct session *s, const struct frame *f);
bool hold_has_room(struct session *s, size_t len);
/* Keeps a frame that must wait; wire is all of it. The peer is told why. */
void hold_keep(struct session *s, const struct frame *f, struct bytes wire);
/* Adds frames whose channels have been seen to. */
void hold_append(struct session *s, struct bytes frames);
/* Moves out what is kept; no channel is held any more. */
struct kept hold_take(struct session *s);
void hold_drop(struct session *s);
/* connection.blocked or unblocked, if that is new to a peer that has published. */
void hold_tell(struct session *s);

/* --- handshake.c --- */

void handshake_header(struct session *s, const uint8_t header[PROTOCOL_HEADER_BYTES]);
void handshake_method(struct session *s, const struct method *m);

/* Nothing is taken from the peer meanwhile. */
static inline bool handshake_is_waiting(const struct session *s)
{
	return s->phase == SESSION_HANDSHAKE &&
	       (s->handshake == AWAIT_LOGIN || s->handshake == AWAIT_SILENCE);
}

/* --- content.c --- */

/* m: basic.publish. */
void content_begin(struct session_channel *ch, const struct method *m);
/* Begins it, if this is the payload of the same publish as the last one. */
bool content_begin_again(struct session_channel *ch, struct bytes payload);
enum handled content_header(struct session_channel *ch, struct bytes payload);
enum handled content_body(struct session_channel *ch, struct bytes payload);
/* Another frame has come than the one that must follow. */
void content_unexpected(struct session_channel *ch);
void content_drop(struct session_channel *ch);

/* --- methods.c --- */

/* A method on channel 0 of an open connection, and on another channel. ch is NULL if that one is
 * not open. */
void connection_method(struct session *s, const struct method *m);
enum handled channel_method(struct session *s, struct session_channel *ch, uint16_t number,
			    const struct method *m);

#endif
