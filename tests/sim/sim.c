/* Simulation of the core: one seed is one life of publishers, consumers, transactions, checkpoints,
 * late disks and crashes that keep any prefix of what was not yet synced. Everything the core does
 * is put before the model (model.h).
 *
 *   sim [--first SEED] [--seeds N] [--steps N]        a failure prints the seed and step, and ends with 3 */
#include "chunk.h"
#include "core/admin.h"
#include "core/inputs.h"
#include "core/queue/fifo.h"
#include "disk.h"
#include "model.h"
#include "routing.h"
#include "scenario.h"

#include "base/prng.h"
#include "table.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TX_CHANNEL = MODEL_CHANNELS - 1, SETTLES_MAX = 64, PUBLISHES_MAX = 64 };

struct tx_settle {
	uint64_t tag;
	enum model_settlement how;
};

/* A publish, and what decides where it goes once it is one. */
struct routed_publish {
	struct model_publish p;
	struct routing_message route;
	bool is_mandatory;
};

struct sim {
	struct model model;
	struct routing routing;
	struct prng prng;
	uint64_t hash;
	uint64_t now_ms;
	uint64_t id_last;
	struct disk *disk;
	struct space space;
	struct changes changes;
	struct batch batch;
	uint32_t generation;
	bool is_kept;      /* A checkpoint has reached the store, and nobody has been told yet. */
	uint64_t sequence; /* Of the batch that the turn writes to: several turns may share one. */
	uint64_t taken;    /* By the disk, not yet synced. */
	uint64_t durable;
	struct core *core;
	struct connection *connections[MODEL_CHANNELS];
	struct channel *channels[MODEL_CHANNELS];
	unsigned owners[MODEL_CHANNELS]; /* Their addresses stand for the channels. */
	char names[MODEL_QUEUES][8];
	bool is_declared[MODEL_QUEUES];
	struct routed_publish tx_publishes[PUBLISHES_MAX];
	size_t tx_publishes_len;
	struct tx_settle tx_settles[SETTLES_MAX];
	size_t tx_settles_len;
	uint64_t crashes;
	uint64_t returns_owed;
	uint64_t returns;
	uint64_t fenced;
	uint64_t loads;
	uint64_t chunks;
	uint64_t waits; /* Publishes whose keys were not loaded yet. */
	uint64_t checkpoints;
	uint64_t clearing; /* Address of the slot that has been surveyed; 0: none. */
	uint64_t cleared;
	struct scenario *recorded;       /* NULL: it is not. */
	const struct scenario *replayed; /* NULL: steps are drawn. */
	const uint32_t *draws;           /* What is left of the replayed step. */
	uint32_t draws_left;
};

/* A step of a scenario draws what it drew. */
static uint32_t below(struct sim *s, uint32_t bound)
{
	if (s->replayed != NULL)
		return s->draws_left == 0 ? 0 : (s->draws_left--, *s->draws++ % bound);
	uint32_t drawn = prng_below(&s->prng, bound);
	if (s->recorded != NULL)
		MODEL_CHECK(&s->model, scenario_add_draw(s->recorded, drawn));
	return drawn;
}

static void trace(struct sim *s, uint64_t value)
{
	s->hash = (s->hash ^ value) * 0x100000001b3u;
}

static struct bytes queue_name(struct sim *s, unsigned q)
{
	return bytes_str(s->names[q]);
}

static void must(struct sim *s, bool is_good, const struct refusal *refusal)
{
	if (!is_good)
		model_fail(&s->model, refusal->text, "refused");
}

/* --- turns --- */

static void begin(struct sim *s)
{
	s->batch.sequence = s->sequence = s->taken + 1;
	s->batch.now_ms = s->now_ms;
	s->model.now_ms = s->now_ms;
	core_begin(s->core, &s->batch, s->now_ms);
	core_durable(s->core, s->durable);
	if (s->is_kept) {
		space_checkpointed(&s->space);
		core_checkpointed(s->core);
		s->is_kept = false;
	}
}

static void load(struct sim *s, const struct effect *e)
{
	uint64_t location;
	struct entry entry;
	for (size_t i = 0; i < e->load.slots_len; i++) {
		if (!core_needs_load(e->load.slots[i], &location))
			continue;
		MODEL_CHECK(&s->model, disk_read(s->disk, &s->space, location,
						 &entry)); /* Taken by the disk at least. */
		MODEL_CHECK(&s->model,
			    entry_has_place(&entry, (struct place){ e->load.queue_id,
								    e->load.position + i }));
		struct message *m = message_recall(core_messages(s->core), &entry.message);
		core_loaded(e->load.queue, &e->load.slots[i], m);
		s->loads++;
	}
}

static void load_index(struct sim *s, const struct effect *e)
{
	uint64_t base = 0;
	struct bytes chunk = { NULL, 0 };
	bool is_found =
		disk_index_find(s->disk, e->index.queue_id, e->index.position, &base, &chunk);
	core_index_loaded(s->core, is_found, base, chunk);
	s->chunks++;
}

static void load_state(struct sim *s, const struct effect *e)
{
	struct bytes value = { NULL, 0 };
	bool is_found = disk_get(s->disk, e->state.key, &value);
	core_state_loaded(s->core, e->state.key, is_found, value);
}

static uint64_t id_of(const struct message *m)
{
	uint64_t id;
	memcpy(&id, message_body(m).data, sizeof id);
	return id;
}

static const char *const reason_names[] = { "rejected", "expired", "maxlen", "delivery_limit" };

/* Others' headers have come through as they were. */
static void check_others(struct sim *s, const struct message *m, struct bytes headers)
{
	struct bytes body = message_body(m), name;
	struct bytes others = bytes_of(body.data + 10, load_u16(body.data + 8));
	struct table_value was, is;
	char text[8] = { 0 };
	while (table_next(&others, &name, &was)) {
		memcpy(text, name.data, name.len);
		MODEL_CHECK(&s->model, table_find(headers, text, &is));
		MODEL_CHECK(&s->model, is.type == was.type && bytes_equal(is.raw, was.raw));
	}
}

static struct model_death death_of(struct sim *s, struct bytes entry)
{
	struct model_death d = { MODEL_ELSEWHERE, 0, 0 };
	struct bytes queue, reason;
	int64_t count;
	MODEL_CHECK(&s->model, table_find_string(entry, "queue", &queue));
	MODEL_CHECK(&s->model, table_find_string(entry, "reason", &reason));
	MODEL_CHECK(&s->model, table_find_integer(entry, "count", &count));
	if (queue.data[0] == 'q')
		d.queue = (unsigned)(queue.data[1] - '0');
	while (!bytes_equal_str(reason, reason_names[d.reason]))
		MODEL_CHECK(&s->model, d.reason++ < DIED_LIMIT);
	d.count = (uint64_t)count;
	return d;
}

