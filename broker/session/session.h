/* Session: the server's side of one AMQP connection, bytes in and bytes out. No sockets, no clock,
 * no threads.
 *
 * Whoever owns it feeds what was received to session_input() and sends what gathers in
 * session->out. All calls that take a session happen between core_begin() and core_end(), except
 * those that only look, session_resume() and session_check_output(). Times are milliseconds of any
 * steady clock. */
#ifndef LEV_SESSION_SESSION_H
#define LEV_SESSION_SESSION_H

#include "core/core.h"
#include "reply.h"
#include "session/outbuf.h"

struct session;
struct session_peer;
struct user;

struct session_options {
	const char *product; /* In the server properties; borrowed, as all here. */
	const char *version;
	const char *cluster_name;
	uint32_t frame_max;   /* Bytes, 4096 and more. */
	uint16_t channel_max; /* 1 to 65535. */
	uint16_t heartbeat_s; /* Suggested; 0: none. */
	uint64_t message_bytes_max;
	uint32_t table_fields_max; /* Of a peer's table, all levels together; */
	uint32_t table_depth_max;  /* up to TABLE_DEPTH_MAX. */
	uint32_t handshake_timeout_ms;
	bool takes_certificates;  /* EXTERNAL, over TLS. */
	bool takes_anyone;        /* ANONYMOUS. */
	uint32_t send_timeout_ms; /* A peer that takes nothing of its output for so long is closed;
				     0: never. */
};

enum login { LOGIN_REFUSED, LOGIN_TAKEN, LOGIN_LATER };

enum vouched { VOUCHED_EXTERNAL, VOUCHED_ANONYMOUS };

/* What all sessions of a broker share. */
struct session_host {
	struct core *core;
	struct outbuf_pool *outbufs;
	struct batch *batch; /* Of this turn; set by the owner. */
	uint64_t now_ms;     /* Steady; set by the owner. */
	uint64_t epoch_ms;   /* Unix time when that was 0. */
	const struct session_options *options;
	const char *alarm; /* Why no publish is taken, as peers are told; NULL: publishes are taken.
			      Set by the owner, who then calls session_alarm() for each session. */
	size_t kept_bytes; /* Of all sessions' input that waits for that. */
	/* Whether user may log in with this password; LOGIN_LATER: session_login() will tell.
	 * *account: who it is, held by somebody until the call has returned; NULL: one who may do
	 * everything. */
	enum login (*authenticate)(void *arg, struct session *session, struct bytes user,
				   struct bytes password, struct user **account);
	/* The session, whose login has not been told yet, goes. NULL: there is no LOGIN_LATER. */
	void (*forget_login)(void *arg, struct session *session);
	/* Who it is without a password: by its certificate, or because it need not say. The name is
	 * a view until the next call. False: nobody. NULL: there are no such logins. */
	bool (*vouch)(void *arg, struct session *session, enum vouched by, struct bytes *name,
		      struct user **account);
	uint64_t hash_seed; /* Of the sessions' own tables: not to be guessed. */
	/* Hands every effect there is at present to its session or, if it is for the owner of the
	 * journal, answers it. Called from within session_input(). */
	void (*drain)(void *arg);
	/* One line for the operator. is_warning: it is something that he may want to mend: a
	 * refused login, a lost connection. kind: of what a peer causes that has not logged in, and
	 * may cause as often as it likes: a literal that is the same each time. NULL: a user did.
	 */
	void (*log)(void *arg, const struct session *session, bool is_warning, const char *kind,
		    const char *text);
	void *arg;
};

/* Where a session stands; the owner looks at it after each call. */
enum session_phase {
	SESSION_HANDSHAKE, /* Not yet authenticated and open. */
	SESSION_OPEN,
	SESSION_CLOSING, /* We have said connection.close and wait for close-ok. */
	SESSION_ENDED,   /* Send what is in out, then close the socket. */
};

enum {
	SESSION_SILENCE_MS = 3000, /* Who does not know how logins are refused is closed after this.
				    */
	SESSION_HANDSHAKE_BYTES = 4096, /* The largest frame before authentication. */
	/* A frame may be this much longer than agreed: some clients count the payload alone, and
	 * RabbitMQ takes them, too. */
	SESSION_FRAME_FUDGE = 8,
	SESSION_KEPT_MAX =
		64 * 1024, /* What is kept of the input of one that publishes during an alarm, */
	SESSIONS_KEPT_MAX = 16 * 1024 * 1024, /* and of all of them. */
	SESSION_OUT_HIGH = 512 * 1024, /* With this much unsent, its consumers get nothing more, */
	SESSION_OUT_LOW = 128 * 1024,  /* until it is down to this. */
	SESSION_OUT_MAX = 1024 * 1024, /* And with this much, its input is not read any more. */
	SESSIONS_OUT_HIGH =
		64 * 1024 * 1024,      /* With this much unsent for all of them, each gets less: */
	SESSION_OUT_SHORT = 64 * 1024, /* the first two limits are then this, */
	SESSION_OUT_SHORT_LOW = 32 * 1024, /* and this. */
};

