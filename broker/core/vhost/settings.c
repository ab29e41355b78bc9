/* Settings: what queues and exchanges go by, from their arguments and the policies that match them.
 *
 * As in RabbitMQ an argument goes before a policy, but of limits and times the lowest holds,
 * wherever it comes from; an operator policy goes before an ordinary one. Values that make no sense
 * in a policy are as if they were not there. */
#include "core/vhost/settings.h"
#include "core/dedup/dedup.h"
#include "core/line/shelf.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/vhost/argument.h"

#include "table.h"

enum {
	DELIVERY_LIMIT_DEFAULT = 20,
	RETRY_MULTIPLIER_DEFAULT = 2,
	RETRY_MAX_MS_DEFAULT = 3600 * 1000
};

bool settings_find(const struct sources *s, enum argument_id id, struct table_value *v)
{
	const struct argument *a = &argument_table[id];
	assert(a->merge == MERGE_FIRST && a->name != NULL);
	return table_find(s->arguments, a->name, v) ||
	       (a->policy != NULL && (table_find(s->operator_policy, a->policy, v) ||
				      table_find(s->policy, a->policy, v)));
}

static void lower(struct bytes table, const char *key, uint64_t *limit)
{
	int64_t n;
	if (table_find_integer(table, key, &n) && n >= 0 && (uint64_t)n < *limit)
		*limit = (uint64_t)n;
}

static uint64_t lowest(const struct sources *s, enum argument_id id)
{
	const struct argument *a = &argument_table[id];
	uint64_t limit = NEVER;
	assert(a->merge == MERGE_LOWEST && a->name != NULL);
	lower(s->arguments, a->name, &limit);
	if (a->policy != NULL) {
		lower(s->policy, a->policy, &limit);
		lower(s->operator_policy, a->policy, &limit);
	}
	return limit;
}

static bool find_text(const struct sources *s, enum argument_id argument, struct bytes *text)
{
	struct table_value v;
	return settings_find(s, argument, &v) && table_value_string(&v, text);
}

static bool find_flag(const struct sources *s, enum argument_id argument)
{
	struct table_value v;
	bool flag;
	return settings_find(s, argument, &v) && table_value_bool(&v, &flag) && flag;
}

static double find_number(const struct sources *s, enum argument_id argument, double otherwise)
{
	struct table_value v;
	double number;
	return settings_find(s, argument, &v) && table_value_number(&v, &number) ? number
										 : otherwise;
}

static enum overflow find_overflow(const struct sources *s)
{
	struct bytes text;
	if (!find_text(s, ARGUMENT_OVERFLOW, &text))
		return OVERFLOW_DROP_HEAD;
	return bytes_equal_str(text, "reject-publish")         ? OVERFLOW_REJECT
	       : bytes_equal_str(text, "reject-publish-dlx")   ? OVERFLOW_REJECT_DLX
	       : bytes_equal_str(text, "drop-lowest-priority") ? OVERFLOW_DROP_LOWEST
							       : OVERFLOW_DROP_HEAD;
}

static struct retry find_retry(const struct sources *s)
{
	struct table_value schedule, step;
	struct bytes steps;
	int64_t step_ms;
	struct retry r = { .multiplier = find_number(s, ARGUMENT_RETRY_MULTIPLIER,
						     RETRY_MULTIPLIER_DEFAULT) };
	uint64_t initial = lowest(s, ARGUMENT_RETRY_INITIAL_MS),
		 max = lowest(s, ARGUMENT_RETRY_MAX_MS);
	r.initial_ms = initial == NEVER ? 0 : initial;
	r.max_ms = max == NEVER ? RETRY_MAX_MS_DEFAULT : max;
	r.jitter = find_number(s, ARGUMENT_RETRY_JITTER, 0);
	if (!(r.multiplier >= 1))
		r.multiplier = 1;
	if (!(r.jitter >= 0 && r.jitter <= 1))
		r.jitter = 0;
	if (settings_find(s, ARGUMENT_RETRY_SCHEDULE, &schedule) &&
	    table_value_array(&schedule, &steps))
		while (r.steps_len < RETRY_STEPS_MAX && array_next(&steps, &step))
			if (table_value_integer(&step, &step_ms) && step_ms >= 0)
				r.steps_ms[r.steps_len++] = (uint64_t)step_ms;
	return r;
}

static int find_priority(const struct sources *s)
{
	uint64_t max = lowest(s, ARGUMENT_MAX_PRIORITY);
	return max == NEVER ? -1 : max > UINT8_MAX ? UINT8_MAX : (int)max;
}

/* --- idempotency --- */

/* x-message-deduplication is what RabbitMQ's plugin calls it: with a queue it means as long as the
 * message is there. */
