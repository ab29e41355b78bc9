/* Leveret: a client for AMQP 0-9-1 brokers - Leveret itself, RabbitMQ, and others - with
 * idempotency built in.
 *
 *	#include <leveret/leveret.h>
 *	#include <stdio.h>
 *
 *	int main(void)
 *	{
 *		struct lev *lev;
 *		struct lev_message *m;
 *		int rc = lev_connect(&lev, "amqp://localhost", lev_in(5000));
 *		if (rc < 0)
 *			return fprintf(stderr, "%s\n", lev_reason()), 1;
 *		rc = lev_declare_queue(lev, "hello", NULL, lev_in(5000));
 *		if (rc >= 0)
 *			rc = lev_send(lev, "", "hello", "Hello, world", 12, lev_in(5000));
 *		if (rc >= 0)
 *			rc = lev_get(lev, "hello", &m, lev_in(5000));
 *		if (rc >= 0) {
 *			printf("%s\n", (const char *)m->body);
 *			rc = lev_ack(m);
 *		}
 *		if (rc < 0)
 *			fprintf(stderr, "%s\n", lev_reason());
 *		return lev_close(lev, lev_in(5000)) < 0 || rc < 0;
 *	}
 *
 * What holds everywhere:
 *
 * Results    An int, one of enum lev_result: 0 or positive is success, negative is not, and then
 *            nothing has changed
 *            and no output has been touched. lev_reason() says why, in words.
 * NULL       In place of a handle, consumer, worker or message is LEV_INVALID (false, 0 or nothing
 *            where no result is given); what frees takes it and does nothing. A program must look
 *            at the result of what is to give a handle: on failure its pointer is untouched.
 * Deadlines  A point in time on lev_now()'s clock, in milliseconds: lev_in(5000), LEV_NOW,
 * LEV_NEVER. One deadline can be given to several calls. What a call began is not undone when it
 * times out, except where it says so.
 * Threads    Functions that take a struct lev, or what hangs on one, can be called from any thread
 *            at any time, except
 *            that nothing may be used while, or after, it is closed. In loop mode everything
 * belongs to the one thread that runs the loop. Callbacks  Come from the library's I/O thread (in
 * loop mode: from within lev_process() and calls that wait), one at a time. They may call anything
 * that does not wait; what would have to wait answers LEV_IN_CALLBACK, or LEV_FULL.
 * Strings    End with NUL, are UTF-8, and are copied. Names, keys and short properties have at
 *            most 255 bytes
 *            (section 4.2.5.3 of the AMQP 0-9-1 specification, as all sections named here).
 * Memory     What a call gives out says who owns it. The library never aborts for want of memory:
 *            the call answers
 *            LEV_NO_MEMORY; in the I/O thread the connection is dropped and made again.
 * fork()     A handle, and what hangs on it, belong to the process that opened it, which keeps its
 *            connection and messages whatever a child does. In the child every call answers
 *            LEV_FORKED, at once, and frees nothing but the message that it was given; no callback
 *            is made. It may read messages and tables, free or settle what it holds (LEV_FORKED),
 *            open a handle of its own, and exec: sockets are closed then. Programs of several
 *            threads must not call this library between fork() and exec, as little else.
 * Options    Structs of options may be zeroed: 0 and NULL mean the default, which is the number in
 *            the field's
 *            comment. They need not outlive the call. */
#ifndef LEVERET_H
#define LEVERET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LEV_EXPORT __attribute__((visibility("default")))
#else
#define LEV_EXPORT
#endif

#define LEVERET_VERSION "0.1.0"

/* --- results --- */

