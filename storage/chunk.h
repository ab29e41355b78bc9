/* Chunk: a stretch of a queue's index as the store has it: where in the log the messages of
 * consecutive positions are.
 *
 *   chunk   generation v | slots v | (0, or 1 + (location delta z << 1 | volatile) v)*           0: nothing lives there
 *
 * generation: of the process that wrote it; what is volatile means something to that one only. */
#ifndef LEV_STORAGE_CHUNK_H
#define LEV_STORAGE_CHUNK_H

#include "segment.h"

struct chunk_writer {
	struct writer w;
	uint64_t before; /* Location. */
};

struct chunk_reader {
	struct reader r;
	uint64_t before;
	uint32_t generation;
	uint32_t left; /* Slots. */
};

enum { CHUNK_SLOT_BYTES_MAX = VARINT_MAX, CHUNK_HEAD_BYTES_MAX = 2 * VARINT_MAX };

void chunk_begin(struct chunk_writer *chunk, uint8_t *data, size_t size, uint32_t generation,
		 uint32_t slots);

/* location 0: nothing. */
void chunk_add(struct chunk_writer *chunk, uint64_t location);

/* False if it is damaged. */
bool chunk_open(struct chunk_reader *chunk, struct bytes value);

/* False after the last slot, or where it is damaged. */
bool chunk_next(struct chunk_reader *chunk, uint64_t *location);

#endif
