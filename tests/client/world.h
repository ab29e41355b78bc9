/* World: a mock broker and a handle for each test. */
#ifndef LEV_TESTS_CLIENT_WORLD_H
#define LEV_TESTS_CLIENT_WORLD_H

#include <criterion/criterion.h>
#include <leveret/mock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Long enough for a busy machine under a sanitizer; nothing waits for so long when all is well. */
#define SOON lev_in(20000)

extern struct lev_mock *mock;
extern struct lev *lev;

void world_set_up(void);
void world_tear_down(void);

/* A publish to the default exchange. */
struct lev_publish to_queue(const char *queue, const char *body);

/* The next message of a queue must be this one; it is acked. */
void expect_message(const char *queue, const char *body);
void expect_empty(const char *queue);

/* Outcomes, counted by result. */
struct tally {
	atomic_int of[64];
	atomic_int all;
};
void count_outcome(void *tally, const struct lev_outcome *outcome);
int tally_of(struct tally *tally, int result);

/* The connection is gone, and the handle knows it; the broker is down until it is cut again. */
void take_broker_down(void);

/* Until a counter has at least this value, for a while. */
void wait_until(atomic_int *counter, int value);

#endif
