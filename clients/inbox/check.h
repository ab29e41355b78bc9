/* What all inboxes ask of their arguments. */
#ifndef LEV_INBOX_CHECK_H
#define LEV_INBOX_CHECK_H

#include <leveret/leveret.h>

#include <string.h>

#include <stdbool.h>

enum { INBOX_NAME_BYTES_MAX = 255 };

static inline int inbox_check(const char *consumer, const char *key)
{
	if (consumer == NULL || key == NULL || key[0] == '\0')
		return lev_fail(LEV_INVALID, "an inbox needs a consumer and a key");
	if (strlen(consumer) > INBOX_NAME_BYTES_MAX || strlen(key) > INBOX_NAME_BYTES_MAX)
		return lev_fail(LEV_INVALID, "a consumer or key of more than %d bytes",
				INBOX_NAME_BYTES_MAX);
	return LEV_OK;
}

#endif
