/* Content: a publish, as it goes on the wire: method, header and body, in one block of memory,
 * ready to be cut into frames for whatever channel and connection, as often as need be. */
#ifndef LEV_CLIENT_CONTENT_H
#define LEV_CLIENT_CONTENT_H

#include "link.h"

/* What the library adds to what the user wants to publish. Zeroed: nothing. */
struct content_extra {
	bool is_mandatory;
	bool has_sequence;
	bool is_body_apart; /* The block holds method and header only. */
	struct bytes producer_id;
	uint64_t epoch;
	uint64_t sequence;
	const char *correlation_id; /* Instead of the properties'. */
	const char *reply_to;
	uint64_t expiration_ms; /* If the properties have none, or a later one. */
};

struct content_block {
	uint8_t *data; /* Owned. */
	size_t cap;
	uint32_t method_len;
	uint32_t header_len;
	size_t body_len;
};

/* Encodes into block, using its memory again if it is enough. LEV_INVALID or LEV_NO_MEMORY with the
 * thread's reason. */
int content_encode(struct content_block *block, const struct lev_publish *publish,
		   const struct content_extra *extra);

/* Gives memory back that is more than a small message needs. */
void content_trim(struct content_block *block);
void content_fini(struct content_block *block);

static inline size_t content_bytes(const struct content_block *b)
{
	return b->method_len + b->header_len + b->body_len;
}

static inline struct content content_of(const struct content_block *b)
{
	const uint8_t *header = b->data + b->method_len;
	return (struct content){
		.method = bytes_of(b->data, b->method_len),
		.header = bytes_of(header, b->header_len),
		.body = bytes_of(header + b->header_len, b->body_len),
	};
}

/* "parent/step" or, without a step, "parent"; the length, or 0 if that is too long for a key. */
size_t content_key(char out[UINT8_MAX + 1], const char *parent, const char *step);

/* Of the encoded: its exchange, and a header. False if it has none. */
struct bytes content_exchange(const struct content_block *b);
bool content_find_header(const struct content_block *b, const char *name, struct bytes *raw);

/* A number in digits of a base up to 16; out has room for 21 bytes. */
void content_digits(char *out, uint64_t number, unsigned base);

/* LEV_OK if it can be a name on the wire. NULL is. */
int content_check_name(const char *what, const char *name);

#endif
