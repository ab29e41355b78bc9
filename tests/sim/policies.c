#include "policies.h"
#include "core/admin.h"
#include "shard.h"
#include "topology.h"

#include <stdio.h>
#include <string.h>

enum {
	TEXT_BYTES = 120,
	TABLE_BYTES = 300,
	/* Queues that may get it. The model counts failures only where the broker says how many
	 * there were. What comes from several queues at a time comes in an order that it does not
	 * know, hence it does not know what goes when that is too much; nor does it of groups, for
	 * the first of one that is busy is either aside or, where a limit of delivery must be on
	 * disk first, in the way. And nobody's dead letters may be refused. */
	MAY_DIE = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << MODEL_SINGLE |
		  1 << MODEL_GROUPED,
	MAY_BE_FULL = 1 << 1 | 1 << 4 | 1 << 5 | 1 << MODEL_SINGLE,
	MAY_REJECT = 1 << 5 | 1 << MODEL_SINGLE,
};

static void draw(struct sim *s, struct model_policy *p, unsigned number)
{
	*p = (struct model_policy){ .dead_to = -1 };
	p->is_operator = maybe(s);
	p->priority = below(s, 4) * POLICIES_MAX + number;
	p->queues = below(s, 1 << MODEL_QUEUES);
	p->exchanges = below(s, 1 << X_LEN) & ~(1u << X_DEFAULT) & ~(1u << X_ALTERNATE);
	if (below(s, 3) == 0)
		p->ttl_ms = 20 + below(s, 400);
	if (below(s, 3) == 0)
		p->lease_ms = 50 + below(s, 400);
	if (below(s, 3) == 0)
		p->alternate = X_ALTERNATE;
	if (below(s, 3) == 0) {
		p->length_max = 1 + below(s, 8);
		p->queues &= MAY_BE_FULL;
	}
	if (below(s, 3) == 0) {
		p->limit = 1 + below(s, 5);
		p->queues &= MAY_DIE;
	}
	if (below(s, 3) == 0) {
		p->dead_to = maybe(s) ? 0 : 3;
		p->queues &= MAY_DIE;
	}
	if (below(s, 4) == 0) {
		p->overflow = 1 + (int)below(s, 2);
		p->queues &= MAY_REJECT;
	}
	p->applies = below(s, 3);
}

/* The names for which it holds, as a regular expression. */
static struct bytes pattern_of(const struct model_policy *p, char *text)
{
	struct writer w = writer_of(text, TEXT_BYTES);
	write_bytes(&w, bytes_str("^(q["));
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if (p->queues & 1u << q)
			write_u8(&w, (uint8_t)('0' + q));
	write_bytes(&w, bytes_str("x]"));
	for (enum routing_exchange x = X_FANOUT; x < X_LEN; x++)
		if (p->exchanges & 1u << x) {
			write_bytes(&w, bytes_str("|"));
			write_bytes(&w, bytes_str(exchange_names[x]));
		}
	write_bytes(&w, bytes_str(")$"));
	return bytes_of(text, (size_t)((char *)w.at - text));
}

static struct bytes definition_of(struct sim *s, const struct model_policy *p, char *table)
{
	struct writer w = writer_of(table, TABLE_BYTES);
	if (p->ttl_ms > 0)
		table_write_long(&w, "message-ttl", (int64_t)p->ttl_ms);
	if (p->length_max > 0)
		table_write_int(&w, "max-length", (int32_t)p->length_max);
	if (p->limit > 0)
		table_write_int(&w, "delivery-limit", (int32_t)p->limit);
	if (p->lease_ms > 0)
		table_write_long(&w, "consumer-timeout", (int64_t)p->lease_ms);
	if (p->overflow > 0)
		table_write_str(&w, "overflow",
				bytes_str(p->overflow == 1 ? "drop-head" : "reject-publish"));
	if (p->dead_to >= 0) {
		table_write_str(&w, "dead-letter-exchange", bytes_str(""));
		table_write_str(&w, "dead-letter-routing-key", queue_name(s, (unsigned)p->dead_to));
	}
	if (p->alternate != X_DEFAULT)
		table_write_str(&w, "alternate-exchange", bytes_str(exchange_names[p->alternate]));
	MODEL_CHECK(&s->model, !w.failed);
	return bytes_of(table, (size_t)((char *)w.at - table));
}

void policies_load(struct sim *s)
{
	static char patterns[POLICIES_MAX][TEXT_BYTES], tables[POLICIES_MAX][TABLE_BYTES];
	static const enum policy_applies applies[] = { POLICY_TO_ALL, POLICY_TO_QUEUES,
						       POLICY_TO_EXCHANGES };
	struct policy policies[POLICIES_MAX];
	char why[100];
	size_t which;
	for (size_t i = 0; i < s->policies_len; i++) {
		const struct model_policy *p = &s->policies[i];
		policies[i] = (struct policy){ .name = bytes_str("some"),
					       .pattern = pattern_of(p, patterns[i]),
					       .applies = applies[p->applies],
					       .is_operator = p->is_operator,
					       .priority = p->priority,
					       .definition = definition_of(s, p, tables[i]) };
	}
	MODEL_CHECK(&s->model, core_set_policies(core_vhost(s->core, bytes_str("/")), policies,
						 s->policies_len, &which, why, sizeof why));
	model_set_policies(&s->model, &s->routing, s->policies, s->policies_len);
}

void policies_settle(struct sim *s)
{
	s->is_settling = true;
	for (unsigned n = 0; n < 2 * s->policies_len; n++) {
		shard_begin(s);
		shard_end(s, false, false); /* They share a sequence. */
	}
	s->is_settling = false;
}

/* Between turns, as operators do it: what they say is over or too much leaves with the next. */
void do_policies(struct sim *s)
{
	if (below(s, 8) > 0)
		return;
	s->policies_len = maybe(s) ? 0 : 1 + below(s, POLICIES_MAX);
	for (unsigned i = 0; i < s->policies_len; i++)
		draw(s, &s->policies[i], i);
	shard_end(s, false, maybe(s));
	policies_load(s);
	policies_settle(s);
	shard_begin(s);
}
