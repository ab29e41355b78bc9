/* Check: what must hold of the core's structures between two inputs, asserted.
 *
 * With LEV_CHECK (debug builds, hence those with sanitizers and the fuzzer's; the simulation; the
 * crash tests) it runs after each input: over the queue that was touched last, if it is not long,
 * and over everything whenever that has been earned, so that an input costs a bounded number of
 * steps on average, however much there is. Without it nothing of this is linked.
 *
 * Nothing is changed by it but the marks of routing, so a run is the same with it and without. */
#ifndef LEV_CORE_CHECK_H
#define LEV_CORE_CHECK_H

#include <stdint.h>

struct channel;
struct connection;
struct consumer;
struct core;
struct exchange;
struct fifo;
struct heap;
struct keys;
struct producers;
struct queue;
struct shelf;
struct timers;

struct check {
	uint64_t earned; /* Steps, since everything was checked. */
	uint64_t cost;   /* Steps that took. */
	unsigned depth;  /* Inputs may be made of others: the outermost one counts. */
};

#ifdef LEV_CHECK
/* To be said where the body of an input begins: the check follows its return. */
#define CHECKED_INPUT(of) \
	__attribute__((cleanup(check_end), unused)) struct core *checked_input = check_begin(of)
#else
#define CHECKED_INPUT(of) ((void)0)
#endif

struct core *check_begin(struct core *core);
void check_end(struct core **core);

/* Each asserts all that must hold of the structure, and of its ties to others, and returns how many
 * steps that took. */
uint64_t core_check(struct core *core);
uint64_t queue_check(const struct queue *queue);
uint64_t fifo_check(const struct fifo *fifo);
uint64_t shelf_check(const struct shelf *shelf);
uint64_t heap_check(const struct heap *heap);
uint64_t timers_check(const struct timers *timers);
uint64_t connection_check(const struct connection *connection);
uint64_t channel_check(const struct channel *channel);
uint64_t consumer_check(const struct consumer *consumer);
uint64_t exchange_check(struct exchange *exchange);
uint64_t keys_check(const struct keys *keys);
uint64_t producers_check(const struct core *core);

#endif
