#include "publish.h"
#include "headers.h"
#include "topology.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The body says what the other headers were: an id, their length, and they. */
static struct message *message_made(struct sim *s, const struct model_publish *p,
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
	headers_write(s, &h, &others, p, route);
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
		strcpy(route->keys[i],
		       route->exchange == X_DEFAULT ? s->names[any_queue(s)] : topology_key(s));
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

uint64_t publish_done(struct sim *s, struct routed_publish *r, int channel)
{
	r->p.queues = routing_queues(&s->routing, &r->route);
	s->returns_owed += r->is_mandatory && r->p.queues == 0;
	return model_published(&s->model, &r->p, channel, s->sequence);
}

static void draw(struct sim *s, struct routed_publish *r, unsigned channel)
{
	bool is_delayed = below(s, 8) == 0;
	r->p.is_persistent = below(s, 4) > 0;
	if (below(s, 3) == 0)
		r->p.priority = below(s, 6);
	if (is_delayed)
		r->p.delay_ms = 1 + below(s, 300);
	else if (below(s, 4) == 0)
		r->p.expiration_ms = 1 + below(s, 400);
	draw_route(s, &r->p, &r->route);
	if (r->p.key == 0 && !is_delayed && channel != TX_CHANNEL && below(s, 4) == 0)
		draw_producer(s, &r->p);
	if (!is_delayed && below(s, 5) == 0)
		draw_deaths(s, &r->p);
	r->is_mandatory = r->p.key == 0 && r->p.producer == 0 && !is_delayed && below(s, 3) == 0;
}

void publish_begin(struct sim *s, struct routed_publish *r)
{
	r->p.id = ++s->id_last;
	s->recent[r->p.id % RECENT] = *r;
	model_uid_expected(&s->model, &r->p);
}

void publish_made(struct sim *s, unsigned channel, struct routed_publish *r, struct message *m)
{
	struct refusal refusal = { 0 };
	struct properties properties;
	bool is_waiting =
		channel != TX_CHANNEL && core_publish_waits(s->core, message_properties(m));
	if (is_waiting || s->model.copies_len + 1000 >= MODEL_COPIES_MAX) {
		message_unref(core_messages(s->core), m);
		s->waits += is_waiting;
		return;
	}
	properties_decode(&properties, message_properties(m));
	bool is_taken =
		core_publish(s->channels[channel], m, &properties, r->is_mandatory, &refusal);
	if (s->routing.is_deleted[r->route.exchange]) {
		MODEL_CHECK(&s->model, !is_taken && refusal.code == REPLY_NOT_FOUND);
		return;
	}
	if (r->p.producer > 0 && model_is_fenced(&s->model, &r->p)) {
		MODEL_CHECK(&s->model, !is_taken);
		s->fenced++;
		return;
	}
	must(s, is_taken, &refusal);
	if (channel == TX_CHANNEL)
		s->tx_publishes[s->tx_publishes_len++] = *r;
	else
		publish_done(s, r, (int)channel);
}

static void publish(struct sim *s, unsigned channel, struct routed_publish *r)
{
	if (s->model.copies_len + 1000 >= MODEL_COPIES_MAX)
		return;
	publish_begin(s, r);
	publish_made(s, channel, r, message_made(s, &r->p, &r->route));
}

void publish_one(struct sim *s, unsigned channel)
{
	struct routed_publish r = { .is_mandatory = false };
	draw(s, &r, channel);
	publish(s, channel, &r);
}

static void publish_to(struct sim *s, unsigned q, struct model_publish p)
{
	struct routed_publish r = { .p = p, .route = { .exchange = X_DEFAULT, .keys_len = 1 } };
	r.p.is_persistent = true;
	r.p.scope = q;
	strcpy(r.route.keys[0], s->names[q]);
	publish(s, 0, &r);
}

void publish_plain(struct sim *s, unsigned q, unsigned priority)
{
	publish_to(s, q, (struct model_publish){ .priority = priority });
}

void publish_grouped(struct sim *s, unsigned q, unsigned group)
{
	publish_to(s, q, (struct model_publish){ .group = group });
}

void publish_keyed(struct sim *s, unsigned q, unsigned key)
{
	publish_to(s, q, (struct model_publish){ .scope = q, .key = key });
}

/* A producer that publishes within a transaction: its number may have been, or it may have been
 * fenced, by the time of the commit. */
void do_tx_number(struct sim *s)
{
	struct routed_publish r = { .p.is_persistent = maybe(s) };
	if (s->tx_publishes_len == PUBLISHES_MAX)
		return;
	draw_route(s, &r.p, &r.route);
	r.p.key = 0;
	draw_producer(s, &r.p);
	publish(s, TX_CHANNEL, &r);
}

/* Told by others, in ways that the broker would not, of deaths that make sense or do not. */
void do_tale(struct sim *s)
{
	static const unsigned mortal[] = { 2, 4, 6, 7 };
	struct model_publish p = { .expiration_ms = maybe(s) ? 1 + below(s, 100) : 0 };
	unsigned q = mortal[below(s, 4)];
	for (unsigned n = below(s, MODEL_TOLD_MAX + 1); n > 0; n--) {
		static const unsigned others[] = { MODEL_NO_QUEUE, MODEL_ELSEWHERE };
		struct model_death *d = &p.deaths[p.deaths_len++];
		d->queue = maybe(s) ? q : others[below(s, 2)];
		d->reason = maybe(s) ? DIED_EXPIRED : below(s, DIED_UNTOLD + 1);
		d->count = below(s, 3);
	}
	p.is_story_none = p.deaths_len == 0;
	p.strays = below(s, p.deaths_len + 1);
	publish_to(s, q, p);
}

void do_publish(struct sim *s)
{
	for (uint32_t n = 1 + below(s, 4); n > 0; n--)
		publish_one(s, below(s, TX_CHANNEL));
}
