/* Tls: a server context of OpenSSL from certificate files. TLS 1.2 and 1.3 only. */
#ifndef LEV_NET_TLS_H
#define LEV_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct tls_options {
	const char *certificate_file; /* PEM, chain included. */
	const char *key_file;         /* PEM. */
	const char *ca_file;          /* PEM; NULL: none. */
	bool verify_peer;  /* Ask clients for a certificate and check it against ca_file. */
	bool require_peer; /* Refuse those that have none. */
};

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* NULL on failure, with the reason in why. Free with tls_destroy(). */
struct ssl_ctx_st *tls_create(const struct tls_options *options, char *why, size_t why_size);
void tls_destroy(struct ssl_ctx_st *context); /* Connections made with it go on. NULL is fine. */

#endif
