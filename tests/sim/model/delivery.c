/* Delivery: what may go out, and to whom; and what is owed. */
#include "clock.h"
#include "consumer.h"
#include "copy.h"
#include "group.h"
#include "model.h"

/* Both are in the same queue, `a` arrived earlier. */
static bool must_precede(const struct copy *a, const struct copy *b, bool is_earlier)
{
	unsigned pa = copy_priority(a->queue, a), pb = copy_priority(b->queue, b);
	return pa != pb ? pa > pb : is_earlier && !a->is_floating && !b->is_floating;
}

/* Two with one id may be there: one was published, and one came as a dead letter. */
static bool has_story(const struct copy *c, const struct model_story *story)
{
	if (c->deaths_len != story->len || c->strays != story->strays)
		return false;
	for (unsigned i = 0; i < story->len; i++) {
		const struct model_death *a = &c->deaths[i], *b = &story->deaths[i];
		if (a->queue != b->queue || a->reason != b->reason || a->count != b->count)
			return false;
	}
	return true;
}

static struct copy *find_ready(struct model *m, unsigned queue, uint64_t id)
{
	for (size_t i = 0; i < m->copies_len; i++)
		if (copy_is_ready(&m->copies[i], queue) && m->copies[i].id == id &&
		    has_story(&m->copies[i], &m->told))
			return &m->copies[i];
	return NULL;
}

/* Its group is with somebody who has enough; the found one is not of it. */
static bool is_aside(const struct model *m, const struct copy *c, const struct copy *found)
{
	return c->group != found->group && model_group_is_held(m, c);
}

/* Heads that could not go out yet were too many, and left before it. */
static void drop_blocked_heads(struct model *m, const struct copy *found, uint64_t sequence)
{
	if (clock_head(m, found->queue) != found)
		clock_let_in(m, found->queue, sequence);
	for (struct copy *c; clock_is_over(m, found->queue) &&
			     (c = clock_head(m, found->queue)) != found && !c->must_be_redelivered;)
		copy_die(m, c, copy_is_due(m, c) ? DIED_EXPIRED : DIED_MAXLEN, true, sequence);
}

/* It is known to have come here from another queue, which it can only have left by itself, just
 * now: most likely because its time was over. */
static bool catch_up(struct model *m, uint64_t id, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->id == id && copy_is_ready(c, c->queue) && copy_is_due(m, c)) {
			clock_leave(m, c, sequence);
			return true;
		}
	}
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->id == id && copy_is_ready(c, c->queue) && clock_drop(m, c, sequence))
			return true;
	}
	return false;
}

/* The copy that was delivered: nothing that is ready for sure was to go before it. */
static struct copy *find_delivered(struct model *m, unsigned queue, uint64_t id, uint64_t sequence)
{
	clock_expire(m, queue, m->now_ms - 1, sequence);
	struct copy *found = find_ready(m, queue, id);
	while (found == NULL && catch_up(m, id, sequence))
		found = find_ready(m, queue, id);
	MODEL_CHECK(m, found != NULL);
	MODEL_CHECK(m, copy_may_be_ready(m, found));
	drop_blocked_heads(m, found, sequence);
	for (size_t i = 0; i < m->copies_len; i++) {
		const struct copy *c = &m->copies[i];
		MODEL_CHECK(m, c == found || !copy_is_ready(c, queue) ||
				       !copy_must_be_ready(m, c) ||
				       !must_precede(c, found, c < found) || is_aside(m, c, found));
	}
	return found;
}

void model_delivered(struct model *m, unsigned queue, unsigned channel, int consumer, uint64_t tag,
		     uint64_t id, bool is_no_ack, bool is_redelivered, int64_t count,
		     uint64_t sequence)
{
	struct copy *c = find_delivered(m, queue, id, sequence);
	MODEL_CHECK(m, is_redelivered || !c->must_be_redelivered);
	MODEL_CHECK(m, !is_redelivered || c->must_be_redelivered || c->may_be_redelivered);
	MODEL_CHECK(m, (count >= 0) == (m->rules[queue].limit > 0));
	if (count >= 0) {
		MODEL_CHECK(m, count >= c->count_min && count <= c->count_max);
		c->count_min = c->count_max = (unsigned)count;
	}
	if (consumer >= 0) {
		MODEL_CHECK(m, m->consumers[consumer].is_on);
		MODEL_CHECK(m, m->consumers[consumer].queue == queue);
		MODEL_CHECK(m, model_is_its_turn(m, &m->consumers[consumer]));
	}
	MODEL_CHECK(m, model_group_is_open(m, c, consumer));
	m->deliveries++;
	c->must_be_redelivered = true;
	if (is_no_ack) {
		copy_remove(c, sequence);
		return;
	}
	c->is_unacked = true;
	c->is_queues_lease = consumer < 0 || m->consumers[consumer].lease_ms == 0;
	c->lease_ms =
		c->is_queues_lease ? m->rules[queue].lease_ms : m->consumers[consumer].lease_ms;
	c->lease_began_ms = m->now_ms;
	c->channel = channel;
	c->consumer = consumer;
	c->tag = tag;
	if (consumer >= 0)
		m->consumers[consumer].unacked++;
}

void model_got_nothing(struct model *m, unsigned queue)
{
	for (size_t i = 0; i < m->copies_len; i++)
		MODEL_CHECK(m, !copy_is_ready(&m->copies[i], queue) ||
				       !copy_must_be_ready(m, &m->copies[i]) ||
				       model_group_is_held(m, &m->copies[i]));
}

void model_quiet(struct model *m, bool is_synced)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
		const struct model_consumer *c = &m->consumers[i];
		bool is_owed = false, is_waiting = false;
		if (!model_may_take(c))
			continue;
		for (size_t k = 0; k < m->copies_len; k++) {
			const struct copy *copy = &m->copies[k];
			bool is_next = copy_is_ready(copy, c->queue) && copy_must_be_ready(m, copy);
			is_owed |= is_next && model_group_is_open(m, copy, (int)i);
			is_waiting |= is_next && copy->is_journaled && !copy->must_be_redelivered;
		}
		MODEL_CHECK(m, !is_owed || (!is_synced && is_waiting));
	}
}
