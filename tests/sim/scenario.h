/* Scenario: what one life was made of, as text that can be run again: its steps, each with the
 * numbers that it drew. A seed means something to one version of the simulation only; a scenario
 * goes on meaning something as long as steps ask for what they asked for in the same order. What a
 * step draws beyond those numbers is 0, so new draws belong at the end of a step, and 0 must mean
 * that nothing is special. */
#ifndef LEV_TESTS_SIM_SCENARIO_H
#define LEV_TESTS_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENARIO_STEPS_MAX = 20000, SCENARIO_DRAWS_MAX = 1000000 };

struct scenario_step {
	unsigned action;
	uint32_t draws_at;
	uint32_t draws_len;
};

struct scenario {
	uint64_t seed; /* Of hash tables. */
	size_t steps_len;
	size_t draws_len;
	struct scenario_step steps[SCENARIO_STEPS_MAX];
	uint32_t draws[SCENARIO_DRAWS_MAX];
};

/* Shared with children. */
struct scenario *scenario_create(void);

/* False: there is no room for more. */
bool scenario_add_step(struct scenario *sc, unsigned action);
bool scenario_add_draw(struct scenario *sc, uint32_t draw); /* To the last step. */

/* names: of actions, by number, ended with NULL. False, and it is said on standard error: the file
 * is not there or no scenario. */
bool scenario_load(struct scenario *sc, const char *path, const char *const *names);
void scenario_print(const struct scenario *sc, const char *const *names);

/* Leaves out what it can, as long as it fails in the same way: fails() returns an exit status of
 * that run, 0: it does not. */
void scenario_shrink(struct scenario *sc, int (*fails)(const struct scenario *sc));

#endif
