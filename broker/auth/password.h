/* Password: what is kept of one, from which it cannot be had back.
 *
 * New ones are hashed by scrypt (RFC 7914; N = 2^14, r = 8, p = 1), which takes about 100 ms and
 * 16 MiB each time. The salted SHA-256 and SHA-512 hashes of RabbitMQ's definitions are kept as
 * they came: who has them in a file can go on logging in.
 *
 * No shared state: safe from any thread, and not for a loop's own. */
#ifndef LEV_AUTH_PASSWORD_H
#define LEV_AUTH_PASSWORD_H

#include "base/bytes.h"

enum { PASSWORD_SALT_BYTES = 16, PASSWORD_DIGEST_BYTES = 64 };

/* The numbers are for good: they may stand on disk. */
enum password_kind {
	PASSWORD_NONE = 0, /* No login by password. */
	PASSWORD_SCRYPT = 1,
	PASSWORD_SHA256 = 2,
	PASSWORD_SHA512 = 3,
};

/* A plain value; what salt and digest have beyond their kind's length is zero. */
struct password {
	enum password_kind kind;
	uint8_t salt[PASSWORD_SALT_BYTES];
	uint8_t digest[PASSWORD_DIGEST_BYTES];
};

/* By scrypt. salt: random, never used before. An empty text makes PASSWORD_NONE. False, and *out is
 * untouched: there is no memory for it. */
bool password_make(struct password *out, struct bytes text,
		   const uint8_t salt[PASSWORD_SALT_BYTES]);

/* From `password_hash` of definitions: base64 of the salt and the digest of kind, RabbitMQ's with
 * four bytes of salt. An empty one makes PASSWORD_NONE. False, and *out is untouched: it is none.
 */
bool password_import(struct password *out, enum password_kind kind, struct bytes base64);

enum { PASSWORD_TEXT_MAX = 112 };

/* The other way round; out is a string then. */
void password_export(const struct password *password, char out[PASSWORD_TEXT_MAX]);

/* Spends one scrypt whatever the kind is, so that the time tells nothing of it: of a user that does
 * not exist, ask a PASSWORD_NONE. An empty text is never right; nor is any without memory. */
bool password_is_right(const struct password *password, struct bytes text);

#endif
