/* Dead letters: where a message goes that its queue gives up, with the story of its deaths in its
 * headers.
 *
 * The move is part of the turn in which the message leaves its queue, hence one journal
 * transaction: it is in the source or in the targets after a crash, never in both or in none. */
#include "core/flow/deadletter.h"
#include "core/exchange/exchange.h"
#include "core/flow/publish.h"
#include "core/flow/room.h"
#include "core/message/message.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/topology/apply.h"
#include "core/vhost/vhost.h"

#include "table.h"

#include <stdlib.h>

enum {
	COUNT_BYTES = 16,  /* Of a field "count". */
	DEATH_BYTES = 512, /* Room for what a death adds to the headers, besides names and keys. */
	MERGED_MAX = 64,   /* Entries of a story by others that are compared with each other: that
			      costs their square. A longer one is passed on as it is. */
};

struct death {
	const struct queue *queue;
	const struct message *message;
	const struct properties *properties;
	const char *reason;
	uint64_t time_s;
};

static const char *const reasons[] = {
	[DEATH_REJECTED] = "rejected",
	[DEATH_EXPIRED] = "expired",
	[DEATH_MAXLEN] = "maxlen",
	[DEATH_DELIVERY_LIMIT] = "delivery_limit",
};

/* --- x-death --- */

/* Deaths of one kind are one entry. What others have written may lack either, or have them of other
 * types: that is a kind of its own. */
struct kind {
	struct bytes queue;
	struct bytes reason;
	bool has_queue;
	bool has_reason;
};

static struct kind kind_of(struct bytes entry)
{
	struct kind k = { { NULL, 0 }, { NULL, 0 }, false, false };
	k.has_queue = table_find_string(entry, "queue", &k.queue);
	k.has_reason = table_find_string(entry, "reason", &k.reason);
	return k;
}

static bool same_kind(struct kind a, struct kind b)
{
	return a.has_queue == b.has_queue && a.has_reason == b.has_reason &&
	       bytes_equal(a.queue, b.queue) && bytes_equal(a.reason, b.reason);
}

/* What has been told so far. */
struct story {
	struct bytes deaths; /* The array's contents; what is no table in it is passed over. */
	size_t len;
};

static bool story_next(struct bytes *rest, struct bytes *entry)
{
	struct table_value v;
	while (array_next(rest, &v))
		if (table_value_table(&v, entry))
			return true;
	return false;
}

static struct story story_of(const struct properties *p)
{
	struct story s = { { NULL, 0 }, 0 };
	struct bytes entry;
	if (!table_find_array(p->headers, "x-death", &s.deaths))
		return s;
	for (struct bytes rest = s.deaths; story_next(&rest, &entry);)
		s.len++;
	return s;
}

/* The first entry of a kind, and how many there are. */
static size_t story_count(const struct story *s, struct kind kind, struct bytes *first)
{
	struct bytes entry;
	size_t len = 0;
	for (struct bytes rest = s->deaths; story_next(&rest, &entry);)
		if (same_kind(kind_of(entry), kind) && len++ == 0)
			*first = entry;
	return len;
}

/* The routing key and those of CC: what the message was sent to. */
static void write_routing_keys(struct writer *w, const struct death *d)
{
	struct table_value copy;
	struct bytes copies, key;
	write_shortstr(w, bytes_str("routing-keys"));
	write_u8(w, 'A');
	uint8_t *began = write_room(w, 4);
	write_u8(w, 'S');
	write_longstr(w, message_routing_key(d->message));
	if (table_find_array(d->properties->headers, "CC", &copies))
		while (array_next(&copies, &copy))
			if (table_value_string(&copy, &key)) {
				write_u8(w, 'S');
				write_longstr(w, key);
			}
	table_end(w, began);
}

static void write_first_of_kind(struct writer *w, const struct death *d)
{
	table_write_long(w, "count", 1);
	table_write_str(w, "reason", bytes_str(d->reason));
	table_write_str(w, "queue", d->queue->name);
	write_shortstr(w, bytes_str("time"));
	write_u8(w, 'T');
	write_u64(w, d->time_s);
	table_write_str(w, "exchange", message_exchange(d->message));
	write_routing_keys(w, d);
	if (d->properties->flags & HAS_expiration)
		table_write_str(w, "original-expiration", d->properties->expiration);
}