static void check_headers(struct sim *s, const struct message *m)
{
	struct model_story *told = &s->model.told;
	struct properties p;
	struct bytes story, entry;
	struct table_value v;
	told->len = 0;
	MODEL_CHECK(&s->model, properties_decode(&p, message_properties(m)));
	check_others(s, m, p.headers);
	if (table_find_array(p.headers, "x-death", &story))
		while (array_next(&story, &v)) {
			MODEL_CHECK(&s->model, table_value_table(&v, &entry));
			MODEL_CHECK(&s->model, told->len < MODEL_DEATHS_MAX);
			told->deaths[told->len++] = death_of(s, entry);
		}
}

static void on_effect(struct sim *s, const struct effect *e)
{
	unsigned channel = e->owner == NULL ? 0 : (unsigned)((unsigned *)e->owner - s->owners);
	trace(s, e->kind);
	switch (e->kind) {
	case EFFECT_DELIVER: {
		unsigned consumer = (unsigned)(e->deliver.consumer_tag.data[0] - '0');
		const struct model_consumer *c = &s->model.consumers[consumer];
		trace(s, e->deliver.delivery_tag);
		MODEL_CHECK(&s->model, c->channel == channel);
		check_headers(s, e->deliver.message);
		model_delivered(&s->model, c->queue, channel, (int)consumer,
				e->deliver.delivery_tag, id_of(e->deliver.message), c->is_no_ack,
				e->deliver.is_redelivered, e->deliver.delivery_count, s->sequence);
		break;
	}
	case EFFECT_CONFIRM:
		trace(s, e->confirm.delivery_tag);
		model_confirmed(&s->model, channel, e->confirm.delivery_tag, e->confirm.is_nack,
				s->durable);
		break;
	case EFFECT_STATE: load_state(s, e); break;
	case EFFECT_REPEATED: message_unref(core_messages(s->core), e->repeated.message); break;
	case EFFECT_RETURN:
		message_unref(core_messages(s->core), e->returned.message);
		s->returns++;
		MODEL_CHECK(&s->model, s->returns_owed > 0);
		s->returns_owed--;
		break;
	case EFFECT_CANCELLED:
	case EFFECT_CLOSE: break;
	case EFFECT_LOAD: load(s, e); break;
	case EFFECT_INDEX: load_index(s, e); break;
	}
}

static void drain(struct sim *s)
{
	struct effect e;
	while (core_next_effect(s->core, &e))
		on_effect(s, &e);
	MODEL_CHECK(&s->model, s->returns_owed == 0);
	model_drained(&s->model, s->sequence);
}

static void checkpoint(struct sim *s)
{
	core_checkpoint(s->core);
	batch_checkpoint(&s->batch);
	space_checkpoint(&s->space, &s->changes);
	disk_checkpoint(s->disk, &s->changes, s->space.next_at,
			batch_is_empty(&s->batch) ? s->taken : s->sequence);
}

static void end(struct sim *s, bool is_checkpoint, bool is_taken)
{
	drain(s);
	model_quiet(&s->model, false);
	if (is_checkpoint && !disk_is_keeping(s->disk) && !s->is_kept)
		checkpoint(s);
	core_end(s->core);
	if (is_taken && !batch_is_empty(&s->batch)) {
		s->taken = s->sequence;
		disk_write(s->disk, &s->batch);
	}
}

static void keep(struct sim *s)
{
	if (disk_keep(s->disk, s->durable)) {
		s->is_kept = true;
		s->checkpoints++;
	}
}

static bool maybe(struct sim *s)
{
	return below(s, 2) == 0;
}

static void end_and_sync(struct sim *s)
{
	end(s, false, true);
	s->durable = s->taken;
}

/* --- what clients do --- */

static unsigned any_queue(struct sim *s)
{
	return below(s, MODEL_QUEUES);
}

static const char *const exchange_names[X_LEN] = {
	"", "fan", "direct", "topic", "headers", "other"
};
static const char *const header_names[ROUTING_HEADERS] = { "a", "b", "c", "x-d" };

static void write_header_value(struct writer *w, const char *name, enum routing_value value)
{
	if (value == H_ONE || value == H_TWO)
		table_write_long(w, name, value);
	else if (value == H_TEXT)
		table_write_str(w, name, bytes_str("text"));
	else if (value == H_VOID) {
		write_shortstr(w, bytes_str(name));
		write_u8(w, 'V');
	}
}

static void write_header_values(struct writer *w, const uint8_t *values)
{
	for (unsigned i = 0; i < ROUTING_HEADERS; i++)
		write_header_value(w, header_names[i], values[i]);
}

/* CC, and BCC. */
static void write_copy_keys(struct writer *w, const struct routing_message *route)
{
	for (unsigned i = 1; i < route->keys_len; i++) {
		write_shortstr(w, bytes_str(i == 1 ? "CC" : "BCC"));
		write_u8(w, 'A');
		uint8_t *began = write_room(w, 4);
		write_u8(w, 'S');
		write_longstr(w, bytes_str(route->keys[i]));
		table_end(w, began);
	}
}

/* A value of any type, the bytes of which nobody in the broker has a use for. */
static void write_any_value(struct sim *s, struct writer *w)
{
	static const char types[] = "tbBsuIilLfdDTSxAFV";
	static const uint8_t sizes[] = { 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8 };
	uint32_t kind = below(s, sizeof types - 1);
	write_u8(w, (uint8_t)types[kind]);
	if (kind < sizeof sizes) {
		for (uint8_t i = 0; i < sizes[kind]; i++)
			write_u8(w, types[kind] == 't' ? (uint8_t)below(s, 2)
						       : (uint8_t)below(s, 256));
		return;
	}
	if (types[kind] == 'V')
		return;
	uint8_t *began = write_room(w, 4);
	if (types[kind] == 'A')
		write_u8(w, 'b');
	if (types[kind] == 'S' || types[kind] == 'x')
		write_bytes(w, bytes_of("text with \0", below(s, 11)));
	if (types[kind] == 'F')
		table_write_long(w, "count", below(s, 100));
	if (types[kind] == 'A')
		write_u8(w, 7);
	table_end(w, began);
}

static void write_deaths(struct sim *s, struct writer *w, const struct model_publish *p)
{
	if (p->deaths_len == 0)
		return;
	write_shortstr(w, bytes_str("x-death"));
	write_u8(w, 'A');
	uint8_t *array = write_room(w, 4);
	for (unsigned i = 0; i < p->deaths_len; i++) {
		const struct model_death *d = &p->deaths[i];
		write_u8(w, 'F');
		uint8_t *table = write_room(w, 4);
		if (below(s, 2)) {
			write_shortstr(w, bytes_str("time"));
			write_any_value(s, w);
		}
		table_write_str(w, "queue",
				d->queue == MODEL_ELSEWHERE ? bytes_str("elsewhere")
							    : queue_name(s, d->queue));
		table_write_long(w, "count", (int64_t)d->count);
		table_write_str(w, "reason", bytes_str(reason_names[d->reason]));
		table_end(w, table);
	}
	table_end(w, array);
}

