#include "republish.h"
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

/* Where it went before, or to any queue; with a key, where that has a scope. */
static void draw_target(struct sim *s, struct routed_publish *r)
{
	if (maybe(s))
		return;
	unsigned q = any_queue(s);
	r->route.exchange = X_DEFAULT;
	r->p.scope = q;
	strcpy(r->route.keys[0], s->names[q]);
}

void do_republish(struct sim *s)
{
	unsigned channel = below(s, MODEL_CHANNELS);
	if (s->kept_len == 0 || (channel == TX_CHANNEL && s->tx_publishes_len == PUBLISHES_MAX))
		return;
	const struct keepsake *k =
		&s->kept[below(s, s->kept_len < KEPT ? (uint32_t)s->kept_len : KEPT)];
	struct routed_publish r = k->r;
	unsigned whole = r.p.is_copy ? r.p.whole : r.p.key;
	r.p.is_copy = true;
	r.p.origin = k->told.uid;
	r.p.whole = whole;
	r.p.key = whole == 0 ? 0 : model_copy_key(&s->model, whole, k->told.uid);
	if (whole != 0 && r.p.key == 0)
		return;
	r.p.is_persistent = below(s, 4) > 0;
	r.p.producer = 0;
	r.p.delay_ms = r.p.expiration_ms = 0;
	memcpy(r.p.deaths, k->told.deaths, sizeof r.p.deaths);
	r.p.deaths_len = k->told.len;
	r.p.strays = k->told.strays;
	r.is_mandatory = false;
	draw_target(s, &r);
	publish_begin(s, &r);
	publish_made(s, channel, &r, make(s, k, &r));
}
