#include "http/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { LEVEL = 1, MEMORY_LEVEL = 8, GZIP_WINDOW_BITS = 15 + 16 }; /* 16: with gzip's header. */

/* What does not fit into room is not shorter. */
static bool deflate_into(z_stream *z, struct bytes in, uint8_t *room, size_t cap)
{
	z->next_in = (uint8_t *)in.data;
	z->avail_in = (uInt)in.len;
	z->next_out = room;
	z->avail_out = (uInt)cap;
	return deflate(z, Z_FINISH) == Z_STREAM_END;
}

bool gzip_compress(struct bytes in, struct bytes *out)
{
	z_stream z = { 0 };
	if (in.len < 2 || in.len > INT_MAX ||
	    deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	uint8_t *room = malloc(in.len - 1);
	bool is_done = room != NULL && deflate_into(&z, in, room, in.len - 1);
	size_t len = z.total_out;
	deflateEnd(&z);
	if (!is_done) {
		free(room);
		return false;
	}
	uint8_t *fitting = realloc(room, len);
	*out = bytes_of(fitting == NULL ? room : fitting, len);
	return true;
}
