#include "auth/password.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum {
	SCRYPT_N = 1 << 14,
	SCRYPT_R = 8,
	SCRYPT_P = 1,
	SHA_SALT_BYTES = 4,
	SHA256_BYTES = 32,
	SHA512_BYTES = 64,
	RAW_MAX = 80,     /* Of salt and digest, */
	BASE64_MAX = 108, /* and as a text. */
};

static bool scrypt(struct bytes text, const uint8_t salt[PASSWORD_SALT_BYTES],
		   uint8_t digest[PASSWORD_DIGEST_BYTES])
{
	uint64_t n = SCRYPT_N;
	uint32_t r = SCRYPT_R, p = SCRYPT_P;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)text.data,
						  text.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
						  PASSWORD_SALT_BYTES),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	bool done = context != NULL &&
		    EVP_KDF_derive(context, digest, PASSWORD_DIGEST_BYTES, params) == 1;
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return done;
}

static bool sha(const EVP_MD *type, struct bytes text, const uint8_t *salt,
		uint8_t digest[PASSWORD_DIGEST_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context != NULL && EVP_DigestInit_ex(context, type, NULL) == 1 &&
		    EVP_DigestUpdate(context, salt, SHA_SALT_BYTES) == 1 &&
		    EVP_DigestUpdate(context, text.data, text.len) == 1 &&
		    EVP_DigestFinal_ex(context, digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	return done;
}

bool password_make(struct password *out, struct bytes text, const uint8_t salt[PASSWORD_SALT_BYTES])
{
	struct password made = { .kind = PASSWORD_NONE };
	if (text.len > 0) {
		made.kind = PASSWORD_SCRYPT;
		memcpy(made.salt, salt, sizeof made.salt);
		if (!scrypt(text, salt, made.digest))
			return false;
	}
	*out = made;
	return true;
}

static size_t salt_len(enum password_kind kind)
{
	return kind == PASSWORD_SCRYPT ? PASSWORD_SALT_BYTES : SHA_SALT_BYTES;
}

static size_t digest_len(enum password_kind kind)
{
	return kind == PASSWORD_SHA256 ? SHA256_BYTES : SHA512_BYTES; /* Scrypt's is as long. */
}

bool password_import(struct password *out, enum password_kind kind, struct bytes base64)
{
	assert(kind != PASSWORD_NONE);
	if (base64.len == 0) {
		*out = (struct password){ .kind = PASSWORD_NONE };
		return true;
	}
	size_t len = salt_len(kind) + digest_len(kind);
	if (base64.len != (len + 2) / 3 * 4)
		return false;
	uint8_t raw[BASE64_MAX];
	if (EVP_DecodeBlock(raw, base64.data, (int)base64.len) < (int)len)
		return false;
	/* The decoder forgives blanks and stray bits: what it read must be written just so. */
	uint8_t again[BASE64_MAX + 1];
	EVP_EncodeBlock(again, raw, (int)len);
	if (memcmp(again, base64.data, base64.len) != 0)
		return false;
	*out = (struct password){ .kind = kind };
	memcpy(out->salt, raw, salt_len(kind));
	memcpy(out->digest, raw + salt_len(kind), digest_len(kind));
	return true;
}

void password_export(const struct password *password, char out[PASSWORD_TEXT_MAX])
{
	_Static_assert(RAW_MAX >= (int)PASSWORD_SALT_BYTES + (int)PASSWORD_DIGEST_BYTES, "");
	uint8_t raw[RAW_MAX];
	size_t salt = salt_len(password->kind), digest = digest_len(password->kind);
	out[0] = '\0';
	if (password->kind == PASSWORD_NONE)
		return;
	memcpy(raw, password->salt, salt);
	memcpy(raw + salt, password->digest, digest);
	EVP_EncodeBlock((uint8_t *)out, raw, (int)(salt + digest));
}

bool password_is_right(const struct password *password, struct bytes text)
{
	uint8_t digest[PASSWORD_DIGEST_BYTES] = { 0 };
	bool done = scrypt(text.len > 0 ? text : bytes_str("-"), password->salt, digest);
	if (password->kind == PASSWORD_SHA256 || password->kind == PASSWORD_SHA512) {
		bool is_short = password->kind == PASSWORD_SHA256;
		memset(digest, 0, sizeof digest);
		done &= sha(is_short ? EVP_sha256() : EVP_sha512(), text, password->salt, digest);
	}
	bool is_equal = CRYPTO_memcmp(digest, password->digest, sizeof digest) == 0;
	OPENSSL_cleanse(digest, sizeof digest);
	return done && is_equal && text.len > 0 && password->kind != PASSWORD_NONE;
}
