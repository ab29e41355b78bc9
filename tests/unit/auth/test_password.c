#include "auth/password.h"

#include <criterion/criterion.h>

static const uint8_t salt[PASSWORD_SALT_BYTES] = { 0, 1, 2,  3,  4,  5,  6,  7,
						   8, 9, 10, 11, 12, 13, 14, 15 };

/* Of "test12"; the first is the example of RabbitMQ's documentation. */
static const char sha256[] = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
static const char sha512[] = "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/X"
			     "GJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc=";

static bool is_right(const struct password *p, const char *text)
{
	return password_is_right(p, bytes_str(text));
}

Test(password, is_hashed_by_scrypt_as_others_do_it)
{
	static const uint8_t digest[PASSWORD_DIGEST_BYTES] = {
		0x95, 0x44, 0xe4, 0x89, 0x79, 0xda, 0x3c, 0x89, 0x6d, 0xfb, 0x7f, 0x7f, 0x5b,
		0xc0, 0x15, 0xfb, 0x32, 0x0e, 0x81, 0x0f, 0x83, 0x72, 0xf8, 0x8d, 0x66, 0xd9,
		0x92, 0x1d, 0xa5, 0xa2, 0xaa, 0x65, 0xc0, 0x31, 0x83, 0x4a, 0x13, 0xed, 0xb6,
		0xa3, 0x32, 0x9f, 0x43, 0x2f, 0x32, 0x30, 0x27, 0xa1, 0x99, 0xae, 0x7c, 0x7f,
		0x67, 0xc7, 0x1e, 0x14, 0x4f, 0x81, 0x42, 0xb2, 0x0f, 0x76, 0x61, 0x11
	};
	struct password p;
	cr_assert(password_make(&p, bytes_str("secret"), salt));
	cr_assert_eq(p.kind, PASSWORD_SCRYPT);
	cr_assert_arr_eq(p.digest, digest, sizeof digest);
	cr_assert(is_right(&p, "secret"));
	cr_assert_not(is_right(&p, "Secret"));
	cr_assert_not(is_right(&p, ""));
}

Test(password, of_rabbitmq_is_verified)
{
	struct password p;
	cr_assert(password_import(&p, PASSWORD_SHA256, bytes_str(sha256)));
	cr_assert(is_right(&p, "test12"));
	cr_assert_not(is_right(&p, "test13"));
	cr_assert_not(is_right(&p, ""));
	cr_assert(password_import(&p, PASSWORD_SHA512, bytes_str(sha512)));
	cr_assert(is_right(&p, "test12"));
	cr_assert_not(is_right(&p, "test13"));
}

Test(password, that_is_empty_lets_nobody_in)
{
	struct password p;
	cr_assert(password_make(&p, bytes_str(""), salt));
	cr_assert_eq(p.kind, PASSWORD_NONE);
	cr_assert_not(is_right(&p, ""));
	cr_assert(password_import(&p, PASSWORD_SHA256, bytes_str("")));
	cr_assert_eq(p.kind, PASSWORD_NONE);
	cr_assert_not(is_right(&p, ""));
	cr_assert_not(is_right(&p, "-"));
}

Test(password, of_a_wrong_shape_is_not_imported)
{
	struct password p = { .kind = PASSWORD_SCRYPT };
	cr_assert_not(password_import(&p, PASSWORD_SHA512, bytes_str(sha256)));
	cr_assert_not(password_import(&p, PASSWORD_SHA256, bytes_str(sha512)));
	cr_assert_not(password_import(&p, PASSWORD_SHA256, bytes_str("test12")));
	char bent[sizeof sha512];
	memcpy(bent, sha256, sizeof sha256);
	bent[0] = ' ';
	cr_assert_not(password_import(&p, PASSWORD_SHA256, bytes_str(bent)));
	bent[0] = '*';
	cr_assert_not(password_import(&p, PASSWORD_SHA256, bytes_str(bent)));
	memcpy(bent, sha512, sizeof sha512);
	bent[sizeof sha512 - 2] = 'A';
	cr_assert_not(password_import(&p, PASSWORD_SHA512, bytes_str(bent)));
	cr_assert_eq(p.kind, PASSWORD_SCRYPT, "a failure touches nothing");
}