#define LEV_RESULTS(X)                                                              \
	X(LEV_OK, 0, "done; of a publish: stored")                                  \
	X(LEV_DUPLICATE, 1, "stored before, under the same key")                    \
	X(LEV_UNDONE, 2, "a saga that failed, and all of whose steps were undone")  \
	X(LEV_TIMEOUT, -1, "the deadline has passed")                               \
	X(LEV_NO_MEMORY, -2, "no memory")                                           \
	X(LEV_INVALID, -3, "an argument is not valid")                              \
	X(LEV_CLOSED, -4, "the handle or consumer has been closed")                 \
	X(LEV_DISCONNECTED, -5, "the connection was lost")                          \
	X(LEV_REFUSED, -6, "the broker refused it")                                 \
	X(LEV_UNREACHABLE, -7, "no broker could be reached")                        \
	X(LEV_TLS, -8, "TLS failed: certificate, name or version")                  \
	X(LEV_PROTOCOL, -9, "the peer broke the protocol")                          \
	X(LEV_UNSUPPORTED, -10, "this broker cannot do it")                         \
	X(LEV_IN_CALLBACK, -11, "a call that waits, made in a callback")            \
	X(LEV_FULL, -12, "as much is in flight as may be")                          \
	X(LEV_EMPTY, -13, "nothing there")                                          \
	X(LEV_STALE, -14, "its connection is gone: the broker delivers it again")   \
	X(LEV_UNROUTABLE, -15, "no queue takes it")                                 \
	X(LEV_CONFLICT, -16, "something else was stored before under the same key") \
	X(LEV_NOT_SENT, -17, "it was never sent")                                   \
	X(LEV_UNKNOWN, -18, "it was sent, and whether it arrived is not known")     \
	X(LEV_NO_RESPONDER, -19, "nobody is there to answer")                       \
	X(LEV_CIRCUIT_OPEN, -20, "the circuit breaker is open")                     \
	X(LEV_GIVEN_UP, -21, "tried as often, or as long, as it should be")         \
	X(LEV_SYSTEM, -22, "a file or a database failed")                           \
	X(LEV_FORKED, -23, "a handle of the parent process, used in a child")

enum lev_result {
#define X(name, value, text) name = value,
	LEV_RESULTS(X)
#undef X
};

/* "the deadline has passed". Never NULL; static. */
LEV_EXPORT const char *lev_result_text(int result);

/* "LEV_TIMEOUT". Never NULL; static. */
LEV_EXPORT const char *lev_result_name(int result);

/* Why the last call of this thread that failed did so: "404 NOT_FOUND - no queue 'x' in vhost '/'".
 * UTF-8 in one line, at most 299 bytes: other bytes in what it quotes are written as \xff. Valid
 * until the next call. */
LEV_EXPORT const char *lev_reason(void);

/* Sets it, and returns result: for code that builds on this library and answers like it. */
LEV_EXPORT int lev_fail(int result, const char *format, ...)
#if defined(__GNUC__)
	__attribute__((format(printf, 2, 3)))
#endif
	;

/* --- time --- */

#define LEV_NOW   ((uint64_t)0) /* Do not wait. */
#define LEV_NEVER UINT64_MAX    /* No deadline. */

/* Milliseconds of a clock that never jumps (CLOCK_MONOTONIC). */
LEV_EXPORT uint64_t lev_now(void);

/* The deadline that is so many milliseconds from now. */
LEV_EXPORT uint64_t lev_in(uint64_t ms);

/* --- tables: headers and arguments (section 4.2.5.5, RabbitMQ's types) --- */

struct lev_table;

/* NULL without memory. */
LEV_EXPORT struct lev_table *lev_table_create(void);
LEV_EXPORT void lev_table_destroy(struct lev_table *table); /* NULL is fine. */

/* Set a field anew or for the first time. A failure (no memory, a name or value that is too long,
 * more than 64 KiB in all) is remembered and answered by the call that gets the table, so that they
 * need not be checked one by one. */
LEV_EXPORT void lev_table_set_str(struct lev_table *table, const char *name, const char *value);
LEV_EXPORT void lev_table_set_int(struct lev_table *table, const char *name, int64_t value);
LEV_EXPORT void lev_table_set_bool(struct lev_table *table, const char *name, bool value);

/* A field of a table: what type says. */
struct lev_field {
	const char *name; /* Not ended by NUL: */
	size_t name_len;  /* so long. */
	/* 'S' string, 'I' integer, 'B' boolean, 'D' double, 'T' Unix time in seconds, 'F' table,
	 * 'A' array, 'x' bytes, 'V' nothing, '?' another one. */
	char type;
	const char *string; /* S, x: not ended by NUL; */
	size_t string_len;
	int64_t integer; /* I, B, T */
	double real;     /* D */
};

/* Looks a field up. False if there is none. Views into the table. table may be NULL. */
LEV_EXPORT bool lev_table_find(const struct lev_table *table, const char *name,
			       struct lev_field *field);

/* The next field; *at is 0 at first, and moved on. False at the end. */
LEV_EXPORT bool lev_table_next(const struct lev_table *table, size_t *at, struct lev_field *field);

/* The same for what is inside a field of type F or A; the elements of an array have no names. */
LEV_EXPORT bool lev_field_next(const struct lev_field *outer, size_t *at, struct lev_field *field);

