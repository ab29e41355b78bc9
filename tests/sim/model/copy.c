#include "copy.h"

void copy_set_due(const struct model *m, struct copy *c)
{
	uint64_t ttl_ms = m->rules[c->queue].ttl_ms, due_ms = c->arrived_ms + ttl_ms;
	c->due_ms = c->own_due_ms;
	if (ttl_ms > 0 && (c->due_ms == 0 || due_ms < c->due_ms))
		c->due_ms = due_ms;
}

struct copy *copy_add(struct model *m, uint64_t id, unsigned queue, bool is_persistent,
		      uint64_t sequence)
{
	const struct model_queue *q = &m->rules[queue];
	MODEL_CHECK(m, m->copies_len < MODEL_COPIES_MAX);
	struct copy *c = &m->copies[m->copies_len++];
	*c = (struct copy){
		.id = id,
		.queue = queue,
		.is_persistent = is_persistent,
		.is_journaled = is_persistent && q->is_durable,
		.is_there = true,
		.published = sequence,
		.arrived_ms = m->now_ms,
	};
	copy_set_due(m, c);
	return c;
}

void copy_release(struct model *m, struct copy *c)
{
	if (c->consumer >= 0)
		m->consumers[c->consumer].unacked--;
	c->is_unacked = false;
}

void copy_remove(struct copy *c, uint64_t sequence)
{
	c->is_there = false;
	c->gone = sequence;
}

static bool is_same_kind(const struct model_death *a, const struct model_death *b)
{
	return a->queue == b->queue && a->reason == b->reason;
}

/* How often it has died so: as the first of its kind says; where none does, as often as it is told,
 * but for a story of a single entry, which says nothing. */
static uint64_t count_of(const struct copy *c, const struct model_death *kind)
{
	const struct model_death *first = NULL;
	unsigned told = 0;
	for (unsigned i = 0; i < c->deaths_len; i++)
		if (is_same_kind(&c->deaths[i], kind) && told++ == 0)
			first = &c->deaths[i];
	return first == NULL ? 0 : first->count > 0 ? first->count : c->deaths_len == 1 ? 0 : told;
}

/* The message has died in its queue: its history, newest first, each kind once, and nothing else.
 */
static void add_death(struct model *m, struct copy *c, const struct copy *old,
		      enum model_reason reason)
{
	struct model_death this = { old->queue, reason, 1 };
	this.count += count_of(old, &this);
	c->deaths[c->deaths_len++] = this;
	for (unsigned i = 0; i < old->deaths_len; i++) {
		struct model_death other = old->deaths[i];
		bool is_told = false;
		for (unsigned k = 0; k < c->deaths_len; k++)
			is_told |= is_same_kind(&c->deaths[k], &other);
		if (is_told)
			continue;
		other.count = count_of(old, &other);
		MODEL_CHECK(m, c->deaths_len < MODEL_DEATHS_MAX);
		c->deaths[c->deaths_len++] = other;
	}
}

static bool is_cycle(const struct copy *c)
{
	for (unsigned i = 0; i < c->deaths_len && c->deaths[i].reason != DIED_REJECTED; i++)
		if (c->deaths[i].queue == c->queue)
			return true;
	return false;
}

void copy_die(struct model *m, struct copy *c, enum model_reason reason, bool is_floating,
	      uint64_t sequence)
{
	int target = m->rules[c->queue].dead_to;
	copy_remove(c, sequence);
	m->died[reason]++;
	if (target < 0)
		return;
	struct copy *reborn = copy_add(m, c->id, (unsigned)target, c->is_persistent, sequence);
	reborn->is_floating = is_floating;
	reborn->priority = c->priority;
	add_death(m, reborn, c, reason);
	if (is_cycle(reborn)) {
		m->cycles++;
		m->copies_len--;
	}
}

unsigned copy_priority(unsigned queue, const struct copy *c)
{
	unsigned max = model_queues[queue].max_priority;
	return c->priority < max ? c->priority : max;
}

bool copy_is_ready(const struct copy *c, unsigned queue)
{
	return c->is_there && !c->is_unacked && c->queue == queue;
}

bool copy_may_be_ready(const struct model *m, const struct copy *c)
{
	return (c->due_ms == 0 || c->due_ms >= m->now_ms) &&
	       (c->until_ms <= m->now_ms || c->may_not_wait);
}

bool copy_must_be_ready(const struct model *m, const struct copy *c)
{
	return (c->due_ms == 0 || c->due_ms > m->now_ms) &&
	       (c->until_ms == 0 || c->until_ms < m->now_ms);
}

bool copy_is_due(const struct model *m, const struct copy *c)
{
	return c->due_ms != 0 && c->due_ms <= m->now_ms;
}
