/* Exchanges of all types. */
#include "core/exchange/exchange.h"
#include "core/exchange/route.h"
#include "core/exchange/type.h"
#include "core/state.h"
#include "core/vhost/settings.h"

#include "base/alloc.h"

#include <stdlib.h>

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type)
{
	uint64_t seed = vhost->core->options.hash_seed;
	struct exchange *x = alloc_zeroed(sizeof *x);
	x->vhost = vhost;
	x->name = name.len == 0 ? bytes_str("") : alloc_copy(name);
	x->type = type;
	list_init(&x->bindings);
	list_init(&x->inbound);
	map_init(&x->identities, seed);
	map_init(&x->keys, seed);
	map_init(&x->memo, seed);
	if (exchange_types[type]->created != NULL)
		exchange_types[type]->created(x);
	map_put(&vhost->exchanges, x->name, x);
	vhost->core->exchanges_len++;
	vhost->topology++;
	return x;
}

void exchange_destroy(struct exchange *x)
{
	assert(list_is_empty(&x->bindings) && list_is_empty(&x->inbound));
	dedup_forget(x->vhost->core, &x->dedup);
	map_remove(&x->vhost->exchanges, x->name);
	x->vhost->core->exchanges_len--;
	x->vhost->topology++;
	route_memo_clear(x);
	map_fini(&x->memo);
	map_fini(&x->keys);
	map_fini(&x->identities);
	if (exchange_types[x->type]->destroyed != NULL)
		exchange_types[x->type]->destroyed(x);
	if (x->name.len > 0)
		free((void *)x->name.data);
	free((void *)x->arguments.data);
	free(x);
}
