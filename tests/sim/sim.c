/* Simulation of the core: one seed is one life of publishers, consumers, transactions, checkpoints,
 * late disks and crashes that keep any prefix of what was not yet synced. Everything the core does
 * is put before the model (model.h).
 *
 *   sim [--first SEED] [--seeds N] [--steps N]        a failure prints the seed and step, and ends with 3 */
#include "audit.h"
#include "broker.h"
#include "chunk.h"
#include "core/admin.h"
#include "shard.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- one life --- */

/* A step's name is what scenarios call it. */
static const struct action {
	const char *name;
	void (*run)(struct sim *s);
	bool is_drawn; /* Otherwise it comes at times of its own. */
} actions[] = {
	{ "boot", do_boot, false },
	{ "audit", audit_all, false },
	{ "settle_down", broker_settle, false },
	{ "end", broker_crash, false },
	{ "publish", do_publish, true },
	{ "consume", do_consume, true },
	{ "cancel", do_cancel, true },
	{ "settle", do_settle, true },
	{ "get", do_get, true },
	{ "purge", do_purge, true },
	{ "redeclare", do_redeclare, true },
	{ "disconnect", do_disconnect, true },
	{ "writable", do_writable, true },
	{ "tx", do_tx, true },
	{ "turn", do_turn, true },
	{ "sync", do_sync, true },
	{ "checkpoint", do_checkpoint, true },
	{ "crash", do_crash, true },
	{ "clear", do_clear, true },
	{ "bind", do_bind, true },
	{ "rush", do_rush, true },
	{ "overtake", do_overtake, true },
	{ "hold", do_hold, true },
	{ "exchange", do_exchange, true },
	{ "tale", do_tale, true },
	{ "tx_number", do_tx_number, true },
	{ "rivals", do_rivals, true },
	{ "lease", do_lease, true },
	{ "policies", do_policies, true },
	{ "republish", do_republish, true },
	{ "copies", do_copies, true },
	{ "groups", do_groups, true },
};
enum { BOOT, AUDIT, SETTLE_DOWN, END, ACTIONS = sizeof actions / sizeof *actions };

static const char *const *action_names(void)
{
	static const char *names[ACTIONS + 1];
	for (unsigned i = 0; i < ACTIONS; i++)
		names[i] = actions[i].name;
	return names;
}

static void act(struct sim *s, unsigned action)
{
	if (s->recorded != NULL)
		MODEL_CHECK(&s->model, scenario_add_step(s->recorded, action));
	actions[action].run(s);
	if (action == END)
		return;
	shard_drain(s);
	model_quiet(&s->model, false);
}

static void start(struct sim *s, uint64_t seed)
{
	struct scenario *recorded = s->recorded;
	memset(s, 0, sizeof *s);
	s->recorded = recorded;
	s->model.seed = seed;
	s->prng.state = seed;
	s->now_ms = 1000;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		snprintf(s->names[q], sizeof s->names[q], "q%u", q);
	if (recorded != NULL) {
		recorded->seed = seed;
		recorded->steps_len = recorded->draws_len = 0;
	}
}

static void finish(struct sim *s)
{
	broker_shut(s);
	platter_destroy(s->platter);
}

static uint64_t live(struct sim *s, uint64_t seed, uint64_t steps)
{
	uint32_t weights[ACTIONS] = { 0 }, total = 0;
	start(s, seed);
	for (uint32_t i = 0; i < ACTIONS; i++) /* Every seed has its own temperament. */
		if (actions[i].is_drawn)
			total += weights[i] = 1 + prng_below(&s->prng, 40);
	act(s, BOOT);
	for (s->model.step = 0; s->model.step < steps; s->model.step++) {
		uint32_t pick = prng_below(&s->prng, total), i = 0;
		while (pick >= weights[i])
			pick -= weights[i++];
		act(s, i);
		if (s->model.step % 16 == 0)
			act(s, AUDIT);
		if (s->model.step % 200 == 0)
			act(s, SETTLE_DOWN);
	}
	act(s, END);
	finish(s);
	return s->hash;
}

static void replay(struct sim *s, const struct scenario *sc)
{
	start(s, sc->seed);
	s->replayed = sc;
	for (size_t i = 0; i < sc->steps_len; i++) {
		const struct scenario_step *step = &sc->steps[i];
		MODEL_CHECK(&s->model, (step->action == BOOT) == (i == 0));
		s->model.step = i;
		s->draws = sc->draws + step->draws_at;
		s->draws_left = step->draws_len;
		act(s, step->action);
	}
	s->draws_left = 0;
	act(s, END);
	finish(s);
}

/* --- what the program does --- */

static struct sim sim;

