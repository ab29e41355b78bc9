#include "base/prng.h"
#include "reason.h"

#include <leveret/patterns.h>
#include <time.h>

void lev_retry_init(struct lev_retry *r, const struct lev_retry_options *options, uint64_t seed,
		    uint64_t now_ms)
{
	*r = (struct lev_retry){ .began_ms = now_ms, .random = seed };
	if (options != NULL)
		r->options = *options;
	struct lev_retry_options *o = &r->options;
	o->first_ms = o->first_ms == 0 ? 1000 : o->first_ms;
	o->multiplier = o->multiplier < 1 ? 2 : o->multiplier;
	o->max_ms = o->max_ms == 0 ? 8000 : o->max_ms;
	o->attempts = o->attempts == 0 ? 5 : o->attempts;
	o->jitter = o->jitter < 0 ? 0 : o->jitter > 1 ? 1 : o->jitter;
}

/* In [0, 1). */
static double dice(struct lev_retry *r)
{
	struct prng prng = { r->random };
	uint64_t n = prng_next(&prng);
	r->random = prng.state;
	return (double)(n >> 11) * 0x1p-53;
}

int lev_retry_next(struct lev_retry *r, uint64_t now_ms, uint64_t *wait_ms)
{
	const struct lev_retry_options *o = &r->options;
	double wait = (double)o->first_ms;
	if (++r->failed >= o->attempts)
		return lev_fail(LEV_GIVEN_UP, "tried %u times", r->failed);
	for (uint32_t i = 1; i < r->failed && wait < (double)o->max_ms; i++)
		wait *= o->multiplier;
	if (wait > (double)o->max_ms)
		wait = (double)o->max_ms;
	wait *= 1 - o->jitter * dice(r);
	uint64_t ms = (uint64_t)wait;
	if (o->total_ms > 0 && now_ms + ms > r->began_ms + o->total_ms)
		return lev_fail(LEV_GIVEN_UP, "tried for as long as it should be");
	*wait_ms = ms;
	return LEV_OK;
}

int lev_retry_call(const struct lev_retry_options *options, int (*call)(void *arg), void *arg)
{
	struct lev_retry r;
	uint64_t wait_ms;
	bool may_be_done = false; /* By an earlier attempt. */
	lev_retry_init(&r, options, lev_now() * 0x9e3779b97f4a7c15u, lev_now());
	for (;;) {
		int rc = call(arg);
		struct lev_meaning meaning = lev_result_meaning(rc);
		if (meaning.retry == LEV_RETRY_FINAL && meaning.step == LEV_STEP_NOT && may_be_done)
			return lev_fail(LEV_UNKNOWN,
					"%s; but an earlier attempt may have been done",
					lev_result_text(rc));
		if (meaning.retry == LEV_RETRY_FINAL)
			return rc;
		may_be_done |= meaning.step == LEV_STEP_MAYBE;
		if (lev_retry_next(&r, lev_now(), &wait_ms) != LEV_OK)
			return lev_fail(LEV_GIVEN_UP, "tried %u times, the last time: %s", r.failed,
					lev_result_text(rc));
		const struct timespec pause = { (time_t)(wait_ms / 1000),
						(long)(wait_ms % 1000) * 1000000 };
		nanosleep(&pause, NULL);
	}
}