/* Shorthands: the value, or `otherwise` if there is no such field of that type. Strings are copied,
 * cut to size - 1 bytes. */
LEV_EXPORT int64_t lev_table_int(const struct lev_table *table, const char *name,
				 int64_t otherwise);
LEV_EXPORT bool lev_table_str(const struct lev_table *table, const char *name, char *value,
			      size_t size);

/* --- connections --- */

/* A handle: one connection, made again whenever it is lost, with all that was on it. */
struct lev;

enum lev_event {
	LEV_EVENT_CONNECTED,    /* Also again after a loss, when consumers are back. */
	LEV_EVENT_DISCONNECTED, /* It will be tried again, with a growing, jittered pause. */
	LEV_EVENT_BLOCKED,      /* The broker is short of memory or disk: publishes wait
				   (connection.blocked). */
	LEV_EVENT_UNBLOCKED,
};

struct lev_options {
	/* amqp://user:password@host:port/vhost?heartbeat=30 or amqps://; several, separated by
	 * commas or spaces, are tried in turn. The parts default to guest, guest, localhost, 5672
	 * (amqps: 5671), and the vhost "/". Parts are percent-decoded: %2f is the vhost "/".
	 * Parameters: heartbeat (s), connection_timeout (ms), channel_max, cacertfile, certfile,
	 * keyfile (PEM), verify=verify_none, server_name_indication, auth_mechanism=external. A
	 * server's certificate is verified unless that is turned off. */
	const char *uri;
	const char *name;            /* What operators see it as; "leveret". */
	bool is_loop;                /* No thread: the caller runs lev_process(). See below. */
	bool is_lazy;                /* lev_open() does not wait for a connection. */
	uint32_t connect_timeout_ms; /* For each address, handshakes included; 5,000. */
	uint32_t backoff_min_ms;     /* Pause before trying again: doubled from this, 100, */
	uint32_t backoff_max_ms;     /* to this, 10,000; between half of it and all. It begins anew
					after a connection that has lived for half a second, and half
					as long as the last pause. */
	uint32_t window;             /* Publishes in flight, 1 to 1,024; 1,024. */
	size_t window_bytes;         /* And their bytes; 64 MiB. A single one may be larger. */
	size_t message_bytes_max;    /* Larger messages that come are a protocol error; 128 MiB. */
	/* Whose sequence publishes carry: 1 to 255 bytes; a random one, and numbers of the
	 * library's own. With a name that outlives the handle each publish needs a sequence, or a
	 * key, of the caller's. One handle at a time may use it. */
	const char *producer_id;
	uint64_t producer_epoch; /* Fences handles with a lower one; 0. */
	/* Publishes carry no sequence, only the key they are given: what is not known to have
	 * arrived is not sent again. */
	bool is_anonymous;
	/* It is sent again even so, and may be there twice. Also to brokers that know no
	 * idempotency. */
	bool is_at_least_once;
	/* text: the reason; valid during the call. */
	void (*on_event)(void *arg, enum lev_event event, const char *text);
	void *arg;
};

/* Connects. *out is the caller's, to be closed with lev_close(). LEV_UNREACHABLE, LEV_TLS,
 * LEV_REFUSED, LEV_TIMEOUT, LEV_INVALID, LEV_NO_MEMORY. What cannot become better by waiting (a
 * wrong password) is answered at once, what can when the deadline has passed. */
LEV_EXPORT int lev_open(struct lev **out, const struct lev_options *options, uint64_t deadline);
LEV_EXPORT int lev_connect(struct lev **out, const char *uri, uint64_t deadline);

/* Waits for publishes in flight (as lev_flush()), says goodbye, and frees the handle, whatever the
 * result: LEV_TIMEOUT if a publish had no answer; its outcome has been LEV_UNKNOWN or LEV_NOT_SENT.
 * Consumers, workers and the like end with it; their structs must not be used any more. Messages
 * still held may be freed or settled (LEV_CLOSED) later. NULL is fine. Not in a callback. */
LEV_EXPORT int lev_close(struct lev *lev, uint64_t deadline);

/* True while there is a connection, and all consumers are on it. */
LEV_EXPORT bool lev_is_connected(struct lev *lev);

/* True if the broker said that it has this capability: "idempotency", "lease_extend",
 * "retry_after", "connection.blocked", ... */