static int in_child(void (*run)(const void *arg), const void *arg, bool is_silent)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (is_silent && freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		run(arg);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("fork");
		exit(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct lived {
	uint64_t seed;
	uint64_t steps;
};

static void live_one(const void *arg)
{
	const struct lived *l = arg;
	live(&sim, l->seed, l->steps);
}

static void replay_one(const void *arg)
{
	replay(&sim, arg);
}

static int replay_fails(const struct scenario *sc)
{
	return in_child(replay_one, sc, true);
}

/* Prints the smallest scenario that is found to fail as the seed does. */
static int shrink(uint64_t seed, uint64_t steps)
{
	struct lived l = { seed, steps };
	sim.recorded = scenario_create();
	int status = in_child(live_one, &l, false);
	struct scenario *sc = sim.recorded;
	sim.recorded = NULL;
	if (status == 0) {
		fprintf(stderr, "seed %" PRIu64 " passes\n", seed);
		return 0;
	}
	if (replay_fails(sc) == 0)
		fprintf(stderr, "played again, it passes: something is not drawn\n");
	scenario_shrink(sc, replay_fails);
	scenario_print(sc, action_names());
	return status;
}

static int replay_files(char **paths)
{
	struct scenario *sc = scenario_create();
	unsigned passed = 0, failed = 0;
	for (; *paths != NULL; paths++) {
		bool is_good = scenario_load(sc, *paths, action_names()) &&
			       in_child(replay_one, sc, false) == 0;
		*(is_good ? &passed : &failed) += 1;
		if (!is_good)
			fprintf(stderr, "%s failed\n", *paths);
	}
	printf("%u scenarios passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : MODEL_VERDICT;
}

/* What all lives together have seen. */
struct sums {
	uint64_t crashes, deliveries, confirms, loads, chunks, checkpoints, cleared, refusals,
		duplicates, waits, cycles, delayed, died[4], returns, fenced, leases_ended;
};

static void add(struct sums *sums, const struct sim *s)
{
	sums->crashes += s->crashes;
	sums->deliveries += s->model.deliveries;
	sums->confirms += s->model.confirms;
	sums->refusals += s->model.refusals;
	sums->duplicates += s->model.duplicates;
	sums->waits += s->waits;
	sums->returns += s->returns;
	sums->fenced += s->fenced;
	sums->cycles += s->model.cycles;
	sums->delayed += s->model.delayed;
	sums->leases_ended += s->model.leases_ended;
	for (int i = 0; i < 4; i++)
		sums->died[i] += s->model.died[i];
	sums->loads += s->loads;
	sums->chunks += s->chunks;
	sums->checkpoints += s->checkpoints;
	sums->cleared += s->cleared;
}

static void print_sums(const struct sums *sums, uint64_t seeds, uint64_t steps)
{
	printf("%" PRIu64 " lives, %" PRIu64 " steps: %" PRIu64 " crashes, %" PRIu64
	       " deliveries, %" PRIu64 " confirms, %" PRIu64 " messages and %" PRIu64
	       " chunks read back, %" PRIu64 " checkpoints, %" PRIu64 " slots cleared\n",
	       seeds, seeds * steps, sums->crashes, sums->deliveries, sums->confirms, sums->loads,
	       sums->chunks, sums->checkpoints, sums->cleared);
	printf("dead: %" PRIu64 " rejected, %" PRIu64 " expired, %" PRIu64 " too many, %" PRIu64
	       " failed too often; %" PRIu64 " cycles ended, %" PRIu64
	       " publishes refused, %" PRIu64 " delayed\n",
	       sums->died[DIED_REJECTED], sums->died[DIED_EXPIRED], sums->died[DIED_MAXLEN],
	       sums->died[DIED_LIMIT], sums->cycles, sums->refusals, sums->delayed);
	printf("keys: %" PRIu64 " duplicates; %" PRIu64
	       " publishes had to wait for keys to be loaded; %" PRIu64 " returned, %" PRIu64
	       " fenced; %" PRIu64 " leases ended\n",
	       sums->duplicates, sums->waits, sums->returns, sums->fenced, sums->leases_ended);
}

static int live_all(uint64_t first, uint64_t seeds, uint64_t steps)
{
	struct sums sums = { 0 };
	for (uint64_t seed = first; seed - first < seeds; seed++) {
		uint64_t hash = live(&sim, seed, steps);
		add(&sums, &sim);
		if ((seed - first) % 16 == 0 && live(&sim, seed, steps) != hash) {
			fprintf(stderr, "seed %" PRIu64 ": not deterministic\n", seed);
			return MODEL_VERDICT;
		}
	}
	print_sums(&sums, seeds, steps);
	return 0;
}

static const char help[] = "sim [--first SEED|any] [--seeds N] [--steps N]   lives; \"any\" is "
			   "another one each time, and printed\n"
			   "sim --shrink SEED [--steps N]                    prints a small "
			   "scenario that fails as the seed does\n"
			   "sim --replay FILE...                             runs scenarios\n"
			   "A failure prints the seed and step, and ends with 3.\n";

static uint64_t first_of(const char *text)
{
	uint32_t first = 0;
	if (strcmp(text, "any") != 0)
		return strtoull(text, NULL, 10);
	if (getrandom(&first, sizeof first, 0) != sizeof first)
		exit(1);
	printf("first seed: %" PRIu32 "\n", first);
	fflush(stdout);
	return first;
}

int main(int argc, char **argv)
{
	static const struct option all[] = {
		{ "first", 1, NULL, 'f' },  { "seeds", 1, NULL, 'n' },  { "steps", 1, NULL, 's' },
		{ "shrink", 1, NULL, 'k' }, { "replay", 0, NULL, 'r' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t first = 1, seeds = 20, steps = 3000;
	bool is_shrunk = false, is_replay = false;
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;) {
		switch (c) {
		case 'f': first = first_of(optarg); break;
		case 'n': seeds = strtoull(optarg, NULL, 10); break;
		case 's': steps = strtoull(optarg, NULL, 10); break;
		case 'k': first = first_of(optarg), is_shrunk = true; break;
		case 'r': is_replay = true; break;
		default: fputs(help, c == 'h' ? stdout : stderr); return c == 'h' ? 0 : 2;
		}
	}
	return is_replay   ? replay_files(argv + optind)
	       : is_shrunk ? shrink(first, steps)
			   : live_all(first, seeds, steps);
}
