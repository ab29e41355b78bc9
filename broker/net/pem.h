/* Pem: whether files of certificates and keys can be used, without a server that uses them. */
#ifndef LEV_NET_PEM_H
#define LEV_NET_PEM_H

#include <stdbool.h>
#include <stddef.h>

/* Each NULL, or a file: of a certificate with its chain, of a private key, of CAs. False, and why
 * in a line: one of them is none of that; or key and certificate, if both are given, do not belong
 * together. */
bool pem_check(const char *certificate, const char *key, const char *ca, char *why,
	       size_t why_size);

#endif