LEV_EXPORT bool lev_broker_can(struct lev *lev, const char *capability);

/* Loop mode. Wait until lev_fd() (-1: there is none at present) is ready for lev_want() (POLLIN and
 * POLLOUT, as for poll(2)) or until lev_due() has come, then call lev_process(). All three may
 * change with each call of any function. leveret/poll.h and leveret/event.h do it for you.
 * Resolving a host name blocks. */
LEV_EXPORT int lev_fd(struct lev *lev);
LEV_EXPORT short lev_want(struct lev *lev);
LEV_EXPORT uint64_t lev_due(struct lev *lev);
LEV_EXPORT void lev_process(struct lev *lev);

/* --- publishing --- */

/* Properties of a message (section 1.8.3). */
struct lev_properties {
	const char *content_type;
	const char *content_encoding;
	const char *correlation_id;
	const char *reply_to;
	const char *message_id;
	const char *type;
	const char *user_id; /* Must be the one that is logged in. */
	const char *app_id;
	uint64_t timestamp;     /* Unix time in seconds; 0: none. */
	uint64_t expiration_ms; /* Time to live; 0: none. */
	uint8_t priority;
	bool is_transient; /* Need not survive a restart of the broker. */
	const struct lev_table *headers;
};

struct lev_publish {
	const char *exchange; /* NULL or "": the default exchange, routing_key is a queue's name. */
	const char *routing_key; /* NULL: "". */
	const void *body;
	size_t body_len;
	const struct lev_properties *properties; /* NULL: persistent, and nothing else. */
	/* Idempotency key: of all publishes to an exchange and routing key with the same one, one
	 * is stored. NULL: none but the handle's sequence, which makes the library's own repeats
	 * harmless. */
	const char *key;
	const char *step; /* With key: the key is "key/step", at most 255 bytes together. */
	/* The caller's own numbers instead of the handle's; for handles with a producer_id. They
	 * grow, with at most 1,023 from the lowest in flight to the highest. */
	uint64_t sequence;
	/* The broker routes it so much later (Leveret; RabbitMQ with its plugin, to an
	 * x-delayed-message exchange). */
	uint64_t delay_ms;
	bool is_optional;  /* It is fine if no queue wants it: LEV_OK then, instead of
			      LEV_UNROUTABLE. */
	uint64_t deadline; /* When its outcome is to be there at last: LEV_NOT_SENT or LEV_UNKNOWN;
			      0: none. */
};

/* What became of a publish. Each one that was taken has exactly one of these results:
 *
 * LEV_OK          It is in all queues that it was routed to, on disk where queue and message are
 *                 durable.
 * LEV_DUPLICATE   It, or another one with the same key, had been before. Tells what a stranger
 *                 did, not the library's
 *                 own repeats. Leveret only.
 * LEV_CONFLICT    Another body is there under this key. Leveret only.
 * LEV_UNROUTABLE  No queue wants it; it is gone.
 * LEV_REFUSED     The broker did not take it: a full queue, no such exchange, too large, a fenced
 *                 producer.
 * LEV_NOT_SENT    The deadline came, or the handle was closed, before it was sent.
 * LEV_UNKNOWN     The same, but after; or the connection broke, and sending it again could have
 *                 doubled it. */
struct lev_outcome {
	int result;
	uint16_t reply_code; /* 312, 404, ...; 0: the broker gave none. */
	const char *text;    /* The broker's words, or the result's; valid during the call. */
};

typedef void lev_outcome_fn(void *arg, const struct lev_outcome *outcome);

/* Takes a message over, to be sent now or when there is a connection, and again after a loss, until
 * its outcome is known; then calls on_outcome, once. NULL: nobody wants to know. Waits until the
 * deadline while as much is in flight as may be (LEV_TIMEOUT; in a callback and with LEV_NOW:
 * LEV_FULL). LEV_INVALID, LEV_NO_MEMORY, LEV_CLOSED. Failing, the message has not been taken.
 * Messages arrive in the order of calls. */
LEV_EXPORT int lev_publish(struct lev *lev, const struct lev_publish *publish,
			   lev_outcome_fn *on_outcome, void *arg, uint64_t deadline);

/* The same, and waits for the outcome, which is the result. When the deadline comes: LEV_NOT_SENT
 * or LEV_UNKNOWN. */
LEV_EXPORT int lev_publish_wait(struct lev *lev, const struct lev_publish *publish,
				uint64_t deadline);

