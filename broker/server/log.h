/* Log: one line an event, in logfmt (time=... level=... msg="...") or as an object of JSON. To
 * standard error or a file, and to a ring of the last lines (log_ring.h).
 *
 * Values are escaped (log_text.h), so nothing that a peer sends can forge a line. Writing never
 * waits: what a pipe that nobody reads, or a full disk, does not take is counted, and the number is
 * said with the next line that can be written. Any thread, once log_open() has been called. */
#ifndef LEV_SERVER_LOG_H
#define LEV_SERVER_LOG_H

#include "server/log_ring.h"
#include "server/log_text.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_NONE };

/* path NULL or empty: standard error. On failure the log stays as it was and -1 is returned, with
 * errno. Also reopens. */
int log_open(const char *path);
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* "debug", "info", "warning", "error", "none"; false if it is none of them. */
int log_level_find(const char *name, enum log_level *level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

/* What a line is about: a connection, or somebody who asks for something. What is empty is left
 * out. */
struct log_about {
	const char *peer;    /* Its address; NULL: none. */
	struct bytes name;   /* What a client calls its connection. */
	struct bytes user;   /* Who has logged in, or tries to. */
	struct bytes action; /* Of a change that an operator has made: what kind of. */
};

void log_about(enum log_level level, const struct log_about *about, const char *text);
/* With the peer alone. */
void log_peer(enum log_level level, const char *peer, const char *text);

/* As log_about(), for what somebody who has not logged in can cause as often as he likes: of each
 * kind one line a second, with the number of those held back since. kind: a string literal,
 * compared by address. now_ms: of the steady clock, not 0. */
void log_stranger(enum log_level level, const char *kind, const struct log_about *about,
		  const char *text, uint64_t now_ms);

/* The last lines, as log_ring_next() and log_ring_tail() give them; entry->level is an enum
 * log_level. */
bool log_next(uint64_t after, enum log_level level, struct log_entry *entry);
uint64_t log_tail(enum log_level level, size_t lines);

#endif
