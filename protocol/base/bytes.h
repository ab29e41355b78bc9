/* Bytes: a borrowed view, a reader and a writer over memory that somebody else owns.
 *
 * Reader and writer have a sticky error: once a read would pass the end, every later read returns
 * zero and `failed` stays set, so a decoder is written straight through and checked once at its
 * end. Integers are big-endian, as AMQP sends them.
 *
 * Nothing here allocates, and nothing reads or writes outside [at, end). Safe from any thread; no
 * shared state. */
#ifndef LEV_BASE_BYTES_H
#define LEV_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view. Borrowed: valid as long as the memory it was cut from. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

struct writer {
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
	return (struct bytes){ data, len };
}

/* Of a NUL-terminated string, without the NUL. */
static inline struct bytes bytes_str(const char *s)
{
	return bytes_of(s, strlen(s));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool bytes_equal_str(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_str(s));
}

static inline bool bytes_has_prefix(struct bytes a, const char *prefix)
{
	size_t len = strlen(prefix);
	return a.len >= len && memcmp(a.data, prefix, len) == 0;
}

/* True if the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF). */
bool bytes_is_utf8(struct bytes b);

/* How many bytes, at the beginning of some that are not empty, make a character that may be shown as
 * it is; 0: the first byte does not belong to one. Control characters, the C1 ones and those that
 * turn the direction of writing among them, could forge lines or drive a terminal. */
size_t bytes_shown_len(struct bytes b);

/* Puts a question mark in place of each byte that keeps them from being so. */
void bytes_mend_utf8(uint8_t *data, size_t len);

/* For printf's "%.*s". */
#define BYTES_ARG(b) (int)(b).len, (const char *)((b).data == NULL ? (const uint8_t *)"" : (b).data)

/* --- reading --- */

static inline struct reader reader_of(const void *data, size_t len)
{
	const uint8_t *at = data;
	return (struct reader){ at, at == NULL ? NULL : at + len, false };
}

static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

/* The next len bytes, or NULL and failed. */
static inline const uint8_t *read_raw(struct reader *r, size_t len)
{
	if (r->failed || reader_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->at;
	r->at += len;
	return p;
}

static inline struct bytes read_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = read_raw(r, len);
	return (struct bytes){ p, p == NULL ? 0 : len };
}

static inline uint16_t load_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap16(v);
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

static inline uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = read_raw(r, 1);
	return p == NULL ? 0 : *p;
}

static inline uint16_t read_u16(struct reader *r)
{
	const uint8_t *p = read_raw(r, 2);
	return p == NULL ? 0 : load_u16(p);
}

static inline uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = read_raw(r, 4);
	return p == NULL ? 0 : load_u32(p);
}

static inline uint64_t read_u64(struct reader *r)
{
	const uint8_t *p = read_raw(r, 8);
	return p == NULL ? 0 : load_u64(p);
}

static inline struct bytes read_shortstr(struct reader *r)
{
	return read_bytes(r, read_u8(r));
}

static inline struct bytes read_longstr(struct reader *r)
{
	return read_bytes(r, read_u32(r));
}

/* LEB128, at most ten bytes. For our own formats, never for AMQP. */
uint64_t read_varint(struct reader *r);

/* --- writing --- */

static inline struct writer writer_of(void *data, size_t cap)
{
	uint8_t *at = data;
	return (struct writer){ at, at + cap, false };
}

static inline size_t writer_room(const struct writer *w)
{
	return (size_t)(w->end - w->at);
}

/* Room for len bytes, to be filled by the caller; NULL and failed if there is not enough. */
static inline uint8_t *write_room(struct writer *w, size_t len)
{
	if (w->failed || writer_room(w) < len) {
		w->failed = true;
		return NULL;
	}
	uint8_t *p = w->at;
	w->at += len;
	return p;
}

static inline void store_u16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof v);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

static inline void write_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = write_room(w, 1);
	if (p != NULL)
		*p = v;
}

static inline void write_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = write_room(w, 2);
	if (p != NULL)
		store_u16(p, v);
}

static inline void write_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = write_room(w, 4);
	if (p != NULL)
		store_u32(p, v);
}

static inline void write_u64(struct writer *w, uint64_t v)
{
	uint8_t *p = write_room(w, 8);
	if (p != NULL)
		store_u64(p, v);
}

static inline void write_raw(struct writer *w, const void *data, size_t len)
{
	uint8_t *p = write_room(w, len);
	if (p != NULL && len > 0)
		memcpy(p, data, len);
}

static inline void write_bytes(struct writer *w, struct bytes b)
{
	write_raw(w, b.data, b.len);
}

/* Fails the writer if b is longer than 255 bytes. */
static inline void write_shortstr(struct writer *w, struct bytes b)
{
	w->failed |= b.len > UINT8_MAX;
	write_u8(w, (uint8_t)b.len);
	write_bytes(w, b);
}

static inline void write_longstr(struct writer *w, struct bytes b)
{
	w->failed |= b.len > UINT32_MAX;
	write_u32(w, (uint32_t)b.len);
	write_bytes(w, b);
}

void write_varint(struct writer *w, uint64_t v);

enum { VARINT_MAX = 10 }; /* Bytes that one varint takes at most. */

#endif
