/* Audit: what the log says of a change that somebody has asked for through management, and of what
 * came of it. Text only: who asked is known to whoever brought the question, and tells the log. */
#ifndef LEV_MANAGE_AUDIT_H
#define LEV_MANAGE_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { AUDIT_TEXT_MAX = 1200 };

/* Whether the question, with "command", asks for a change; one that nobody here knows is taken for
 * one. */
bool audit_is_change(const json_t *question);

/* A line: the fields of the question, and what the answer says of it; NULL: there is none. Values
 * of fields that look like secrets, at any depth, are left out, as are passwords within URIs. What
 * is long is cut. Names are as they came: the log escapes them. */
void audit_text(const json_t *question, const json_t *answer, char out[static AUDIT_TEXT_MAX]);

#endif
