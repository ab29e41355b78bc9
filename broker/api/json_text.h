/* JSON texts of strangers: a value takes up to a hundred times the bytes that it has in the text. */
#ifndef LEV_API_JSON_TEXT_H
#define LEV_API_JSON_TEXT_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* NULL: it is no JSON, nested deeper than 2048, or has more values than that, each of which takes
 * about 250 bytes beside its text. The caller's. */
json_t *json_text_load(struct bytes text, size_t values_max);
/* It is null, or null is somewhere in it: that cannot be an argument or a header. */
bool json_has_null(const json_t *value);

#endif
