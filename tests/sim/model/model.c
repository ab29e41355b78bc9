#include "model.h"
#include "key.h"
#include "producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void model_fail(const struct model *m, const char *what, const char *where)
{
	fprintf(stderr, "seed %" PRIu64 " step %" PRIu64 ": %s (%s)\n", m->seed, m->step, what,
		where);
	exit(MODEL_VERDICT);
}

/* 2 and 6 send each other what expires: a cycle. 4 and 7 give up into 0. In 0 and 7 a key holds as
 * long as its message is there. */
const struct model_queue model_queues[MODEL_QUEUES + 1] = {
	{ .is_durable = true, .is_fanned = true, .is_unique = true, .dead_to = -1 },
	{ .is_durable = true, .is_fanned = true, .dead_to = -1, .limit = 1000 },
	{ .is_durable = true, .dead_to = 6, .ttl_ms = 150, .limit = 20 },
	{ .is_durable = false, .is_fanned = true, .dead_to = -1 },
	{ .is_durable = true, .dead_to = 0, .length_max = 6, .max_priority = 3, .limit = 20 },
	{ .is_durable = true,
	  .is_fanned = true,
	  .dead_to = -1,
	  .length_max = 5,
	  .is_rejecting = true,
	  .limit = 1000 },
	{ .is_durable = true, .dead_to = 2, .ttl_ms = 250, .limit = 20 },
	{ .is_durable = true,
	  .dead_to = 0,
	  .is_unique = true,
	  .limit = 3,
	  .retry_ms = 40,
	  .retry_max_ms = 100 },
	{ .is_durable = true, .dead_to = -1, .is_single = true, .limit = 1000 },
	{ .is_durable = true, .dead_to = -1, .is_grouped = true, .limit = 1000 },
	[MODEL_DELAY] = { .is_durable = true, .dead_to = -1 },
};

void model_crashed(struct model *m, uint64_t durable)
{
	memset(m->consumers, 0, sizeof m->consumers);
	m->consumers_begun = 0;
	memset(m->published, 0, sizeof m->published);
	memset(m->confirmed, 0, sizeof m->confirmed);
	for (unsigned i = 0; i < MODEL_PRODUCERS; i++)
		model_producer_crashed(&m->producers[i], durable);
	size_t kept = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		struct copy c = m->copies[i];
		bool was_there = c.is_journaled && c.published <= durable;
		bool is_gone = c.gone != NOT_YET && c.gone <= durable;
		if (!was_there || is_gone)
			continue;
		c.is_there = true;
		c.is_unacked = false;
		c.gone = NOT_YET;
		c.may_be_redelivered = c.may_not_wait = true;
		c.count_min = 0;
		c.count_max++;
		m->copies[kept++] = c;
	}
	m->copies_len = kept;
	model_keys_crashed(m, durable);
}

void model_holds(struct model *m, unsigned queue, const uint64_t *ids, size_t ids_len)
{
	size_t held = 0;
	for (size_t i = 0; i < m->copies_len; i++) {
		if (!m->copies[i].is_there || m->copies[i].queue != queue)
			continue;
		bool is_found = false;
		for (size_t k = 0; k < ids_len; k++)
			is_found |= ids[k] == m->copies[i].id;
		MODEL_CHECK(m, is_found);
		held++;
	}
	MODEL_CHECK(m, held == ids_len);
}
