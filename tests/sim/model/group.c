#include "group.h"

static bool is_grouped(const struct copy *c)
{
	return c->group != 0 && model_queues[c->queue].is_grouped;
}

bool model_group_is_open(const struct model *m, const struct copy *c, int consumer)
{
	for (const struct copy *o = m->copies; o < m->copies + m->copies_len && is_grouped(c); o++)
		if (o->is_there && o->is_unacked && o->queue == c->queue && o->group == c->group &&
		    (o->consumer != consumer || consumer < 0))
			return false;
	return true;
}

bool model_group_is_held(const struct model *m, const struct copy *c)
{
	return !model_group_is_open(m, c, -1);
}
