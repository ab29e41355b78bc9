/* Frames and methods: whatever comes, decoding stays inside its input, and what decodes encodes to
 * something that decodes to the same again. */
#include "frame.h"
#include "method.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct method *m)
{
	struct method again;
	size_t size = method_size(m);
	uint8_t *wire = malloc(size), *twice = malloc(size);
	struct writer w = writer_of(wire, size), v = writer_of(twice, size);
	method_encode(&w, m);
	if (w.failed || w.at != w.end || method_decode(&again, bytes_of(wire, size)) != METHOD_OK)
		abort();
	method_encode(&v, &again);
	if (v.failed || memcmp(wire, twice, size) != 0 || method_name(m->id) == NULL)
		abort();
	free(wire);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f;
	struct method m;
	size_t used;
	for (struct bytes rest = bytes_of(data, size);
	     frame_parse(rest, 4096, &f, &used) == FRAME_OK;
	     rest = bytes_of(rest.data + used, rest.len - used))
		if (f.type == FRAME_METHOD && method_decode(&m, f.payload) == METHOD_OK)
			round_trip(&m);
	if (method_decode(&m, bytes_of(data, size)) == METHOD_OK)
		round_trip(&m);
	return 0;
}
