#include "http/basic.h"

#include "http/text.h"

#include <limits.h>
#include <openssl/evp.h>

static bool is_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '+' ||
	       c == '/';
}

/* EVP_DecodeBlock() skips blanks around it and takes padding for zeros: what it is given has to be
 * looked at first. */
static bool is_strict(struct bytes in, size_t padding)
{
	for (size_t i = 0; i < in.len - padding; i++)
		if (!is_digit(in.data[i]))
			return false;
	return true;
}

bool base64_decode(struct bytes in, uint8_t *out, size_t *len)
{
	if (in.len % 4 != 0 || in.len > INT_MAX)
		return false;
	*len = 0;
	if (in.len == 0)
		return true;
	size_t padding = 0;
	while (padding < 2 && in.data[in.len - 1 - padding] == '=')
		padding++;
	if (!is_strict(in, padding))
		return false;
	int all = EVP_DecodeBlock(out, in.data, (int)in.len);
	if (all < (int)padding)
		return false;
	*len = (size_t)all - padding;
	/* The last digit's unused bits are in the first byte of those that padding stands for. */
	return padding == 0 || out[*len] == 0;
}

bool http_basic_read(struct bytes header, struct http_basic *login)
{
	size_t len;
	struct bytes rest = header;
	if (!text_equal_fold(text_cut(&rest, ' '), "basic"))
		return false;
	rest = text_trim(rest);
	if (rest.len / 4 * 3 > sizeof login->text || !base64_decode(rest, login->text, &len) ||
	    len > HTTP_BASIC_MAX)
		return false;
	const uint8_t *colon = len == 0 ? NULL : memchr(login->text, ':', len);
	if (colon == NULL)
		return false;
	login->user = bytes_of(login->text, (size_t)(colon - login->text));
	login->password = bytes_of(colon + 1, len - login->user.len - 1);
	return true;
}
