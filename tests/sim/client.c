#include "client.h"
#include "headers.h"
#include "publish.h"
#include "shard.h"

/* The prefetch of a channel's earlier consumers follows: they get the new one too. */
static void set_prefetch(struct sim *s, unsigned channel, unsigned prefetch)
{
	core_qos(s->channels[channel], 0, true);
	for (unsigned k = 0; k < MODEL_CONSUMERS; k++)
		if (s->model.consumers[k].is_on && s->model.consumers[k].channel == channel)
			s->model.consumers[k].prefetch = prefetch;
	core_qos(s->channels[channel], (uint16_t)prefetch, false);
}

/* MODEL_CONSUMERS: none is free. */
static unsigned free_consumer(const struct sim *s)
{
	unsigned i = 0;
	while (i < MODEL_CONSUMERS && s->model.consumers[i].is_on)
		i++;
	return i;
}

static void consume(struct sim *s, unsigned i, const struct model_consumer *c)
{
	char tag[2] = { (char)('0' + i), 0 };
	uint8_t arguments[60];
	struct writer w = writer_of(arguments, sizeof arguments);
	struct refusal refusal = { 0 };
	if (c->priority > 0)
		table_write_int(&w, "x-priority", (int32_t)c->priority);
	if (c->lease_ms > 0)
		table_write_long(&w, "x-consumer-timeout", (int64_t)c->lease_ms);
	struct consume asked = { .queue = queue_name(s, c->queue),
				 .tag = bytes_str(tag),
				 .is_no_ack = c->is_no_ack,
				 .arguments = bytes_of(arguments, (size_t)(w.at - arguments)) };
	set_prefetch(s, c->channel, c->prefetch);
	model_consumer_began(&s->model, i, c);
	must(s, core_consume(s->channels[c->channel], &asked, &refusal), &refusal);
}

void do_consume(struct sim *s)
{
	struct model_consumer c = { .queue = any_queue(s), .channel = below(s, MODEL_CHANNELS) };
	unsigned i = free_consumer(s);
	if (i == MODEL_CONSUMERS || !s->is_declared[c.queue])
		return;
	c.prefetch = below(s, 5);
	c.is_no_ack = below(s, 5) == 0;
	c.priority = below(s, 3);
	consume(s, i, &c);
}

static void cancel(struct sim *s, unsigned i)
{
	char tag[2] = { (char)('0' + i), 0 };
	model_consumer_gone(&s->model, i);
	core_cancel(s->channels[s->model.consumers[i].channel], bytes_str(tag));
}

/* One after the other: the one that is active goes, and another one takes over. */
void do_rivals(struct sim *s)
{
	struct model_consumer c = { .queue = MODEL_SINGLE };
	for (unsigned n = below(s, 4), i; n > 0 && (i = free_consumer(s)) < MODEL_CONSUMERS; n--) {
		c.channel = below(s, MODEL_CHANNELS);
		c.prefetch = 1 + below(s, 3);
		c.priority = below(s, 3);
		consume(s, i, &c);
	}
	for (unsigned n = below(s, 4); n > 0; n--)
		publish_plain(s, MODEL_SINGLE, 0);
	for (unsigned i = 0; i < MODEL_CONSUMERS; i++)
		if (s->model.consumers[i].is_active && below(s, 3) == 0)
			cancel(s, i);
}

