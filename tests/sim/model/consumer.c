#include "consumer.h"

bool model_has_credit(const struct model_consumer *c)
{
	return c->is_no_ack || c->prefetch == 0 || c->unacked < c->prefetch;
}

/* Of a queue that has a single active one: the first that comes, and when it goes the one with the
 * highest priority that has been there longest. */
static void choose_active(struct model *m, unsigned queue)
{
	struct model_consumer *best = NULL;
	for (struct model_consumer *c = m->consumers; c < &m->consumers[MODEL_CONSUMERS]; c++) {
		if (!c->is_on || c->queue != queue)
			continue;
		if (c->is_active)
			return;
		if (best == NULL || c->priority > best->priority ||
		    (c->priority == best->priority && c->since < best->since))
			best = c;
	}
	if (best != NULL)
		best->is_active = true;
}

void model_consumer_began(struct model *m, unsigned consumer, const struct model_consumer *asked)
{
	struct model_consumer *c = &m->consumers[consumer];
	*c = *asked;
	c->is_on = true;
	c->is_active = false;
	c->unacked = 0;
	c->since = ++m->consumers_begun;
	choose_active(m, c->queue);
}

/* Its unacked messages stay with the channel; what it may have them for goes. */
static void leave_with_channel(struct copy *copy, const struct model_consumer *c)
{
	copy->consumer = -1;
	if (c->lease_ms > 0)
		copy->lease_ms = 0;
}

void model_consumer_gone(struct model *m, unsigned consumer)
{
	struct model_consumer *c = &m->consumers[consumer];
	c->is_on = c->is_active = false;
	c->unacked = 0;
	choose_active(m, c->queue);
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].is_there && m->copies[i].is_unacked &&
		    m->copies[i].consumer == (int)consumer)
			leave_with_channel(&m->copies[i], c);
}

bool model_may_take(const struct model_consumer *c)
{
	return c->is_on && model_has_credit(c) &&
	       (c->is_active || !model_queues[c->queue].is_single);
}

bool model_is_its_turn(const struct model *m, const struct model_consumer *c)
{
	if (model_queues[c->queue].is_grouped) /* The one that has the group. */
		return model_may_take(c);
	for (const struct model_consumer *o = m->consumers; o < &m->consumers[MODEL_CONSUMERS]; o++)
		if (o->queue == c->queue && o->priority > c->priority && model_may_take(o))
			return false;
	return model_may_take(c);
}
