/* Tables and content properties: what passes the check can be walked to its end, and properties
 * encode as they came. */
#include "properties.h"
#include "table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(struct bytes rest, bool is_table)
{
	struct bytes name, inner;
	struct table_value v;
	size_t fields = 0;
	while (is_table ? table_next(&rest, &name, &v) : array_next(&rest, &v)) {
		fields++;
		if (table_value_table(&v, &inner))
			fields += walk(inner, true);
		else if (table_value_array(&v, &inner))
			fields += walk(inner, false);
	}
	if (rest.len > 0)
		abort();
	return fields;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes all = bytes_of(data, size);
	struct properties p;
	if (table_check(all)) {
		if (walk(all, true) > table_measure(all).fields || !tables_equal(all, all))
			abort();
	}
	if (properties_decode(&p, all)) {
		uint8_t *wire = malloc(size);
		struct writer w = writer_of(wire, size);
		properties_encode(&w, &p);
		if (w.failed || properties_size(&p) != size || memcmp(wire, data, size) != 0)
			abort();
		free(wire);
	}
	return 0;
}
