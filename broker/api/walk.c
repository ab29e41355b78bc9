#include "api/walk.h"

#include "api/deed.h"
#include "auth/users.h"
#include "base/alloc.h"
#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET = 256 };

struct walking {
	struct view *view;
	bool is_of_defaults; /* The bindings of the default exchange, which nobody has made. */
	struct net_view *sessions;
};

/* A step of one. */
struct visit {
	struct query *query;
	const struct walk_wanted *wanted;
};

static bool is_it(const struct bytes *wanted, struct bytes what)
{
	return wanted == NULL || bytes_equal(*wanted, what);
}

/* The api's own channels, which have no session, are nobody's business. */
static bool is_of_client(const struct query *c, const void *owner)
{
	return owner != NULL && !deed_is_owner(c->api, owner);
}

static bool may_see_user(const struct visit *v, struct bytes user)
{
	return !v->wanted->is_own || v->query->sees_all || bytes_equal(user, v->query->user->name);
}

static struct bytes connection_name(const void *channel_owner, uint16_t *number)
{
	return bytes_str(session_connection_name(session_of_channel(channel_owner, number)));
}

static void on_queue(void *arg, const void *info)
{
	struct visit *v = arg;
	struct queue_row row = { .i = *(const struct queue_info *)info };
	char name[200] = "";
	uint16_t number;
	if (row.i.is_system || !query_may_see(v->query, row.i.vhost))
		return;
	if (row.i.owner != NULL)
		row.owner = bytes_str(session_connection_name(row.i.owner));
	if (is_of_client(v->query, row.i.active_owner)) {
		struct bytes connection = connection_name(row.i.active_owner, &number);
		snprintf(name, sizeof name, "%.*s (%u)", BYTES_ARG(connection), number);
	}
	row.active_channel = bytes_str(name);
	sheet_add(v->query->sheet, &row);
}

static void on_exchange(void *arg, const void *info)
{
	struct visit *v = arg;
	struct exchange_row row = { .i = *(const struct exchange_info *)info };
	if (query_may_see(v->query, row.i.vhost))
		sheet_add(v->query->sheet, &row);
}

static void on_binding(void *arg, const void *info)
{
	struct visit *v = arg;
	struct binding_row row = { .i = *(const struct binding_info *)info };
	if (query_may_see(v->query, row.i.vhost) && is_it(v->wanted->source, row.i.source) &&
	    is_it(v->wanted->destination, row.i.destination) &&
	    (v->wanted->is_to_exchange == NULL ||
	     *v->wanted->is_to_exchange == row.i.is_to_exchange))
		sheet_add(v->query->sheet, &row);
}

static void on_default_binding(void *arg, const void *info)
{
	const struct queue_info *q = info;
	const struct binding_info b = { .vhost = q->vhost,
					.source = bytes_of("", 0),
					.destination = q->name,
					.routing_key = q->name };
	if (!q->is_system)
		on_binding(arg, &b);
}

static void on_channel(void *arg, const void *info)
{
	struct visit *v = arg;
	struct channel_row row = { .i = *(const struct channel_info *)info };
	char name[200];
	if (!is_of_client(v->query, row.i.owner) || !may_see_user(v, row.i.user))
		return;
	row.connection = connection_name(row.i.owner, &row.number);
	snprintf(name, sizeof name, "%.*s (%u)", BYTES_ARG(row.connection), row.number);
	if (is_it(v->wanted->connection, row.connection) &&
	    is_it(v->wanted->channel, bytes_str(name)))
		sheet_add(v->query->sheet, &row);
}

static void on_consumer(void *arg, const void *info)
{
	struct visit *v = arg;
	struct consumer_row row = { .i = *(const struct consumer_info *)info };
	if (!is_of_client(v->query, row.i.owner) || !query_may_see(v->query, row.i.vhost) ||
	    !is_it(v->wanted->queue, row.i.queue))
		return;
	row.connection = connection_name(row.i.owner, &row.number);
	row.user = session_info(session_of_channel(row.i.owner, &row.number)).user;
	sheet_add(v->query->sheet, &row);
}

static void on_session(void *arg, struct session *session)
{
	struct visit *v = arg;
	struct connection_row row = { .i = session_info(session),
				      .name = bytes_str(session_connection_name(session)) };
	if (may_see_user(v, row.i.user) && is_it(v->wanted->vhost, row.i.vhost) &&
	    is_it(v->wanted->connection, row.name) && is_it(v->wanted->user, row.i.user))
		sheet_add(v->query->sheet, &row);
}

static void end(struct query *c)
{
	struct walking *w = c->state;
	view_close(w->view);
	net_view_close(w->sessions);
	free(w);
	c->state = NULL;
}

static void begin(struct query *c, const struct walk_wanted *wanted)
{
	static const enum view_of of[] = {
		[SHEET_QUEUES] = VIEW_QUEUES,       [SHEET_EXCHANGES] = VIEW_EXCHANGES,
		[SHEET_BINDINGS] = VIEW_BINDINGS,   [SHEET_CHANNELS] = VIEW_CHANNELS,
		[SHEET_CONSUMERS] = VIEW_CONSUMERS,
	};
	struct walking *w = alloc_zeroed(sizeof *w);
	w->is_of_defaults = wanted->kind == SHEET_BINDINGS;
	if (wanted->kind == SHEET_CONNECTIONS)
		w->sessions = net_view_open(c->api->options.net);
	else
		w->view = view_open(c->api->options.core,
				    w->is_of_defaults ? VIEW_QUEUES : of[wanted->kind],
				    wanted->vhost);
	c->sheet = sheet_create(wanted->kind);
	c->state = w;
	c->end_state = end;
}

enum desk_step walk_step(struct query *c, const struct walk_wanted *wanted)
{
	static void (*const visits[])(void *arg, const void *info) = {
		[SHEET_QUEUES] = on_queue,       [SHEET_EXCHANGES] = on_exchange,
		[SHEET_BINDINGS] = on_binding,   [SHEET_CHANNELS] = on_channel,
		[SHEET_CONSUMERS] = on_consumer,
	};
	if (c->sheet == NULL)
		begin(c, wanted);
	struct walking *w = c->state;
	struct visit v = { c, wanted };
	bool is_more = w->view == NULL ? net_view_next(w->sessions, BUDGET, on_session, &v)
				       : view_next(w->view, BUDGET,
						   w->is_of_defaults ? on_default_binding
								     : visits[wanted->kind],
						   &v);
	if (is_more)
		return DESK_AGAIN;
	if (wanted->kind == SHEET_BINDINGS && w->is_of_defaults) {
		w->is_of_defaults = false;
		view_close(w->view);
		w->view = view_open(c->api->options.core, VIEW_BINDINGS, wanted->vhost);
		return DESK_AGAIN;
	}
	end(c);
	c->end_state = NULL;
	return DESK_DONE;
}
