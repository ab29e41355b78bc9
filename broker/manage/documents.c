/* Documents: what is set is kept under a digest of its names, which are as long as they like. Most
 * are JSON. Of users and what they may there can be a great many, which a start reads: those are a
 * byte 1 and fields, each a length of 4 bytes and as many bytes. (JSON of them is read, too.) */
#include "manage/state.h"

#include "base/alloc.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { DIGEST_BYTES = 32, OF_FIELDS = 1, LENGTH_BYTES = 4 };

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

static void put(struct manage *m, enum document kind, const struct bytes *names, size_t names_len,
		struct bytes value)
{
	uint8_t digest[DIGEST_BYTES];
	digest_names(names, names_len, digest);
	m->options.begin_turn(m->options.arg);
	core_document_put(m->core, (uint8_t)kind, bytes_of(digest, sizeof digest), value);
}

void document_put(struct manage *m, enum document kind, const struct bytes *names, size_t names_len,
		  const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	put(m, kind, names, names_len, bytes_str(text));
	free(text);
}

void document_put_fields(struct manage *m, enum document kind, const struct bytes *names,
			 size_t names_len, const struct bytes *fields, size_t fields_len)
{
	size_t len = 1;
	for (size_t i = 0; i < fields_len; i++)
		len += LENGTH_BYTES + fields[i].len;
	uint8_t *value = alloc_resize(NULL, len);
	struct writer w = writer_of(value, len);
	write_u8(&w, OF_FIELDS);
	for (size_t i = 0; i < fields_len; i++) {
		write_u32(&w, (uint32_t)fields[i].len);
		write_bytes(&w, fields[i]);
	}
	assert(!w.failed && w.at == w.end);
	put(m, kind, names, names_len, bytes_of(value, len));
	free(value);
}

void document_delete(struct manage *m, enum document kind, const struct bytes *names,
		     size_t names_len)
{
	put(m, kind, names, names_len, bytes_of(NULL, 0));
}

bool document_is_of_fields(struct bytes value)
{
	return value.len > 0 && value.data[0] == OF_FIELDS;
}

bool document_fields(struct bytes value, struct bytes *fields, size_t len)
{
	struct reader r = reader_of(value.data, value.len);
	read_u8(&r);
	for (size_t i = 0; i < len; i++)
		fields[i] = read_longstr(&r);
	return !r.failed && reader_left(&r) == 0;
}
