/* The fifo of a queue, and where messages live. */
#include "micro.h"

#include "core/line/fifo.h"

#include <stdio.h>

enum { DEPTH_MAX = 100000 };

struct depth {
	struct fifo fifo;
	uint64_t position;
	unsigned depth;
};

/* In at the end, out at the front, with this many in between. */
static void push_and_pop(void *arg, uint64_t rounds)
{
	struct depth *d = arg;
	uint64_t position;
	while (rounds-- > 0) {
		fifo_push(&d->fifo, d->position++, slot_of_location(512));
		micro_use(fifo_first(&d->fifo, &position));
		fifo_pop(&d->fifo);
	}
}

static void with_depth(unsigned depth)
{
	char name[80];
	struct depth d = { .depth = depth };
	fifo_init(&d.fifo);
	for (unsigned i = 0; i < depth; i++)
		fifo_push(&d.fifo, d.position++, slot_of_location(512));
	snprintf(name, sizeof name, "fifo_push_and_pop/depth=%u", depth);
	micro_run(name, push_and_pop, &d, 1);
	fifo_fini(&d.fifo);
}

struct making {
	struct message_pool pool;
	size_t size;
};

static void make_messages(void *arg, uint64_t rounds)
{
	static uint8_t body[65536];
	static const uint8_t tail[] = "\6orders\3eu1";
	static const uint8_t header[] = { 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0x10, 0, 2 };
	struct making *m = arg;
	while (rounds-- > 0) {
		struct message *message =
			message_create_wire(&m->pool, bytes_of(tail, sizeof tail - 1),
					    bytes_of(header, sizeof header), m->size);
		message_append(&m->pool, &message, bytes_of(body, m->size));
		micro_use(message);
		message_unref(&m->pool, message);
	}
}

static void with_size(size_t size)
{
	char name[80];
	struct making m = { .size = size };
	message_pool_init(&m.pool);
	snprintf(name, sizeof name, "message_create_and_free/body=%zu", size);
	micro_run(name, make_messages, &m, 1);
	message_pool_fini(&m.pool);
}

void micro_queue(void)
{
	with_depth(0);
	with_depth(1000);
	with_depth(DEPTH_MAX);
	with_size(16);
	with_size(1024);
	with_size(16384);
}