static void write_producer(struct writer *w, const struct model_publish *p)
{
	if (p->producer == 0)
		return;
	table_write_str(w, "x-producer-id", bytes_str(p->producer == 1 ? "p" : "another"));
	table_write_long(w, "x-producer-seq", p->number);
	if (p->epoch > 0)
		table_write_int(w, "x-producer-epoch", (int32_t)p->epoch);
}

static void write_own(struct writer *w, const struct model_publish *p)
{
	char text[16];
	if (p->delay_ms > 0)
		table_write_long(w, "x-delay", (int64_t)p->delay_ms);
	snprintf(text, sizeof text, "%u", p->key);
	if (p->key > 0)
		table_write_str(w, "x-idempotency-key", bytes_str(text));
}

/* In any order, and with others among them, which must come out as they went in. */
static void write_headers(struct sim *s, struct writer *w, struct writer *others,
			  const struct model_publish *p, const struct routing_message *route)
{
	uint32_t first = below(s, 5), others_len = below(s, 3) == 0 ? 1 + below(s, 3) : 0;
	for (uint32_t i = 0; i < 5; i++) {
		uint8_t *at = w->at;
		char name[4] = { 'n', (char)('0' + i), 0 };
		if (i < others_len) {
			write_shortstr(w, bytes_str(name));
			write_any_value(s, w);
			write_bytes(others, bytes_of(at, (size_t)(w->at - at)));
		}
		switch ((first + i) % 5) {
		case 0: write_header_values(w, route->headers); break;
		case 1: write_own(w, p); break;
		case 2: write_copy_keys(w, route); break;
		case 3: write_producer(w, p); break;
		case 4: write_deaths(s, w, p); break;
		}
	}
}

/* The body says what the other headers were: an id, their length, and they. */
static struct message *make_message(struct sim *s, const struct model_publish *p,
				    const struct routing_message *route)
{
	static uint8_t wire[2000], headers[1500], body[1000];
	char expiration[24];
	struct writer w = writer_of(wire, sizeof wire), h = writer_of(headers, sizeof headers);
	struct writer others = writer_of(body + sizeof p->id + 2, 600);
	struct properties properties = { .flags = HAS_delivery_mode,
					 .delivery_mode = p->is_persistent ? 2 : 1 };
	size_t len = sizeof p->id + 2 + below(s, 300);
	if (p->priority > 0) {
		properties.flags |= HAS_priority;
		properties.priority = (uint8_t)p->priority;
	}
	if (p->expiration_ms > 0) {
		snprintf(expiration, sizeof expiration, "%" PRIu64, p->expiration_ms);
		properties.flags |= HAS_expiration;
		properties.expiration = bytes_str(expiration);
	}
	memset(body, 0, sizeof body);
	write_headers(s, &h, &others, p, route);
	size_t others_len = (size_t)(others.at - body) - sizeof p->id - 2;
	MODEL_CHECK(&s->model, !h.failed && !others.failed);
	if (h.at > headers) {
		properties.flags |= HAS_headers;
		properties.headers = bytes_of(headers, (size_t)(h.at - headers));
		MODEL_CHECK(&s->model, table_check(properties.headers));
	}
	properties_encode(&w, &properties);
	memcpy(body, &p->id, sizeof p->id);
	store_u16(body + sizeof p->id, (uint16_t)others_len);
	len += others_len;
	struct message *m = message_create(
		core_messages(s->core), bytes_str(exchange_names[route->exchange]),
		bytes_str(route->keys[0]), bytes_of(wire, (size_t)(w.at - wire)), len);
	message_append(core_messages(s->core), &m, bytes_of(body, len));
	return m;
}

static const char *const words[] = { "a", "b", "a.b", "b.b", "a.a.b", "b.a", "" };
static const char *const patterns[] = { "a", "#", "a.*", "*.b", "#.b", "a.#", "*", "a.#.b" };

/* Either where keys have a scope, which is to the one queue or to the fanout exchange; or anywhere
 * else, and with copies. */
static void draw_route(struct sim *s, struct model_publish *p, struct routing_message *route)
{
	bool is_fanout = below(s, 3) == 0, is_anywhere = below(s, 3) == 0 && p->delay_ms == 0;
	unsigned q = p->delay_ms > 0 ? MODEL_DELAY_TO : any_queue(s);
	is_fanout &= p->delay_ms == 0;
	p->scope = is_fanout ? MODEL_FAN : q;
	*route = (struct routing_message){ .exchange = is_fanout ? X_FANOUT : X_DEFAULT,
					   .keys_len = 1 };
	strcpy(route->keys[0], s->names[is_fanout ? 0 : q]);
	if (!is_anywhere) {
		if (below(s, 3) > 0)
			p->key = 1 + below(s, MODEL_KEYS);
		return;
	}
	route->exchange = below(s, X_LEN);
	route->keys_len = 1 + (below(s, 3) == 0 ? 1 + below(s, 2) : 0);
	for (unsigned i = 0; i < route->keys_len; i++)
		strcpy(route->keys[i], route->exchange == X_DEFAULT
					       ? s->names[any_queue(s)]
					       : words[below(s, sizeof words / sizeof *words)]);
	for (unsigned i = 0; i < ROUTING_HEADERS; i++)
		route->headers[i] = (uint8_t)(below(s, 2) * below(s, H_VALUES));
}

/* Mostly the next number; sometimes one that may have been, or an epoch that is over. */
static void draw_producer(struct sim *s, struct model_publish *p)
{
	unsigned i = below(s, MODEL_PRODUCERS);
	const struct model_producer *r = &s->model.producers[i];
	uint32_t far = 1 + below(s, below(s, 12) == 0 ? 900 : 4);
	p->producer = i + 1;
	p->epoch = r->epoch;
	p->number = r->has_any ? r->highest + far : far;
	if (r->must_renew || p->number >= MODEL_NUMBERS || below(s, 40) == 0) {
		p->epoch++;
		p->number = below(s, 100);
	} else if (r->epoch > 0 && below(s, 20) == 0) {
		p->epoch--;
	} else if (below(s, 3) == 0) {
		uint32_t back = below(s, 3) > 0 ? below(s, 6)
				: below(s, 2)   ? MODEL_PRODUCER_WINDOW - 2 + below(s, 4)
						: below(s, 1500);
		unsigned other = r->highest > back ? r->highest - back : 0;
		bool is_sure = r->numbers[r->highest].state == NUMBER_SEEN ||
			       other + MODEL_PRODUCER_WINDOW > r->highest;
		if (r->numbers[other].state != NUMBER_UNSURE && is_sure)
			p->number = other;
	}
}

static void draw_deaths(struct sim *s, struct model_publish *p)
{
	for (unsigned n = 1 + below(s, 2); n > 0; n--) {
		unsigned queue = below(s, 3) == 0 ? MODEL_ELSEWHERE : any_queue(s);
		struct model_death d = { queue, below(s, 4), 1 + below(s, 5) };
		if (p->deaths_len == 0 || p->deaths[0].queue != queue)
			p->deaths[p->deaths_len++] = d;
	}
}

