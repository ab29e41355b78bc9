/* Template: a publish in wire form, of which only the stamp and the keys change from message to
 * message. */
#ifndef LEV_BENCH_TEMPLATE_H
#define LEV_BENCH_TEMPLATE_H

#include "base/bytes.h"
#include "stamp.h"

struct template
{
	uint8_t *wire; /* Owned: method, content header and body frames. */
	size_t len;
	size_t stamp_at;  /* 0: the body is too short for one. */
	size_t key_at;    /* Seven digits at the end of the routing key; 0: it does not change. */
	size_t unique_at; /* Sixteen hexadecimal digits of the idempotency key; 0: none. */
};

struct template_of {
	uint16_t channel;
	uint32_t frame_max;
	struct bytes exchange;
	struct bytes routing_key;
	bool has_key_digits; /* ".0000000" is added to the key. */
	bool is_persistent;
	bool is_mandatory;
	struct bytes headers;        /* A table. */
	const char *idempotency_key; /* 16 digits are added; NULL: none. */
	struct bytes correlation_id; /* Empty: none. */
	struct bytes reply_to;       /* Empty: none. */
	size_t size;                 /* Of the body. */
};

void template_init(struct template *t, const struct template_of *of);
void template_fini(struct template *t);

/* A copy at `at`, which has room for t->len bytes. key: which of the keys; unique: what makes the
 * idempotency key. */
static inline void template_put(const struct template *t, uint8_t *at, const struct stamp *stamp,
				uint32_t key, uint64_t unique)
{
	static const char hex[] = "0123456789abcdef";
	memcpy(at, t->wire, t->len);
	if (t->stamp_at != 0)
		memcpy(at + t->stamp_at, stamp, STAMP_BYTES);
	for (unsigned i = 7; t->key_at != 0 && i-- > 0; key /= 10)
		at[t->key_at + i] = (uint8_t)('0' + key % 10);
	for (unsigned i = 16; t->unique_at != 0 && i-- > 0; unique >>= 4)
		at[t->unique_at + i] = (uint8_t)hex[unique & 15];
}

#endif
