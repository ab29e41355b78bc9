#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void model_fail(const struct model *m, const char *what, const char *where)
{
	fprintf(stderr, "seed %" PRIu64 " step %" PRIu64 ": %s (%s)\n", m->seed, m->step, what, where);
	exit(1);
}

/* --- what was asked --------------------------------------------------------------------------------------------- */

void model_published(struct model *m, uint64_t id, unsigned queues, bool is_persistent, uint64_t sequence)
{
	for (unsigned q = 0; q < MODEL_QUEUES; q++) {
		if (!(queues & 1u << q))
			continue;
		MODEL_CHECK(m, m->copies_len < MODEL_COPIES_MAX);
		m->copies[m->copies_len++] = (struct copy){
			.id = id,
			.queue = q,
			.is_journaled = is_persistent && m->is_durable[q],
			.is_there = true,
			.published = sequence,
		};
	}
}

void model_confirm_wanted(struct model *m, unsigned channel, unsigned queues, bool is_persistent, uint64_t sequence)
{
	bool is_journaled = false;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		is_journaled |= is_persistent && (queues & 1u << q) && m->is_durable[q];
	m->needs[channel][++m->published[channel]] = is_journaled ? sequence : 0;
}

static void release(struct model *m, struct copy *c)
{
	if (c->consumer >= 0)
		m->consumers[c->consumer].unacked--;
	c->is_unacked = false;
}

static void remove_copy(struct copy *c, uint64_t sequence)
{
	c->is_there = false;
	c->gone = sequence;
}

static struct copy *next_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple)
{
	struct copy *next = NULL;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		bool is_meant =
			c->is_there && c->is_unacked && c->channel == channel && (is_multiple ? c->tag <= tag : c->tag == tag);
		if (is_meant && (next == NULL || c->tag < next->tag))
			next = c;
	}
	return next;
}

/* In order of tag: that is the order in which dead letters arrive. */
void model_settled(struct model *m, unsigned channel, uint64_t tag, bool is_multiple, enum model_settlement how,
		   uint64_t sequence)
{
	for (struct copy *c; (c = next_settled(m, channel, tag, is_multiple)) != NULL;) {
		release(m, c);
		if (how == REQUEUED)
			continue;
		remove_copy(c, sequence);
		if (how == REJECTED && c->queue == MODEL_DEAD_FROM)
			model_published(m, c->id, 1u << MODEL_DEAD_TO, c->is_journaled, sequence);
	}
}

void model_purged(struct model *m, unsigned queue, uint64_t messages, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (!c->is_there || c->is_unacked || c->queue != queue)
			continue;
		remove_copy(c, sequence);
		messages--;
	}
	MODEL_CHECK(m, messages == 0);
}

void model_queue_deleted(struct model *m, unsigned queue, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->is_there && c->queue == queue) {
			if (c->is_unacked)
				release(m, c);
			remove_copy(c, sequence);
		}
	}
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (m->consumers[i].is_on && m->consumers[i].queue == queue)
			model_consumer_gone(m, i);
}

/* Its unacked messages stay with the channel. */
void model_consumer_gone(struct model *m, unsigned consumer)
{
	m->consumers[consumer].is_on = false;
	m->consumers[consumer].unacked = 0;
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].is_there && m->copies[i].is_unacked && m->copies[i].consumer == (int)consumer)
			m->copies[i].consumer = -1;
}

void model_channel_gone(struct model *m, unsigned channel)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (m->consumers[i].is_on && m->consumers[i].channel == channel)
			model_consumer_gone(m, i);
	model_settled(m, channel, UINT64_MAX, true, REQUEUED, 0);
	m->published[channel] = m->confirmed[channel] = 0;
}

/* --- what the core did ------------------------------------------------------------------------------------------ */

static struct copy *first_ready(struct model *m, unsigned queue)
{
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].is_there && !m->copies[i].is_unacked && m->copies[i].queue == queue)
			return &m->copies[i];
	return NULL;
}

static bool has_credit(const struct model_consumer *c)
{
	return c->is_no_ack || c->prefetch == 0 || c->unacked < c->prefetch;
}

void model_delivered(struct model *m, unsigned queue, unsigned channel, int consumer, uint64_t tag, uint64_t id, bool is_no_ack,
		     bool is_redelivered, uint64_t sequence)
{
	struct copy *c = first_ready(m, queue);
	MODEL_CHECK(m, c != NULL);
	MODEL_CHECK(m, c->id == id);
	MODEL_CHECK(m, is_redelivered || !c->must_be_redelivered);
	MODEL_CHECK(m, !is_redelivered || c->must_be_redelivered || c->may_be_redelivered);
	if (consumer >= 0) {
		MODEL_CHECK(m, m->consumers[consumer].is_on);
		MODEL_CHECK(m, m->consumers[consumer].queue == queue);
		MODEL_CHECK(m, has_credit(&m->consumers[consumer]));
	}
	m->deliveries++;
	c->must_be_redelivered = true;
	if (is_no_ack) {
		remove_copy(c, sequence);
		return;
	}
	c->is_unacked = true;
	c->channel = channel;
	c->consumer = consumer;
	c->tag = tag;
	if (consumer >= 0)
		m->consumers[consumer].unacked++;
}

void model_got_nothing(struct model *m, unsigned queue)
{
	MODEL_CHECK(m, first_ready(m, queue) == NULL);
}

void model_confirmed(struct model *m, unsigned channel, uint64_t tag, uint64_t durable)
{
	MODEL_CHECK(m, tag > m->confirmed[channel]);
	MODEL_CHECK(m, tag <= m->published[channel]);
	while (m->confirmed[channel] < tag) {
		uint64_t need = m->needs[channel][++m->confirmed[channel]];
		MODEL_CHECK(m, need <= durable);
		m->confirms++;
	}
}

void model_quiet(struct model *m, bool is_synced)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
		const struct model_consumer *c = &m->consumers[i];
		if (!c->is_on || !has_credit(c))
			continue;
		const struct copy *ready = first_ready(m, c->queue);
		MODEL_CHECK(m, ready == NULL || (!is_synced && ready->is_journaled && !ready->must_be_redelivered));
	}
}

/* --- crashes ---------------------------------------------------------------------------------------------------- */

void model_crashed(struct model *m, uint64_t durable)
{
	memset(m->consumers, 0, sizeof m->consumers);
	memset(m->published, 0, sizeof m->published);
	memset(m->confirmed, 0, sizeof m->confirmed);
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		bool was_there = c->is_journaled && c->published <= durable;
		bool is_gone = c->gone != NOT_YET && c->gone <= durable;
		c->is_there = was_there && !is_gone;
		c->is_unacked = false;
		c->gone = c->is_there ? NOT_YET : 1;
		c->may_be_redelivered = true;
	}
}

void model_holds(struct model *m, unsigned queue, const uint64_t *ids, size_t ids_len)
{
	size_t held = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		if (!m->copies[i].is_there || m->copies[i].queue != queue)
			continue;
		bool is_found = false;
		for (size_t k = 0; k < ids_len; k++)
			is_found |= ids[k] == m->copies[i].id;
		MODEL_CHECK(m, is_found);
		held++;
	}
	MODEL_CHECK(m, held == ids_len);
}
