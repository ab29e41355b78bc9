#include "key.h"
#include "copy.h"

/* The message in this queue that holds the key. */
static const struct copy *holder(const struct model *m, unsigned queue, unsigned key)
{
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].is_there && m->copies[i].queue == queue && m->copies[i].key == key)
			return &m->copies[i];
	return NULL;
}

bool model_key_is_new(struct model *m, struct model_publish *p, bool *is_remembered,
		      uint64_t *needs)
{
	unsigned len = 0, own = 0, held = 0;
	const struct model_key *k = &m->keys[p->scope][p->key];
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if (p->queues & 1u << q) {
			len++;
			own += model_queues[q].is_unique;
		}
	*is_remembered = !(own > 0 && own == len);
	if (*is_remembered && k->is_there && m->now_ms - k->time_ms < MODEL_WINDOW_MS) {
		*needs = k->is_journaled ? k->sequence : 0;
		return false;
	}
	for (unsigned q = 0; q < MODEL_QUEUES; q++) {
		const struct copy *c = NULL;
		if ((p->queues & 1u << q) && model_queues[q].is_unique)
			c = holder(m, q, p->key);
		if (c == NULL)
			continue;
		p->queues &= ~(1u << q);
		held++;
		if (c->is_journaled && c->published > *needs)
			*needs = c->published;
	}
	return len == 0 || held < len;
}

void model_key_remember(struct model *m, const struct model_publish *p, bool is_journaled,
			uint64_t sequence)
{
	m->keys[p->scope][p->key] = (struct model_key){ true, is_journaled, m->now_ms, sequence };
}

void model_keys_crashed(struct model *m, uint64_t durable)
{
	for (unsigned scope = 0; scope < MODEL_SCOPES; scope++)
		for (struct model_key *k = m->keys[scope]; k <= &m->keys[scope][MODEL_KEYS]; k++)
			k->is_there &= k->is_journaled && k->sequence <= durable;
}
