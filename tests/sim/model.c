#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void model_fail(const struct model *m, const char *what, const char *where)
{
	fprintf(stderr, "seed %" PRIu64 " step %" PRIu64 ": %s (%s)\n", m->seed, m->step, what,
		where);
	exit(MODEL_VERDICT);
}

/* 2 and 6 send each other what expires: a cycle. 4 and 7 give up into 0. In 0 and 7 a key holds as
 * long as its message is there. */
const struct model_queue model_queues[MODEL_QUEUES + 1] = {
	{ .is_durable = true, .is_fanned = true, .is_unique = true, .dead_to = -1 },
	{ .is_durable = true, .is_fanned = true, .dead_to = -1 },
	{ .is_durable = true, .dead_to = 6, .ttl_ms = 150, .limit = 20 },
	{ .is_durable = false, .is_fanned = true, .dead_to = -1 },
	{ .is_durable = true, .dead_to = 0, .length_max = 6, .max_priority = 3, .limit = 20 },
	{ .is_durable = true,
	  .is_fanned = true,
	  .dead_to = -1,
	  .length_max = 5,
	  .is_rejecting = true },
	{ .is_durable = true, .dead_to = 2, .ttl_ms = 250, .limit = 20 },
	{ .is_durable = true,
	  .dead_to = 0,
	  .is_unique = true,
	  .limit = 3,
	  .retry_ms = 40,
	  .retry_max_ms = 100 },
	{ .is_durable = true, .dead_to = -1 },
};

/* --- copies --- */

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

static struct copy *add_copy(struct model *m, uint64_t id, unsigned queue, bool is_persistent,
			     uint64_t sequence)
{
	const struct model_queue *q = &model_queues[queue];
	MODEL_CHECK(m, m->copies_len < MODEL_COPIES_MAX);
	struct copy *c = &m->copies[m->copies_len++];
	*c = (struct copy){
		.id = id,
		.queue = queue,
		.is_persistent = is_persistent,
		.is_journaled = is_persistent && q->is_durable,
		.is_there = true,
		.published = sequence,
		.due_ms = q->ttl_ms == 0 ? 0 : m->now_ms + q->ttl_ms,
	};
	return c;
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

/* The message has died in its queue: its history, newest first, each kind once. */
static void add_death(struct model *m, struct copy *c, const struct copy *old,
		      enum model_reason reason)
{
	struct model_death *this = &c->deaths[c->deaths_len++];
	*this = (struct model_death){ old->queue, reason, 1 };
	for (unsigned i = 0; i < old->deaths_len; i++) {
		if (old->deaths[i].queue == old->queue && old->deaths[i].reason == reason) {
			this->count += old->deaths[i].count;
			continue;
		}
		MODEL_CHECK(m, c->deaths_len < MODEL_DEATHS_MAX);
		c->deaths[c->deaths_len++] = old->deaths[i];
	}
}

static bool is_cycle(const struct copy *c)
{
	for (unsigned i = 0; i < c->deaths_len && c->deaths[i].reason != DIED_REJECTED; i++)
		if (c->deaths[i].queue == c->queue)
			return true;
	return false;
}

static void die(struct model *m, struct copy *c, enum model_reason reason, bool is_floating,
		uint64_t sequence)
{
	int target = model_queues[c->queue].dead_to;
	remove_copy(c, sequence);
	m->died[reason]++;
	if (target < 0)
		return;
	struct copy *reborn = add_copy(m, c->id, (unsigned)target, c->is_persistent, sequence);
	reborn->is_floating = is_floating;
	reborn->priority = c->priority;
	add_death(m, reborn, c, reason);
	if (is_cycle(reborn)) {
		m->cycles++;
		m->copies_len--;
	}
}

/* --- what was asked --- */

static unsigned priority_in(unsigned queue, const struct copy *c)
{
	unsigned max = model_queues[queue].max_priority;
	return c->priority < max ? c->priority : max;
}

/* Counted as the broker does: what its consumers are about to take does not fill it. */
static bool is_full(const struct model *m, unsigned queue)
{
	uint64_t ready = 0, credit = 0;
	if (!model_queues[queue].is_rejecting)
		return false;
	for (size_t i = 0; i < m->copies_len; i++)
		ready += m->copies[i].is_there && !m->copies[i].is_unacked &&
			 m->copies[i].queue == queue;
	for (unsigned i = 0; i < MODEL_CONSUMERS && !m->is_unwritable; i++) {
		const struct model_consumer *c = &m->consumers[i];
		if (c->is_on && c->queue == queue)
			credit += c->is_no_ack || c->prefetch == 0 ? 1000000
				  : c->unacked < c->prefetch       ? c->prefetch - c->unacked
								   : 0;
	}
	return ready + 1 > model_queues[queue].length_max + credit;
}

static void publish_copy(struct model *m, const struct model_publish *p, unsigned queue,
			 uint64_t sequence)
{
	struct copy *c = add_copy(m, p->id, queue, p->is_persistent, sequence);
	c->priority = p->priority;
	c->key = p->key;
	memcpy(c->deaths, p->deaths, sizeof p->deaths);
	c->deaths_len = p->deaths_len;
	c->due_ms = lower(c->due_ms, p->expiration_ms == 0 ? 0 : m->now_ms + p->expiration_ms);
}

/* --- keys --- */

/* The message in this queue that holds the key. */
static const struct copy *holder(const struct model *m, unsigned queue, unsigned key)
{
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].is_there && m->copies[i].queue == queue && m->copies[i].key == key)
			return &m->copies[i];
	return NULL;
}

