/* Settlement: how messages leave or go back by what clients do, and by their going. */
#include "copy.h"
#include "model.h"

static struct copy *next_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple)
{
	struct copy *next = NULL;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		bool is_meant = c->is_there && c->is_unacked && c->channel == channel &&
				(is_multiple ? c->tag <= tag : c->tag == tag);
		if (is_meant && (next == NULL || c->tag < next->tag))
			next = c;
	}
	return next;
}

static uint64_t backoff_ms(const struct model_queue *q, unsigned count)
{
	uint64_t wait = q->retry_ms;
	while (--count > 0)
		wait *= 2;
	return wait < q->retry_max_ms ? wait : q->retry_max_ms;
}

static void requeue(struct model *m, struct copy *c, uint64_t sequence)
{
	const struct model_queue *q = &m->rules[c->queue];
	if (q->limit > 0 && c->count_max >= q->limit) {
		copy_die(m, c, DIED_LIMIT, false, sequence);
		return;
	}
	c->count_min++;
	c->count_max++;
	c->may_not_wait = false;
	c->until_ms = q->retry_ms == 0 ? 0 : m->now_ms + backoff_ms(q, c->count_max);
}

/* In order of tag: that is the order in which dead letters arrive. */
void model_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple,
		   enum model_settlement how, uint64_t sequence)
{
	for (struct copy *c; (c = next_settled(m, channel, tag, is_multiple)) != NULL;) {
		copy_release(m, c);
		if (how == REQUEUED)
			requeue(m, c, sequence);
		else if (how == REJECTED)
			copy_die(m, c, DIED_REJECTED, false, sequence);
		else
			copy_remove(c, sequence);
	}
}

/* What waits goes with it; what has expired unnoticed was counted. */
void model_purged(struct model *m, unsigned queue, uint64_t messages, uint64_t sequence)
{
	uint64_t there = 0;
	bool is_timed = false;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (!c->is_there || c->is_unacked || c->queue != queue)
			continue;
		is_timed |= c->until_ms > 0;
		copy_remove(c, sequence);
		there++;
	}
	MODEL_CHECK(m, is_timed ? messages <= there : messages == there);
}

void model_queue_deleted(struct model *m, unsigned queue, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->is_there && c->queue == queue) {
			if (c->is_unacked)
				copy_release(m, c);
			copy_remove(c, sequence);
		}
	}
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (m->consumers[i].is_on && m->consumers[i].queue == queue)
			model_consumer_gone(m, i);
}

void model_channel_gone(struct model *m, unsigned channel, uint64_t sequence)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (m->consumers[i].is_on && m->consumers[i].channel == channel)
			model_consumer_gone(m, i);
	model_settled(m, channel, UINT64_MAX, true, REQUEUED, sequence);
	m->published[channel] = m->confirmed[channel] = 0;
}