void do_cancel(struct sim *s)
{
	unsigned i = below(s, MODEL_CONSUMERS);
	if (s->model.consumers[i].is_on)
		cancel(s, i);
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

/* Several consumers with little credit, and messages of few groups. */
void do_groups(struct sim *s)
{
	struct model_consumer c = { .queue = MODEL_GROUPED };
	for (unsigned n = below(s, 3), i; n > 0 && (i = free_consumer(s)) < MODEL_CONSUMERS; n--) {
		c.channel = below(s, MODEL_CHANNELS);
		c.prefetch = 1 + below(s, 3);
		c.is_no_ack = below(s, 8) == 0;
		consume(s, i, &c);
	}
	for (unsigned n = below(s, 8); n > 0; n--)
		publish_grouped(s, MODEL_GROUPED, below(s, 4));
}

/* A publish that is none: of more time for a message or, tag 0, for all of the channel. */
static bool ask_for_time(struct sim *s, unsigned channel, uint64_t tag)
{
	uint8_t wire[100], headers[50];
	struct writer w = writer_of(wire, sizeof wire), h = writer_of(headers, sizeof headers);
	struct refusal refusal = { 0 };
	if (tag > 0)
		table_write_long(&h, "x-delivery-tag", (int64_t)tag);
	struct properties p = { .flags = HAS_headers,
				.headers = bytes_of(headers, (size_t)(h.at - headers)) };
	properties_encode(&w, &p);
	struct message *m =
		message_create(core_messages(s->core), bytes_str(""), bytes_str("amq.lease.extend"),
			       bytes_of(wire, (size_t)(w.at - wire)), 0);
	properties_decode(&p, message_properties(m));
	return core_publish(s->channels[channel], m, &p, false, &refusal);
}

static void extend(struct sim *s)
{
	static const struct model_publish nothing = { .queues = 0 };
	unsigned channel = below(s, TX_CHANNEL);
	const struct copy *c = any_unacked(s, channel);
	bool is_all = below(s, 3) == 0;
	if (s->model.published[channel] + 1 >= MODEL_COPIES_MAX)
		return;
	if (c != NULL && below(s, 8) == 0)
		MODEL_CHECK(&s->model, !ask_for_time(s, channel, c->tag + 100000));
	if (c == NULL && !is_all)
		return;
	uint64_t tag = is_all ? 0 : c->tag;
	MODEL_CHECK(&s->model, ask_for_time(s, channel, tag));
	model_lease_extended(&s->model, channel, tag);
	model_published(&s->model, &nothing, (int)channel, s->sequence);
}

/* Consumers that may have messages for a while only, and ask for more time. */
void do_lease(struct sim *s)
{
	struct model_consumer c = { .queue = any_queue(s), .channel = below(s, MODEL_CHANNELS) };
	unsigned i = free_consumer(s);
	if (below(s, 3) > 0) {
		extend(s);
		return;
	}
	if (i == MODEL_CONSUMERS || !s->is_declared[c.queue])
		return;
	c.prefetch = 1 + below(s, 5);
	c.lease_ms = 20 + below(s, 200);
	consume(s, i, &c);
	publish_plain(s, c.queue, 0);
}

void do_settle(struct sim *s)
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

void client_get(struct sim *s, unsigned q, unsigned channel, bool is_no_ack)
{
	struct effect e;
	uint64_t left;
	struct refusal refusal = { 0 };
	if (!s->is_declared[q])
		return;
	model_tended(&s->model, q, s->sequence);
	switch (core_get(s->channels[channel], queue_name(s, q), is_no_ack, &e, &left, &refusal)) {
	case GET_OK:
		headers_check(s, e.deliver.message);
		model_delivered(&s->model, q, channel, -1, e.deliver.delivery_tag,
				message_id(e.deliver.message), is_no_ack, e.deliver.is_redelivered,
				e.deliver.delivery_count, s->sequence);
		break;
	case GET_EMPTY: model_got_nothing(&s->model, q); break;
	case GET_LATER: break;
	case GET_REFUSED: must(s, false, &refusal);
	}
}

void do_get(struct sim *s)
{
	unsigned q = any_queue(s), channel = below(s, TX_CHANNEL);
	client_get(s, q, channel, maybe(s));
}

void client_purge(struct sim *s, unsigned q)
{
	uint64_t messages;
	struct refusal refusal = { 0 };
	if (!s->is_declared[q])
		return;
	must(s, core_queue_purge(s->connections[0], queue_name(s, q), &messages, &refusal),
	     &refusal);
	model_purged(&s->model, q, messages, s->sequence);
}

void do_purge(struct sim *s)
{
	if (below(s, 4) == 0)
		client_purge(s, any_queue(s));
}

static void open_channel(struct sim *s, unsigned channel)
{
	s->channels[channel] = channel_open(s->connections[channel], &s->owners[channel]);
	if (channel == TX_CHANNEL)
		core_tx_select(s->channels[channel]);
	else
		core_confirm_select(s->channels[channel]);
}

void client_start(struct sim *s, unsigned channel)
{
	s->connections[channel] =
		connection_open(s->core, core_vhost(s->core, bytes_str("/")), bytes_str("guest"));
	open_channel(s, channel);
}

static void forget_channel(struct sim *s, unsigned channel)
{
	model_channel_gone(&s->model, channel, s->sequence);
	if (channel == TX_CHANNEL)
		s->tx_publishes_len = s->tx_settles_len = 0;
}

void client_closed(struct sim *s)
{
	for (unsigned channel = 0; channel < MODEL_CHANNELS; channel++) {
		if (!(s->closed & 1u << channel))
			continue;
		forget_channel(s, channel);
		channel_close(s->channels[channel]);
		open_channel(s, channel);
		s->model.leases_ended++;
	}
	s->closed = 0;
}

void do_disconnect(struct sim *s)
{
	unsigned channel = below(s, MODEL_CHANNELS);
	if (below(s, 4) > 0)
		return;
	forget_channel(s, channel);
	connection_close(s->connections[channel]);
	client_start(s, channel);
}

void do_writable(struct sim *s)
{
	/* While it is not, nothing may be delivered; the model sees that nothing is owed when it is
	 * again. */
	unsigned channel = below(s, MODEL_CHANNELS);
	uint64_t before = s->model.deliveries;
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		connection_set_writable(s->connections[i], false);
	s->model.is_unwritable = true;
	publish_one(s, 0);
	shard_drain(s);
	MODEL_CHECK(&s->model, s->model.deliveries == before);
	s->model.is_unwritable = false;
	for (unsigned i = 0; i < MODEL_CHANNELS; i++)
		connection_set_writable(s->connections[(channel + i) % MODEL_CHANNELS], true);
}

void do_tx(struct sim *s)
{
	unsigned choice = below(s, 4);
	if (choice < 2) {
		if (s->tx_publishes_len < PUBLISHES_MAX)
			publish_one(s, TX_CHANNEL);
		return;
	}
	if (choice == 2) {
		core_tx_rollback(s->channels[TX_CHANNEL]);
	} else {
		if (s->model.copies_len + s->tx_publishes_len * MODEL_QUEUES >= MODEL_COPIES_MAX ||
		    core_commit_waits(s->channels[TX_CHANNEL]))
			return;
		uint64_t awaited = s->tx_settles_len > 0 ? s->sequence : 0;
		for (size_t i = 0; i < s->tx_publishes_len; i++) {
			uint64_t sequence = publish_done(s, &s->tx_publishes[i], -1);
			awaited = sequence > awaited ? sequence : awaited;
		}
		for (size_t i = 0; i < s->tx_settles_len; i++)
			model_settled(&s->model, TX_CHANNEL, s->tx_settles[i].tag, false,
				      s->tx_settles[i].how, s->sequence);
		core_tx_commit(s->channels[TX_CHANNEL]);
		MODEL_CHECK(&s->model, awaited <= s->durable || core_awaited(s->core) >= awaited);
	}
	s->tx_publishes_len = s->tx_settles_len = 0;
}
