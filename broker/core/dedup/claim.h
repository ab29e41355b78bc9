/* Claim: what a publish says of itself in headers that do not go on to consumers. */
#ifndef LEV_CORE_DEDUP_CLAIM_H
#define LEV_CORE_DEDUP_CLAIM_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct core;
struct headers;
struct message;
struct table_value;
struct vhost;

enum { UID_BYTES = 16 };

/* A producer's name is told apart by vhost: that of any but "/" is led by a NUL and the vhost's id,
 * and so is one that begins with a NUL itself. */
enum { PRODUCER_PREFIX = 5, PRODUCER_NAME_MAX = PRODUCER_PREFIX + UINT8_MAX };

/* What a publish says in headers that do not go on to consumers. */
struct claim {
	bool is_copy; /* It came with the x-message-uid of another message, which it repeats for
			 somebody else: that one's identity is not its own. */
	bool has_producer;
	uint16_t name_len;
	uint8_t name[PRODUCER_NAME_MAX]; /* producer_name() */
	uint64_t epoch;
	uint64_t sequence;
	uint64_t origin[2]; /* Hash of that uid. */
};

/* Some of these headers are there. */
bool claim_is_made(const struct headers *headers);
/* The channel keeps the claim, until its next publish; the message goes on without, and with a uid
 * of its own. Unchanged, and no claim, if the headers make no sense. Takes one reference and gives
 * one. */
struct message *claim_take(struct channel *ch, struct message *message,
			   const struct headers *headers);
/* For a publisher whose message comes back: with the producer's number that it had. Takes one
 * reference and gives one. */
struct message *claim_give_back(struct core *core, struct message *message,
				const struct claim *claim);
void claim_hash_origin(const struct core *core, const struct table_value *uid, uint64_t hash[2]);
/* Gives the message a header x-message-uid, unless it has one. Takes one reference and gives one.
 */
struct message *message_with_uid(struct core *core, struct message *message);

/* The name by which it is known; name has 255 bytes at most. */
struct bytes producer_name(uint8_t buffer[PRODUCER_NAME_MAX], const struct vhost *vhost,
			   struct bytes name);
/* As its publishers call it. */
struct bytes producer_text(struct bytes name);

static inline struct bytes claim_producer(const struct claim *claim)
{
	return bytes_of(claim->name, claim->name_len);
}

#endif
