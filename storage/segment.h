/* Segment: the unit in which the log stores what turns decided. Packed entries, never changed once
 * written.
 *
 *   segment   | header 56 | entry | entry | ...                    starts on a multiple of 512 of the log
 *   header    | magic 8 | at 8 | sequence 8 | time_ms 8 | generation 4 | flags 4 | bytes 4 | entries 4 | checksum 8 |
 *   entry     | checksum 4 | bytes 4 | kind 1 | ...                starts on a multiple of 8
 *   message   ... | flags 1 | time z | queues v | (queue v, position v)* | expiry z | exchange s | routing key s |
 *             properties len v | flags and properties | body
 *   change    ... | queue v | ranges v | (start delta z, len v)* |
 *   put       ... | key len v | key | value
 *   note      ... | key len v | key | value                        as put, but not for the store: whoever wrote it sees to that
 *   skip      ... | bytes 4                                        what lies there was never written
 *
 * v: varint (LEB128); z: zigzag varint; s: short string. Fixed-size integers are little-endian:
 * this machine's own. An entry's checksum (XXH3-64, lower half) is over everything after itself,
 * its length is without padding: one message can be read and verified alone. Times are Unix time
 * less that of 2020. */
#ifndef LEV_STORAGE_SEGMENT_H
#define LEV_STORAGE_SEGMENT_H

#include "base/bytes.h"

#include <assert.h>

#ifndef LOG_SLOT_BYTES /* The simulation has small ones. */
#define LOG_SLOT_BYTES (16u << 20)
#endif
#ifndef SEGMENT_BYTES_MAX
#define SEGMENT_BYTES_MAX (256u << 10)
#endif

enum {
	SEGMENT_ALIGN = 512, /* A write must not touch a sector that holds what is durable. */
	SEGMENT_HEAD_BYTES = 56,
	ENTRY_HEAD_BYTES = 9,
	ENTRY_ALIGN = 8,
	SKIP_BYTES = ENTRY_HEAD_BYTES + 4,
	/* Of everything in the data directory. One between these two is taken up, and is of the
	 * latter from the first checkpoint on; others are refused. */
	JOURNAL_FORMAT_OLDEST = 2,
	JOURNAL_FORMAT = 3, /* Virtual hosts, documents. */
};

/* --- addresses
 * --------------------------------------------------------------------------------------------------
 *
 * The log is one endless sequence of bytes; `at` counts them, and never starts again. It is cut
 * into slots of equal size, which is what the file is made of and what is used again (space.h).
 * Where an entry is, its location, is at / 8; 0 is nowhere. What need not survive the process, and
 * is in the log for want of memory, has a bit of its own in its locations. */

static const uint64_t location_volatile = (uint64_t)1 << 61;

static inline uint64_t location_of(uint64_t at, bool is_volatile)
{
	return at / ENTRY_ALIGN | (is_volatile ? location_volatile : 0);
}

static inline bool location_is_volatile(uint64_t location)
{
	return (location & location_volatile) != 0;
}

static inline uint64_t location_at(uint64_t location)
{
	return (location & ~location_volatile) * ENTRY_ALIGN;
}

static inline uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* Small differences in either direction become small numbers. */
static inline uint64_t zigzag(uint64_t delta)
{
	return delta << 1 ^ (uint64_t)((int64_t)delta >> 63);
}

static inline uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ -(v & 1);
}

/* --- segments and entries --- */

enum segment_flags {
	SEGMENT_IS_FIRST = 1, /* Of its batch. */
	SEGMENT_IS_LAST = 2,
};

struct segment_head {
	uint64_t magic;
	uint64_t at;
	uint64_t sequence;   /* Of its batch. */
	uint64_t time_ms;    /* When it was begun. */
	uint32_t generation; /* Of the process that wrote it. */
	uint32_t flags;
	uint32_t bytes; /* All of the segment. */
	uint32_t entries;
	uint64_t checksum; /* Of the fields above. */
};
static_assert(sizeof(struct segment_head) == SEGMENT_HEAD_BYTES, "written as it stands");

enum entry_kind {
	ENTRY_MESSAGE = 1,
	ENTRY_REMOVED =
		2, /* Positions of a queue that are gone for good: acked, expired, purged. */
	ENTRY_DELIVERED = 3, /* One range: positions below its start may have been delivered. The
				last one holds. */
	ENTRY_RETURNED = 4,  /* Positions that came back: their delivery count is one more. */
	ENTRY_PUT = 5,       /* A definition, as it is from now on. */
	ENTRY_DELETE = 6,    /* A definition that is gone. */
	ENTRY_BYTES = 8, /* One range: the bytes of the bodies that a queue holds are its start. The
			    last one holds. */
	ENTRY_NOTE = 9,  /* Something that the core will want to know at a start, until a checkpoint
			    has it. */
	ENTRY_SKIP = 7,  /* Nothing: messages that were gone before they were written. */
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
	bool is_volatile;   /* Not to be recovered. */
	bool is_keyed;      /* Its idempotency key holds as long as it is in one of its places. */
	bool is_old;        /* Written before is_keyed was said, and before headers that are for the
			       broker only were taken out. */
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
	uint64_t at; /* In the log. */
	struct message_record
		message; /* ENTRY_MESSAGE; places stays NULL: see entry_next_place(). */
	uint32_t queue;  /* REMOVED, DELIVERED, RETURNED. */
	uint32_t ranges_len;
	struct bytes key;   /* PUT, DELETE, NOTE. */
	struct bytes value; /* PUT, NOTE. */
	struct reader rest; /* Places or ranges not yet taken. */
	uint64_t range_end; /* Of the range before. */
};

/* Writes an entry; its bytes (unpadded) are w->at - start afterwards. */
void entry_write_message(struct writer *w, const struct message_record *m);
void entry_write_ranges(struct writer *w, enum entry_kind kind, uint32_t queue,
			const struct range *ranges, size_t ranges_len);
void entry_write_put(struct writer *w, enum entry_kind kind, struct bytes key, struct bytes value);

/* Over what was `bytes` bytes of entries. At least SKIP_BYTES. */
void entry_write_skip(uint8_t *start, uint32_t bytes);

/* Upper bounds for the above. */
size_t entry_message_size_max(const struct message_record *m);
size_t entry_ranges_size_max(size_t ranges_len);
size_t entry_put_size_max(struct bytes key, struct bytes value);

/* Fills the header's magic and checksum in and writes it to data. */
void segment_seal(uint8_t *data, struct segment_head head);

/* Reads a header and checks that it is one and belongs where it was found. Of the segment, only the
 * header need be there. */
bool segment_open(struct bytes data, uint64_t at, struct segment_head *head);

enum entry_result { ENTRY_OK = 0, ENTRY_END = 1, ENTRY_DAMAGED = -1 };

/* Reads and verifies the entry at an offset of a segment. *next is where the following one starts;
 * with ENTRY_DAMAGED it is 0 if not even the damaged entry's length makes sense. */
int entry_read(struct bytes segment, uint64_t segment_at, uint32_t offset, struct entry *out,
	       uint32_t *next);

/* The unpadded length of the entry that starts here, 0 if that makes no sense; ENTRY_HEAD_BYTES
 * must be there. */
uint32_t entry_length(const uint8_t *start);

/* The next place of a message, or the next range of a change; false after the last. */
bool entry_next_place(struct entry *e, struct place *place);
bool entry_next_range(struct entry *e, struct range *range);

/* Whether a message has this place. One that is whole but has not is another one: what led to it
 * was damaged. Takes all places. */
bool entry_has_place(struct entry *e, struct place place);

#endif
