/* Simulation: the state of one life, and what it draws. */
#ifndef LEV_TESTS_SIM_SIM_H
#define LEV_TESTS_SIM_SIM_H

#include "core/inputs.h"
#include "model/model.h"
#include "model/policy.h"
#include "model/routing.h"
#include "platter.h"
#include "scenario.h"
#include "turn/turn.h"

#include "base/prng.h"
#include "table.h"

enum {
	TX_CHANNEL = MODEL_CHANNELS - 1,
	SETTLES_MAX = 64,
	PUBLISHES_MAX = 64,
	RECENT = 512,
	KEPT = 12
};

struct tx_settle {
	uint64_t tag;
	enum model_settlement how;
};

/* A publish, and what decides where it goes once it is one. */
struct routed_publish {
	struct model_publish p;
	struct routing_message route;
	bool is_mandatory;
};

/* Something that was delivered, as it was. */
struct keepsake {
	struct routed_publish r;
	struct model_story told;
	uint8_t headers[1400];
	size_t headers_len;
	uint8_t body[1000];
	size_t body_len;
};

struct sim {
	struct model model;
	struct routing routing;
	struct prng prng;
	uint64_t hash;
	uint64_t now_ms;
	uint64_t id_last;
	struct platter *platter;
	struct turn turn;
	bool is_settling; /* What follows from new policies is on its way. */
	bool is_taking;   /* What the turn submits, the platter takes. */
	struct space space;
	struct changes changes;
	struct batch batch;
	uint32_t generation;
	bool is_kept;      /* A checkpoint has reached the store, and nobody has been told yet. */
	uint64_t sequence; /* Of the batch that the turn writes to: several turns may share one. */
	uint64_t taken;    /* By the disk, not yet synced. */
	uint64_t durable;
	struct core *core;
	struct connection *connections[MODEL_CHANNELS];
	struct channel *channels[MODEL_CHANNELS];
	unsigned owners[MODEL_CHANNELS]; /* Their addresses stand for the channels. */
	char names[MODEL_QUEUES][8];
	bool is_declared[MODEL_QUEUES];
	struct routed_publish tx_publishes[PUBLISHES_MAX];
	size_t tx_publishes_len;
	struct tx_settle tx_settles[SETTLES_MAX];
	size_t tx_settles_len;
	uint64_t crashes;
	uint64_t returns_owed;
	struct routed_publish recent[RECENT]; /* By id. */
	struct keepsake kept[KEPT];
	uint64_t kept_len; /* So far; the last ones are there. */
	struct model_policy policies[POLICIES_MAX];
	unsigned policies_len;
	unsigned closed; /* Channels, a set of bits: for a lease is over. */
	uint64_t returns;
	uint64_t fenced;
	uint64_t loads;
	uint64_t chunks;
	uint64_t waits; /* Publishes whose keys were not loaded yet. */
	uint64_t checkpoints;
	uint64_t clearing; /* Address of the slot that has been surveyed; 0: none. */
	uint64_t cleared;
	struct scenario *recorded;       /* NULL: it is not. */
	const struct scenario *replayed; /* NULL: steps are drawn. */
	const uint32_t *draws;           /* What is left of the replayed step. */
	uint32_t draws_left;
};

/* A step of a scenario draws what it drew. */
static inline uint32_t below(struct sim *s, uint32_t bound)
{
	if (s->replayed != NULL)
		return s->draws_left == 0 ? 0 : (s->draws_left--, *s->draws++ % bound);
	uint32_t drawn = prng_below(&s->prng, bound);
	if (s->recorded != NULL)
		MODEL_CHECK(&s->model, scenario_add_draw(s->recorded, drawn));
	return drawn;
}

static inline void trace(struct sim *s, uint64_t value)
{
	s->hash = (s->hash ^ value) * 0x100000001b3u;
}

static inline struct bytes queue_name(struct sim *s, unsigned q)
{
	return bytes_str(s->names[q]);
}

static inline void must(struct sim *s, bool is_good, const struct refusal *refusal)
{
	if (!is_good)
		model_fail(&s->model, refusal->text, "refused");
}

static inline unsigned any_queue(struct sim *s)
{
	return below(s, MODEL_QUEUES);
}

static inline bool maybe(struct sim *s)
{
	return below(s, 2) == 0;
}

/* --- steps, by the names that scenarios call them --- */

void do_publish(struct sim *s);
void do_consume(struct sim *s);
void do_cancel(struct sim *s);
void do_settle(struct sim *s);
void do_get(struct sim *s);
void do_purge(struct sim *s);
void do_disconnect(struct sim *s);
void do_writable(struct sim *s);
void do_tx(struct sim *s);
void do_redeclare(struct sim *s);
void do_bind(struct sim *s);
void do_boot(struct sim *s);
void do_turn(struct sim *s);
void do_sync(struct sim *s);
void do_checkpoint(struct sim *s);
void do_clear(struct sim *s);
void do_crash(struct sim *s);
void do_rush(struct sim *s);
void do_overtake(struct sim *s);
void do_hold(struct sim *s);
void do_exchange(struct sim *s);
void do_tale(struct sim *s);
void do_tx_number(struct sim *s);
void do_rivals(struct sim *s);
void do_lease(struct sim *s);
void do_policies(struct sim *s);
void do_republish(struct sim *s);
void do_copies(struct sim *s);
void do_groups(struct sim *s);

#endif
