/* micro [PATTERN]: all benchmarks, or those whose name contains PATTERN. */
#include "micro.h"

#include "now.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 7, RUN_MS = 40 };

static const char *pattern = "";

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double time_of(void (*work)(void *, uint64_t), void *arg, uint64_t rounds)
{
	uint64_t began = now_ns();
	work(arg, rounds);
	return (double)(now_ns() - began);
}

void micro_run(const char *name, void (*work)(void *arg, uint64_t rounds), void *arg,
	       uint64_t operations)
{
	double ns[RUNS];
	uint64_t rounds = 1;
	if (strstr(name, pattern) == NULL)
		return;
	while (time_of(work, arg, rounds) < (double)RUN_MS * NS_PER_MS)
		rounds *= 2;
	for (unsigned i = 0; i < RUNS; i++)
		ns[i] = time_of(work, arg, rounds) / (double)rounds / (double)operations;
	qsort(ns, RUNS, sizeof *ns, by_value);
	printf("%-52s %10.1f ns   median %10.1f ns\n", name, ns[0], ns[RUNS / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: micro [PATTERN]\n");
		return 2;
	}
	if (argc == 2)
		pattern = argv[1];
	micro_protocol();
	micro_topic();
	micro_queue();
	micro_core();
	micro_journal();
	micro_keys();
	return 0;
}
