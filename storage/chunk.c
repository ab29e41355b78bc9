#include "chunk.h"

void chunk_begin(struct chunk_writer *chunk, uint8_t *data, size_t size, uint32_t generation,
		 uint32_t slots)
{
	chunk->w = writer_of(data, size);
	chunk->before = 0;
	write_varint(&chunk->w, generation);
	write_varint(&chunk->w, slots);
}

void chunk_add(struct chunk_writer *chunk, uint64_t location)
{
	if (location == 0) {
		write_varint(&chunk->w, 0);
		return;
	}
	uint64_t plain = location & ~location_volatile;
	write_varint(&chunk->w,
		     (zigzag(plain - chunk->before) << 1 | location_is_volatile(location)) + 1);
	chunk->before = plain;
}

bool chunk_open(struct chunk_reader *chunk, struct bytes value)
{
	chunk->r = reader_of(value.data, value.len);
	chunk->before = 0;
	chunk->generation = (uint32_t)read_varint(&chunk->r);
	chunk->left = (uint32_t)read_varint(&chunk->r);
	return !chunk->r.failed && chunk->left <= reader_left(&chunk->r);
}

bool chunk_next(struct chunk_reader *chunk, uint64_t *location)
{
	if (chunk->left == 0)
		return false;
	chunk->left--;
	uint64_t coded = read_varint(&chunk->r);
	*location = 0;
	if (coded == 0)
		return !chunk->r.failed;
	coded--;
	chunk->before += unzigzag(coded >> 1);
	*location = chunk->before | ((coded & 1) ? location_volatile : 0);
	return !chunk->r.failed && chunk->before < location_volatile;
}
