/* Segment: the unit in which the journal stores what turns decided. Packed entries, never changed once written.
 *
 *   segment   | header 40 | entry | entry | ...                    each entry starts on a multiple of 8
 *   header    | magic 8 | number 8 | time_ms 8 | bytes 4 | entries 4 | checksum 8 |
 *   entry     | checksum 4 | bytes 4 | kind 1 | ...                checksum: over everything after itself; bytes: unpadded
 *   message   ... | flags 1 | time delta v | queues v | (queue v, position v)* | expiry v | exchange s | routing key s |
 *             properties len v | flags and properties | body
 *   change    ... | queue v | ranges v | (start delta z, len v)* |
 *
 * v: varint (LEB128); z: zigzag varint; s: short string. Fixed-size integers are little-endian: this machine's own.
 * LMDB has no checksums, so each entry has its own (XXH3-64, lower half): one message can be read and verified alone. */
#ifndef LEV_STORAGE_SEGMENT_H
#define LEV_STORAGE_SEGMENT_H

#include "base/bytes.h"

#include <assert.h>

enum {
	SEGMENT_BYTES_MAX = 262128, /* 64 pages of LMDB less its own 16 bytes. A longer message has a segment of its own. */
	SEGMENT_HEAD_BYTES = 40,
	ENTRY_HEAD_BYTES = 9,
	JOURNAL_FORMAT = 1, /* Of everything in the data directory; another one is refused. */
};

/* Where an entry is: segment number and offset / 8. 0 is nowhere. A message of its own segment is at its start. */
static inline uint64_t location_of(uint64_t segment, uint32_t offset)
{
	return segment << 16 | offset >> 3;
}

static inline uint64_t location_segment(uint64_t location)
{
	return location >> 16;
}

static inline uint32_t location_offset(uint64_t location)
{
	return (uint32_t)(location & 0xffff) << 3;
}

struct segment_head {
	uint64_t magic;
	uint64_t number;
	uint64_t time_ms; /* What the times of its messages are relative to. */
	uint32_t bytes;   /* All of the segment. */
	uint32_t entries;
	uint64_t checksum; /* Of the fields above. */
};
static_assert(sizeof(struct segment_head) == SEGMENT_HEAD_BYTES, "written as it stands");

enum entry_kind {
	ENTRY_MESSAGE = 1,
	ENTRY_REMOVED = 2,   /* Positions of a queue that are gone for good: acked, expired, purged. */
	ENTRY_DELIVERED = 3, /* One range: positions below its start may have been delivered. The last one holds. */
	ENTRY_RETURNED = 4,  /* Positions that came back: their delivery count is one more. */
};

/* One place of a message: which queue, and where in it. */
struct place {
	uint32_t queue;
	uint64_t position;
};

struct range {
	uint64_t start;
	uint64_t len;
};

/* A message as it is stored. All views are borrowed. */
struct message_record {
	uint64_t time_ms;   /* When it was published, Unix time. */
	uint64_t expiry_ms; /* When it expires, Unix time; 0: never. */
	const struct place *places;
	uint32_t places_len; /* At least 1. */
	struct bytes exchange;
	struct bytes routing_key;
	struct bytes properties; /* Flags and properties, as on the wire. */
	struct bytes body;
};

/* An entry as it is read back: views into the segment. */
struct entry {
	enum entry_kind kind;
	uint32_t offset;               /* In its segment. */
	struct message_record message; /* ENTRY_MESSAGE; places stays NULL: see entry_next_place(). */
	uint32_t queue;                /* Others. */
	uint32_t ranges_len;
	struct reader rest; /* Places or ranges not yet taken. */
	uint64_t range_end; /* Of the range before. */
};

/* Writes an entry; its bytes (unpadded) are w->at - start afterwards. base_ms is the segment's time_ms. */
void entry_write_message(struct writer *w, const struct message_record *m, uint64_t base_ms);
void entry_write_ranges(struct writer *w, enum entry_kind kind, uint32_t queue, const struct range *ranges, size_t ranges_len);

/* Upper bounds for the two above. */
size_t entry_message_size_max(const struct message_record *m);
size_t entry_ranges_size_max(size_t ranges_len);

/* Fills the header in; data holds all `bytes` of the segment. */
void segment_seal(uint8_t *data, uint64_t number, uint64_t time_ms, uint32_t bytes, uint32_t entries);

/* Checks a segment's header against the number it was stored under. */
bool segment_open(struct bytes segment, uint64_t number, struct segment_head *head);

enum entry_result { ENTRY_OK = 0, ENTRY_END = 1, ENTRY_DAMAGED = -1 };

/* Reads and verifies the entry at offset. *next is where the following one starts; with ENTRY_DAMAGED it is 0 if not even the
 * damaged entry's length makes sense. */
int entry_read(struct bytes segment, uint64_t base_ms, uint32_t offset, struct entry *out, uint32_t *next);

/* The next place of a message, or the next range of a change; false after the last. */
bool entry_next_place(struct entry *e, struct place *place);
bool entry_next_range(struct entry *e, struct range *range);

#endif
