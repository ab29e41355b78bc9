/* Prints the longest turn, in CPU time, of inputs that have held others up. Each runs in a process
 * of its own, so that one neither warms nor burdens the next, and is stopped after a minute.
 *
 *   turns [--times N] [--smaller N] [INPUT...]
 *
 * --times: so many times as large (1 and 10 unless it is given), and it is a failure if that takes
 * a minute of CPU; --smaller: divided, for a test. */
#include "turns.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_MAX = 60 };

static const double limit_ms = 10;

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- a disk that forgets at once --- */

static struct batch *begin_batch(void *arg, uint64_t unix_ms)
{
	struct world *w = arg;
	w->batch.sequence = ++w->sequence;
	w->batch.now_ms = unix_ms;
	return &w->batch;
}

static uint64_t submit(void *arg, bool is_here)
{
	struct world *w = arg;
	(void)is_here;
	batch_close(&w->batch, 1);
	batch_clear(&w->batch);
	changes_clear(&w->changes);
	return w->sequence;
}

static uint64_t durable(void *arg)
{
	const struct world *w = arg;
	return w->sequence - 1;
}

static bool checkpoint_begin(void *arg)
{
	struct world *w = arg;
	return !w->is_checking;
}

static void checkpoint_end(void *arg, bool is_clean)
{
	struct world *w = arg;
	(void)is_clean;
	w->is_checking = true;
}

static bool checkpointed(void *arg)
{
	struct world *w = arg;
	bool is_done = w->is_checking;
	w->is_checking = false;
	return is_done;
}

static const struct disk_operations forgetful = {
	.begin = begin_batch,
	.submit = submit,
	.durable = durable,
	.checkpoint_begin = checkpoint_begin,
	.checkpoint_end = checkpoint_end,
	.checkpointed = checkpointed,
};

/* --- turns --- */

static void on_effect(void *arg, const struct effect *e)
{
	struct world *w = arg;
	w->delivered += e->kind == EFFECT_DELIVER;
}

void world_begin(struct world *w)
{
	w->began_ns = cpu_ns();
	turn_begin(&w->turn, w->now_ms);
}

void world_end(struct world *w, enum turn_checkpoint checkpoint)
{
	turn_end(&w->turn, checkpoint, false);
	uint64_t ns = cpu_ns() - w->began_ns;
	w->longest_ns = ns > w->longest_ns ? ns : w->longest_ns;
}

/* --- one input, in a process that is thrown away --- */

static void run(const struct input *input, unsigned long n)
{
	struct world w = { .now_ms = 1700000000000 };
	space_init(&w.space);
	batch_init(&w.batch, &w.space, &w.changes);
	struct core_options core = {
		.hash_seed = 42,
		.memory_budget_bytes = 1 << 30,
		.queues_max = 100000000,
		.exchanges_max = 1000,
		.bindings_max = 100000000,
		.consumers_max = 10000000,
		.space = &w.space,
	};
	w.core = core_create(&core);
	struct turn_options turn = {
		.core = w.core,
		.disk = { &forgetful, &w },
		.on_effect = on_effect,
		.arg = &w,
	};
	turn_init(&w.turn, &turn);
	world_begin(&w);
	w.connection =
		connection_open(w.core, core_vhost(w.core, bytes_str("/")), bytes_str("guest"));
	w.channel = channel_open(w.connection, &w);
	world_end(&w, TURN_NO_CHECKPOINT);
	input->run(&w, n);
	double ms = (double)w.longest_ns / 1e6;
	printf("%-10s %9lu %10.2f ms %s  %s\n", input->name, n, ms, ms > limit_ms ? "OVER" : "    ",
	       input->what);
	fflush(stdout);
}

/* is_trial: it may turn out to take too long. */
static bool run_apart(const struct input *input, unsigned long n, bool is_trial)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		struct rlimit limit = { SECONDS_MAX, SECONDS_MAX };
		setrlimit(RLIMIT_CPU, &limit);
		run(input, n);
		_exit(0);
	}
	int status;
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	printf("%-10s %9lu stopped, by signal %d after at most %d s of CPU  %s\n", input->name, n,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0, SECONDS_MAX, input->what);
	return is_trial && WIFSIGNALED(status) &&
	       (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
}

static bool is_wanted(const struct input *input, char **names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, input->name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	unsigned long times = 0, smaller = 1;
	bool is_well = true;
	(void)argc;
	for (argv++; argv[0] != NULL && argv[1] != NULL && argv[0][0] == '-'; argv += 2) {
		unsigned long number = strtoul(argv[1], NULL, 10);
		if (number == 0 || number > 1000000)
			return 2;
		*(strcmp(argv[0], "--times") == 0 ? &times : &smaller) = number;
	}
	for (size_t i = 0; i < inputs_len; i++) {
		if (!is_wanted(&inputs[i], argv))
			continue;
		unsigned long n = inputs[i].n / smaller;
		is_well &= run_apart(&inputs[i], n * (times > 0 ? times : 1), times == 0);
		if (times == 0)
			is_well &= run_apart(&inputs[i], n * 10, true);
	}
	return is_well ? 0 : 1;
}
