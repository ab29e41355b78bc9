#include "clock.h"
#include "copy.h"

void clock_leave(struct model *m, struct copy *c, uint64_t sequence)
{
	if (c->queue != MODEL_DELAY) {
		copy_die(m, c, DIED_EXPIRED, true, sequence);
		return;
	}
	struct copy *routed = copy_add(m, c->id, MODEL_DELAY_TO, c->is_persistent, sequence);
	routed->priority = c->priority;
	routed->is_floating = true;
	copy_remove(c, sequence);
}

static struct copy *first_due(struct model *m, unsigned queue, uint64_t now_ms)
{
	struct copy *first = NULL;
	for (struct copy *c = m->copies; c < m->copies + m->copies_len; c++)
		if (copy_is_ready(c, queue) && c->due_ms != 0 && c->due_ms <= now_ms &&
		    (first == NULL || c->due_ms < first->due_ms))
			first = c;
	return first;
}

void clock_expire(struct model *m, unsigned queue, uint64_t now_ms, uint64_t sequence)
{
	for (struct copy *c; (c = first_due(m, queue, now_ms)) != NULL;)
		clock_leave(m, c, sequence);
}

struct copy *clock_head(struct model *m, unsigned queue)
{
	struct copy *first = NULL;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (!copy_is_ready(c, queue))
			continue;
		if (first == NULL || copy_priority(queue, c) > copy_priority(queue, first))
			first = c;
	}
	return first;
}

/* What has expired leaves before there are too many: it does not push out what would be kept.
 * RabbitMQ drops the head first, expired or not, when messages come back to a full queue. */
bool clock_is_over(const struct model *m, unsigned queue)
{
	const struct model_queue *q = &m->rules[queue];
	unsigned kept = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		const struct copy *c = &m->copies[i];
		kept += copy_is_ready(c, queue) && (c->due_ms == 0 || c->due_ms > m->now_ms);
	}
	return q->length_max > 0 && !q->is_rejecting && kept > q->length_max;
}

void clock_let_in(struct model *m, unsigned queue, uint64_t sequence)
{
	if (m->rules[queue].length_max == 0)
		return;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if (m->rules[q].dead_to == (int)queue)
			clock_expire(m, q, m->now_ms, sequence);
	if (queue == MODEL_DELAY_TO)
		clock_expire(m, MODEL_DELAY, m->now_ms, sequence);
}

bool clock_drop(struct model *m, const struct copy *c, uint64_t sequence)
{
	clock_let_in(m, c->queue, sequence);
	if (!clock_is_over(m, c->queue))
		return false;
	clock_expire(m, c->queue, m->now_ms, sequence);
	while (c->is_there && clock_is_over(m, c->queue))
		copy_die(m, clock_head(m, c->queue), DIED_MAXLEN, true, sequence);
	return !c->is_there;
}

void model_tended(struct model *m, unsigned queue, uint64_t sequence)
{
	clock_expire(m, queue, m->now_ms - 1, sequence);
}

void model_drained(struct model *m, uint64_t sequence)
{
	for (unsigned q = 0; q <= MODEL_QUEUES; q++)
		clock_expire(m, q, m->now_ms, sequence);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		while (clock_is_over(m, q))
			copy_die(m, clock_head(m, q), DIED_MAXLEN, true, sequence);
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].until_ms <= m->now_ms)
			m->copies[i].until_ms = 0;
}
