/* Tending: what happens to a queue's messages without anybody asking: they expire, have waited long
 * enough, are too many. */
#include "core/flow/tend.h"
#include "core/dedup/identity.h"
#include "core/dedup/keylog.h"
#include "core/dispatch/consumer.h"
#include "core/dispatch/group.h"
#include "core/dispatch/lease.h"
#include "core/flow/deadletter.h"
#include "core/flow/delay.h"
#include "core/line/fifo.h"
#include "core/line/ranges.h"
#include "core/line/shelf.h"
#include "core/queue/limits.h"
#include "core/queue/load.h"
#include "core/queue/queue.h"
#include "core/residence/index.h"
#include "core/state.h"
#include "core/time/timer.h"
#include "core/topology/apply.h"
#include "core/topology/declare_queue.h"
#include "core/turnwork.h"
#include "core/vhost/settings.h"

enum {
	TENDED_PER_TURN = 4096,  /* Messages: others want to be served, too. */
	REFUSED_AGAIN_MS = 1000, /* A dead-letter target that refused a message is asked again after
				    this time. */
	DUE_PER_TURN = 8192,     /* Timers, */
	DUE_QUEUE = 8,           /* of which one that takes a queue away counts for so many. */
};

/* --- leaving --- */

/* Without its message nothing can be done about a death but to forget it. */
static bool needs_message(const struct queue *q)
{
	return q->settings.has_dead_letter_exchange || q->is_delaying || q->groups.len > 0 ||
	       identity_follows_queues(q->vhost->core);
}

void queue_keep_dying(struct queue *q, const struct taken *t, bool is_delivered,
		      enum death_reason reason)
{
	uint64_t again_ms = q->vhost->core->now_ms + REFUSED_AGAIN_MS;
	queue_put_back(q, t, is_delivered, SHELF_DYING, again_ms)->death = (uint8_t)reason;
	q->dying_len++;
}

void queue_bury(struct queue *q, const struct taken *t, bool is_delivered, enum death_reason reason)
{
	if (dead_letter(q, t->message, reason)) {
		queue_settle(q, t->position, t->message);
		return;
	}
	queue_keep_dying(q, t, is_delivered, reason);
}

/* A message of which only the place is known: nobody wants it. */
static void forget_unread(struct queue *q, const struct shelf_item *item)
{
	uint64_t location = slot_location(item->slot);
	if (!location_is_volatile(location)) {
		ranges_add(&q->removed_ranges, item->position, 1);
		queue_mark_changed(q);
		q->kept_bytes -= item->size < q->kept_bytes ? item->size : q->kept_bytes;
	}
	space_unref(q->vhost->core->options.space, location);
	q->vhost->core->figures.discarded[DEATH_EXPIRED]++;
}

static bool want_item(struct queue *q, const struct shelf_item *item, struct effect *effect)
{
	q->loading_item = (uint64_t)item->stamp << 32 | shelf_id(&q->shelf, item);
	queue_want_load(q);
	return load_next(q->vhost->core, effect);
}

static void remove_item(struct queue *q, struct shelf_item *item)
{
	assert(item->state != SHELF_DYING || q->dying_len > 0);
	q->dying_len -= item->state == SHELF_DYING;
	shelf_remove(&q->shelf, item);
}

/* The others of its group need not wait for it, whatever becomes of it. state: in which it was. */
static void tell_group(struct queue *q, const struct message *message, uint8_t state)
{
	if (q->groups.len == 0)
		return;
	if (state == SHELF_READY)
		group_lost(q, message);
	else if (state == SHELF_HELD)
		group_lost_held(q, message);
}

