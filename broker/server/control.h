/* Control: questions of the operator to a broker that runs, through a socket in its data directory:
 * whoever may open that is the operator.
 *
 * A question is a line with a JSON object, the answer another one; then the connection is closed.
 * docs/idempotency.md and `leveretd --help` say what can be asked. */
#ifndef LEV_SERVER_CONTROL_H
#define LEV_SERVER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct core;
struct event_base;
struct control;
struct manage;
struct net;
struct worker;

struct control_options {
	struct event_base *base;
	struct core *core;
	struct manage *manage; /* Asked first. */
	struct net *net;
	const struct config *config;
	struct worker *worker; /* For long questions and answers; destroyed before. */
	const char *data_dir;  /* Locked by this process. */
	void (*begin_turn)(void *arg);
	void *arg;
};

/* NULL, and the reason in why, if there can be no such socket. */
struct control *control_create(const struct control_options *options, char *why, size_t why_size);
void control_destroy(struct control *control); /* NULL is fine. */

/* The journal has everything up to this sequence: answers that waited for it may go. */
void control_durable(struct control *control, uint64_t durable);

#endif
