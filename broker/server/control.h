/* Control: questions of the operator to a broker that runs, through a socket in its data directory:
 * whoever may open that is the operator.
 *
 * A question is a line with a JSON object, the answer another one; then the connection is closed.
 * docs/idempotency.md and `leveretd --help` say what can be asked. */
#ifndef LEV_SERVER_CONTROL_H
#define LEV_SERVER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

struct core;
struct event_base;
struct control;

struct control_options {
	struct event_base *base;
	struct core *core;
	const char *data_dir; /* Locked by this process. */
	void (*begin_turn)(void *arg);
	void *arg;
};

/* NULL, and the reason in why, if there can be no such socket. */
struct control *control_create(const struct control_options *options, char *why, size_t why_size);
void control_destroy(struct control *control); /* NULL is fine. */

/* Asks the broker of a data directory: a command and its arguments, NAME=VALUE each. Prints the
 * answer. Returns an exit status: 0; 1: the answer is that there is none; 2: the question was
 * wrong, or could not be asked. */
int control_ask(const char *data_dir, int argc, char *const *argv);

#endif