/* A persistent message without further ado. */
LEV_EXPORT int lev_send(struct lev *lev, const char *exchange, const char *routing_key,
			const void *body, size_t body_len, uint64_t deadline);

/* Waits until every publish so far has its outcome, callbacks included. */
LEV_EXPORT int lev_flush(struct lev *lev, uint64_t deadline);

/* Where a producer stands at the broker: its highest epoch and sequence. LEV_EMPTY: it is not
 * known. LEV_UNSUPPORTED: the broker knows no producers. */
LEV_EXPORT int lev_producer_info(struct lev *lev, const char *producer_id, uint64_t *epoch,
				 uint64_t *sequence, uint64_t deadline);

/* Publishes without an outcome. */
LEV_EXPORT size_t lev_in_flight(struct lev *lev);

/* --- consuming --- */

/* A message that was received: to be settled, or freed, once. Read-only. */
struct lev_message {
	const char *exchange;
	const char *routing_key;
	const void *body; /* A NUL follows it. */
	size_t body_len;
	struct lev_properties properties; /* headers: never NULL. */
	bool is_redelivered;
	uint32_t messages_left; /* Of lev_get(): in the queue. */
	/* Not NULL: its properties cannot be read (headers that are nested too deep, or too many,
	   or a name that is no UTF-8), and are here as they came, from their flags on (section
	   4.2.6.1); `properties` has none. It is settled as any other, so that it holds nobody up. */
	const void *raw_properties;
	size_t raw_properties_len;
};

/* Each takes the message, whatever the result. LEV_STALE: its connection is gone, so the broker
 * delivers it again. Messages of consumers without acks (is_no_ack) and replies need
 * lev_message_free() only. */
LEV_EXPORT int lev_ack(struct lev_message *message);
/* To its old place; the broker may count, rest, dead-letter (x-delivery-limit, x-retry-...). */
LEV_EXPORT int lev_requeue(struct lev_message *message);
LEV_EXPORT int lev_reject(
	struct lev_message *message); /* Dead-lettered, if its queue does that; gone if not. */

/* It comes back to its place after so long, at most 2^31 - 1 ms; other messages go on; counts as a
 * failed delivery. Leveret only (capability retry_after). LEV_UNSUPPORTED, LEV_INVALID and
 * LEV_NO_MEMORY leave the message to the caller. */
LEV_EXPORT int lev_retry_after(struct lev_message *message, uint64_t ms);

/* Without an answer to the broker, which keeps it for this consumer until the connection ends. */
LEV_EXPORT void lev_message_free(struct lev_message *message);

/* What stays the same when the message comes again: its x-message-uid, or else its message_id;
 * NULL: it has neither. Valid as long as the message. */
LEV_EXPORT const char *lev_message_uid(const struct lev_message *message);

/* One message; *out is the caller's. LEV_EMPTY if there is none. */
LEV_EXPORT int lev_get(struct lev *lev, const char *queue, struct lev_message **out,
		       uint64_t deadline);

struct lev_consumer;

struct lev_consume {
	const char *queue;
	uint16_t prefetch; /* Unsettled messages at a time; 100. */
	bool is_no_ack;    /* Messages are settled by being sent; prefetch does not count. */
	bool is_exclusive; /* After a reconnect: as soon as the broker lets the last one go. */
	int32_t priority; /* x-priority */
	/* The broker takes back what is not settled for so long (x-consumer-timeout); the library
	 * extends it for what is held, until it has been held for lease_max_ms; 0: as the queue has
	 * it, never extended. Leveret only. */
	uint64_t lease_ms;
	uint64_t lease_max_ms; /* 0: for ever. */
	bool is_tx; /* What is settled and published on it takes effect with lev_commit(). See
		       below. */
	const struct lev_table *arguments;
	/* NULL: messages are pulled with lev_next(). The message is the callback's, to be settled
	 * now or later. */
	void (*on_message)(void *arg, struct lev_message *message);
	/* The consumer is no more: its queue was deleted, say, or is not there after a reconnect.
	 * Optional. */
	void (*on_cancelled)(void *arg, const char *reason);
	void *arg;
};

/* Begins consuming, and again after each reconnect; *out is the caller's. LEV_REFUSED if the broker
 * does not let it. */
LEV_EXPORT int lev_consume(struct lev *lev, const struct lev_consume *consume,
			   struct lev_consumer **out, uint64_t deadline);

/* The next message; it is the caller's. LEV_CLOSED: the consumer is no more, lev_reason() says why.
 */
