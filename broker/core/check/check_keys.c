/* Idempotency keys, producers, timers. */
#include "core/check/check.h"
#include "core/dedup/keys.h"
#include "core/dedup/producer.h"
#include "core/state.h"
#include "core/time/timer.h"

uint64_t timers_check(const struct timers *timers)
{
	assert(timers->len <= timers->cap);
	for (size_t i = 0; i < timers->len; i++) {
		assert(timers->heap[i]->at == i + 1);
		assert(i == 0 || timers->heap[(i - 1) / 2]->due_ms <= timers->heap[i]->due_ms);
	}
	return timers->len;
}

static uint64_t groups_check(const struct keys *keys)
{
	uint64_t len = 0;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&keys->groups, &at)) != NULL;) {
		const struct keys_group *g = e->value;
		assert(g->len > 0 && keys_group(keys, g->name) == g);
		assert(g->newest == KEYS_NONE || g->newest < keys->next);
		len += g->len;
	}
	return len;
}

/* A key that lives is found under its name, and there is nothing else. */
uint64_t keys_check(const struct keys *keys)
{
	uint64_t alive = 0, queued = 0, counted = 0, steps = 1, time_ms;
	uint64_t until = (keys->next + KEYS_CHUNK_LEN - 1) >> KEYS_CHUNK_BITS;
	assert(keys->oldest <= keys->next);
	for (uint64_t number = keys->first; number < until; number++) {
		const struct keys_chunk *c = keys_chunk(keys, number);
		steps++;
		if (c == NULL)
			continue;
		assert(c->number == number && c->len <= KEYS_CHUNK_LEN);
		for (uint32_t i = 0; i < c->len; i++) {
			const struct key *k = &c->keys[i];
			uint64_t position = (number << KEYS_CHUNK_BITS) + i;
			if (k->when & KEY_IS_DEAD)
				continue;
			struct key_name name = { k->hash, k->check };
			assert(keys_find(keys, name) == position);
			assert(keys_at(keys, position, &time_ms) == k);
			alive++;
			queued += (k->when & KEY_IS_QUEUED) != 0;
			if ((k->when & KEY_IS_COUNTED) == 0)
				continue;
			assert(keys_group(keys, (struct group_name){ k->print, k->check }) != NULL);
			counted++;
		}
		steps += c->len;
	}
	assert(alive == keys->alive && queued == keys->queued);
	assert(counted == groups_check(keys));
	return steps;
}

uint64_t producers_check(const struct core *core)
{
	uint64_t len = 0;
	list_each (node, &core->producers.all) {
		const struct producer *p = list_entry(node, struct producer, in_core);
		assert(producer_find(core, p->name) == p);
		assert(p->seen[0] & 1); /* The highest one. */
		assert(list_is_empty(&p->in_noted) || !list_is_empty(&p->in_dirty));
		len++;
	}
	assert(len == core->producers.by_name.len);
	return len;
}
