/* What the commands of `leveret` share. */
#ifndef LEVERET_CLI_H
#define LEVERET_CLI_H

#include <leveret/leveret.h>
#include <leveret/patterns.h>
#include <signal.h>

/* Exit statuses; man page leveret(1). */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* The broker refused, or something else went wrong. */
	EXIT_WRONG_USAGE = 2,
	EXIT_NO_BROKER = 3, /* It cannot be reached, or does not let us in. */
	EXIT_NOTHING = 4,   /* An empty queue; nothing came in time. */
	EXIT_NOBODY = 5,    /* No queue takes it, nobody answers. */
};

struct cli {
	struct lev *lev;
	uint64_t timeout_ms;
	bool is_json;
	bool is_quiet;
	volatile sig_atomic_t is_interrupted;
};

extern struct cli cli;

/* Ends the program with 2, and a line that says how to get help. */
__attribute__((format(printf, 1, 2), noreturn)) void usage_error(const char *format, ...);

/* Says what failed, and returns the exit status for it. */
int failed(int result, const char *what);

/* "name=value" of an option, added to a table: integers, true and false become what they look like;
 * everything after "name:=" stays a string. */
void add_field(struct lev_table *table, const char *text);

uint64_t number_of(const char *option, const char *text, uint64_t most);

/* A deadline as long as a command may take; LEV_NEVER: without. */
uint64_t cli_deadline(void);

/* Prints a message as text (its body and a newline) or as a line of JSON. True if it has been
 * written and flushed. */
bool print_message(const struct lev_message *m);

/* Standard output is a pipe that nobody reads any more; errno says so. */
bool is_output_gone(void);

/* {"outcome": ...} or nothing, as asked for. */
void print_outcome(const char *key, const char *value);
void print_info(const char *queue, const struct lev_queue_info *info);

int command_publish(int argc, char **argv);
int command_request(int argc, char **argv);
int command_consume(int argc, char **argv);
int command_get(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_declare(int argc, char **argv);
int command_delete(int argc, char **argv);
int command_bind(int argc, char **argv);
int command_unbind(int argc, char **argv);
int command_purge(int argc, char **argv);
int command_info(int argc, char **argv);

#endif