/* What becomes of a publish with a key: false if it is a duplicate. What of the queues have it
 * already leaves the set; *needs is what its confirm must wait for, whatever else. */
static bool is_new(struct model *m, struct model_publish *p, bool *is_remembered, uint64_t *needs)
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

/* --- producers --- */

bool model_is_fenced(const struct model *m, const struct model_publish *p)
{
	const struct model_producer *r = &m->producers[p->producer - 1];
	if (!r->has_any || p->epoch > r->epoch)
		return false;
	return p->epoch < r->epoch || p->number + MODEL_PRODUCER_WINDOW <= r->highest;
}

static bool is_repeated(const struct model *m, const struct model_publish *p, uint64_t *needs)
{
	const struct model_producer *r = &m->producers[p->producer - 1];
	if (!r->has_any || p->epoch > r->epoch || r->numbers[p->number].state == NUMBER_NEW)
		return false;
	MODEL_CHECK(m, r->numbers[p->number].state == NUMBER_SEEN);
	*needs = r->numbers[p->number].is_journaled ? r->numbers[p->number].sequence : 0;
	return true;
}

static void remember_number(struct model *m, const struct model_publish *p, bool is_journaled,
			    uint64_t sequence)
{
	struct model_producer *r = &m->producers[p->producer - 1];
	if (p->epoch > r->epoch || !r->has_any) {
		memset(r, 0, sizeof *r);
		r->epoch = p->epoch;
		r->has_any = true;
	}
	r->numbers[p->number].state = NUMBER_SEEN;
	r->numbers[p->number].is_journaled = is_journaled;
	r->numbers[p->number].sequence = sequence;
	if (p->number > r->highest)
		r->highest = p->number;
}

/* Of what was not on disk nothing is left; of what need not be, anything may be. */
static void producer_crashed(struct model_producer *r, uint64_t durable)
{
	bool is_sure = false, has_high = false;
	if (!r->has_any)
		return;
	for (unsigned i = MODEL_NUMBERS; i-- > 0;) {
		enum model_number *state = &r->numbers[i].state;
		if (*state == NUMBER_SEEN && r->numbers[i].is_journaled)
			*state = r->numbers[i].sequence <= durable ? NUMBER_SEEN : NUMBER_NEW;
		else if (*state == NUMBER_SEEN)
			*state = NUMBER_UNSURE;
		is_sure |= *state == NUMBER_SEEN;
		if (*state != NUMBER_NEW && !has_high) {
			has_high = true;
			r->highest = i;
		}
	}
	r->must_renew |= !is_sure;
}

