/* Options: the command line of leveretctl, read as rabbitmqctl reads its own: options stand before
 * and after the command, and what is wrong with them is told with the command's usage. */
#ifndef LEV_CTL_OPTIONS_H
#define LEV_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum rows_format { ROWS_TABLE, ROWS_PRETTY, ROWS_JSON, ROWS_CSV };

/* Exit statuses, those of sysexits.h. */
enum status {
	STATUS_USAGE = 64,
	STATUS_DATA = 65,
	STATUS_NO_USER = 67,
	STATUS_REFUSED = 69,
	STATUS_SOFTWARE = 70,
	STATUS_TIMEOUT = 75,
};

struct options {
	const char *program;   /* As what it was called: "leveretctl", "rabbitmqctl", ... */
	bool is_rabbitmqctl;   /* Values are printed in that one's form. */
	const char *data_dir;
	const char *url;   /* NULL: the socket in the data directory; otherwise "http://HOST:PORT", */
	const char *login; /* and "USER:PASSWORD". */
	const char *vhost; /* NULL: not said. */
	const char *node;
	const char *priority;
	const char *apply_to;
	const char *description;
	const char *tags;
	const char *default_queue_type;
	const char *user;
	const char *format; /* Of definitions. */
	const char *to;     /* Of messages: an exchange, */
	const char *routing_key;
	const char *to_queue; /* or a queue. */
	const char *reason;
	const char *died_in;
	const char *state;
	const char *headers;
	const char *pid;
	long count; /* -1: not said; likewise, */
	long from;
	long lines;
	long interval; /* Seconds. */
	long timeout_s; /* 0: none was said, or infinity. */
	bool is_quiet;
	bool is_silent;
	bool has_no_headers;
	bool is_global;
	bool is_dry;
	bool is_help;
	bool is_version;
	bool is_offline;
	bool is_if_empty;
	bool is_if_unused;
	enum rows_format rows;
	int argc; /* What is left: the command and its arguments. */
	char **argv;
	int given_len; /* All of it as it was given, without the program's name. */
	char **given;
	char wrong[512]; /* Options that are none, a line each: "--nosuch : ". Empty: none. */
};

/* Fills it. False: a formatter is none, as has been told. */
bool options_read(struct options *options, int argc, char **argv);

static inline const char *options_vhost(const struct options *o)
{
	return o->vhost == NULL ? "/" : o->vhost;
}

#endif