struct session_peer {
	const char
		*name; /* For the log: "127.0.0.1:40000"; borrowed for the life of the session. */
	/* Of the connection, for operators, as RabbitMQ has it: "127.0.0.1:40000 ->
	 * 127.0.0.1:5672"; likewise; NULL: name. */
	const char *connection_name;
	bool is_loopback;
	bool is_tls;
	uint8_t address[16]; /* Of version 6, or one of version 4 mapped into it; 0: local. */
	uint8_t seed[16];    /* Random, and a secret: what generated names are made from. */
	void *owner;         /* Comes back from session_owner(). */
};

struct session *session_create(struct session_host *host, const struct session_peer *peer);
void session_destroy(
	struct session *session); /* Closes its connection in the core: what it held goes back. */

/* The socket has been closed or broke, in a line: the log is told, unless that was to be expected.
 * The owner calls it once. */
void session_lost(struct session *session, const char *why);

enum session_phase session_phase(const struct session *session);
const char *session_peer_name(const struct session *session);
const char *session_connection_name(const struct session *session);
const struct session_peer *session_peer(const struct session *session);
/* NULL: not logged in yet, or one who may do everything. */
const struct user *session_account(const struct session *session);
void *session_owner(const struct session *session);
struct outbuf *session_out(struct session *session);

/* Takes whole frames off the front of data; returns the bytes consumed. It stops early when the
 * session waits (see below) or has ended; the rest is to be offered again. */
size_t session_input(struct session *session, struct bytes data);

/* True if input must wait: for the journal, or for a message to be read from it. */
bool session_is_waiting(const struct session *session);

/* After the turn: submitted is what journal_submit() returned, durable what journal_durable() says.
 * True if the session waits no longer: offer its input again in the next turn. */
bool session_resume(struct session *session, uint64_t submitted, uint64_t durable);

/* Views. */
struct session_info {
	struct bytes user;  /* Empty: not known yet, */
	struct bytes vhost; /* and likewise. */
	const char *state;  /* RabbitMQ's words: "running", "starting", ... */
	const char *mechanism;
	struct bytes client_properties; /* A table that has been checked. */
	size_t channels;
	uint32_t frame_max;
	uint16_t channel_max;
	uint16_t heartbeat_s;
	uint64_t connected_ms; /* Unix time. */
	uint64_t reads;        /* Of the socket, */
	uint64_t read_bytes;   /* which have been understood. */
	uint64_t writes;
	uint64_t written_bytes;
	size_t unsent_bytes;
	bool is_tls;
};

struct session_info session_info(const struct session *session);

/* Of the owner of a channel of the core (channel_info, consumer_info): whose it is, and its number.
 */
struct session *session_of_channel(const void *owner, uint16_t *number);

/* Answers LOGIN_LATER. is_right: account is who it is. */
void session_login(struct session *session, bool is_right, struct user *account);

/* Something of users or virtual hosts has changed: ends what the session's user may not do any
 * more, or the session. */
void session_recheck(struct session *session);

/* Writes an effect to the session whose channel it is for. Returns that session. */
struct session *session_effect(const struct effect *effect);

/* Unsent output has grown or shrunk: lets consumers stop or go on. */
void session_check_output(struct session *session);

/* What time alone causes: heartbeats, and an end to peers that are silent or slow. Call at least
 * twice a second. */
void session_tick(struct session *session);

/* Bytes were received, or taken by the socket: for heartbeats, and to know who reads. */
void session_received(struct session *session);
void session_sent(struct session *session);

/* host->alarm has changed: peers that have published are told (connection.blocked and unblocked).
 * True: what waited for its end can be taken, offer input again, even if there is none. */
bool session_alarm(struct session *session);

/* True while it publishes against an alarm and has said more than is kept of it: it is not to be
 * read. */
bool session_is_full(const struct session *session);

/* True if it has published: it is to be slowed when the broker cannot keep up. */
bool session_is_publisher(const struct session *session);

/* It publishes faster than consumers take: its input is to wait. */
bool session_is_throttled(const struct session *session);

/* Begins an orderly end: connection.close with this code and text. */
void session_shutdown(struct session *session, enum reply_code code, const char *text);

#endif