static bool is_any_full(const struct model *m, const struct model_publish *p)
{
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if ((p->queues & 1u << q) && p->delay_ms == 0 && is_full(m, q))
			return true;
	return false;
}

static void confirm(struct model *m, int channel, uint64_t needs, bool is_refused)
{
	if (channel < 0)
		return;
	uint64_t tag = ++m->published[channel];
	m->needs[channel][tag] = needs;
	m->is_refused[channel][tag] = is_refused;
}

/* Whether the journal has it. */
static bool enqueue(struct model *m, const struct model_publish *p, bool *is_refused,
		    uint64_t sequence)
{
	bool is_journaled = false;
	if (p->delay_ms > 0) {
		struct copy *c = add_copy(m, p->id, MODEL_DELAY, p->is_persistent, sequence);
		c->priority = p->priority;
		c->due_ms = m->now_ms + p->delay_ms;
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

void model_published(struct model *m, const struct model_publish *asked, int channel,
		     uint64_t sequence)
{
	struct model_publish p = *asked;
	bool is_refused = false, is_remembered = false;
	uint64_t needs = 0;
	if (p.key != 0 && !is_new(m, &p, &is_remembered, &needs)) {
		m->duplicates++;
		confirm(m, channel, needs, false);
		return;
	}
	if (p.producer != 0 && is_repeated(m, &p, &needs)) {
		m->duplicates++;
		confirm(m, channel, needs, false);
		return;
	}
	if ((p.key != 0 || p.producer != 0) && is_any_full(m, &p)) { /* All or none. */
		m->refusals++;
		confirm(m, channel, needs, true);
		return;
	}
	bool is_journaled = enqueue(m, &p, &is_refused, sequence);
	if (is_remembered && (p.queues != 0 || p.delay_ms > 0))
		m->keys[p.scope][p.key] =
			(struct model_key){ true, is_journaled, m->now_ms, sequence };
	if (p.producer != 0 && p.queues != 0)
		remember_number(m, &p, is_journaled, sequence);
	m->refusals += is_refused;
	confirm(m, channel, is_journaled ? sequence : needs, is_refused);
}

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
	const struct model_queue *q = &model_queues[c->queue];
	if (q->limit > 0 && c->count_max >= q->limit) {
		die(m, c, DIED_LIMIT, false, sequence);
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
		release(m, c);
		if (how == REQUEUED)
			requeue(m, c, sequence);
		else if (how == REJECTED)
			die(m, c, DIED_REJECTED, false, sequence);
		else
			remove_copy(c, sequence);
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
		remove_copy(c, sequence);
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
		if (m->copies[i].is_there && m->copies[i].is_unacked &&
		    m->copies[i].consumer == (int)consumer)
			m->copies[i].consumer = -1;
}

void model_channel_gone(struct model *m, unsigned channel, uint64_t sequence)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (m->consumers[i].is_on && m->consumers[i].channel == channel)
			model_consumer_gone(m, i);
	model_settled(m, channel, UINT64_MAX, true, REQUEUED, sequence);
	m->published[channel] = m->confirmed[channel] = 0;
}

/* --- what the core did --- */

static bool is_ready(const struct copy *c, unsigned queue)
{
	return c->is_there && !c->is_unacked && c->queue == queue;
}

/* At this very moment an expired one may have left or not, and a waiting one may have come back or
 * not. */
static bool may_be_ready(const struct model *m, const struct copy *c)
{
	return (c->due_ms == 0 || c->due_ms >= m->now_ms) &&
	       (c->until_ms <= m->now_ms || c->may_not_wait);
}

static bool must_be_ready(const struct model *m, const struct copy *c)
{
	return (c->due_ms == 0 || c->due_ms > m->now_ms) &&
	       (c->until_ms == 0 || c->until_ms < m->now_ms);
}

/* Both are in the same queue, `a` arrived earlier. */
static bool must_precede(const struct copy *a, const struct copy *b, bool is_earlier)
{
	unsigned pa = priority_in(a->queue, a), pb = priority_in(b->queue, b);
	return pa != pb ? pa > pb : is_earlier && !a->is_floating && !b->is_floating;
}

static bool has_credit(const struct model_consumer *c)
{
	return c->is_no_ack || c->prefetch == 0 || c->unacked < c->prefetch;
}

static bool is_due(const struct model *m, const struct copy *c)
{
	return c->due_ms != 0 && c->due_ms <= m->now_ms;
}

static void leave_by_the_clock(struct model *m, struct copy *c, uint64_t sequence)
{
	if (c->queue != MODEL_DELAY) {
		die(m, c, DIED_EXPIRED, true, sequence);
		return;
	}
	struct copy *routed = add_copy(m, c->id, MODEL_DELAY_TO, c->is_persistent, sequence);
	routed->priority = c->priority;
	routed->is_floating = true;
	remove_copy(c, sequence);
}

/* Dead letters that this makes come after those that were there, and are looked at as well. */
static void expire(struct model *m, unsigned queue, uint64_t now_ms, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (is_ready(c, queue) && c->due_ms != 0 && c->due_ms <= now_ms)
			leave_by_the_clock(m, c, sequence);
	}
}

