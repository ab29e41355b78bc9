/* Documents: what is set is kept as JSON under a digest of its names, which are as long as they
 * like. */
#include "manage/state.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { DIGEST_BYTES = 32 };

static void digest_names(const struct bytes *names, size_t len, uint8_t digest[DIGEST_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort(); /* Out of memory. */
	for (size_t i = 0; i < len; i++) {
		uint8_t size[4];
		store_u32(size, (uint32_t)names[i].len);
		EVP_DigestUpdate(context, size, sizeof size);
		EVP_DigestUpdate(context, names[i].data, names[i].len);
	}
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
}

void document_put(struct manage *m, enum document kind, const struct bytes *names, size_t names_len,
		  const json_t *value)
{
	uint8_t digest[DIGEST_BYTES];
	digest_names(names, names_len, digest);
	char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	m->options.begin_turn(m->options.arg);
	core_document_put(m->core, (uint8_t)kind, bytes_of(digest, sizeof digest),
			  text == NULL ? bytes_of(NULL, 0) : bytes_str(text));
	free(text);
}
