#include "republish.h"
#include "broker.h"
#include "client.h"
#include "headers.h"
#include "publish.h"
#include "topology.h"

#include <string.h>

enum { STORY_MAX = 8 }; /* A longer one would not have an end. */

void republish_keep(struct sim *s, const struct message *m, struct bytes headers)
{
	uint64_t id = message_id(m);
	const struct routed_publish *r = &s->recent[id % RECENT];
	struct keepsake *k = &s->kept[s->kept_len % KEPT];
	struct bytes body = message_body(m);
	struct table_value v;
	if (s->model.told.uid == 0 || r->p.id != id || headers.len > sizeof k->headers ||
	    body.len > sizeof k->body || s->model.told.len > STORY_MAX)
		return;
	k->r = *r;
	k->told = s->model.told;
	k->headers_len = headers.len;
	k->body_len = body.len;
	memcpy(k->headers, headers.data, headers.len);
	memcpy(k->body, body.data, body.len);
	/* BCC has been taken out, and CC perhaps, too. */
	k->r.route.keys_len = table_find(headers, "CC", &v) ? 2 : 1;
	s->kept_len++;
}

static struct message *make(struct sim *s, const struct keepsake *k, const struct routed_publish *r)
{
	uint8_t headers[1500], wire[1600];
	struct writer h = writer_of(headers, sizeof headers), w = writer_of(wire, sizeof wire);
	struct bytes rest = bytes_of(k->headers, k->headers_len), name;
	struct properties p = { .flags = HAS_headers | HAS_delivery_mode,
				.delivery_mode = r->p.is_persistent ? 2 : 1 };
	struct table_value v;
	while (table_next(&rest, &name, &v))
		if (!headers_is_id(name))
			table_write_value(&h, name, &v);
	headers_write_id(&h, r->p.id);
	p.headers = bytes_of(headers, (size_t)(h.at - headers));
	if (r->p.priority > 0) {
		p.flags |= HAS_priority;
		p.priority = (uint8_t)r->p.priority;
	}
	properties_encode(&w, &p);
	MODEL_CHECK(&s->model, !h.failed && !w.failed);
	struct message *m = message_create(
		core_messages(s->core), bytes_str(exchange_names[r->route.exchange]),
		bytes_str(r->route.keys[0]), bytes_of(wire, (size_t)(w.at - wire)), k->body_len);
	message_append(core_messages(s->core), &m, bytes_of(k->body, k->body_len));
	return m;
}

static void target(const struct sim *s, struct routed_publish *r, unsigned q)
{
	r->route.exchange = X_DEFAULT;
	r->p.scope = q;
	strcpy(r->route.keys[0], s->names[q]);
}

/* Where it went before, or to any queue; with a key, where that has a scope. */
static void draw_target(struct sim *s, struct routed_publish *r)
{
	if (!maybe(s))
		target(s, r, any_queue(s));
}

/* As a copy with its own key, if it has one; false: there are too many of those. */
static bool become_copy(struct sim *s, const struct keepsake *k, struct routed_publish *r)
{
	unsigned whole = k->r.p.is_copy ? k->r.p.whole : k->r.p.key;
	*r = k->r;
	r->p.is_copy = true;
	r->p.origin = k->told.uid;
	r->p.whole = whole;
	r->p.key = whole == 0 ? 0 : model_copy_key(&s->model, whole, k->told.uid);
	r->p.is_persistent = below(s, 4) > 0;
	r->p.producer = 0;
	r->p.delay_ms = r->p.expiration_ms = 0;
	memcpy(r->p.deaths, k->told.deaths, sizeof r->p.deaths);
	r->p.deaths_len = k->told.len;
	r->p.strays = k->told.strays;
	r->is_mandatory = false;
	return whole == 0 || r->p.key != 0;
}

static void publish_copy(struct sim *s, unsigned channel, const struct keepsake *k,
			 struct routed_publish *r)
{
	publish_begin(s, r);
	publish_made(s, channel, r, make(s, k, r));
}

void do_republish(struct sim *s)
{
	unsigned channel = below(s, MODEL_CHANNELS);
	struct routed_publish r;
	if (s->kept_len == 0 || (channel == TX_CHANNEL && s->tx_publishes_len == PUBLISHES_MAX))
		return;
	const struct keepsake *k =
		&s->kept[below(s, s->kept_len < KEPT ? (uint32_t)s->kept_len : KEPT)];
	if (!become_copy(s, k, &r))
		return;
	draw_target(s, &r);
	publish_copy(s, channel, k, &r);
}

/* What came last, where it came from. */
static void republish_last(struct sim *s, unsigned q)
{
	struct routed_publish r;
	if (s->kept_len == 0)
		return;
	const struct keepsake *k = &s->kept[(s->kept_len - 1) % KEPT];
	if (!become_copy(s, k, &r))
		return;
	target(s, &r, q);
	publish_copy(s, 0, k, &r);
}

/* A message whose key holds while it is there, and copies of it beside it, which leave in any
 * order: who has the key last, whatever comes between? */
void do_copies(struct sim *s)
{
	unsigned q = maybe(s) ? MODEL_UNIQUE : MODEL_UNIQUE_TOO, key = 1 + below(s, MODEL_KEYS);
	if (below(s, 6) > 0)
		return;
	broker_settle(s);
	client_purge(s, q);
	publish_keyed(s, q, key);
	for (uint32_t n = 1 + below(s, 3); n > 0; n--) {
		broker_settle(s);
		client_get(s, q, 0, below(s, 4) == 0);
		republish_last(s, q);
		if (maybe(s)) /* While the copy is on its way to the disk. */
			publish_keyed(s, q, key);
	}
	for (uint32_t rounds = below(s, 4); rounds > 0; rounds--) {
		for (uint32_t n = below(s, 4); n > 0; n--)
			do_settle(s);
		if (below(s, 4) == 0)
			client_purge(s, q);
		if (below(s, 4) == 0)
			broker_crash(s);
		broker_settle(s);
		publish_keyed(s, q, key);
	}
}