/* It is one now: it goes where the bindings lead at this moment. */
static void published(struct sim *s, struct routed_publish *r, int channel)
{
	r->p.queues = routing_queues(&s->routing, &r->route);
	s->returns_owed += r->is_mandatory && r->p.queues == 0;
	model_published(&s->model, &r->p, channel, s->sequence);
}

static void publish(struct sim *s, unsigned channel)
{
	bool is_delayed = below(s, 8) == 0;
	struct refusal refusal = { 0 };
	struct properties properties;
	struct routed_publish r = { .p = { .id = ++s->id_last, .is_persistent = below(s, 4) > 0 } };
	if (below(s, 3) == 0)
		r.p.priority = below(s, 6);
	if (is_delayed)
		r.p.delay_ms = 1 + below(s, 300);
	else if (below(s, 4) == 0)
		r.p.expiration_ms = 1 + below(s, 400);
	draw_route(s, &r.p, &r.route);
	if (r.p.key == 0 && !is_delayed && channel != TX_CHANNEL && below(s, 4) == 0)
		draw_producer(s, &r.p);
	if (!is_delayed && below(s, 5) == 0)
		draw_deaths(s, &r.p);
	r.is_mandatory = r.p.key == 0 && r.p.producer == 0 && !is_delayed && below(s, 3) == 0;
	if (s->model.copies_len + 1000 >= MODEL_COPIES_MAX)
		return;
	struct message *m = make_message(s, &r.p, &r.route);
	properties_decode(&properties, message_properties(m));
	if (channel != TX_CHANNEL && core_publish_waits(s->core, message_properties(m))) {
		message_unref(core_messages(s->core), m);
		s->waits++;
		return;
	}
	bool is_taken =
		core_publish(s->channels[channel], m, &properties, r.is_mandatory, &refusal);
	if (r.p.producer > 0 && model_is_fenced(&s->model, &r.p)) {
		MODEL_CHECK(&s->model, !is_taken);
		s->fenced++;
		return;
	}
	must(s, is_taken, &refusal);
	if (channel == TX_CHANNEL)
		s->tx_publishes[s->tx_publishes_len++] = r;
	else
		published(s, &r, (int)channel);
}

static void do_publish(struct sim *s)
{
	for (uint32_t n = 1 + below(s, 4); n > 0; n--)
		publish(s, below(s, TX_CHANNEL));
}

static void do_consume(struct sim *s)
{
	struct refusal refusal = { 0 };
	unsigned q = any_queue(s), channel = below(s, MODEL_CHANNELS);
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++) {
		char tag[2] = { (char)('0' + i), 0 };
		if (s->model.consumers[i].is_on || !s->is_declared[q])
			continue;
		struct model_consumer c = { true, q, channel, below(s, 5), below(s, 5) == 0, 0 };
		struct consume consume = { .queue = queue_name(s, q),
					   .tag = bytes_str(tag),
					   .is_no_ack = c.is_no_ack };
		core_qos(s->channels[channel], 0, true);
		/* The prefetch of a channel's earlier consumers follows: they get the new one too.
		 */
		for (unsigned k = 0; k < MODEL_CONSUMERS; k++)
			if (s->model.consumers[k].is_on && s->model.consumers[k].channel == channel)
				s->model.consumers[k].prefetch = c.prefetch;
		core_qos(s->channels[channel], (uint16_t)c.prefetch, false);
		s->model.consumers[i] = c;
		must(s, core_consume(s->channels[channel], &consume, &refusal), &refusal);
		return;
	}
}

static void do_cancel(struct sim *s)
{
	unsigned i = below(s, MODEL_CONSUMERS);
	char tag[2] = { (char)('0' + i), 0 };
	if (!s->model.consumers[i].is_on)
		return;
	model_consumer_gone(&s->model, i);
	core_cancel(s->channels[s->model.consumers[i].channel], bytes_str(tag));
}

/* An unacked copy of the channel; NULL if there is none. */
static const struct copy *any_unacked(struct sim *s, unsigned channel)
{
	const struct copy *found = NULL;
	uint32_t seen = 0;
	for (size_t i = 0; i < s->model.copies_len; i++) {
		const struct copy *c = &s->model.copies[i];
		bool is_pending = false; /* Settled already in the open transaction. */
		for (size_t k = 0; channel == TX_CHANNEL && k < s->tx_settles_len; k++)
			is_pending |= s->tx_settles[k].tag == c->tag;
		if (c->is_there && c->is_unacked && c->channel == channel && !is_pending &&
		    below(s, ++seen) == 0)
			found = c;
	}
	return found;
}

static void do_settle(struct sim *s)
{
	unsigned channel = below(s, MODEL_CHANNELS);
	const struct copy *c = any_unacked(s, channel);
	struct refusal refusal = { 0 };
	if (c == NULL)
		return;
	uint64_t tag = c->tag;
	bool is_multiple = channel != TX_CHANNEL && below(s, 4) == 0, is_ack = below(s, 3) > 0;
	bool is_requeue = !is_ack && below(s, 2) == 0;
	enum model_settlement how = is_ack ? ACKED : is_requeue ? REQUEUED : REJECTED;
	if (s->model.copies_len + s->tx_settles_len + 600 >= MODEL_COPIES_MAX)
		is_ack = true, is_requeue = false, how = ACKED; /* No room for dead letters. */
	if (channel == TX_CHANNEL && s->tx_settles_len < SETTLES_MAX)
		s->tx_settles[s->tx_settles_len++] = (struct tx_settle){ tag, how };
	else if (channel != TX_CHANNEL)
		model_settled(&s->model, channel, tag, is_multiple, how, s->sequence);
	else
		return;
	must(s,
	     is_ack ? core_ack(s->channels[channel], tag, is_multiple, &refusal)
		    : core_reject(s->channels[channel], tag, is_multiple, is_requeue, &refusal),
	     &refusal);
}

static void do_get(struct sim *s)
{
	unsigned q = any_queue(s), channel = below(s, TX_CHANNEL);
	struct effect e;
	uint64_t left;
	struct refusal refusal = { 0 };
	bool is_no_ack = below(s, 2) == 0;
	if (!s->is_declared[q])
		return;
	model_tended(&s->model, q, s->sequence);
	switch (core_get(s->channels[channel], queue_name(s, q), is_no_ack, &e, &left, &refusal)) {
	case GET_OK:
		check_headers(s, e.deliver.message);
		model_delivered(&s->model, q, channel, -1, e.deliver.delivery_tag,
				id_of(e.deliver.message), is_no_ack, e.deliver.is_redelivered,
				e.deliver.delivery_count, s->sequence);
		break;
	case GET_EMPTY: model_got_nothing(&s->model, q); break;
	case GET_LATER: break;
	case GET_REFUSED: must(s, false, &refusal);
	}
}