/* An entry with another count; all else stays as it was. */
static void write_counted(struct writer *w, struct bytes entry, int64_t count)
{
	struct bytes name;
	struct table_value v;
	table_write_long(w, "count", count);
	while (table_next(&entry, &name, &v))
		if (!bytes_equal_str(name, "count"))
			table_write_value(w, name, &v);
}

/* How often a message has died in one way: entries without a count, as old brokers wrote them,
 * count one each. Only of a story of one entry nothing is known: as with RabbitMQ, it begins now.
 */
static int64_t count_of(const struct story *s, struct bytes first, size_t alike)
{
	int64_t count;
	if (!table_find_integer(first, "count", &count))
		count = s->len == 1 ? 0 : (int64_t)alike;
	return count;
}

static void write_this_death(struct writer *w, const struct story *s, const struct death *d,
			     struct kind kind)
{
	struct bytes first = { NULL, 0 };
	size_t alike = story_count(s, kind, &first);
	if (alike == 0) {
		write_first_of_kind(w, d);
		return;
	}
	int64_t count = count_of(s, first, alike);
	write_counted(w, first, count < INT64_MAX ? count + 1 : count);
}

/* Has an entry of the kind been met before this one? */
static bool is_repeated(const struct story *s, struct bytes entry)
{
	struct bytes first = entry;
	if (s->len > MERGED_MAX)
		return false;
	story_count(s, kind_of(entry), &first);
	return first.data != entry.data;
}

static void write_other_death(struct writer *w, const struct story *s, struct bytes entry)
{
	struct bytes first = entry;
	int64_t count;
	if (s->len == 1 || s->len > MERGED_MAX || table_find_integer(entry, "count", &count)) {
		write_bytes(w, entry);
		return;
	}
	size_t alike = story_count(s, kind_of(entry), &first);
	write_counted(w, entry, count_of(s, first, alike));
}

/* An array of tables, the newest death first, one for each {queue, reason}. */
static void write_deaths(struct writer *w, const struct death *d)
{
	struct story s = story_of(d->properties);
	struct kind kind = { d->queue->name, bytes_str(d->reason), true, true };
	struct bytes rest = s.deaths, entry;
	write_shortstr(w, bytes_str("x-death"));
	write_u8(w, 'A');
	uint8_t *array = write_room(w, 4);
	write_u8(w, 'F');
	uint8_t *table = write_room(w, 4);
	write_this_death(w, &s, d, kind);
	table_end(w, table);
	while (story_next(&rest, &entry)) {
		if (same_kind(kind_of(entry), kind) || is_repeated(&s, entry))
			continue;
		write_u8(w, 'F');
		table = write_room(w, 4);
		write_other_death(w, &s, entry);
		table_end(w, table);
	}
	table_end(w, array);
}

static void write_headers(struct writer *w, const struct death *d, bool drops_cc)
{
	struct bytes rest = d->properties->headers, name;
	struct table_value v;
	while (table_next(&rest, &name, &v))
		if (!bytes_equal_str(name, "x-death") && !bytes_has_prefix(name, "x-last-death-") &&
		    !(drops_cc && bytes_equal_str(name, "CC")))
			table_write_value(w, name, &v);
	write_deaths(w, d);
	table_write_str(w, "x-last-death-exchange", message_exchange(d->message));
	table_write_str(w, "x-last-death-queue", d->queue->name);
	table_write_str(w, "x-last-death-reason", bytes_str(d->reason));
	if (table_find(d->properties->headers, "x-first-death-reason", &v))
		return;
	table_write_str(w, "x-first-death-exchange", message_exchange(d->message));
	table_write_str(w, "x-first-death-queue", d->queue->name);
	table_write_str(w, "x-first-death-reason", bytes_str(d->reason));
}

/* --- the move --- */