/* What is due of the shelf. False: its message must be read first. */
static bool item_is_due(struct queue *q, struct shelf_item *item, uint64_t now_ms)
{
	struct shelf_item was = *item;
	bool is_known = item->time_ms != 0 || q->settings.ttl_ms == NEVER;
	bool is_back =
		is_known && item->state == SHELF_WAITING && now_ms < shelf_expires(&q->shelf, item);
	if (is_back) {
		shelf_update(&q->shelf, item, SHELF_READY);
		return true;
	}
	if (slot_is_on_disk(item->slot) && (!is_known || needs_message(q)))
		return false;
	remove_item(q, item);
	if (slot_is_on_disk(was.slot)) {
		forget_unread(q, &was);
		return true;
	}
	struct taken t = { slot_message(was.slot), was.position, was.count, was.is_delivered };
	tell_group(q, t.message, was.state);
	if (q->is_delaying)
		delay_is_over(q, &t);
	else
		queue_bury(q, &t, was.is_delivered,
			   was.state == SHELF_DYING ? (enum death_reason)was.death : DEATH_EXPIRED);
	return true;
}

enum progress { DONE, MORE, LOADING };

/* The head of the fifo, once it is in memory. */
static enum progress read_head(struct queue *q, uint64_t **slot, uint64_t *position,
			       struct effect *effect)
{
	*slot = fifo_first(&q->fifo, position);
	if (*slot != NULL && !slot_is_on_disk(**slot))
		return DONE;
	if (*slot == NULL) {
		queue_want_index(q);
		return index_next(q->vhost->core, effect) ? LOADING : MORE;
	}
	q->loading_item = NEVER;
	q->is_loading_fifo = true;
	queue_want_load(q);
	return load_next(q->vhost->core, effect) ? LOADING : MORE;
}

/* The first one of the fifo is due first: all of them have the same time to live. NEVER: none is.
 */
static enum progress find_fifo_due(struct queue *q, struct head *head, uint64_t *due_ms,
				   struct effect *effect)
{
	*head = (struct head){ .is_new = true };
	*due_ms = NEVER;
	if (q->settings.ttl_ms == NEVER || q->fifo.len == 0)
		return DONE;
	enum progress reading = read_head(q, &head->slot, &head->position, effect);
	if (reading == DONE)
		*due_ms = slot_message(*head->slot)->time_ms + q->settings.ttl_ms;
	return reading;
}

/* What is due at now_ms and before goes in the order in which it is due, and of the same
 * millisecond by position, wherever it stands. */
static enum progress tend_due(struct queue *q, uint64_t now_ms, struct effect *effect)
{
	struct head head;
	uint64_t fifo_ms, shelf_ms = NEVER;
	enum progress reading = find_fifo_due(q, &head, &fifo_ms, effect);
	if (reading != DONE)
		return reading;
	struct shelf_item *item = shelf_due(&q->shelf, &shelf_ms);
	bool is_fifo = fifo_ms < shelf_ms ||
		       (item != NULL && fifo_ms == shelf_ms && head.position < item->position);
	uint64_t due_ms = is_fifo ? fifo_ms : shelf_ms;
	if (due_ms == NEVER)
		return DONE;
	if (due_ms > now_ms) {
		queue_arm(q, due_ms);
		return DONE;
	}
	if (is_fifo) {
		struct taken t = queue_take(q, &head);
		tell_group(q, t.message, SHELF_READY);
		queue_bury(q, &t, false, DEATH_EXPIRED);
		return MORE;
	}
	if (item_is_due(q, item, now_ms))
		return MORE;
	return want_item(q, item, effect) ? LOADING : MORE;
}

/* --- too many --- */

/* Of those that are ready, the one that goes when there are too many: the oldest of the lowest
 * priority, or the next one. */
static void find_ready_victim(struct queue *q, struct head *victim)
{
	queue_first(q, victim);
	struct shelf_item *item = shelf_lowest(&q->shelf, &q->shelf.ready);
	if (q->settings.overflow != OVERFLOW_DROP_LOWEST || victim->item == NULL || item == NULL ||
	    item->priority == 0)
		return;
	if (q->fifo.len == 0) {
		*victim = (struct head){ &item->slot, item, item->position, !item->is_delivered };
	} else {
		*victim = (struct head){ .is_new = true };
		victim->slot = fifo_first(&q->fifo, &victim->position);
	}
}