struct dedup settings_dedup(const struct sources *s, bool is_queue, bool takes_alias)
{
	struct bytes text;
	struct dedup d = { .mode = DEDUP_UNSET };
	uint64_t window = lowest(s, ARGUMENT_IDEMPOTENCY_WINDOW),
		 alias_window = lowest(s, ARGUMENT_CACHE_TTL);
	d.takes_alias = takes_alias || find_flag(s, ARGUMENT_MESSAGE_DEDUPLICATION);
	if (find_text(s, ARGUMENT_IDEMPOTENCY, &text))
		d.mode = bytes_equal_str(text, "window")         ? DEDUP_WINDOW
			 : bytes_equal_str(text, "sliding")      ? DEDUP_SLIDING
			 : bytes_equal_str(text, "while-queued") ? DEDUP_WHILE_QUEUED
								 : DEDUP_UNSET;
	else if (d.takes_alias)
		d.mode = is_queue ? DEDUP_WHILE_QUEUED : DEDUP_WINDOW;
	d.rejects_conflicts = find_text(s, ARGUMENT_IDEMPOTENCY_CONFLICT, &text) &&
			      bytes_equal_str(text, "reject");
	d.window_ms = window != NEVER                          ? window
		      : d.takes_alias && alias_window != NEVER ? alias_window
							       : 0;
	return d;
}

void dedup_set(struct core *core, struct dedup *dedup, struct dedup new)
{
	core->alias_users += (uint64_t) new.takes_alias - (uint64_t)dedup->takes_alias;
	*dedup = new;
	if (new.window_ms > core->key_log.longest_ms)
		core->key_log.longest_ms = new.window_ms;
}

void dedup_forget(struct core *core, struct dedup *dedup)
{
	dedup_set(core, dedup, (struct dedup){ .mode = DEDUP_UNSET });
}

struct settings settings_of(const struct sources *s)
{
	struct bytes type;
	struct settings t = {
		.ttl_ms = lowest(s, ARGUMENT_MESSAGE_TTL),
		.expires_ms = lowest(s, ARGUMENT_EXPIRES),
		.length_max = lowest(s, ARGUMENT_MAX_LENGTH),
		.bytes_max = lowest(s, ARGUMENT_MAX_LENGTH_BYTES),
		.delivery_limit = lowest(s, ARGUMENT_DELIVERY_LIMIT),
		.lease_ms = lowest(s, ARGUMENT_CONSUMER_TIMEOUT),
		.overflow = find_overflow(s),
		.is_single_active = find_flag(s, ARGUMENT_SINGLE_ACTIVE_CONSUMER),
		.max_priority = find_priority(s),
		.retry = find_retry(s),
	};
	t.has_dead_letter_exchange =
		find_text(s, ARGUMENT_DEAD_LETTER_EXCHANGE, &t.dead_letter_exchange);
	t.has_dead_letter_key =
		find_text(s, ARGUMENT_DEAD_LETTER_ROUTING_KEY, &t.dead_letter_key) &&
		t.dead_letter_key.len <= UINT8_MAX;
	find_text(s, ARGUMENT_GROUP_HEADER, &t.group_header);
	t.is_counting =
		t.delivery_limit != NEVER || t.retry.initial_ms > 0 || t.retry.steps_len > 0 ||
		(find_text(s, ARGUMENT_QUEUE_TYPE, &type) && bytes_equal_str(type, "quorum"));
	if (t.delivery_limit == NEVER && t.has_dead_letter_exchange)
		t.delivery_limit = DELIVERY_LIMIT_DEFAULT;
	return t;
}

/* --- retry --- */

/* A number from 0 to 1 that looks random, and is the same for the same failure. */
static double dice(const struct queue *q, uint64_t position, uint32_t count)
{
	uint64_t x[] = { position, count };
	return (double)(map_hash(&q->vhost->queues, bytes_of(x, sizeof x)) >> 11) * 0x1p-53;
}

uint64_t queue_backoff_ms(const struct queue *q, uint64_t position, uint32_t count)
{
	const struct retry *r = &q->settings.retry;
	double wait = (double)r->initial_ms;
	assert(count > 0);
	if (r->steps_len > 0) {
		wait = (double)r->steps_ms[count <= r->steps_len ? count - 1 : r->steps_len - 1];
	} else {
		for (uint32_t i = 1; i < count && wait < (double)r->max_ms; i++)
			wait *= r->multiplier;
		if (wait > (double)r->max_ms)
			wait = (double)r->max_ms;
	}
	if (wait > 0 && r->jitter > 0)
		wait *= 1 + r->jitter * (2 * dice(q, position, count) - 1);
	return (uint64_t)wait;
}
