/* Log: one line an event, in logfmt: time=... level=... msg="..." and fields. To standard error or
 * a file.
 *
 * Values are escaped, so nothing that a peer sends can forge a line. Writing never waits: what a
 * pipe that nobody reads, or a full disk, does not take is counted, and the number is said with the
 * next line that can be written. One thread. */
#ifndef LEV_SERVER_LOG_H
#define LEV_SERVER_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_NONE };

/* path NULL or empty: standard error. On failure the log stays as it was and -1 is returned, with
 * errno. Also reopens. */
int log_open(const char *path);
void log_set_level(enum log_level level);

/* "debug", "info", "warning", "error", "none"; false if it is none of them. */
int log_level_find(const char *name, enum log_level *level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

/* With the peer that it is about. */
void log_peer(enum log_level level, const char *peer, const char *text);

/* The same, for what somebody who has not logged in can cause as often as he likes: of each kind
 * one line a second, with the number of those held back since. kind: a string literal, compared by
 * address. now_ms: of the steady clock, not 0. */
void log_stranger(enum log_level level, const char *kind, const char *peer, const char *text,
		  uint64_t now_ms);

#endif
