#include "api/deed.h"

#include "api/payload.h"
#include "api/sheet.h"
#include "auth/users.h"
#include "base/alloc.h"
#include "core/inputs.h"

#include <stdlib.h>

static struct deed *find(const struct api *api, const void *owner)
{
	uintptr_t key = (uintptr_t)owner;
	return api->deeds.len == 0 ? NULL : map_get(&api->deeds, bytes_of(&key, sizeof key));
}

bool deed_is_owner(const struct api *api, const void *owner)
{
	return find(api, owner) != NULL;
}

static void end(struct query *c)
{
	struct deed *d = c->state;
	query_await(c, core_awaited(c->api->options.core));
	connection_close(d->connection);
	access_fini(&d->access);
	map_remove(&c->api->deeds, bytes_of(&d->key, sizeof d->key));
	json_decref(d->reply);
	free(d);
	c->state = NULL;
}

struct deed *deed_begin(struct query *c)
{
	struct vhost *vhost = query_vhost(c);
	if (vhost == NULL)
		return NULL;
	struct deed *d = alloc_zeroed(sizeof *d);
	d->query = c;
	d->vhost = vhost;
	d->key = (uintptr_t)d;
	access_init(&d->access, c->user, vhost_name(vhost), c->api->seed);
	d->connection = connection_open(c->api->options.core, vhost, c->user->name);
	if (user_has_tag(c->user, "impersonator"))
		connection_let_impersonate(d->connection);
	connection_tell_repeated(d->connection);
	d->channel = channel_open(d->connection, d);
	map_put(&c->api->deeds, bytes_of(&d->key, sizeof d->key), d);
	c->state = d;
	c->end_state = end;
	return d;
}

static void drop(const struct api *api, struct message *message)
{
	message_unref(core_messages(api->options.core), message);
}

static void take_reply(struct deed *d, const struct message *m)
{
	if (d->reply != NULL)
		return;
	d->reply = json_pack("{s:o}", "properties", payload_properties(message_properties(m)));
	payload_put(d->reply, message_body(m), true);
}

bool api_effect(struct api *api, const struct effect *effect)
{
	struct deed *d = api == NULL ? NULL : find(api, effect->owner);
	if (d == NULL)
		return false;
	switch (effect->kind) {
	case EFFECT_CONFIRM:
		d->is_confirmed = true;
		d->confirmed = effect->confirm.delivery_tag;
		d->is_nack = effect->confirm.is_nack;
		break;
	case EFFECT_RETURN:
		d->is_returned = true;
		drop(api, effect->returned.message);
		break;
	case EFFECT_REPEATED:
		d->is_duplicate = !effect->repeated.is_conflict;
		d->is_conflict = effect->repeated.is_conflict;
		drop(api, effect->repeated.message);
		return true;
	case EFFECT_DELIVER: take_reply(d, effect->deliver.message); break;
	case EFFECT_CANCELLED:
	case EFFECT_CLOSE:
	case EFFECT_LOAD:
	case EFFECT_INDEX:
	case EFFECT_STATE: return true;
	}
	desk_wake(api->desk, &d->query->job);
	return true;
}
