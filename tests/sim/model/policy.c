#include "policy.h"
#include "copy.h"

static const struct model_policy nothing = { .dead_to = -1 };

static const struct model_policy *best(const struct model_policy *policies, size_t len,
				       bool is_operator, unsigned queues, unsigned exchanges)
{
	const struct model_policy *found = &nothing;
	for (const struct model_policy *p = policies; p < policies + len; p++)
		if (p->is_operator == is_operator &&
		    ((p->applies != FOR_EXCHANGES && (p->queues & queues)) ||
		     (p->applies != FOR_QUEUES && (p->exchanges & exchanges))) &&
		    (found == &nothing || p->priority > found->priority))
			found = p;
	return found;
}

static uint64_t lowest(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t low = a;
	if (b > 0 && (low == 0 || b < low))
		low = b;
	return c > 0 && (low == 0 || c < low) ? c : low;
}

/* Of times and limits the lowest holds, of all else the argument, then what operators say. */
static void set_rules(struct model_queue *rules, const struct model_queue *arguments,
		      const struct model_policy *p, const struct model_policy *o)
{
	int overflow = arguments->is_rejecting ? 2 : o->overflow != 0 ? o->overflow : p->overflow;
	*rules = *arguments;
	rules->ttl_ms = lowest(arguments->ttl_ms, p->ttl_ms, o->ttl_ms);
	rules->length_max = (unsigned)lowest(arguments->length_max, p->length_max, o->length_max);
	rules->limit = (unsigned)lowest(arguments->limit, p->limit, o->limit);
	rules->lease_ms = lowest(arguments->lease_ms, p->lease_ms, o->lease_ms);
	rules->is_rejecting = overflow == 2;
	if (arguments->dead_to < 0)
		rules->dead_to = o->dead_to >= 0 ? o->dead_to : p->dead_to;
}

static void set_alternate(struct routing *r, enum routing_exchange x, const struct model_policy *p,
			  const struct model_policy *o)
{
	r->alternates[x] = routing_alternate(x);
	if (r->alternates[x] == X_DEFAULT)
		r->alternates[x] = o->alternate != X_DEFAULT ? o->alternate : p->alternate;
}

void model_set_policies(struct model *m, struct routing *r, const struct model_policy *policies,
			size_t len)
{
	for (unsigned q = 0; q <= MODEL_QUEUES; q++)
		set_rules(&m->rules[q], &model_queues[q], best(policies, len, false, 1u << q, 0),
			  best(policies, len, true, 1u << q, 0));
	for (enum routing_exchange x = X_FANOUT; x < X_LEN; x++)
		set_alternate(r, x, best(policies, len, false, 0, 1u << x),
			      best(policies, len, true, 0, 1u << x));
	for (struct copy *c = m->copies; c < m->copies + m->copies_len; c++) {
		copy_set_due(m, c);
		if (c->is_queues_lease && c->lease_ms > 0)
			c->lease_ms = m->rules[c->queue].lease_ms;
	}
}
