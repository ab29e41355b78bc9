/* Circuit breaker. Each change of state begins a generation; a call belongs to the one that it began
 * in, and what it came to counts only there. */
#include <leveret/patterns.h>

enum { WINDOW_MAX = 64 };

void lev_breaker_init(struct lev_breaker *b, const struct lev_breaker_options *options)
{
	*b = (struct lev_breaker){ .state = LEV_BREAKER_CLOSED, .generation = 1 };
	pthread_mutex_init(&b->lock, NULL);
	if (options != NULL)
		b->options = *options;
	struct lev_breaker_options *o = &b->options;
	o->failures = o->failures == 0 ? 5 : o->failures;
	o->window = o->window == 0 ? 20 : o->window > WINDOW_MAX ? WINDOW_MAX : o->window;
	o->open_ms = o->open_ms == 0 ? 30000 : o->open_ms;
	o->probes = o->probes == 0 ? 1 : o->probes;
	o->probe_ms = o->probe_ms == 0 ? o->open_ms : o->probe_ms;
}

static void enter(struct lev_breaker *b, enum lev_breaker_state state)
{
	b->state = state;
	b->generation++;
	b->late += b->pending;
	b->row = b->pending = b->last_len = 0;
	b->last = 0;
	b->is_late_good = false;
}

static void open_until(struct lev_breaker *b, uint64_t now_ms)
{
	enter(b, LEV_BREAKER_OPEN);
	b->until_ms = now_ms + b->options.open_ms;
}

static bool is_lost(const struct lev_breaker *b, uint64_t now_ms)
{
	return b->state == LEV_BREAKER_HALF_OPEN && b->pending > 0 && now_ms >= b->until_ms;
}

/* An open one is half open as soon as its time is up; so is one whose probes were lost, with all
 * that is older. */
static void look_at_clock(struct lev_breaker *b, uint64_t now_ms)
{
	bool has_lost = is_lost(b, now_ms);
	if (has_lost || (b->state == LEV_BREAKER_OPEN && now_ms >= b->until_ms))
		enter(b, LEV_BREAKER_HALF_OPEN);
	if (has_lost)
		b->late = 0;
}

static uint64_t begin(struct lev_breaker *b, uint64_t now_ms)
{
	bool is_half = b->state == LEV_BREAKER_HALF_OPEN;
	if (b->state == LEV_BREAKER_OPEN || (is_half && b->pending >= b->options.probes))
		return 0;
	b->pending++;
	if (is_half)
		b->until_ms = now_ms + b->options.probe_ms;
	return b->generation;
}

uint64_t lev_breaker_begin(struct lev_breaker *b, uint64_t now_ms)
{
	pthread_mutex_lock(&b->lock);
	look_at_clock(b, now_ms);
	uint64_t ticket = begin(b, now_ms);
	pthread_mutex_unlock(&b->lock);
	return ticket;
}

bool lev_breaker_allows(struct lev_breaker *b, uint64_t now_ms)
{
	return lev_breaker_begin(b, now_ms) != 0;
}

enum lev_breaker_state lev_breaker_state(const struct lev_breaker *breaker, uint64_t now_ms)
{
	struct lev_breaker *b = (struct lev_breaker *)(uintptr_t)breaker;
	pthread_mutex_lock(&b->lock);
	bool is_half = b->state == LEV_BREAKER_OPEN && now_ms >= b->until_ms;
	enum lev_breaker_state state = is_half ? LEV_BREAKER_HALF_OPEN : b->state;
	pthread_mutex_unlock(&b->lock);
	return state;
}

static bool is_rate_too_high(const struct lev_breaker *b)
{
	const struct lev_breaker_options *o = &b->options;
	uint64_t mask = o->window == WINDOW_MAX ? UINT64_MAX : (UINT64_C(1) << o->window) - 1;
	uint32_t failed = (uint32_t)__builtin_popcountll(b->last & mask);
	return o->rate_percent > 0 && b->last_len >= o->window &&
	       failed * 100 >= o->rate_percent * o->window;
}

/* Of a call that began in this generation. */
static void count(struct lev_breaker *b, bool is_success, uint64_t now_ms)
{
	if (b->state == LEV_BREAKER_HALF_OPEN) {
		if (!is_success)
			open_until(b, now_ms);
		else if (++b->row >= b->options.probes)
			enter(b, LEV_BREAKER_CLOSED);
		return;
	}
	b->row = is_success ? 0 : b->row + 1;
	b->last = b->last << 1 | !is_success;
	b->last_len += b->last_len < WINDOW_MAX;
	if (b->row >= b->options.failures || is_rate_too_high(b))
		open_until(b, now_ms);
}

void lev_breaker_end(struct lev_breaker *b, uint64_t ticket, int result, uint64_t now_ms)
{
	enum lev_breaker_meaning meaning = lev_result_meaning(result).breaker;
	if (ticket == 0)
		return;
	pthread_mutex_lock(&b->lock);
	if (ticket != b->generation) {
		b->late -= b->late > 0;
	} else {
		b->pending -= b->pending > 0;
		if (meaning != LEV_BREAKER_NONE)
			count(b, meaning == LEV_BREAKER_GOOD, now_ms);
	}
	pthread_mutex_unlock(&b->lock);
}

void lev_breaker_record(struct lev_breaker *b, bool is_success, uint64_t now_ms)
{
	pthread_mutex_lock(&b->lock);
	if (b->state == LEV_BREAKER_OPEN || b->late > 0) {
		b->late -= b->late > 0;
		b->is_late_good |= is_success && b->state == LEV_BREAKER_HALF_OPEN;
	} else {
		b->pending -= b->pending > 0;
		count(b, is_success || b->is_late_good, now_ms);
	}
	pthread_mutex_unlock(&b->lock);
}

int lev_breaker_call(struct lev_breaker *b, int (*call)(void *arg), int (*fallback)(void *arg),
		     void *arg)
{
	int rc = LEV_CIRCUIT_OPEN;
	uint64_t ticket = lev_breaker_begin(b, lev_now());
	if (ticket != 0) {
		rc = call(arg);
		lev_breaker_end(b, ticket, rc, lev_now());
	}
	return rc < 0 && fallback != NULL ? fallback(arg) : rc;
}
