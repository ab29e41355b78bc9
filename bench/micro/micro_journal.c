/* What the loop spends on the journal: messages written to a batch, and a batch sealed with its
 * checksums. The disk is bench-journal's. */
#include "micro.h"

#include "batch.h"

#include <stdio.h>

enum { TURN = 256 };

struct filling {
	struct space space;
	struct changes changes;
	struct batch batch;
	uint64_t position;
	size_t size;
};

static void fill(void *arg, uint64_t rounds)
{
	static uint8_t body[65536];
	static const uint8_t properties[] = { 0x10, 0, 2 };
	struct filling *f = arg;
	while (rounds-- > 0) {
		for (unsigned i = 0; i < TURN; i++) {
			struct place place = { 1, f->position++ };
			struct message_record m = {
				.time_ms = 1700000000000,
				.places = &place,
				.places_len = 1,
				.routing_key = bytes_of("queue", 5),
				.properties = bytes_of(properties, sizeof properties),
				.body = bytes_of(body, f->size),
			};
			space_unref(&f->space, batch_message(&f->batch, &m));
		}
		struct range all = { f->position - TURN, TURN };
		batch_ranges(&f->batch, ENTRY_REMOVED, 1, &all, 1);
		f->batch.sequence++;
		batch_close(&f->batch, 1);
		batch_clear(&f->batch);
		space_checkpoint(&f->space, &f->changes);
		space_checkpointed(&f->space);
		changes_clear(&f->changes);
	}
}

static void with_size(size_t size)
{
	char name[80];
	struct filling f = { .size = size };
	space_init(&f.space);
	batch_init(&f.batch, &f.space, &f.changes);
	snprintf(name, sizeof name, "batch_message/body=%zu,turn=%d", size, TURN);
	micro_run(name, fill, &f, TURN);
	batch_fini(&f.batch);
	changes_fini(&f.changes);
	space_fini(&f.space);
}

void micro_journal(void)
{
	with_size(16);
	with_size(100);
	with_size(1024);
	with_size(16384);
}