static void purge(struct sim *s)
{
	unsigned q = any_queue(s);
	uint64_t messages;
	struct refusal refusal = { 0 };
	if (!s->is_declared[q])
		return;
	must(s, core_queue_purge(s->connections[0], queue_name(s, q), &messages, &refusal),
	     &refusal);
	model_purged(&s->model, q, messages, s->sequence);
}

static void do_purge(struct sim *s)
{
	if (below(s, 4) == 0)
		purge(s);
}

static void write_arguments(struct sim *s, struct writer *w, const struct model_queue *q)
{
	if (q->dead_to >= 0) {
		table_write_str(w, "x-dead-letter-exchange", bytes_str(""));
		table_write_str(w, "x-dead-letter-routing-key",
				queue_name(s, (unsigned)q->dead_to));
	}
	if (q->ttl_ms > 0)
		table_write_long(w, "x-message-ttl", (int64_t)q->ttl_ms);
	if (q->length_max > 0)
		table_write_int(w, "x-max-length", (int32_t)q->length_max);
	if (q->is_rejecting)
		table_write_str(w, "x-overflow", bytes_str("reject-publish"));
	if (q->max_priority > 0)
		table_write_int(w, "x-max-priority", (int32_t)q->max_priority);
	if (q->limit > 0)
		table_write_int(w, "x-delivery-limit", (int32_t)q->limit);
	if (q->is_unique)
		table_write_str(w, "x-idempotency", bytes_str("while-queued"));
	if (q->retry_ms > 0) {
		table_write_long(w, "x-retry-initial-ms", (int64_t)q->retry_ms);
		table_write_long(w, "x-retry-max-ms", (int64_t)q->retry_max_ms);
	}
}

static void write_match(struct writer *w, const struct routing_binding *b)
{
	static const char *const names[] = { "all", "any", "all-with-x", "any-with-x" };
	if (b->source != X_HEADERS)
		return;
	table_write_str(w, "x-match", bytes_str(names[b->match]));
	write_header_values(w, b->headers);
}

static void bind_or_unbind(struct sim *s, const struct routing_binding *rb, bool is_bind)
{
	struct refusal refusal = { 0 };
	uint8_t arguments[200];
	struct writer w = writer_of(arguments, sizeof arguments);
	write_match(&w, rb);
	struct bind b = { .source = bytes_str(exchange_names[rb->source]),
			  .destination = rb->is_to_exchange
						 ? bytes_str(exchange_names[rb->destination])
						 : queue_name(s, rb->destination),
			  .is_to_exchange = rb->is_to_exchange,
			  .routing_key = bytes_str(rb->key),
			  .arguments = bytes_of(arguments, (size_t)(w.at - arguments)) };
	must(s,
	     is_bind ? core_bind(s->connections[0], &b, &refusal)
		     : core_unbind(s->connections[0], &b, &refusal),
	     &refusal);
}

static void declare(struct sim *s, unsigned q)
{
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	uint8_t arguments[300];
	struct writer w = writer_of(arguments, sizeof arguments);
	write_arguments(s, &w, &model_queues[q]);
	struct queue_declare d = { .name = queue_name(s, q),
				   .is_durable = model_queues[q].is_durable };
	d.arguments = bytes_of(arguments, (size_t)(w.at - arguments));
	must(s, core_queue_declare(s->channels[0], &d, &counts, &refusal), &refusal);
	s->is_declared[q] = true;
}

static void bind_to_fanout(struct sim *s, unsigned q)
{
	struct routing_binding b = { .source = X_FANOUT, .destination = q };
	if (!model_queues[q].is_fanned || !routing_bind(&s->routing, &b))
		return;
	bind_or_unbind(s, &b, true);
}

/* What is there goes, what is not comes; each in a turn of its own, synced, for the model does not
 * follow half-known bindings. */
static void do_bind(struct sim *s)
{
	struct routing_binding b = { .source = 1 + below(s, X_LEN - 1) };
	b.is_to_exchange = below(s, 4) == 0;
	b.destination = b.is_to_exchange ? 1 + below(s, X_LEN - 1) : any_queue(s);
	if (b.source == X_TOPIC)
		strcpy(b.key, patterns[below(s, sizeof patterns / sizeof *patterns)]);
	else
		strcpy(b.key, words[below(s, sizeof words / sizeof *words)]);
	if (b.source == X_HEADERS) {
		b.match = below(s, 4);
		for (unsigned i = 0; i < ROUTING_HEADERS; i++)
			b.headers[i] = (uint8_t)(below(s, 2) * below(s, H_VALUES));
	}
	size_t number = routing_find(&s->routing, &b);
	if (below(s, 2) && s->routing.len > 0) /* Any that is there. */
		b = s->routing.bindings[number = below(s, (uint32_t)s->routing.len)];
	if (number != SIZE_MAX) {
		bind_or_unbind(s, &b, false);
		routing_unbind(&s->routing, number);
	} else if (routing_bind(&s->routing, &b)) {
		bind_or_unbind(s, &b, true);
	}
	if (below(s, 4) == 0) { /* Others only come after this one. */
		end_and_sync(s);
		begin(s);
		return;
	}
	publish(s, 0);
	end_and_sync(s);
	begin(s);
}

static void declare_exchange(struct sim *s, enum routing_exchange x)
{
	static const char *const types[X_LEN] = { "",      "fanout",  "direct",
						  "topic", "headers", "fanout" };
	struct refusal refusal = { 0 };
	uint8_t arguments[100];
	struct writer w = writer_of(arguments, sizeof arguments);
	if (routing_alternate(x) != X_DEFAULT)
		table_write_str(&w, "alternate-exchange",
				bytes_str(exchange_names[routing_alternate(x)]));
	struct exchange_declare d = { .name = bytes_str(exchange_names[x]),
				      .type = bytes_str(types[x]),
				      .is_durable = true,
				      .arguments =
					      bytes_of(arguments, (size_t)(w.at - arguments)) };
	must(s, core_exchange_declare(s->connections[0], &d, &refusal), &refusal);
}

/* Deleting a queue and declaring it again are each a turn of their own, synced: the model does not
 * follow half-known names. */
static void do_redeclare(struct sim *s)
{
	unsigned q = any_queue(s);
	uint64_t messages;
	struct refusal refusal = { 0 };
	if (below(s, 10) > 0)
		return;
	must(s,
	     core_queue_delete(s->connections[0], queue_name(s, q), false, false, &messages,
			       &refusal),
	     &refusal);
	model_queue_deleted(&s->model, q, s->sequence);
	routing_queue_gone(&s->routing, q);
	declare(s, q);
	bind_to_fanout(s, q);
	end_and_sync(s);
	begin(s);
}

