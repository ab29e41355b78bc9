#include <leveret/patterns.h>

enum { WINDOW_MAX = 64 };

void lev_breaker_init(struct lev_breaker *b, const struct lev_breaker_options *options)
{
	*b = (struct lev_breaker){ .state = LEV_BREAKER_CLOSED };
	if (options != NULL)
		b->options = *options;
	struct lev_breaker_options *o = &b->options;
	o->failures = o->failures == 0 ? 5 : o->failures;
	o->window = o->window == 0 ? 20 : o->window > WINDOW_MAX ? WINDOW_MAX : o->window;
	o->open_ms = o->open_ms == 0 ? 30000 : o->open_ms;
	o->probes = o->probes == 0 ? 1 : o->probes;
}

static void enter(struct lev_breaker *b, enum lev_breaker_state state)
{
	b->state = state;
	b->row = b->probing = b->last_len = 0;
	b->last = 0;
}

/* An open one is half open as soon as its time is up. */
static void look_at_clock(struct lev_breaker *b, uint64_t now_ms)
{
	if (b->state == LEV_BREAKER_OPEN && now_ms >= b->until_ms)
		enter(b, LEV_BREAKER_HALF_OPEN);
}

enum lev_breaker_state lev_breaker_state(const struct lev_breaker *b, uint64_t now_ms)
{
	return b->state == LEV_BREAKER_OPEN && now_ms >= b->until_ms ? LEV_BREAKER_HALF_OPEN
								     : b->state;
}

bool lev_breaker_allows(struct lev_breaker *b, uint64_t now_ms)
{
	look_at_clock(b, now_ms);
	if (b->state == LEV_BREAKER_OPEN ||
	    (b->state == LEV_BREAKER_HALF_OPEN && b->probing >= b->options.probes))
		return false;
	b->probing += b->state == LEV_BREAKER_HALF_OPEN;
	return true;
}

static bool is_rate_too_high(const struct lev_breaker *b)
{
	const struct lev_breaker_options *o = &b->options;
	uint64_t mask = o->window == WINDOW_MAX ? UINT64_MAX : (UINT64_C(1) << o->window) - 1;
	uint32_t failed = (uint32_t)__builtin_popcountll(b->last & mask);
	return o->rate_percent > 0 && b->last_len >= o->window &&
	       failed * 100 >= o->rate_percent * o->window;
}

static void open_until(struct lev_breaker *b, uint64_t now_ms)
{
	enter(b, LEV_BREAKER_OPEN);
	b->until_ms = now_ms + b->options.open_ms;
}

static void record_probe(struct lev_breaker *b, bool is_success, uint64_t now_ms)
{
	b->probing -= b->probing > 0;
	if (!is_success)
		open_until(b, now_ms);
	else if (++b->row >= b->options.probes)
		enter(b, LEV_BREAKER_CLOSED);
}

/* Results of calls that began before it opened come late, and say nothing new. */
void lev_breaker_record(struct lev_breaker *b, bool is_success, uint64_t now_ms)
{
	if (b->state == LEV_BREAKER_OPEN)
		return;
	if (b->state == LEV_BREAKER_HALF_OPEN) {
		record_probe(b, is_success, now_ms);
		return;
	}
	b->row = is_success ? 0 : b->row + 1;
	b->last = b->last << 1 | !is_success;
	b->last_len += b->last_len < WINDOW_MAX;
	if (b->row >= b->options.failures || is_rate_too_high(b))
		open_until(b, now_ms);
}

int lev_breaker_call(struct lev_breaker *b, int (*call)(void *arg), int (*fallback)(void *arg),
		     void *arg)
{
	int rc = LEV_CIRCUIT_OPEN;
	if (lev_breaker_allows(b, lev_now())) {
		rc = call(arg);
		lev_breaker_record(b, rc >= 0, lev_now());
	}
	return rc < 0 && fallback != NULL ? fallback(arg) : rc;
}
