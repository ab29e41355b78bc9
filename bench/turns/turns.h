/* Turns: a broker without sockets and disk, whose turns are timed one by one. */
#ifndef LEV_BENCH_TURNS_H
#define LEV_BENCH_TURNS_H

#include "core/inputs.h"
#include "turn/turn.h"

struct world {
	struct space space;
	struct changes changes;
	struct batch batch;
	struct core *core;
	struct turn turn;
	struct connection *connection;
	struct channel *channel;
	uint64_t sequence;
	uint64_t now_ms;
	uint64_t delivered;
	uint64_t began_ns;   /* CPU time of the thread. */
	uint64_t longest_ns; /* Of the turns since it was last set to 0. */
	bool is_persistent;  /* What is published. */
	bool is_checking;    /* A checkpoint is on its way. */
};

void world_begin(struct world *world);
void world_end(struct world *world, enum turn_checkpoint checkpoint);

/* An input: sets up what is n large, clears longest_ns, does the one thing that hurts. */
struct input {
	const char *name;
	const char *what;
	unsigned long n; /* As it was found; ten times as many is what must hold. */
	void (*run)(struct world *world, unsigned long n);
};

extern const struct input inputs[];
extern const size_t inputs_len;

#endif
