/* Definitions: exchanges, queues, bindings and counters as the journal has them.
 *
 *   definition   key                         value
 *   vhost        '0' id 4                    flags 1, name s, most queues v, most connections v,
 *                                            (both 0: no limit, otherwise one more), notes
 *   exchange     '1' name                    type 1, flags 1, arguments
 *   queue        '2' name                    id v, flags 1, with DEFINITION_EMPTIED: from which
 *                                            key on v, arguments
 *   binding      '3' id 8                    source s, identity (see binding_identity())
 *   counters     -                           last queue id v, last binding id v, volatile ids of
 *                                            this process: before the first v, last v,
 *                                            seed of the names of idempotency keys 8, last
 *                                            vhost id v
 *
 *   document     'A'-'Z' key                 as its owner wants it
 *
 * v: varint, s: short string. Of a vhost other than "/", exchanges, queues and bindings have '4',
 * '5', '6' and the vhost's id, 4 bytes, before their name or id. "/" has no record before anything
 * is set of it. */
#include "core/record/definitions.h"
#include "core/admin.h"
#include "core/exchange/binding.h"
#include "core/exchange/exchange.h"
#include "core/queue/queue.h"
#include "core/state.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

enum { KEY_BYTES_MAX = 2 + VHOST_ID_BYTES + UINT8_MAX };

static void record(struct core *core, const struct writer *key, const uint8_t *key_from,
		   struct bytes value, bool is_deleted)
{
	assert(!key->failed);
	struct bytes k = bytes_of(key_from, (size_t)(key->at - key_from));
	if (is_deleted) {
		core->removed = core->batch->sequence;
		batch_delete(core->batch, k);
	} else {
		batch_put(core->batch, k, value);
	}
}

/* Of a vhost. */
static void put(const struct vhost *vhost, uint8_t kind, struct bytes name, struct bytes value,
		bool is_deleted)
{
	uint8_t key[KEY_BYTES_MAX];
	struct writer w = writer_of(key, sizeof key);
	write_u8(&w, STORE_KEY_DEFINITION);
	write_u8(&w, vhost->id == 0 ? kind : (uint8_t)(kind + DEFINITION_ELSEWHERE));
	if (vhost->id != 0)
		write_u32(&w, vhost->id);
	write_bytes(&w, name);
	record(vhost->core, &w, key, value, is_deleted);
}

/* Of nobody. */
static void put_plain(struct core *core, uint8_t kind, struct bytes name, struct bytes value,
		      bool is_deleted)
{
	uint8_t key[KEY_BYTES_MAX];
	struct writer w = writer_of(key, sizeof key);
	write_u8(&w, STORE_KEY_DEFINITION);
	write_u8(&w, kind);
	write_bytes(&w, name);
	record(core, &w, key, value, is_deleted);
}

void durable_vhost(struct vhost *v, bool is_deleted)
{
	uint8_t id[VHOST_ID_BYTES];
	store_u32(id, v->id);
	size_t size = 2 + UINT8_MAX + 2 * VARINT_MAX + v->notes.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_u8(&w, v->is_going ? DEFINITION_GOING : 0);
	write_shortstr(&w, v->name);
	write_varint(&w, (uint64_t)v->queues_max + 1);
	write_varint(&w, (uint64_t)v->connections_max + 1);
	write_bytes(&w, v->notes);
	assert(!w.failed);
	put_plain(v->core, DEFINITION_VHOST, bytes_of(id, sizeof id),
		  bytes_of(value, (size_t)(w.at - value)), is_deleted);
	v->defined = v->core->batch->sequence;
	free(value);
}

void core_document_put(struct core *core, uint8_t kind, struct bytes key, struct bytes value)
{
	assert(kind >= DEFINITION_DOCUMENT_FIRST && kind <= DEFINITION_DOCUMENT_LAST);
	assert(key.len <= DOCUMENT_KEY_MAX);
	put_plain(core, kind, key, value, value.len == 0);
	core->awaited = core->batch->sequence;
}

/* Counters go into every turn that moved them: an id must never be used again. */
void durable_counters(struct core *core)
{
	static const uint8_t key[] = { STORE_KEY_COUNTERS };
	uint8_t value[5 * VARINT_MAX + 8];
	struct writer w = writer_of(value, sizeof value);
	write_varint(&w, core->queue_id_last);
	write_varint(&w, core->binding_id_last);
	write_varint(&w, core->volatile_id_first);
	write_varint(&w, core->volatile_id_last);
	write_u64(&w, core->key_seed);
	write_varint(&w, core->vhosts.id_last);
	core->key_log.has_seed = true;
	batch_put(core->batch, bytes_of(key, sizeof key), bytes_of(value, (size_t)(w.at - value)));
}

void durable_exchange(struct exchange *x, bool is_deleted)
{
	size_t size = 2 + x->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_u8(&w, (uint8_t)x->type);
	write_u8(&w, (uint8_t)((x->is_auto_delete ? DEFINITION_AUTO_DELETE : 0) |
			       (x->is_internal ? DEFINITION_INTERNAL : 0) |
			       (x->guise == GUISE_DELAYED ? DEFINITION_DELAYED : 0) |
			       (x->guise == GUISE_DEDUPLICATING ? DEFINITION_DEDUPLICATING : 0)));
	write_bytes(&w, x->arguments);
	put(x->vhost, DEFINITION_EXCHANGE, x->name, bytes_of(value, size), is_deleted);
	x->defined = x->vhost->core->batch->sequence;
	free(value);
}

struct bytes queue_key(uint8_t *key, uint32_t id)
{
	key[0] = STORE_KEY_QUEUE;
	store_u32(key + 1, id);
	return bytes_of(key, QUEUE_KEY_BYTES);
}

void durable_queue(struct queue *q, bool is_deleted)
{
	struct core *core = q->vhost->core;
	if (q->id == 0) {
		q->id = ++core->queue_id_last;
		map_put(&core->queues_by_id, bytes_of(&q->id, sizeof q->id), q);
		durable_counters(core);
	}
	size_t size = 2 * VARINT_MAX + 1 + q->arguments.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, q->id);
	write_u8(&w, (uint8_t)((q->is_auto_delete ? DEFINITION_AUTO_DELETE : 0) |
			       (q->keys_from > 0 ? DEFINITION_EMPTIED : 0)));
	if (q->keys_from > 0)
		write_varint(&w, q->keys_from);
	write_bytes(&w, q->arguments);
	put(q->vhost, DEFINITION_QUEUE, q->name, bytes_of(value, (size_t)(w.at - value)),
	    is_deleted);
	q->defined = core->batch->sequence;
	free(value);
	if (is_deleted) {
		uint8_t key[QUEUE_KEY_BYTES];
		changes_delete(core->batch->changes, queue_key(key, q->id));
	}
}

void durable_binding(struct binding *b, bool is_deleted)
{
	struct core *core = b->source->vhost->core;
	if (b->id == 0) {
		b->id = ++core->binding_id_last;
		durable_counters(core);
	}
	uint8_t id[8];
	store_u64(id, b->id);
	size_t size = 1 + b->source->name.len + b->identity.len;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_shortstr(&w, b->source->name);
	write_bytes(&w, b->identity);
	put(b->source->vhost, DEFINITION_BINDING, bytes_of(id, sizeof id), bytes_of(value, size),
	    is_deleted);
	b->defined = core->batch->sequence;
	free(value);
}

/* --- changes of queues --- */

/* --- checkpoint --- */
