/* Definitions: a file of them, in RabbitMQ's JSON form, at the start and with SIGHUP. */
#ifndef LEV_SERVER_DEFINITIONS_H
#define LEV_SERVER_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>

struct manage;
struct worker;

/* Imports the file; an empty path: an empty one. Within a turn. What is there and differs is said
 * in the log, and nothing of the file holds then. False, with the reason in why: the file makes no
 * sense, and nothing has changed. For a start: nothing else is done until it is over. */
bool definitions_load(struct manage *manage, const char *path, char *why, size_t why_size);

struct definitions_options {
	struct manage *manage;
	struct worker *worker;
	const char *path; /* Copied. */
	/* The end; why is NULL, or what definitions_load() would say. The reload is gone then. */
	void (*told)(void *arg, const char *why);
	void *arg;
};

struct definitions_reload;

/* The same in steps, while the broker works. */
struct definitions_reload *definitions_reload(const struct definitions_options *options);
/* When there is no worker any more. NULL is fine. */
void definitions_reload_destroy(struct definitions_reload *reload);

#endif