static void channel_start(struct sim *s, unsigned channel)
{
	s->connections[channel] =
		connection_open(s->core, core_vhost(s->core, bytes_str("/")), bytes_str("guest"));
	s->channels[channel] = channel_open(s->connections[channel], &s->owners[channel]);
	if (channel == TX_CHANNEL)
		core_tx_select(s->channels[channel]);
	else
		core_confirm_select(s->channels[channel]);
}

static void do_disconnect(struct sim *s)
{
	unsigned channel = below(s, MODEL_CHANNELS);
	if (below(s, 4) > 0)
		return;
	model_channel_gone(&s->model, channel, s->sequence);
	if (channel == TX_CHANNEL)
		s->tx_publishes_len = s->tx_settles_len = 0;
	connection_close(s->connections[channel]);
	channel_start(s, channel);
}

static void do_writable(struct sim *s)
{
	/* While it is not, nothing may be delivered; the model sees that nothing is owed when it is
	 * again. */
	unsigned channel = below(s, MODEL_CHANNELS);
	uint64_t before = s->model.deliveries;
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		connection_set_writable(s->connections[i], false);
	s->model.is_unwritable = true;
	publish(s, 0);
	drain(s);
	MODEL_CHECK(&s->model, s->model.deliveries == before);
	s->model.is_unwritable = false;
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		connection_set_writable(s->connections[(channel + i) % MODEL_CHANNELS], true);
}

static void do_tx(struct sim *s)
{
	unsigned choice = below(s, 4);
	if (choice < 2) {
		if (s->tx_publishes_len < PUBLISHES_MAX)
			publish(s, TX_CHANNEL);
		return;
	}
	if (choice == 2) {
		core_tx_rollback(s->channels[TX_CHANNEL]);
	} else {
		if (s->model.copies_len + s->tx_publishes_len * MODEL_QUEUES >= MODEL_COPIES_MAX ||
		    core_commit_waits(s->channels[TX_CHANNEL]))
			return;
		for (size_t i = 0; i < s->tx_publishes_len; i++)
			published(s, &s->tx_publishes[i], -1);
		for (size_t i = 0; i < s->tx_settles_len; i++)
			model_settled(&s->model, TX_CHANNEL, s->tx_settles[i].tag, false,
				      s->tx_settles[i].how, s->sequence);
		core_tx_commit(s->channels[TX_CHANNEL]);
	}
	s->tx_publishes_len = s->tx_settles_len = 0;
}

/* --- what happens to the broker --- */

static void do_turn(struct sim *s)
{
	s->now_ms += below(s, 20) == 0 ? below(s, 1000) : below(s, 30);
	if (core_is_loose(s->core) && below(s, 2))
		core_tighten(s->core, below(s, 4) == 0);
	if (below(s, 8) == 0)
		core_rest(s->core);
	end(s, false, maybe(s));
	begin(s);
}

static void do_sync(struct sim *s)
{
	end(s, false, maybe(s));
	s->durable += below(s, (uint32_t)(s->taken - s->durable) + 1);
	if (maybe(s))
		keep(s);
	begin(s);
}

static void do_checkpoint(struct sim *s)
{
	end(s, true, maybe(s));
	begin(s);
}

/* Survey and copying lie apart, as they do when a slot is cleared stretch by stretch. */
static void do_clear(struct sim *s)
{
	if (s->clearing == 0) {
		const struct space_slot *slot = space_sparse(&s->space);
		uint64_t at = slot == NULL ? 0 : slot->number * LOG_SLOT_BYTES;
		if (slot != NULL &&
		    core_survey(s->core, at, at + slot->span * (uint64_t)LOG_SLOT_BYTES))
			s->clearing = at;
		return;
	}
	struct space_slot *slot = space_slot_at(&s->space, s->clearing);
	if (slot != NULL) {
		uint64_t places =
			disk_copy_living(s->disk, slot, &s->changes, core_living, s->core);
		MODEL_CHECK(&s->model, places >= slot->places);
		slot->is_copied = slot->is_dirty = true;
		s->cleared++;
	}
	s->clearing = 0;
}

struct holding {
	struct sim *s;
	uint64_t ids[MODEL_QUEUES + 1][MODEL_COPIES_MAX];
	size_t len[MODEL_QUEUES + 1];
	uint64_t places[MODEL_COPIES_MAX]; /* Slots of the log in which they are, in no order. */
	size_t places_len;
	uint64_t copies; /* Places that will not survive. */
};

static void hold_place(struct holding *h, uint64_t location)
{
	if (location_is_volatile(location))
		h->copies++;
	else
		h->places[h->places_len++] = location_at(location) / LOG_SLOT_BYTES;
}

static void hold_location(struct holding *h, unsigned q, uint64_t location)
{
	struct entry e;
	hold_place(h, location);
	MODEL_CHECK(&h->s->model, disk_read(h->s->disk, &h->s->space, location, &e));
	memcpy(&h->ids[q][h->len[q]++], e.message.body.data, sizeof(uint64_t));
}

/* What the core itself does not know. */
static void hold_stretch(struct holding *h, unsigned q, const struct held *held)
{
	size_t before = h->len[q];
	for (uint64_t at = held->position, base; at < held->until;) {
		struct chunk_reader chunk;
		struct bytes value;
		uint64_t location, position;
		if (!disk_index_find(h->s->disk, held->index_id, at, &base, &value) ||
		    base >= held->until)
			break;
		MODEL_CHECK(&h->s->model, chunk_open(&chunk, value));
		bool is_ours = chunk.generation == h->s->generation;
		for (position = base; chunk_next(&chunk, &location); position++)
			if (position >= at && location != 0 &&
			    (is_ours || !location_is_volatile(location)))
				hold_location(h, q, location);
		at = position > at ? position : at + 1;
	}
	MODEL_CHECK(&h->s->model, h->len[q] - before == held->len);
}

static void on_held(void *arg, const struct held *held)
{
	struct holding *h = arg;
	unsigned q =
		held->queue.data[0] == 'q' ? (unsigned)(held->queue.data[1] - '0') : MODEL_DELAY;
	if (held->slot == 0)
		hold_stretch(h, q, held);
	else if (slot_is_on_disk(held->slot))
		hold_location(h, q, slot_location(held->slot));
	else
		h->ids[q][h->len[q]++] = id_of(slot_message(held->slot));
	if (held->slot != 0 && !slot_is_on_disk(held->slot) && model_queues[q].is_durable &&
	    slot_location(held->slot) != 0)
		hold_place(h, slot_location(held->slot));
}

/* Every place is counted once, but for those of purged stretches, which are given up little by
 * little. */
static void audit_space(struct holding *h)
{
	struct effect e;
	struct core_figures figures;
	uint64_t copies = 0;
	drain(h->s);
	bool is_doomed = core_has_work(h->s->core) && !core_next_effect(h->s->core, &e);
	for (size_t i = 0; i < h->s->space.slots_len && !is_doomed; i++) {
		uint32_t places = 0;
		for (size_t k = 0; k < h->places_len; k++)
			places += h->places[k] == h->s->space.slots[i].number;
		MODEL_CHECK(&h->s->model, places == h->s->space.slots[i].places);
		copies += h->s->space.slots[i].volatile_places;
	}
	core_figures(h->s->core, &figures);
	MODEL_CHECK(&h->s->model, is_doomed || copies == h->copies + figures.spilling);
}

