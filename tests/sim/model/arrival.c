/* Arrival: what becomes of a publish, and what its confirm waits for. */
#include "copy.h"
#include "key.h"
#include "model.h"
#include "producer.h"

#include <string.h>

/* Counted as the broker does: what its consumers are about to take does not fill it. */
static bool is_full(const struct model *m, unsigned queue)
{
	uint64_t ready = 0, credit = 0;
	if (!m->rules[queue].is_rejecting || m->rules[queue].length_max == 0)
		return false;
	for (size_t i = 0; i < m->copies_len; i++)
		ready += m->copies[i].is_there && !m->copies[i].is_unacked &&
			 m->copies[i].queue == queue;
	for (unsigned i = 0; i < MODEL_CONSUMERS && !m->is_unwritable; i++) {
		const struct model_consumer *c = &m->consumers[i];
		if (c->is_on && c->queue == queue && (c->is_active || !m->rules[queue].is_single))
			credit += c->is_no_ack || c->prefetch == 0 ? 1000000
				  : c->unacked < c->prefetch       ? c->prefetch - c->unacked
								   : 0;
	}
	return ready + 1 > m->rules[queue].length_max + credit;
}

static void publish_copy(struct model *m, const struct model_publish *p, unsigned queue,
			 uint64_t sequence)
{
	struct copy *c = copy_add(m, p->id, queue, p->is_persistent, sequence);
	c->priority = p->priority;
	c->key = p->key;
	c->group = p->group;
	c->whole = p->is_copy ? p->whole : p->key;
	memcpy(c->deaths, p->deaths, sizeof p->deaths);
	c->deaths_len = p->deaths_len;
	c->strays = p->strays;
	c->own_due_ms = p->expiration_ms == 0 ? 0 : m->now_ms + p->expiration_ms;
	copy_set_due(m, c);
}

static bool is_any_full(const struct model *m, const struct model_publish *p)
{
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if ((p->queues & 1u << q) && p->delay_ms == 0 && is_full(m, q))
			return true;
	return false;
}

/* Returns what it needs. */
static uint64_t confirm(struct model *m, int channel, uint64_t needs, bool is_refused)
{
	if (channel < 0)
		return needs;
	uint64_t tag = ++m->published[channel];
	m->needs[channel][tag] = needs;
	m->is_refused[channel][tag] = is_refused;
	return needs;
}

/* Whether the journal has it. */
static bool enqueue(struct model *m, const struct model_publish *p, bool *is_refused,
		    uint64_t sequence)
{
	bool is_journaled = false;
	if (p->delay_ms > 0) {
		struct copy *c = copy_add(m, p->id, MODEL_DELAY, p->is_persistent, sequence);
		c->priority = p->priority;
		c->own_due_ms = c->due_ms = m->now_ms + p->delay_ms;
		m->delayed++;
		return p->is_persistent;
	}
	for (unsigned q = 0; q < MODEL_QUEUES; q++) {
		if (!(p->queues & 1u << q))
			continue;
		if (is_full(m, q)) {
			*is_refused = true;
			continue;
		}
		publish_copy(m, p, q, sequence);
		is_journaled |= p->is_persistent && model_queues[q].is_durable;
	}
	return is_journaled;
}

uint64_t model_published(struct model *m, const struct model_publish *asked, int channel,
			 uint64_t sequence)
{
	struct model_publish p = *asked;
	bool is_refused = false, is_remembered = false;
	uint64_t needs = 0;
	if (p.key != 0 && !model_key_is_new(m, &p, &is_remembered, &needs)) {
		m->duplicates++;
		return confirm(m, channel, needs, false);
	}
	if (p.producer != 0 && model_producer_has_sent(m, &p, &needs)) {
		m->duplicates++;
		return confirm(m, channel, needs, false);
	}
	if ((p.key != 0 || p.producer != 0) && is_any_full(m, &p)) { /* All or none. */
		m->refusals++;
		return confirm(m, channel, needs, true);
	}
	bool is_journaled = enqueue(m, &p, &is_refused, sequence);
	if (is_remembered && (p.queues != 0 || p.delay_ms > 0))
		model_key_remember(m, &p, is_journaled, sequence);
	if (p.producer != 0 && p.queues != 0)
		model_producer_remember(m, &p, is_journaled, sequence);
	m->refusals += is_refused;
	return confirm(m, channel, is_journaled ? sequence : needs, is_refused);
}

void model_confirmed(struct model *m, unsigned channel, uint64_t tag, bool is_nack,
		     uint64_t durable)
{
	MODEL_CHECK(m, tag > m->confirmed[channel]);
	MODEL_CHECK(m, tag <= m->published[channel]);
	while (m->confirmed[channel] < tag) {
		uint64_t need = m->needs[channel][++m->confirmed[channel]];
		MODEL_CHECK(m, is_nack || need <= durable);
		MODEL_CHECK(m, is_nack == m->is_refused[channel][m->confirmed[channel]]);
		m->confirms++;
	}
}
