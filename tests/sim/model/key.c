#include "key.h"
#include "copy.h"

unsigned model_copy_key(struct model *m, unsigned whole, uint64_t origin)
{
	unsigned i = 0;
	while (i < m->copy_keys_len &&
	       (m->copy_keys[i].whole != whole || m->copy_keys[i].origin != origin))
		i++;
	if (i == MODEL_COPY_KEYS)
		return 0;
	if (i == m->copy_keys_len)
		m->copy_keys_len++;
	m->copy_keys[i].whole = whole;
	m->copy_keys[i].origin = origin;
	return 1 + MODEL_KEYS + i;
}

/* A message in this queue that holds the key: of a copy's only that copy, of others all that were
 * published with it. */
static const struct copy *holder(const struct model *m, unsigned queue, unsigned key)
{
	for (const struct copy *c = m->copies; c < m->copies + m->copies_len; c++)
		if (c->is_there && c->queue == queue && (c->key == key || c->whole == key))
			return c;
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
		for (struct model_key *k = m->keys[scope]; k < &m->keys[scope][MODEL_KEYS_ALL]; k++)
			k->is_there &= k->is_journaled && k->sequence <= durable;
}
