/* Reply: the codes with which AMQP refuses, and a refusal being on its way to the peer.
 *
 * A peer's mistake is never a C error code: whoever finds it fills a struct refusal, and one place
 * in the session turns that into channel.close or connection.close. */
#ifndef LEV_PROTOCOL_REPLY_H
#define LEV_PROTOCOL_REPLY_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum reply_code {
#define REPLY(symbol, code, name, hard) symbol = code,
#include "replies.def"
#undef REPLY
};

/* Codes of basic.return that clients get who announce the capability `idempotency`
 * (docs/idempotency.md). */
enum return_code {
	RETURN_DUPLICATE = 208, /* It has been published before; its ack follows. */
	RETURN_CONFLICT = 409,  /* Something else has been published under the same key; an ack or a
				   nack follows. */
};

/* "NOT_FOUND" for 404; "UNKNOWN" for a code that the protocol does not have. */
const char *reply_name(uint16_t code);

/* True if the specification has this code close the connection, false if it closes the channel. */
bool reply_is_hard(uint16_t code);

struct refusal {
	uint16_t code;    /* 0: nothing was refused. */
	uint8_t text_len; /* Of text, which may have zeros in it. */
	char text[256];   /* "NOT_FOUND - no queue 'x' in vhost '/'"; at most 255 bytes: one that
			     would be longer ends with "...". */
};

/* Fills *refusal with the code's name, " - " and the formatted text. Always returns false, so that
 * a function which refuses can end with `return refuse(...)`. */
__attribute__((format(printf, 3, 4))) bool refuse(struct refusal *refusal, enum reply_code code,
						  const char *format, ...);

/* The same with a text that may have zeros in it. What is no UTF-8 in either becomes question
 * marks. */
bool refuse_bytes(struct refusal *refusal, enum reply_code code, struct bytes text);

#endif
