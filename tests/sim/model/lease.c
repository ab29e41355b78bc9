/* Lease: how long a consumer may have a message before its channel is closed. */
#include "model.h"

static bool is_leased(const struct copy *c)
{
	return c->is_there && c->is_unacked && c->lease_ms > 0;
}

void model_lease_ended(const struct model *m, unsigned channel, uint64_t lease_ms)
{
	bool is_over = false;
	for (const struct copy *c = m->copies; c < m->copies + m->copies_len; c++)
		is_over |= is_leased(c) && c->channel == channel && c->lease_ms == lease_ms &&
			   c->lease_began_ms + c->lease_ms <= m->now_ms;
	MODEL_CHECK(m, is_over);
}

void model_lease_extended(struct model *m, unsigned channel, uint64_t tag)
{
	for (struct copy *c = m->copies; c < m->copies + m->copies_len; c++)
		if (is_leased(c) && c->channel == channel && (tag == 0 || c->tag == tag))
			c->lease_began_ms = m->now_ms;
}

void model_leases_hold(const struct model *m)
{
	for (const struct copy *c = m->copies; c < m->copies + m->copies_len; c++)
		MODEL_CHECK(m, !is_leased(c) || c->lease_began_ms + c->lease_ms > m->now_ms);
}
