/* Frame: the envelope of everything on an AMQP connection (specification, section 2.3.5).
 *
 *   0      1         3             7                 7+size
 *   +------+---------+-------------+--- ... ---------+------+
 *   | type | channel | payload size|     payload     | 0xCE |
 *   +------+---------+-------------+--- ... ---------+------+
 *
 * No allocation, no state; safe from any thread. */
#ifndef LEV_PROTOCOL_FRAME_H
#define LEV_PROTOCOL_FRAME_H

#include "base/bytes.h"

enum frame_type {
	FRAME_METHOD = 1,
	FRAME_HEADER = 2,
	FRAME_BODY = 3,
	FRAME_HEARTBEAT = 8,
};

enum {
	FRAME_HEAD_BYTES = 7,
	FRAME_OVERHEAD = 8, /* Head and end octet. */
	FRAME_END = 0xce,
	FRAME_MAX_MIN = 4096,      /* No peer may ask for less. */
	PROTOCOL_HEADER_BYTES = 8, /* "AMQP" 0 0 9 1 */
};

struct frame {
	uint8_t type;
	uint16_t channel;
	struct bytes payload; /* Borrowed from the input. */
	uint32_t size;        /* As its head claims: also set with FRAME_TOO_LARGE. */
};

enum frame_result {
	FRAME_OK = 0,
	FRAME_INCOMPLETE = 1, /* Ask again with more bytes. */
	FRAME_TOO_LARGE = -1, /* Found from the head alone. */
	FRAME_BAD_END = -2,   /* The payload is set; the octet after it is not 0xCE. */
};

/* Looks at the start of `in`. frame_max counts the whole frame, as negotiated. *used is set with
 * FRAME_OK only. */
static inline int frame_parse(struct bytes in, uint32_t frame_max, struct frame *out, size_t *used)
{
	if (in.len < FRAME_HEAD_BYTES)
		return FRAME_INCOMPLETE;
	out->type = in.data[0];
	out->channel = load_u16(in.data + 1);
	out->size = load_u32(in.data + 3);
	if (out->size > frame_max - FRAME_OVERHEAD)
		return FRAME_TOO_LARGE;
	if (in.len - FRAME_OVERHEAD < out->size || in.len < FRAME_OVERHEAD)
		return FRAME_INCOMPLETE;
	out->payload = bytes_of(in.data + FRAME_HEAD_BYTES, out->size);
	if (in.data[FRAME_HEAD_BYTES + out->size] != FRAME_END)
		return FRAME_BAD_END;
	*used = FRAME_OVERHEAD + (size_t)out->size;
	return FRAME_OK;
}

/* Writes the seven bytes before a payload of this size. */
static inline void frame_head(uint8_t *at, uint8_t type, uint16_t channel, uint32_t size)
{
	at[0] = type;
	store_u16(at + 1, channel);
	store_u32(at + 3, size);
}

#endif
