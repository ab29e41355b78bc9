/* Text: small questions of ASCII that more than one file here has. */
#ifndef LEV_HTTP_TEXT_H
#define LEV_HTTP_TEXT_H

#include "base/bytes.h"

/* The value of a hexadecimal digit; -1: it is none. */
int text_hex(uint8_t c);

/* Case does not matter. */
bool text_equal_fold(struct bytes a, const char *b);

/* Without blanks and tabs around it. */
struct bytes text_trim(struct bytes b);

/* What stands before the next `at`, or all; *rest goes on behind it. */
struct bytes text_cut(struct bytes *rest, uint8_t at);

#endif
