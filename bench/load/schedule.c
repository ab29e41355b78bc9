#include "schedule.h"

#include <math.h>
#include <stdlib.h>

bool schedule_parse(struct schedule *s, const char *text)
{
	char *end;
	for (;; text = end + 1) {
		struct schedule_step step;
		if (s->len == SCHEDULE_STEPS_MAX)
			return false;
		step.value = strtod(text, &end);
		if (end == text || *end != ':' || !(step.value >= 0))
			return false;
		text = end + 1;
		step.seconds = strtod(text, &end);
		if (end == text || (*end != '\0' && *end != ',') || !(step.seconds > 0))
			return false;
		s->steps[s->len++] = step;
		if (*end == '\0')
			return true;
	}
}

static double round_of(const struct schedule *s, bool is_events)
{
	double sum = 0;
	for (size_t i = 0; i < s->len; i++)
		sum += is_events ? s->steps[i].value * s->steps[i].seconds : s->steps[i].seconds;
	return sum;
}

double schedule_value(const struct schedule *s, uint64_t ns)
{
	double left = fmod((double)ns * 1e-9, round_of(s, false));
	size_t i = 0;
	while (i + 1 < s->len && left >= s->steps[i].seconds)
		left -= s->steps[i++].seconds;
	return s->steps[i].value;
}

/* The n-th event is due when n events' worth of time has gone by. */
uint64_t schedule_due_ns(const struct schedule *s, uint64_t n)
{
	double events = round_of(s, true);
	if (events <= 0)
		return UINT64_MAX;
	if (s->len == 1)
		return (uint64_t)((double)n / s->steps[0].value * 1e9);
	double rounds = floor((double)n / events), left = (double)n - rounds * events,
	       seconds = rounds * round_of(s, false);
	size_t i = 0;
	while (i + 1 < s->len && left >= s->steps[i].value * s->steps[i].seconds) {
		left -= s->steps[i].value * s->steps[i].seconds;
		seconds += s->steps[i++].seconds;
	}
	return (uint64_t)((seconds + (s->steps[i].value > 0 ? left / s->steps[i].value : 0)) * 1e9);
}
