#include "topology.h"
#include "headers.h"
#include "publish.h"
#include "shard.h"

#include <string.h>

const char *const exchange_names[X_LEN] = { "", "fan", "direct", "topic", "headers", "other" };
static const char *const words[] = { "a", "b", "a.b", "b.b", "a.a.b", "b.a", "" };
static const char *const patterns[] = { "a", "#", "a.*", "*.b", "#.b", "a.#", "*", "a.#.b" };

const char *topology_key(struct sim *s)
{
	return words[below(s, sizeof words / sizeof *words)];
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
	if (q->lease_ms > 0)
		table_write_long(w, "x-consumer-timeout", (int64_t)q->lease_ms);
	if (q->is_grouped)
		table_write_str(w, "x-group-header", bytes_str("group"));
	if (q->is_single)
		table_write_bool(w, "x-single-active-consumer", true);
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
	headers_write_values(w, b->headers, b->destination + 8u * b->match);
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

void topology_queue(struct sim *s, unsigned q)
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

void topology_fanout(struct sim *s, unsigned q)
{
	struct routing_binding b = { .source = X_FANOUT, .destination = q };
	if (!model_queues[q].is_fanned || s->routing.is_deleted[X_FANOUT] ||
	    !routing_bind(&s->routing, &b))
		return;
	bind_or_unbind(s, &b, true);
}

/* What is there goes, what is not comes; each in a turn of its own, synced, for the model does not
 * follow half-known bindings. */
void do_bind(struct sim *s)
{
	struct routing_binding b = { .source = 1 + below(s, X_LEN - 1) };
	b.is_to_exchange = below(s, 4) == 0;
	b.destination = b.is_to_exchange ? 1 + below(s, X_LEN - 1) : any_queue(s);
	if (b.source == X_TOPIC)
		strcpy(b.key, patterns[below(s, sizeof patterns / sizeof *patterns)]);
	else
		strcpy(b.key, topology_key(s));
	if (b.source == X_HEADERS) {
		b.match = below(s, 4);
		for (unsigned i = 0; i < ROUTING_HEADERS; i++)
			b.headers[i] = (uint8_t)(below(s, 2) * below(s, H_VALUES));
	}
	size_t number = routing_find(&s->routing, &b);
	if (below(s, 2) && s->routing.len > 0) /* Any that is there. */
		b = s->routing.bindings[number = below(s, (uint32_t)s->routing.len)];
	if (s->routing.is_deleted[b.source] ||
	    (b.is_to_exchange && s->routing.is_deleted[b.destination]))
		return;
	if (number != SIZE_MAX) {
		bind_or_unbind(s, &b, false);
		routing_unbind(&s->routing, number);
	} else if (routing_bind(&s->routing, &b)) {
		bind_or_unbind(s, &b, true);
	}
	if (below(s, 4) == 0) { /* Others only come after this one. */
		shard_sync(s);
		shard_begin(s);
		return;
	}
	publish_one(s, 0);
	shard_sync(s);
	shard_begin(s);
}

void topology_exchange(struct sim *s, enum routing_exchange x)
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

void topology_exchanges_recovered(struct sim *s)
{
	for (enum routing_exchange x = X_FANOUT; x < X_LEN; x++) {
		struct refusal refusal = { 0 };
		struct exchange_declare d = { .name = bytes_str(exchange_names[x]),
					      .is_passive = true };
		bool is_there = core_exchange_declare(s->connections[0], &d, &refusal);
		MODEL_CHECK(&s->model, s->generation == 1 || is_there != s->routing.is_deleted[x]);
		topology_exchange(s, x);
		s->routing.is_deleted[x] = false;
	}
}

/* An exchange goes, and comes again later: meanwhile all that leads to it or from it is gone, also
 * for what a transaction has published already. As with queues, synced. */
void do_exchange(struct sim *s)
{
	enum routing_exchange x = 1 + below(s, X_LEN - 1);
	struct refusal refusal = { 0 };
	if (below(s, 4) > 0)
		return;
	if (s->routing.is_deleted[x]) {
		topology_exchange(s, x);
		s->routing.is_deleted[x] = false;
		for (unsigned q = 0; x == X_FANOUT && q < MODEL_QUEUES; q++)
			topology_fanout(s, q);
	} else {
		must(s,
		     core_exchange_delete(s->connections[0], bytes_str(exchange_names[x]), false,
					  &refusal),
		     &refusal);
		routing_exchange_gone(&s->routing, x);
	}
	publish_one(s, 0);
	shard_sync(s);
	shard_begin(s);
}

/* Deleting a queue and declaring it again are each a turn of their own, synced: the model does not
 * follow half-known names. */
void do_redeclare(struct sim *s)
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
	topology_queue(s, q);
	topology_fanout(s, q);
	shard_sync(s);
	shard_begin(s);
}
