/* Definitions: a file of them, in RabbitMQ's JSON form, at the start and with SIGHUP. */
#ifndef LEV_SERVER_DEFINITIONS_H
#define LEV_SERVER_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>

struct manage;

/* Imports the file; an empty path: an empty one. Within a turn. What is there and differs is said
 * in the log, and nothing of the file holds then. False, with the reason in why: the file makes no
 * sense, and nothing has changed. */
bool definitions_load(struct manage *manage, const char *path, char *why, size_t why_size);

#endif