LEV_EXPORT int lev_next(struct lev_consumer *consumer, struct lev_message **out, uint64_t deadline);

/* Stops deliveries; what has come and was not taken yet goes back. What is held can still be
 * settled: the channel is closed when the last of it has been, or when the deadline has come
 * (LEV_TIMEOUT); then it goes back, too. The consumer is freed, whatever the result. In a callback:
 * does not wait, what is held goes back. NULL is fine. */
LEV_EXPORT int lev_cancel(struct lev_consumer *consumer, uint64_t deadline);

/* Atomically consume, process, produce: what is published and settled on a consumer with is_tx
 * takes effect with its commit, or not at all. On Leveret that is one transaction of the journal.
 * Publishes carry only the keys they are given. LEV_UNKNOWN: the connection broke during the
 * commit; the messages come again if it did not happen, so give publishes keys, or keep an inbox.
 * LEV_STALE: it broke before: nothing happened. LEV_UNROUTABLE: it happened, but no queue takes one
 * of the messages. After a rollback all messages of the consumer that are not settled, and those
 * settled since the last commit, come again. */
LEV_EXPORT int lev_tx_publish(struct lev_consumer *consumer, const struct lev_publish *publish);
LEV_EXPORT int lev_commit(struct lev_consumer *consumer, uint64_t deadline);
LEV_EXPORT int lev_rollback(struct lev_consumer *consumer);

/* --- topology: declared once, the same again is fine --- */

struct lev_queue {
	bool is_transient; /* Does not survive a restart of the broker. */
	bool is_exclusive; /* Of this connection; declared again, empty, after a reconnect, with its
			      bindings; if the broker has not yet noticed that the last connection is
			      gone, as soon as it has. */
	bool is_auto_delete;
	bool is_passive;                   /* Only looks whether it is there. */
	const struct lev_table *arguments; /* "x-message-ttl", ... */
};

struct lev_queue_info {
	uint32_t messages; /* Ready ones. */
	uint32_t consumers;
};

/* queue NULL: durable. LEV_REFUSED with 406 if it is there and is another one. */
LEV_EXPORT int lev_declare_queue(struct lev *lev, const char *name, const struct lev_queue *queue,
				 uint64_t deadline);
LEV_EXPORT int lev_queue_info(struct lev *lev, const char *name, struct lev_queue_info *info,
			      uint64_t deadline);

/* The queue `name`, and `name.dlq`, to which it dead-letters what is rejected, expires or fails too
 * often, through the exchange `name.dlx`. */
LEV_EXPORT int lev_declare_with_dlq(struct lev *lev, const char *name,
				    const struct lev_queue *queue, uint64_t deadline);

/* type: "direct", "fanout", "topic", "headers", ... */
LEV_EXPORT int lev_declare_exchange(struct lev *lev, const char *name, const char *type,
				    const struct lev_table *arguments, uint64_t deadline);

/* An unbound binding that was never there is fine. Patterns are not checked, see lev_topic_check().
 */
LEV_EXPORT int lev_bind(struct lev *lev, const char *queue, const char *exchange,
			const char *routing_key, const struct lev_table *arguments,
			uint64_t deadline);
LEV_EXPORT int lev_unbind(struct lev *lev, const char *queue, const char *exchange,
			  const char *routing_key, const struct lev_table *arguments,
			  uint64_t deadline);
LEV_EXPORT int lev_bind_exchange(struct lev *lev, const char *destination, const char *source,
				 const char *routing_key, uint64_t deadline);

/* messages: how many were in it; NULL is fine. */
LEV_EXPORT int lev_delete_queue(struct lev *lev, const char *name, uint32_t *messages,
				uint64_t deadline);
LEV_EXPORT int lev_purge(struct lev *lev, const char *queue, uint32_t *messages, uint64_t deadline);
LEV_EXPORT int lev_delete_exchange(struct lev *lev, const char *name, uint64_t deadline);

/* LEV_OK if pattern is what its author will have meant: words and whole-word wildcards, at most 255
 * bytes. LEV_INVALID, with a reason, for "order.*paid" or "a.#b". */
LEV_EXPORT int lev_topic_check(const char *pattern);

/* True if a topic exchange would send a message with this key through a binding with this pattern.
 */
LEV_EXPORT bool lev_topic_matches(const char *pattern, const char *key);

#ifdef __cplusplus
}
#endif
#endif
