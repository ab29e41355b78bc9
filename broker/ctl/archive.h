/* Archive: files that are texts, into one .tar.gz (POSIX.1-1988 "ustar"). */
#ifndef LEV_CTL_ARCHIVE_H
#define LEV_CTL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>

struct archive;

/* Only its owner may read it. NULL, and errno. */
struct archive *archive_create(const char *path);
/* name: of at most 99 bytes. */
void archive_add(struct archive *archive, const char *name, const char *data, size_t len);
/* False: some of it could not be written. */
bool archive_close(struct archive *archive);

#endif