/* Syncs until nothing moves any more: then nothing may be left waiting. */
static void sync_all(struct sim *s)
{
	for (unsigned still = 0; still < 3;
	     still++) { /* A round may only read messages back, or ask for a limit. */
		uint64_t before = s->model.deliveries;
		end_and_sync(s);
		begin(s);
		drain(s);
		if (s->model.deliveries != before)
			still = 0;
	}
	model_quiet(&s->model, true);
}

static void audit(struct sim *s)
{
	static struct holding h;
	h.s = s;
	drain(s);
	memset(h.len, 0, sizeof h.len);
	h.places_len = h.copies = 0;
	core_each_held(s->core, on_held, &h);
	for (unsigned q = 0; q <= MODEL_QUEUES; q++)
		model_holds(&s->model, q, h.ids[q], h.len[q]);
	audit_space(&h);
}

static void boot(struct sim *s)
{
	struct core_options options = {
		.hash_seed = s->model.seed,
		.memory_budget_bytes = below(s, 2) ? 0
				       : below(s, 2)
					       ? 4000
					       : 1 << 20, /* Every other life pages all it can. */
		.queues_max = 100,
		.exchanges_max = 100,
		.bindings_max = 100,
		.consumers_max = 100,
		.key_window_ms = MODEL_WINDOW_MS,
		.space = &s->space,
	};
	s->is_kept = false;
	s->clearing = 0;
	space_init(&s->space);
	s->core = core_create(&options);
	disk_recover(s->disk, &s->space, ++s->generation, &core_recovery, s->core);
	batch_init(&s->batch, &s->space, &s->changes);
	s->taken = s->durable;
	begin(s);
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		channel_start(s, i);
	for (enum routing_exchange x = X_FANOUT; x < X_LEN; x++)
		declare_exchange(s, x);
	for (unsigned q = 0; q < MODEL_QUEUES; q++) {
		declare(s, q);
		if (s->generation == 1 || !model_queues[q].is_durable)
			bind_to_fanout(s, q);
	}
	end_and_sync(s);
	begin(s);
}

static void shut(struct sim *s)
{
	core_end(s->core);
	core_destroy(s->core);
	batch_close(&s->batch, 0);
	batch_fini(&s->batch);
	space_fini(&s->space);
	changes_fini(&s->changes);
}

static void crash(struct sim *s)
{
	end(s, maybe(s), maybe(s));
	s->durable += below(s, (uint32_t)(s->taken - s->durable) + 1);
	if (maybe(s))
		keep(s);
	begin(s);
	shut(s);
	disk_crash(s->disk, s->durable);
	model_crashed(&s->model, s->durable);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		if (!model_queues[q].is_durable)
			routing_queue_gone(&s->routing, q);
	s->tx_publishes_len = s->tx_settles_len = 0;
	s->crashes++;
	boot(s);
	audit(s);
}

/* A crash after which clients are back at once: while keys are being loaded. */
static void do_rush(struct sim *s)
{
	static void (*const steps[])(struct sim *) = { do_publish, do_publish, do_get,
						       do_settle,  do_consume, purge };
	if (below(s, 10) > 0)
		return;
	crash(s);
	for (uint32_t n = below(s, 24); n > 0; n--) {
		steps[below(s, sizeof steps / sizeof *steps)](s);
		drain(s);
		if (below(s, 4) > 0)
			continue;
		end_and_sync(s);
		begin(s);
		drain(s);
	}
}

static void do_crash(struct sim *s)
{
	if (below(s, 12) == 0)
		crash(s);
}

/* --- one life --- */

static void do_boot(struct sim *s)
{
	s->disk = disk_create();
	boot(s);
}

/* A step's name is what scenarios call it. */
static const struct action {
	const char *name;
	void (*run)(struct sim *s);
	bool is_drawn; /* Otherwise it comes at times of its own. */
} actions[] = {
	{ "boot", do_boot, false },
	{ "audit", audit, false },
	{ "settle_down", sync_all, false },
	{ "end", crash, false },
	{ "publish", do_publish, true },
	{ "consume", do_consume, true },
	{ "cancel", do_cancel, true },
	{ "settle", do_settle, true },
	{ "get", do_get, true },
	{ "purge", do_purge, true },
	{ "redeclare", do_redeclare, true },
	{ "disconnect", do_disconnect, true },
	{ "writable", do_writable, true },
	{ "tx", do_tx, true },
	{ "turn", do_turn, true },
	{ "sync", do_sync, true },
	{ "checkpoint", do_checkpoint, true },
	{ "crash", do_crash, true },
	{ "clear", do_clear, true },
	{ "bind", do_bind, true },
	{ "rush", do_rush, true },
};
enum { BOOT, AUDIT, SETTLE_DOWN, END, ACTIONS = sizeof actions / sizeof *actions };

static const char *const *action_names(void)
{
	static const char *names[ACTIONS + 1];
	for (unsigned i = 0; i < ACTIONS; i++)
		names[i] = actions[i].name;
	return names;
}

static void act(struct sim *s, unsigned action)
{
	if (s->recorded != NULL)
		MODEL_CHECK(&s->model, scenario_add_step(s->recorded, action));
	actions[action].run(s);
	if (action == END)
		return;
	drain(s);
	model_quiet(&s->model, false);
}

static void start(struct sim *s, uint64_t seed)
{
	struct scenario *recorded = s->recorded;
	memset(s, 0, sizeof *s);
	s->recorded = recorded;
	s->model.seed = seed;
	s->prng.state = seed;
	s->now_ms = 1000;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		snprintf(s->names[q], sizeof s->names[q], "q%u", q);
	if (recorded != NULL) {
		recorded->seed = seed;
		recorded->steps_len = recorded->draws_len = 0;
	}
}

static void finish(struct sim *s)
{
	shut(s);
	disk_destroy(s->disk);
}

static uint64_t live(struct sim *s, uint64_t seed, uint64_t steps)
{
	uint32_t weights[ACTIONS] = { 0 }, total = 0;
	start(s, seed);
	for (uint32_t i = 0; i < ACTIONS; i++) /* Every seed has its own temperament. */
		if (actions[i].is_drawn)
			total += weights[i] = 1 + prng_below(&s->prng, 40);
	act(s, BOOT);
	for (s->model.step = 0; s->model.step < steps; s->model.step++) {
		uint32_t pick = prng_below(&s->prng, total), i = 0;
		while (pick >= weights[i])
			pick -= weights[i++];
		act(s, i);
		if (s->model.step % 16 == 0)
			act(s, AUDIT);
		if (s->model.step % 200 == 0)
			act(s, SETTLE_DOWN);
	}
	act(s, END);
	finish(s);
	return s->hash;
}

