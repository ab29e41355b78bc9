/* Broker: sessions and core without sockets, disk or clock, for scripts that read like a
 * conversation.
 *
 * The disk is a number: nothing is durable until broker_sync(). Time moves with broker_advance().
 */
#ifndef LEV_TESTS_SCRIPT_BROKER_H
#define LEV_TESTS_SCRIPT_BROKER_H

#include "frame.h"
#include "method.h"
#include "properties.h"
#include "turn/diskless.h"

enum { SCRIPT_CLIENTS_MAX = 16 };

struct broker;

struct client {
	struct broker *broker;
	struct session *session; /* NULL: its socket is closed. */
	uint8_t *in;             /* Input that the session has not taken yet. */
	size_t in_len;
	uint8_t *got; /* Output not yet looked at. */
	size_t got_len;
	bool is_resumed;     /* Its session is to be offered input, even if there is none. */
	bool is_mandatory;   /* What it publishes. */
	bool is_gathering;   /* See client_gather(). */
	uint64_t read_limit; /* Bytes of output that the client takes in a turn. */
};

struct broker {
	struct diskless
		diskless; /* The disk is its number: nothing is durable until broker_sync(). */
	struct client clients[SCRIPT_CLIENTS_MAX];
	size_t clients_len;
};

struct broker *broker_create(void);
/* With another seed of its tables, and a secret that begins so. */
struct broker *broker_create_keyed(uint64_t hash_seed, uint8_t secret);
void broker_destroy(struct broker *b);

/* Everything submitted so far reaches the disk. */
void broker_sync(struct broker *b);
void broker_advance(struct broker *b, uint64_t ms);

/* An alarm with this reason begins; NULL: it ends. */
void broker_alarm(struct broker *b, const char *reason);

/* A connection whose handshake has not begun, and one with channel 1 open. */
struct client *client_connect(struct broker *b);
struct client *client_open(struct broker *b);
struct client *client_open_in(struct broker *b, const char *vhost);
/* The same, announcing a capability besides consumer_cancel_notify; NULL: none. */
struct client *client_open_knowing(struct broker *b, const char *capability);
struct client *client_open_with_heartbeat(struct broker *b, uint16_t seconds);
void client_disconnect(struct client *c);
bool client_is_closed(const struct client *c);

/* Sends, then lets the broker work until nothing changes any more. */
void client_send(struct client *c, struct bytes bytes);
/* What is sent from here on goes out in one segment, with client_go(). */
void client_gather(struct client *c);
void client_go(struct client *c);
void client_method(struct client *c, uint16_t channel, const struct method *m);
/* What is sent from here on goes out in one segment, with client_go(). */
void client_gather(struct client *c);
void client_go(struct client *c);
void client_publish(struct client *c, const char *exchange, const char *key, const char *body,
		    uint8_t delivery_mode);

/* The next frame that is no heartbeat; false if there is none. Views are valid until the next call.
 */
bool client_frame(struct client *c, struct frame *f);

/* The next method must be this one. */
struct method client_expect(struct client *c, uint32_t id);
void client_expect_nothing(struct client *c);
unsigned client_heartbeats(struct client *c);

/* A delivery must come next, with this body. Returns its tag. */
uint64_t client_expect_deliver(struct client *c, const char *body, bool is_redelivered);

/* A refusal of the channel or connection must come next, with this text. */
void client_expect_close(struct client *c, uint32_t id, uint16_t code, const char *text);

/* --- what scripts do most --- */

/* All of a message's properties, and a queue's arguments (an encoded table). */
void client_publish_with(struct client *c, const char *exchange, const char *key, const char *body,
			 const struct properties *p);
void client_declare_with(struct client *c, const char *queue, bool is_durable,
			 struct bytes arguments);

/* As client_expect_deliver(); the properties are valid until the next call. */
uint64_t client_expect_message(struct client *c, const char *body, bool is_redelivered,
			       struct properties *p);

/* How many messages are ready. */
uint32_t client_count(struct client *c, const char *queue);

void client_declare(struct client *c, const char *queue, bool is_durable);
void client_exchange(struct client *c, const char *name, const char *type, struct bytes arguments);
void client_bind(struct client *c, const char *queue, const char *exchange, const char *key);
void client_consume(struct client *c, const char *queue, const char *tag, bool is_no_ack,
		    uint16_t prefetch);
void client_ack(struct client *c, uint64_t tag, bool is_multiple);
void client_nack(struct client *c, uint64_t tag, bool is_multiple, bool is_requeue);
void client_confirms(struct client *c);

/* A table has a field of that name, of that type and with that value. */
bool has_text(struct bytes table, const char *name, const char *text);
bool has_integer(struct bytes table, const char *name, int64_t n);

#endif