/* The message as it goes on. NULL if there is no memory for it. */
static struct message *reborn(struct core *core, const struct death *d, struct bytes exchange,
			      struct bytes key, bool drops_cc)
{
	struct properties p = *d->properties;
	size_t cap = 2 * p.headers.len + DEATH_BYTES + 8 * UINT8_MAX + MERGED_MAX * COUNT_BYTES;
	uint8_t *headers = malloc(cap);
	if (headers == NULL)
		return NULL;
	struct writer w = writer_of(headers, cap);
	write_headers(&w, d, drops_cc);
	struct bytes table = bytes_of(headers, (size_t)(w.at - headers));
	assert(!w.failed);
	p.headers = table;
	p.flags |= HAS_headers;
	p.flags &= (uint16_t)~HAS_expiration;

	struct message *m = message_remake(&core->messages, d->message, exchange, key, &p);
	free(headers);
	if (m == NULL)
		return NULL;
	m->time_ms = core->now_ms;
	m->expires_ms = 0; /* Its time again; its own expiration has been taken from it. */
	return m;
}

/* The message would return to a queue where it has died before, and nobody has rejected it since:
 * no client moves it round, so it would go round for ever. deaths: its x-death, newest first. */
static bool is_cycle(const struct queue *target, struct bytes deaths)
{
	struct table_value v;
	struct bytes entry, queue, reason;
	while (array_next(&deaths, &v)) {
		if (!table_value_table(&v, &entry) ||
		    (table_find_string(entry, "reason", &reason) &&
		     bytes_equal_str(reason, "rejected")))
			return false;
		if (table_find_string(entry, "queue", &queue) && bytes_equal(queue, target->name))
			return true;
	}
	return false;
}

static size_t without_cycles(struct queue **queues, size_t len, const struct properties *p)
{
	struct bytes deaths;
	size_t kept = 0;
	if (!table_find_array(p->headers, "x-death", &deaths))
		return len;
	for (size_t i = 0; i < len; i++)
		if (!is_cycle(queues[i], deaths))
			queues[kept++] = queues[i];
	return kept;
}

static bool is_refused(struct queue **queues, size_t len, const struct message *message)
{
	for (size_t i = 0; i < len; i++)
		if (queue_refuses(queues[i], message))
			return true;
	return false;
}

/* The dead message goes on, if anywhere. Takes the reference unless it is refused. */
static bool move(struct queue *q, struct exchange *x, struct message *m, enum death_reason reason)
{
	struct core *core = q->vhost->core;
	struct properties p;
	bool is_decoded = properties_decode(&p, message_properties(m));
	assert(is_decoded); /* Whoever brings one in has looked. */
	size_t routed_len, queues_len;
	struct queue **queues = route(core, x, m, &p, &routed_len);
	queues_len = without_cycles(queues, routed_len, &p);
	queues_catch_up(core, queues, queues_len);
	core->figures.cycles += routed_len - queues_len;
	if (is_refused(queues, queues_len, m))
		return false;
	if (queues_len == 0) {
		core->figures.discarded[reason]++;
		message_unref(&core->messages, m);
		return true;
	}
	core->figures.dead_lettered[reason]++;
	message_enqueue(core, m, queues, queues_len);
	return true;
}

bool dead_letter(struct queue *q, const struct message *message, enum death_reason reason)
{
	struct core *core = q->vhost->core;
	const struct settings *s = &q->settings;
	struct properties p;
	if (core->is_ending)
		return true;
	struct exchange *x = s->has_dead_letter_exchange
				     ? exchange_find(q->vhost, s->dead_letter_exchange)
				     : NULL;
	if (x == NULL) {
		core->figures.discarded[reason]++;
		return true;
	}
	bool is_decoded = properties_decode(&p, message_properties(message));
	assert(is_decoded); /* Whoever brings one in has looked. */
	struct death d = { q, message, &p, reasons[reason], core->now_ms / 1000 };
	struct bytes key =
		s->has_dead_letter_key ? s->dead_letter_key : message_routing_key(message);
	struct message *m = reborn(core, &d, x->name, key, s->has_dead_letter_key);
	if (m == NULL) /* It stays, and tries again. */
		return false;
	if (move(q, x, m, reason))
		return true;
	message_unref(&core->messages, m);
	return false;
}
