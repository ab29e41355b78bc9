/* Log text: an event as a line of text, in logfmt or as JSON. No input or output, no clock.
 *
 * Values are escaped, so that nothing that a peer sends can forge a line or drive the terminal of
 * who reads it: control characters, those that turn the direction of writing, and bytes that are no
 * UTF-8 are never put as they are. In logfmt they are written as \xNN, in JSON as \uNNNN, with
 * U+FFFD for what is no UTF-8. */
#ifndef LEV_SERVER_LOG_TEXT_H
#define LEV_SERVER_LOG_TEXT_H

#include "base/bytes.h"

#include <limits.h>
#include <stdbool.h>

enum log_format { LOG_LOGFMT, LOG_JSON };

enum {
	LOG_TEXT_MAX = PIPE_BUF,  /* A pipe takes a line of this length whole or not at all. */
	LOG_TEXT_FIELD_MAX = 700, /* Bytes of a value once it is escaped, save the last one. */
};

struct log_text {
	char text[LOG_TEXT_MAX];
	size_t len;
	enum log_format format;
};

void log_text_begin(struct log_text *line, enum log_format format);

/* is_bare: a value of ours that needs no quotes in logfmt. What does not fit is left out, at a
 * character's end. */
void log_text_field(struct log_text *line, const char *name, struct bytes value, bool is_bare);
/* The last field, which may be as long as the line, and the line's end. */
void log_text_end(struct log_text *line, const char *name, struct bytes value);

#endif
