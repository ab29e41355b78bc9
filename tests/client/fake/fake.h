/* Fake: the world outside the client library, made up: sockets lead to a broker in this file, the
 * clock moves when somebody waits, and memory is refused when the test says so. The library's own
 * sources are compiled against it (CMakeLists.txt here), so a test runs the same each time, and in
 * no time.
 *
 * The broker answers what it is asked, as a polite one does, unless it is told to keep silent;
 * whatever else it is to say, a test says for it. */
#ifndef LEV_TESTS_CLIENT_FAKE_H
#define LEV_TESTS_CLIENT_FAKE_H

#include "base/bytes.h"
#include "method.h"

struct fake {
	uint64_t now_ms;

	/* The broker. */
	bool is_down;         /* Connections are refused. */
	bool is_silent;       /* It answers nothing. */
	bool is_deaf;         /* It reads nothing. */
	bool holds_confirms;  /* Publishes are not confirmed. */
	bool is_plain;        /* It has no extensions. */
	uint64_t held_until;  /* So long exclusive queues and consumers are another connection's. */
	uint8_t deliveries;   /* So many messages come with each consume-ok. */
	unsigned connections; /* So far. */
	unsigned declared;    /* Queues that were. */
	unsigned publishes;   /* That were received, all connections together. */

	/* Memory. */
	unsigned long allocations; /* So far. */
	unsigned long fail_at;     /* This one is refused; 0: none. */
	bool fails_after;          /* And all later ones. */
	long outstanding;          /* Allocated and not freed. */
};
extern struct fake fake;

/* As at first; the memory of the last world must have been freed. */
void fake_reset(void);

/* The broker says this, on the present connection: frames, or anything else. */
void fake_say(struct bytes bytes);
void fake_say_frame(uint8_t type, uint16_t channel, struct bytes payload);
void fake_say_method(uint16_t channel, const struct method *m);
void fake_say_message(uint16_t channel, const struct method *m, struct bytes header,
		      struct bytes body);

/* The connection ends when what has been said has been read. */
void fake_cut(void);

#endif