/* What is aside takes its part as if it stood in its place. */
static void find_victim(struct queue *q, struct head *victim)
{
	bool is_lowest = q->settings.overflow == OVERFLOW_DROP_LOWEST;
	struct shelf_item *held = is_lowest ? shelf_lowest(&q->shelf, &q->shelf.held)
					    : shelf_first(&q->shelf, &q->shelf.held);
	if (queue_ready(q) > 0)
		find_ready_victim(q, victim);
	if (held == NULL)
		return;
	uint8_t priority = queue_ready(q) == 0 || victim->item == NULL ? 0 : victim->item->priority;
	bool goes_first = held->priority != priority ? (held->priority > priority) != is_lowest
						     : held->position < victim->position;
	if (queue_ready(q) == 0 || goes_first)
		*victim = (struct head){ &held->slot, held, held->position, !held->is_delivered };
}

static enum progress tend_length(struct queue *q, struct effect *effect)
{
	struct head head;
	bool is_dropping = q->settings.overflow == OVERFLOW_DROP_HEAD ||
			   q->settings.overflow == OVERFLOW_DROP_LOWEST;
	if (!is_dropping || !queue_is_over(q, queue_counted(q), queue_counted_bytes(q)) ||
	    queue_counted(q) == 0)
		return DONE;
	find_victim(q, &head);
	if (head.item == NULL) {
		uint64_t *slot;
		enum progress reading = read_head(q, &slot, &head.position, effect);
		if (reading != DONE)
			return reading;
		head.slot = slot;
	} else if (slot_is_on_disk(*head.slot)) {
		return want_item(q, head.item, effect) ? LOADING : MORE;
	}
	bool is_delivered = head.item != NULL && head.item->is_delivered;
	uint8_t state = head.item == NULL ? SHELF_READY : head.item->state;
	struct taken t = queue_take(q, &head);
	tell_group(q, t.message, state);
	queue_bury(q, &t, is_delivered, DEATH_MAXLEN);
	q->is_woken = true;
	return queue_next_consumer(q) == NULL
		       ? MORE
		       : DONE; /* A consumer waits: perhaps it can have the next one. */
}

/* --- a queue's turn --- */

bool queue_tend(struct queue *q, bool is_blocked, struct effect *effect)
{
	struct core *core = q->vhost->core;
	/* What is due right now may still be delivered. */
	uint64_t now_ms = is_blocked || core->now_ms == 0 ? core->now_ms : core->now_ms - 1;
	for (;;) {
		if (core->tendable == 0) {
			list_remove(&q->in_dirty);
			if (list_is_empty(&q->in_late))
				list_push_tail(&core->late, &q->in_late);
			return false;
		}
		enum progress p = tend_due(q, now_ms, effect);
		if (p == DONE && is_blocked)
			p = tend_length(q, effect);
		if (p != MORE)
			return p == LOADING;
		core->tendable--;
		q->is_woken = true; /* What comes next may be deliverable. */
	}
}

/* Newer policies may let it stay: its time begins anew with them. */
static void queue_is_unused(struct queue *q)
{
	if (!queue_catch_up(q))
		queue_delete(q);
}

/* Returns how much of the turn's work that was. */
static uint32_t is_due(struct core *core, struct timer *t)
{
	timer_clear(&core->timers, t);
	switch (t->kind) {
	case TIMER_TEND: queue_mark_dirty(list_entry(t, struct queue, tend)); break;
	case TIMER_UNUSED: queue_is_unused(list_entry(t, struct queue, unused)); return DUE_QUEUE;
	case TIMER_KEYS: keylog_is_due(core); break;
	case TIMER_LEASE: lease_is_due(list_entry(t, struct lease, timer)); break;
	}
	return 1;
}

/* In the order in which they are due: what comes next in it waits for the next turn. */
static void run_timers(struct core *core)
{
	uint32_t work = 0;
	struct timer *t;
	while ((t = timers_first(&core->timers)) != NULL && t->due_ms <= core->now_ms &&
	       work < DUE_PER_TURN)
		work += is_due(core, t);
	core->is_behind_clock = t != NULL && t->due_ms <= core->now_ms;
}

void tend_begin(struct core *core)
{
	core->tendable = TENDED_PER_TURN;
	while (!list_is_empty(&core->late)) {
		struct queue *q = list_entry(core->late.next, struct queue, in_late);
		list_remove(&q->in_late);
		queue_mark_dirty(q);
	}
	run_timers(core);
}
