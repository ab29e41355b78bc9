#include "audit.h"
#include "chunk.h"
#include "core/admin.h"
#include "core/line/fifo.h"
#include "headers.h"
#include "shard.h"

#include <string.h>

struct holding {
	struct sim *s;
	uint64_t ids[MODEL_QUEUES + 1][MODEL_COPIES_MAX];
	size_t len[MODEL_QUEUES + 1];
	uint64_t places[MODEL_COPIES_MAX]; /* Slots of the log in which they are, in no order. */
	size_t places_len;
	uint64_t copies; /* Places that will not survive. */
};

static void hold_place(struct holding *h, uint64_t location)
{
	if (location_is_volatile(location))
		h->copies++;
	else
		h->places[h->places_len++] = location_at(location) / LOG_SLOT_BYTES;
}

static void hold_location(struct holding *h, unsigned q, uint64_t location)
{
	struct entry e;
	hold_place(h, location);
	MODEL_CHECK(&h->s->model, platter_read(h->s->platter, &h->s->space, location, &e));
	h->ids[q][h->len[q]++] = headers_id(e.message.properties, e.message.body);
}

/* What the core itself does not know. */
static void hold_stretch(struct holding *h, unsigned q, const struct held *held)
{
	size_t before = h->len[q];
	for (uint64_t at = held->position, base; at < held->until;) {
		struct chunk_reader chunk;
		struct bytes value;
		uint64_t location, position;
		if (!platter_index_find(h->s->platter, held->index_id, at, &base, &value) ||
		    base >= held->until)
			break;
		MODEL_CHECK(&h->s->model, chunk_open(&chunk, value));
		bool is_ours = chunk.generation == h->s->generation;
		for (position = base; chunk_next(&chunk, &location); position++)
			if (position >= at && location != 0 &&
			    (is_ours || !location_is_volatile(location)))
				hold_location(h, q, location);
		at = position > at ? position : at + 1;
	}
	MODEL_CHECK(&h->s->model, h->len[q] - before == held->len);
}

static void on_held(void *arg, const struct held *held)
{
	struct holding *h = arg;
	unsigned q =
		held->queue.data[0] == 'q' ? (unsigned)(held->queue.data[1] - '0') : MODEL_DELAY;
	if (held->slot == 0)
		hold_stretch(h, q, held);
	else if (slot_is_on_disk(held->slot))
		hold_location(h, q, slot_location(held->slot));
	else
		h->ids[q][h->len[q]++] = message_id(slot_message(held->slot));
	if (held->slot != 0 && !slot_is_on_disk(held->slot) && model_queues[q].is_durable &&
	    slot_location(held->slot) != 0)
		hold_place(h, slot_location(held->slot));
}

/* Every place is counted once, but for those of purged stretches, which are given up little by
 * little. */
static void audit_space(struct holding *h)
{
	struct effect e;
	struct core_figures figures;
	uint64_t copies = 0;
	shard_drain(h->s);
	bool is_doomed = core_has_work(h->s->core) && !core_next_effect(h->s->core, &e);
	for (size_t i = 0; i < h->s->space.slots_len && !is_doomed; i++) {
		uint32_t places = 0;
		for (size_t k = 0; k < h->places_len; k++)
			places += h->places[k] == h->s->space.slots[i].number;
		MODEL_CHECK(&h->s->model, places == h->s->space.slots[i].places);
		copies += h->s->space.slots[i].volatile_places;
	}
	core_figures(h->s->core, &figures);
	MODEL_CHECK(&h->s->model, is_doomed || copies == h->copies + figures.spilling);
}

void audit_all(struct sim *s)
{
	static struct holding h;
	h.s = s;
	shard_drain(s);
	memset(h.len, 0, sizeof h.len);
	h.places_len = h.copies = 0;
	core_each_held(s->core, on_held, &h);
	for (unsigned q = 0; q <= MODEL_QUEUES; q++)
		model_holds(&s->model, q, h.ids[q], h.len[q]);
	audit_space(&h);
}