static void replay(struct sim *s, const struct scenario *sc)
{
	start(s, sc->seed);
	s->replayed = sc;
	for (size_t i = 0; i < sc->steps_len; i++) {
		const struct scenario_step *step = &sc->steps[i];
		MODEL_CHECK(&s->model, (step->action == BOOT) == (i == 0));
		s->model.step = i;
		s->draws = sc->draws + step->draws_at;
		s->draws_left = step->draws_len;
		act(s, step->action);
	}
	s->draws_left = 0;
	act(s, END);
	finish(s);
}

/* --- what the program does --- */

static struct sim sim;

static int in_child(void (*run)(const void *arg), const void *arg, bool is_silent)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (is_silent && freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		run(arg);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("fork");
		exit(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct lived {
	uint64_t seed;
	uint64_t steps;
};

static void live_one(const void *arg)
{
	const struct lived *l = arg;
	live(&sim, l->seed, l->steps);
}

static void replay_one(const void *arg)
{
	replay(&sim, arg);
}

static int replay_fails(const struct scenario *sc)
{
	return in_child(replay_one, sc, true);
}

/* Prints the smallest scenario that is found to fail as the seed does. */
static int shrink(uint64_t seed, uint64_t steps)
{
	struct lived l = { seed, steps };
	sim.recorded = scenario_create();
	int status = in_child(live_one, &l, false);
	struct scenario *sc = sim.recorded;
	sim.recorded = NULL;
	if (status == 0) {
		fprintf(stderr, "seed %" PRIu64 " passes\n", seed);
		return 0;
	}
	if (replay_fails(sc) == 0)
		fprintf(stderr, "played again, it passes: something is not drawn\n");
	scenario_shrink(sc, replay_fails);
	scenario_print(sc, action_names());
	return status;
}

static int replay_files(char **paths)
{
	struct scenario *sc = scenario_create();
	unsigned passed = 0, failed = 0;
	for (; *paths != NULL; paths++) {
		bool is_good = scenario_load(sc, *paths, action_names()) &&
			       in_child(replay_one, sc, false) == 0;
		*(is_good ? &passed : &failed) += 1;
		if (!is_good)
			fprintf(stderr, "%s failed\n", *paths);
	}
	printf("%u scenarios passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : MODEL_VERDICT;
}

/* What all lives together have seen. */
struct sums {
	uint64_t crashes, deliveries, confirms, loads, chunks, checkpoints, cleared, refusals,
		duplicates, waits, cycles, delayed, died[4], returns, fenced;
};

static void add(struct sums *sums, const struct sim *s)
{
	sums->crashes += s->crashes;
	sums->deliveries += s->model.deliveries;
	sums->confirms += s->model.confirms;
	sums->refusals += s->model.refusals;
	sums->duplicates += s->model.duplicates;
	sums->waits += s->waits;
	sums->returns += s->returns;
	sums->fenced += s->fenced;
	sums->cycles += s->model.cycles;
	sums->delayed += s->model.delayed;
	for (int i = 0; i < 4; i++)
		sums->died[i] += s->model.died[i];
	sums->loads += s->loads;
	sums->chunks += s->chunks;
	sums->checkpoints += s->checkpoints;
	sums->cleared += s->cleared;
}

static void print_sums(const struct sums *sums, uint64_t seeds, uint64_t steps)
{
	printf("%" PRIu64 " lives, %" PRIu64 " steps: %" PRIu64 " crashes, %" PRIu64
	       " deliveries, %" PRIu64 " confirms, %" PRIu64 " messages and %" PRIu64
	       " chunks read back, %" PRIu64 " checkpoints, %" PRIu64 " slots cleared\n",
	       seeds, seeds * steps, sums->crashes, sums->deliveries, sums->confirms, sums->loads,
	       sums->chunks, sums->checkpoints, sums->cleared);
	printf("dead: %" PRIu64 " rejected, %" PRIu64 " expired, %" PRIu64 " too many, %" PRIu64
	       " failed too often; %" PRIu64 " cycles ended, %" PRIu64
	       " publishes refused, %" PRIu64 " delayed\n",
	       sums->died[DIED_REJECTED], sums->died[DIED_EXPIRED], sums->died[DIED_MAXLEN],
	       sums->died[DIED_LIMIT], sums->cycles, sums->refusals, sums->delayed);
	printf("keys: %" PRIu64 " duplicates; %" PRIu64
	       " publishes had to wait for keys to be loaded; %" PRIu64 " returned, %" PRIu64
	       " fenced\n",
	       sums->duplicates, sums->waits, sums->returns, sums->fenced);
}

static int live_all(uint64_t first, uint64_t seeds, uint64_t steps)
{
	struct sums sums = { 0 };
	for (uint64_t seed = first; seed - first < seeds; seed++) {
		uint64_t hash = live(&sim, seed, steps);
		add(&sums, &sim);
		if ((seed - first) % 16 == 0 && live(&sim, seed, steps) != hash) {
			fprintf(stderr, "seed %" PRIu64 ": not deterministic\n", seed);
			return MODEL_VERDICT;
		}
	}
	print_sums(&sums, seeds, steps);
	return 0;
}

static const char help[] = "sim [--first SEED|any] [--seeds N] [--steps N]   lives; \"any\" is "
			   "another one each time, and printed\n"
			   "sim --shrink SEED [--steps N]                    prints a small "
			   "scenario that fails as the seed does\n"
			   "sim --replay FILE...                             runs scenarios\n"
			   "A failure prints the seed and step, and ends with 3.\n";

static uint64_t first_of(const char *text)
{
	uint32_t first = 0;
	if (strcmp(text, "any") != 0)
		return strtoull(text, NULL, 10);
	if (getrandom(&first, sizeof first, 0) != sizeof first)
		exit(1);
	printf("first seed: %" PRIu32 "\n", first);
	fflush(stdout);
	return first;
}

int main(int argc, char **argv)
{
	static const struct option all[] = {
		{ "first", 1, NULL, 'f' },  { "seeds", 1, NULL, 'n' },  { "steps", 1, NULL, 's' },
		{ "shrink", 1, NULL, 'k' }, { "replay", 0, NULL, 'r' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t first = 1, seeds = 20, steps = 3000;
	bool is_shrunk = false, is_replay = false;
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;) {
		switch (c) {
		case 'f': first = first_of(optarg); break;
		case 'n': seeds = strtoull(optarg, NULL, 10); break;
		case 's': steps = strtoull(optarg, NULL, 10); break;
		case 'k': first = first_of(optarg), is_shrunk = true; break;
		case 'r': is_replay = true; break;
		default: fputs(help, c == 'h' ? stdout : stderr); return c == 'h' ? 0 : 2;
		}
	}
	return is_replay   ? replay_files(argv + optind)
	       : is_shrunk ? shrink(first, steps)
			   : live_all(first, seeds, steps);
}
