#include "scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct scenario *scenario_create(void)
{
	struct scenario *sc =
		mmap(NULL, sizeof *sc, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sc == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return sc;
}

bool scenario_add_step(struct scenario *sc, unsigned action)
{
	if (sc->steps_len == SCENARIO_STEPS_MAX)
		return false;
	sc->steps[sc->steps_len++] = (struct scenario_step){ action, (uint32_t)sc->draws_len, 0 };
	return true;
}

bool scenario_add_draw(struct scenario *sc, uint32_t draw)
{
	if (sc->draws_len == SCENARIO_DRAWS_MAX)
		return false;
	sc->draws[sc->draws_len++] = draw;
	sc->steps[sc->steps_len - 1].draws_len++;
	return true;
}

/* --- as text --- */

static bool load_line(struct scenario *sc, char *line, const char *const *names)
{
	char *rest, *word = strtok_r(line, " \n", &rest);
	unsigned action = 0;
	if (word == NULL || word[0] == '#')
		return true;
	if (strcmp(word, "seed") == 0) {
		word = strtok_r(NULL, " \n", &rest);
		sc->seed = word == NULL ? 0 : strtoull(word, NULL, 10);
		return true;
	}
	while (names[action] != NULL && strcmp(names[action], word) != 0)
		action++;
	if (names[action] == NULL || !scenario_add_step(sc, action))
		return false;
	while ((word = strtok_r(NULL, " \n", &rest)) != NULL)
		if (!scenario_add_draw(sc, (uint32_t)strtoul(word, NULL, 10)))
			return false;
	return true;
}

bool scenario_load(struct scenario *sc, const char *path, const char *const *names)
{
	static char line[1 << 16];
	FILE *file = fopen(path, "r");
	bool is_good = file != NULL;
	memset(sc, 0, sizeof *sc);
	for (unsigned number = 1; is_good && fgets(line, sizeof line, file) != NULL; number++) {
		is_good = load_line(sc, line, names);
		if (!is_good)
			fprintf(stderr, "%s: line %u is no step\n", path, number);
	}
	if (file == NULL)
		perror(path);
	else
		fclose(file);
	return is_good;
}

void scenario_print(const struct scenario *sc, const char *const *names)
{
	printf("seed %" PRIu64 "\n", sc->seed);
	for (size_t i = 0; i < sc->steps_len; i++) {
		const struct scenario_step *step = &sc->steps[i];
		printf("%s", names[step->action]);
		for (uint32_t k = 0; k < step->draws_len; k++)
			printf(" %" PRIu32, sc->draws[step->draws_at + k]);
		printf("\n");
	}
}

/* --- smaller --- */

static void leave_out(struct scenario *to, const struct scenario *from, size_t at, size_t len)
{
	to->seed = from->seed;
	to->steps_len = to->draws_len = 0;
	for (size_t i = 0; i < from->steps_len; i++) {
		if (i >= at && i < at + len)
			continue;
		struct scenario_step step = from->steps[i];
		memcpy(to->draws + to->draws_len, from->draws + step.draws_at,
		       step.draws_len * sizeof *to->draws);
		step.draws_at = (uint32_t)to->draws_len;
		to->draws_len += step.draws_len;
		to->steps[to->steps_len++] = step;
	}
}

static bool shrink_steps(struct scenario *sc, struct scenario *tried, size_t len, int how,
			 int (*fails)(const struct scenario *))
{
	bool is_shrunk = false;
	for (size_t end = sc->steps_len; end > 1;) { /* The first one boots. */
		size_t at = end > len + 1 ? end - len : 1;
		leave_out(tried, sc, at, end - at);
		if (fails(tried) == how) {
			leave_out(sc, tried, 0, 0);
			is_shrunk = true;
		}
		end = at;
	}
	return is_shrunk;
}

static void shrink_draws(struct scenario *sc, int how, int (*fails)(const struct scenario *))
{
	for (size_t i = 0; i < sc->draws_len; i++) {
		const uint32_t was = sc->draws[i], other[] = { 0, was / 2, was - 1 };
		for (size_t k = 0; was > 0 && k < sizeof other / sizeof *other; k++) {
			sc->draws[i] = other[k];
			if (fails(sc) == how)
				break;
			sc->draws[i] = was;
		}
	}
}

void scenario_shrink(struct scenario *sc, int (*fails)(const struct scenario *))
{
	struct scenario *tried = scenario_create();
	int how = fails(sc);
	if (how != 0) {
		for (size_t len = sc->steps_len / 2; len > 0; len /= 2)
			shrink_steps(sc, tried, len, how, fails);
		shrink_draws(sc, how, fails);
		while (shrink_steps(sc, tried, 1, how, fails))
			;
		for (size_t i = 0; i < sc->steps_len; i++) /* What 0 stands for anyway. */
			while (sc->steps[i].draws_len > 0 &&
			       sc->draws[sc->steps[i].draws_at + sc->steps[i].draws_len - 1] == 0)
				sc->steps[i].draws_len--;
	}
	munmap(tried, sizeof *tried);
}