static struct copy *head(struct model *m, unsigned queue)
{
	struct copy *first = NULL;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (!is_ready(c, queue))
			continue;
		if (first == NULL || priority_in(queue, c) > priority_in(queue, first))
			first = c;
	}
	return first;
}

/* Two with one id may be there: one was published, and one came as a dead letter. */
static bool has_story(const struct copy *c, const struct model_story *story)
{
	if (c->deaths_len != story->len)
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
		if (is_ready(&m->copies[i], queue) && m->copies[i].id == id &&
		    has_story(&m->copies[i], &m->told))
			return &m->copies[i];
	return NULL;
}

/* What has expired leaves before there are too many: it does not push out what would be kept.
 * RabbitMQ drops the head first, expired or not, when messages come back to a full queue. */
static bool is_over(const struct model *m, unsigned queue)
{
	const struct model_queue *q = &model_queues[queue];
	unsigned kept = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		const struct copy *c = &m->copies[i];
		kept += is_ready(c, queue) && (c->due_ms == 0 || c->due_ms > m->now_ms);
	}
	return q->length_max > 0 && !q->is_rejecting && kept > q->length_max;
}

/* Heads that could not go out yet were too many, and left before it. */
static void drop_blocked_heads(struct model *m, const struct copy *found, uint64_t sequence)
{
	for (struct copy *c; is_over(m, found->queue) && (c = head(m, found->queue)) != found &&
			     !c->must_be_redelivered;)
		die(m, c, is_due(m, c) ? DIED_EXPIRED : DIED_MAXLEN, true, sequence);
}

/* Heads leave while there are too many, up to this one; false: it need not leave. */
static bool leave_as_too_many(struct model *m, const struct copy *c, uint64_t sequence)
{
	if (!is_over(m, c->queue))
		return false;
	expire(m, c->queue, m->now_ms, sequence);
	while (c->is_there && is_over(m, c->queue))
		die(m, head(m, c->queue), DIED_MAXLEN, true, sequence);
	return !c->is_there;
}

/* It is known to have come here from another queue, which it can only have left by itself, just
 * now: most likely because its time was over. */
static bool catch_up(struct model *m, uint64_t id, uint64_t sequence)
{
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->id == id && is_ready(c, c->queue) && is_due(m, c)) {
			leave_by_the_clock(m, c, sequence);
			return true;
		}
	}
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy *c = &m->copies[i];
		if (c->id == id && is_ready(c, c->queue) && leave_as_too_many(m, c, sequence))
			return true;
	}
	return false;
}

