#include "http/basic.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>

static bool decodes(const char *text, const char *to)
{
	uint8_t out[100];
	size_t len;
	return base64_decode(bytes_str(text), out, &len) && bytes_equal_str(bytes_of(out, len), to);
}

Test(http_basic, decodes_base64)
{
	cr_assert(decodes("", ""));
	cr_assert(decodes("Zg==", "f"));
	cr_assert(decodes("Zm8=", "fo"));
	cr_assert(decodes("Zm9v", "foo"));
	cr_assert(decodes("Zm9vYmE=", "fooba"));
	cr_assert(decodes("+/+/", "\373\377\277"));
}

Test(http_basic, refuses_what_is_not_strictly_base64)
{
	static const char *const odd[] = { "Z",        "Zg",    "Zg=",   "Zg===",
					   "Z===",     "====",  "Zh==",  "Zm9=",
					   "Zm9v\n",   " Zm9v", "Zm9v ", "Zm 9v===",
					   "Zg==Zg==", "Z=g=",  "-_-_",  "Zm9vYg==\n\n\n\n",
					   "Zm9\303" };
	uint8_t out[100];
	size_t len;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		cr_assert_not(base64_decode(bytes_str(odd[i]), out, &len), "%s", odd[i]);
	cr_assert_not(base64_decode(bytes_of("Zg\0=", 4), out, &len));
}

/* Each text of each length is what it was before, and has no other encoding. */
Test(http_basic, decodes_what_openssl_encodes)
{
	uint8_t text[32], encoded[64], out[64];
	for (size_t len = 1; len < sizeof text; len++) {
		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)(len * 37 + i * 91);
		size_t encoded_len = (size_t)EVP_EncodeBlock(encoded, text, (int)len), got;
		cr_assert(base64_decode(bytes_of(encoded, encoded_len), out, &got));
		cr_assert(bytes_equal(bytes_of(out, got), bytes_of(text, len)));
	}
}

Test(http_basic, reads_user_and_password)
{
	struct http_basic login;
	cr_assert(http_basic_read(bytes_str("Basic Z3Vlc3Q6Z3Vlc3Q="), &login));
	cr_assert(bytes_equal_str(login.user, "guest") && bytes_equal_str(login.password, "guest"));
	cr_assert(http_basic_read(bytes_str("bAsIc  Z3Vlc3Q6YTpi"), &login));
	cr_assert(bytes_equal_str(login.user, "guest") && bytes_equal_str(login.password, "a:b"));
	cr_assert(http_basic_read(bytes_str("Basic Og=="), &login));
	cr_assert(login.user.len == 0 && login.password.len == 0);
}

Test(http_basic, refuses_other_logins)
{
	static const char *const odd[] = { "",
					   "Basic",
					   "Basic ",
					   "Basic Z3Vlc3Q=", /* guest */
					   "Bearer Z3Vlc3Q6Z3Vlc3Q=",
					   "BasicZ3Vlc3Q6Z3Vlc3Q=",
					   "Basic Z3Vlc3Q6 Z3Vlc3Q=",
					   "Basic\tZ3Vlc3Q6Z3Vlc3Q=" };
	struct http_basic login;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		cr_assert_not(http_basic_read(bytes_str(odd[i]), &login), "%s", odd[i]);
}

Test(http_basic, bounds_logins)
{
	char text[6 + HTTP_BASIC_MAX / 3 * 4 + 20] = "Basic ";
	uint8_t plain[HTTP_BASIC_MAX + 1];
	struct http_basic login;
	memset(plain, ':', sizeof plain);
	EVP_EncodeBlock((uint8_t *)text + 6, plain, HTTP_BASIC_MAX);
	cr_assert(http_basic_read(bytes_str(text), &login));
	cr_assert_eq(login.password.len, HTTP_BASIC_MAX - 1);
	EVP_EncodeBlock((uint8_t *)text + 6, plain, HTTP_BASIC_MAX + 1);
	cr_assert_not(http_basic_read(bytes_str(text), &login));
}
