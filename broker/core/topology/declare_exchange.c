/* Declare exchange: exchanges come and go. */
#include "core/topology/declare_exchange.h"
#include "core/channel/connection.h"
#include "core/check/check.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/exchange/type.h"
#include "core/inputs.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/topology/answer.h"
#include "core/topology/bind.h"
#include "core/vhost/arguments.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <stdio.h>

static const char *const guise_names[] = {
	[GUISE_DELAYED] = "x-delayed-message",
	[GUISE_DEDUPLICATING] = "x-message-deduplication",
};

static const char *declared_type(enum exchange_type type, enum exchange_guise guise)
{
	return guise == GUISE_NONE ? exchange_type_name(type) : guise_names[guise];
}

const char *exchange_declared_type(const struct exchange *x)
{
	return declared_type(x->type, x->guise);
}

static bool find_type(const struct exchange_declare *d, enum exchange_type *type,
		      enum exchange_guise *guise, struct refusal *refusal)
{
	struct bytes delayed_type;
	*guise = bytes_equal_str(d->type, guise_names[GUISE_DELAYED])         ? GUISE_DELAYED
		 : bytes_equal_str(d->type, guise_names[GUISE_DEDUPLICATING]) ? GUISE_DEDUPLICATING
									      : GUISE_NONE;
	*type = EXCHANGE_FANOUT;
	if (*guise == GUISE_DEDUPLICATING)
		return true;
	if (*guise == GUISE_NONE)
		return exchange_type_find(d->type, type) ||
		       refuse(refusal, REPLY_COMMAND_INVALID, "unknown exchange type '%.*s'",
			      BYTES_ARG(d->type));
	if (table_find_string(d->arguments, "x-delayed-type", &delayed_type) &&
	    exchange_type_find(delayed_type, type))
		return true;
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "Invalid argument, 'x-delayed-type' must be an existing exchange type");
}

bool core_exchange_type_check(const struct exchange_declare *d, struct refusal *refusal)
{
	enum exchange_type type;
	enum exchange_guise guise;
	return d->is_passive || find_type(d, &type, &guise, refusal);
}

static bool exchange_equivalent(const struct exchange *x, enum exchange_type type,
				enum exchange_guise guise, const struct exchange_declare *d,
				struct refusal *refusal)
{
	char what[600];
	const struct vhost *v = x->vhost;
	snprintf(what, sizeof what, "exchange '%.*s' in vhost '%.*s'", BYTES_ARG(x->name),
		 BYTES_ARG(v->name));
	return field_check("type", declared_type(type, guise), declared_type(x->type, x->guise),
			   "exchange", x->name, v, refusal) &&
	       (guise != GUISE_DELAYED ||
		argument_equivalent("x-delayed-type", x->arguments, d->arguments, what, refusal)) &&
	       field_check("durable", bool_text(d->is_durable), bool_text(x->is_durable),
			   "exchange", x->name, v, refusal) &&
	       field_check("auto_delete", bool_text(d->is_auto_delete),
			   bool_text(x->is_auto_delete), "exchange", x->name, v, refusal) &&
	       field_check("internal", bool_text(d->is_internal), bool_text(x->is_internal),
			   "exchange", x->name, v, refusal) &&
	       exchange_arguments_equivalent(x, d->arguments, what, refusal);
}

static bool check_new_exchange(const struct vhost *vhost, const struct exchange_declare *d,
			       enum exchange_type type, struct refusal *refusal)
{
	struct table_value ae;
	char what[600];
	const struct core *core = vhost->core;
	snprintf(what, sizeof what, "exchange '%.*s' in vhost '%.*s'", BYTES_ARG(d->name),
		 BYTES_ARG(vhost->name));
	if (!name_check("exchange", d->name, refusal) ||
	    (exchange_types[type]->check_arguments != NULL &&
	     !exchange_types[type]->check_arguments(d->arguments, refusal)) ||
	    !exchange_arguments_check(d->arguments, what, refusal))
		return false;
	if (table_find(d->arguments, "alternate-exchange", &ae) && ae.type != 'S')
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid type '%s' for arg 'alternate-exchange' in %s",
			      table_type_name(ae.type), what);
	if (core->exchanges_len >= core->options.exchanges_max)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "cannot declare exchange '%.*s': exchange limit (%u) is reached",
			      BYTES_ARG(d->name), core->options.exchanges_max);
	return true;
}

bool core_exchange_declare(struct connection *connection, const struct exchange_declare *d,
			   struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct vhost *vhost = connection->vhost;
	enum exchange_type type;
	enum exchange_guise guise;
	struct exchange *x = d->is_dry ? NULL : exchange_find(vhost, d->name);
	vhost->core->awaited = x == NULL ? 0 : x->defined;
	if (d->is_passive)
		return exchange_check_not_default(d->name, refusal) &&
		       (x != NULL || refuse_not_found("exchange", d->name, vhost, refusal));
	if (!find_type(d, &type, &guise, refusal))
		return false;
	if (!exchange_check_not_default(d->name, refusal))
		return false;
	if (x != NULL)
		return exchange_equivalent(x, type, guise, d, refusal);
	if (!check_new_exchange(vhost, d, type, refusal))
		return false;
	if (d->is_dry)
		return true;
	x = exchange_create(vhost, d->name, type);
	x->is_durable = d->is_durable;
	x->is_auto_delete = d->is_auto_delete;
	x->is_internal = d->is_internal;
	x->guise = guise;
	x->arguments = alloc_copy(d->arguments);
	exchange_apply_settings(x);
	if (x->is_durable)
		durable_exchange(x, false);
	vhost->core->awaited = x->defined;
	return true;
}

void exchange_delete(struct exchange *x)
{
	assert(!x->is_predeclared);
	x->is_auto_delete = false; /* It is going already. */
	while (!list_is_empty(&x->bindings))
		binding_drop(list_entry(x->bindings.next, struct binding, in_source));
	bindings_drop_to(&x->inbound);
	if (x->is_durable)
		durable_exchange(x, true);
	exchange_destroy(x);
}

bool core_exchange_delete(struct connection *connection, struct bytes name, bool if_unused,
			  struct refusal *refusal)
{
	CHECKED_INPUT(connection->core);
	struct vhost *vhost = connection->vhost;
	struct exchange *x = exchange_find(vhost, name);
	if (!exchange_check_not_default(name, refusal))
		return false;
	vhost->core->awaited = vhost->core->removed;
	if (x == NULL)
		return true;
	if (x->is_predeclared)
		return refuse(refusal, REPLY_ACCESS_REFUSED,
			      "deletion of system exchange '%.*s' in vhost '%.*s' not allowed",
			      BYTES_ARG(name), BYTES_ARG(vhost->name));
	if (if_unused && !list_is_empty(&x->bindings))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "exchange '%.*s' in vhost '%.*s' in use", BYTES_ARG(name),
			      BYTES_ARG(vhost->name));
	exchange_delete(x);
	vhost->core->awaited = vhost->core->removed;
	return true;
}