/* The copy that was delivered: nothing that is ready for sure was to go before it. */
static struct copy *find_delivered(struct model *m, unsigned queue, uint64_t id, uint64_t sequence)
{
	expire(m, queue, m->now_ms - 1, sequence);
	struct copy *found = find_ready(m, queue, id);
	while (found == NULL && catch_up(m, id, sequence))
		found = find_ready(m, queue, id);
	MODEL_CHECK(m, found != NULL);
	MODEL_CHECK(m, may_be_ready(m, found));
	drop_blocked_heads(m, found, sequence);
	for (size_t i = 0; i < m->copies_len; i++) {
		const struct copy *c = &m->copies[i];
		MODEL_CHECK(m, c == found || !is_ready(c, queue) || !must_be_ready(m, c) ||
				       !must_precede(c, found, c < found));
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
	MODEL_CHECK(m, (count >= 0) == (model_queues[queue].limit > 0));
	if (count >= 0) {
		MODEL_CHECK(m, count >= c->count_min && count <= c->count_max);
		c->count_min = c->count_max = (unsigned)count;
	}
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
	for (size_t i = 0; i < m->copies_len; i++)
		MODEL_CHECK(m, !is_ready(&m->copies[i], queue) || !must_be_ready(m, &m->copies[i]));
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

/* --- by the clock --- */

void model_tended(struct model *m, unsigned queue, uint64_t sequence)
{
	expire(m, queue, m->now_ms - 1, sequence);
}

void model_drained(struct model *m, uint64_t sequence)
{
	for (unsigned q = 0; q <= MODEL_QUEUES; q++)
		expire(m, q, m->now_ms, sequence);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		while (is_over(m, q))
			die(m, head(m, q), DIED_MAXLEN, true, sequence);
	for (size_t i = 0; i < m->copies_len; i++)
		if (m->copies[i].until_ms <= m->now_ms)
			m->copies[i].until_ms = 0;
}

void model_quiet(struct model *m, bool is_synced)
{
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
		const struct model_consumer *c = &m->consumers[i];
		bool is_owed = false, is_waiting = false;
		if (!c->is_on || !has_credit(c))
			continue;
		for (size_t k = 0; k < m->copies_len; k++) {
			const struct copy *copy = &m->copies[k];
			bool is_next = is_ready(copy, c->queue) && must_be_ready(m, copy);
			is_owed |= is_next;
			is_waiting |= is_next && copy->is_journaled && !copy->must_be_redelivered;
		}
		MODEL_CHECK(m, !is_owed || (!is_synced && is_waiting));
	}
}

/* --- crashes --- */

void model_crashed(struct model *m, uint64_t durable)
{
	memset(m->consumers, 0, sizeof m->consumers);
	memset(m->published, 0, sizeof m->published);
	memset(m->confirmed, 0, sizeof m->confirmed);
	for (unsigned i = 0; i < MODEL_PRODUCERS; i++)
		producer_crashed(&m->producers[i], durable);
	for (unsigned scope = 0; scope < MODEL_SCOPES; scope++)
		for (struct model_key *k = m->keys[scope]; k <= &m->keys[scope][MODEL_KEYS]; k++)
			k->is_there &= k->is_journaled && k->sequence <= durable;
	size_t kept = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy c = m->copies[i];
		bool was_there = c.is_journaled && c.published <= durable;
		bool is_gone = c.gone != NOT_YET && c.gone <= durable;
		if (!was_there || is_gone)
			continue;
		c.is_there = true;
		c.is_unacked = false;
		c.gone = NOT_YET;
		c.may_be_redelivered = c.may_not_wait = true;
		c.count_min = 0;
		c.count_max++;
		m->copies[kept++] = c;
	}
	m->copies_len = kept;
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
