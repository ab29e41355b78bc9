#include "net/pem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

/* NULL: all is fine. */
static const char *find_wrong(SSL_CTX *context, const char *certificate, const char *key,
			      const char *ca)
{
	if (certificate != NULL && SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		return "no certificate can be read from it";
	if (key != NULL && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		return certificate == NULL ? "no private key can be read from it"
					   : "does not belong to the certificate";
	if (certificate != NULL && key != NULL && SSL_CTX_check_private_key(context) != 1)
		return "does not belong to the certificate";
	if (ca != NULL && SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
		return "no certificates of CAs can be read from it";
	return NULL;
}

bool pem_check(const char *certificate, const char *key, const char *ca, char *why, size_t why_size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL) {
		snprintf(why, why_size, "no TLS context can be made");
		return false;
	}
	ERR_clear_error();
	const char *wrong = find_wrong(context, certificate, key, ca);
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	if (wrong != NULL)
		snprintf(why, why_size, "%s (%s)", wrong, reason == NULL ? "it is empty" : reason);
	ERR_clear_error();
	SSL_CTX_free(context);
	return wrong == NULL;
}
