/* Log: one line an event, in logfmt: time=... level=... msg="..." and fields. To standard error or
 * a file.
 *
 * Values are escaped, so nothing that a peer sends can forge a line. One thread. */
#ifndef LEV_SERVER_LOG_H
#define LEV_SERVER_LOG_H

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

#endif
