#include "ground.h"

#include <stdlib.h>

/* --- the platter, as a turn sees it --- */

static struct batch *begin(void *arg, uint64_t unix_ms)
{
	struct ground *g = arg;
	struct batch *batch = &g->diskless->batch;
	batch->sequence = g->taken + 1;
	batch->now_ms = unix_ms;
	return batch;
}

static uint64_t submit(void *arg, bool is_here)
{
	struct ground *g = arg;
	struct batch *batch = &g->diskless->batch;
	(void)is_here;
	if (!batch_is_empty(batch) && !g->is_losing) {
		g->taken = batch->sequence;
		platter_write(g->platter, batch);
	}
	g->diskless->submitted = g->taken;
	return g->taken;
}

static uint64_t durable(void *arg)
{
	const struct ground *g = arg;
	return g->diskless->durable;
}

static bool checkpoint_begin(void *arg)
{
	const struct ground *g = arg;
	return !platter_is_keeping(g->platter) && !g->is_kept;
}

static void checkpoint_end(void *arg, bool is_clean)
{
	struct ground *g = arg;
	struct diskless *d = g->diskless;
	(void)is_clean;
	batch_checkpoint(&d->batch);
	space_checkpoint(&d->space, &d->changes);
	platter_checkpoint(g->platter, &d->changes, d->space.next_at,
			   batch_is_empty(&d->batch) ? g->taken : d->batch.sequence);
}

static bool checkpointed(void *arg)
{
	struct ground *g = arg;
	if (!g->is_kept)
		return false;
	space_checkpointed(&g->diskless->space);
	g->is_kept = false;
	return true;
}

static void read_nothing(void *arg)
{
	(void)arg;
}

static bool read_message(void *arg, uint64_t location, struct entry *entry)
{
	struct ground *g = arg;
	return platter_read(g->platter, &g->diskless->space, location, entry);
}

static bool find_index(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	struct ground *g = arg;
	return platter_index_find(g->platter, queue, position, base, chunk);
}

static bool get(void *arg, struct bytes key, struct bytes *value)
{
	struct ground *g = arg;
	return platter_get(g->platter, key, value);
}

static const struct disk_operations operations = {
	.begin = begin,
	.submit = submit,
	.durable = durable,
	.checkpoint_begin = checkpoint_begin,
	.checkpoint_end = checkpoint_end,
	.checkpointed = checkpointed,
	.read_begin = read_nothing,
	.read_end = read_nothing,
	.read = read_message,
	.find_index = find_index,
	.get = get,
};

/* Whatever the core asks for, the platter has. */
static void on_damage(void *arg, uint64_t location)
{
	(void)arg;
	(void)location;
	abort();
}

/* --- starts and crashes --- */

void ground_start(struct ground *g, struct diskless *d, const struct core_options *limits,
		  uint64_t now_ms)
{
	if (g->platter == NULL)
		g->platter = platter_create();
	g->diskless = d;
	g->is_losing = g->is_kept = false;
	diskless_init(d, limits, "Leveret");
	d->host.now_ms = now_ms;
	d->submitted = d->durable = g->taken;
	struct turn_options options = d->turn.options;
	options.disk = (struct disk){ &operations, g };
	options.on_damage = on_damage;
	turn_init(&d->turn, &options);
	platter_recover(g->platter, &d->space, ++g->generation, &core_recovery, d->core);
}

void ground_crash(struct ground *g)
{
	struct diskless *d = g->diskless;
	uint64_t durable = d->durable;
	diskless_fini(d);
	platter_crash(g->platter, durable);
	g->taken = durable;
}

void ground_checkpoint(struct ground *g)
{
	struct diskless *d = g->diskless;
	diskless_begin(d);
	turn_end(&d->turn, TURN_CHECKPOINT, false);
	if (platter_keep(g->platter, d->durable))
		g->is_kept = true;
}

void ground_sync(struct ground *g)
{
	g->diskless->durable = g->taken;
	if (platter_keep(g->platter, g->taken))
		g->is_kept = true;
}

void ground_fini(struct ground *g)
{
	diskless_fini(g->diskless);
	platter_destroy(g->platter);
}
