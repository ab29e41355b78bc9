/* Page: the files of the management's page, which are part of the program. Any thread. */
#ifndef LEV_PAGE_PAGE_H
#define LEV_PAGE_PAGE_H

#include "http/reply.h"

#include <stdbool.h>
#include <stddef.h>

/* Ends with a name of NULL. */
struct page_file {
	const char *name;
	const unsigned char *data;
	size_t len;
};

extern const struct page_file page_files[];

/* Answers with "/" or "/page/NAME". False: it is none of these, and has not been answered. */
bool page_reply(struct http_request *request);

#endif
