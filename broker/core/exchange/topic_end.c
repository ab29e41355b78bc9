/* Topic end: values of one pattern, which know their places. */
#include "core/exchange/topic_end.h"

#include "base/alloc.h"

#include <assert.h>

void topic_end_add(struct topic_end *end, struct topic_value *value)
{
	end->values = alloc_grow(end->values, &end->cap, end->len + 1, sizeof(void *));
	*value = (struct topic_value){ end, end->len };
	end->values[end->len++] = value;
}

/* The last one takes its place. */
void topic_end_remove(struct topic_value *value)
{
	struct topic_end *end = value->end;
	assert(value->at < end->len && end->values[value->at] == value);
	struct topic_value *last = end->values[--end->len];
	end->values[value->at] = last;
	last->at = value->at;
	value->end = NULL;
}

void topic_end_tell(const struct topic_end *end, const struct topic_finding *finding)
{
	for (size_t i = 0; i < end->len; i++)
		finding->found(finding->arg, end->values[i]);
}
