#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

static bool fail(char *why, size_t why_size, const char *doing, const char *file)
{
	char reason[160] = "unknown error";
	unsigned long code = ERR_peek_last_error();
	if (code != 0)
		ERR_error_string_n(code, reason, sizeof reason);
	ERR_clear_error();
	snprintf(why, why_size, "%s %s: %s", doing, file, reason);
	return false;
}

static bool load(SSL_CTX *context, const struct tls_options *o, char *why, size_t why_size)
{
	if (SSL_CTX_use_certificate_chain_file(context, o->certificate_file) != 1)
		return fail(why, why_size, "cannot load certificate", o->certificate_file);
	if (SSL_CTX_use_PrivateKey_file(context, o->key_file, SSL_FILETYPE_PEM) != 1)
		return fail(why, why_size, "cannot load key", o->key_file);
	if (SSL_CTX_check_private_key(context) != 1)
		return fail(why, why_size, "certificate does not belong to key", o->key_file);
	if (o->ca_file == NULL)
		return true;
	if (SSL_CTX_load_verify_locations(context, o->ca_file, NULL) != 1)
		return fail(why, why_size, "cannot load CA certificates", o->ca_file);
	SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(o->ca_file));
	return true;
}

struct ssl_ctx_st *tls_create(const struct tls_options *o, char *why, size_t why_size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL) {
		fail(why, why_size, "cannot create", "a TLS context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"leveret", 7);
	if (o->verify_peer)
		SSL_CTX_set_verify(context,
				   SSL_VERIFY_PEER |
					   (o->require_peer ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
				   NULL);
	if (!load(context, o, why, why_size)) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

void tls_destroy(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}
