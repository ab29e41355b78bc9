#include "ctl/archive.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 512 };

struct archive {
	gzFile out;
	bool is_good;
};

/* Numbers are octal texts, ended by NUL or a blank. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char rest[247];
};

static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct archive *archive_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive *a = fd == -1 ? NULL : calloc(1, sizeof *a);
	if (a == NULL)
		return NULL;
	a->out = gzdopen(fd, "wb");
	a->is_good = a->out != NULL;
	if (a->is_good)
		return a;
	close(fd);
	free(a);
	return NULL;
}

static void put(struct archive *a, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0 && a->is_good) {
		unsigned part = len > 1U << 30 ? 1U << 30 : (unsigned)len;
		a->is_good = gzwrite(a->out, at, part) == (int)part;
		at += part;
		len -= part;
	}
}

/* Of all bytes, those of its own field taken for blanks. */
static void seal(struct header *h)
{
	unsigned sum = 0;
	const unsigned char *bytes = (const unsigned char *)h;
	memset(h->checksum, ' ', sizeof h->checksum);
	for (size_t i = 0; i < sizeof *h; i++)
		sum += bytes[i];
	snprintf(h->checksum, 7, "%06o", sum & 0777777U);
}

void archive_add(struct archive *a, const char *name, const char *data, size_t len)
{
	static const char zeros[BLOCK];
	struct header h = { .type = '0', .magic = "ustar", .version = { '0', '0' } };
	snprintf(h.name, sizeof h.name, "%s", name);
	snprintf(h.mode, sizeof h.mode, "%07o", 0600U);
	snprintf(h.uid, sizeof h.uid, "%07o", 0U);
	snprintf(h.gid, sizeof h.gid, "%07o", 0U);
	snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)len & 077777777777ULL);
	snprintf(h.mtime, sizeof h.mtime, "%011llo",
		 (unsigned long long)time(NULL) & 077777777777ULL);
	seal(&h);
	put(a, &h, sizeof h);
	put(a, data, len);
	put(a, zeros, (BLOCK - len % BLOCK) % BLOCK);
}

bool archive_close(struct archive *a)
{
	static const char end[2 * BLOCK];
	put(a, end, sizeof end);
	bool is_good = gzclose(a->out) == Z_OK && a->is_good;
	free(a);
	return is_good;
}
