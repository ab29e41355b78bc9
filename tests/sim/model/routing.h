/* Routing: which queues a message goes to, part of the model. In the plainest way there is: every
 * binding is looked at for every message. */
#ifndef LEV_TESTS_SIM_ROUTING_H
#define LEV_TESTS_SIM_ROUTING_H

#include "model.h"

enum routing_exchange { X_DEFAULT, X_FANOUT, X_DIRECT, X_TOPIC, X_HEADERS, X_ALTERNATE, X_LEN };
enum routing_match { M_ALL, M_ANY, M_ALL_WITH_X, M_ANY_WITH_X };
/* What a header says, whatever type says it: a number is written in any type of numbers, a text as
 * string or bytes. */
enum routing_value {
	H_ABSENT,
	H_ONE,
	H_TWO,
	H_TEXT,
	H_VOID,
	H_HALF,  /* More than one. */
	H_DIGIT, /* The text "1". */
	H_TRUE,
	H_VALUES
};

enum {
	ROUTING_BINDINGS_MAX = 64,
	ROUTING_KEY_BYTES = 12,
	ROUTING_KEYS_MAX = 3, /* The routing key, CC and BCC. */
	ROUTING_HEADERS = 4,  /* The last one's name begins with "x-". */
};

struct routing_binding {
	enum routing_exchange source;
	bool is_to_exchange;
	unsigned destination; /* An exchange or a queue. */
	char key[ROUTING_KEY_BYTES];
	enum routing_match match; /* With a headers exchange; otherwise 0, as are the headers. */
	uint8_t headers[ROUTING_HEADERS];
};

struct routing_message {
	enum routing_exchange exchange;
	char keys[ROUTING_KEYS_MAX][ROUTING_KEY_BYTES];
	unsigned keys_len;
	uint8_t headers[ROUTING_HEADERS];
};

struct routing {
	struct routing_binding bindings[ROUTING_BINDINGS_MAX];
	size_t len;
	bool is_deleted[X_LEN];                  /* An exchange, for now. */
	enum routing_exchange alternates[X_LEN]; /* X_DEFAULT: none. */
};

/* The alternate that an exchange is declared with; X_DEFAULT: none. */
enum routing_exchange routing_alternate(enum routing_exchange x);

/* The number of the binding; SIZE_MAX: there is none. */
size_t routing_find(const struct routing *r, const struct routing_binding *b);
bool routing_bind(struct routing *r, const struct routing_binding *b); /* False: no room. */
void routing_unbind(struct routing *r, size_t number);
void routing_queue_gone(struct routing *r, unsigned queue);
void routing_exchange_gone(struct routing *r, enum routing_exchange x); /* With its bindings. */

/* A set of bits. */
unsigned routing_queues(const struct routing *r, const struct routing_message *m);

#endif
