/* Gzip: whole replies compressed, quickly rather than well: it happens between two other replies.
 */
#ifndef LEV_HTTP_GZIP_H
#define LEV_HTTP_GZIP_H

#include "base/bytes.h"

/* in, compressed, on the heap: free with free((void *)out->data). False, and *out untouched, if
 * memory is lacking, or it would not be shorter. */
bool gzip_compress(struct bytes in, struct bytes *out);

#endif
