/* Lists that are gone through a little at a time, while anything comes and goes: what is there from
 * the first step to the last is told once, and nothing is told twice. */
#include "base/prng.h"
#include "core/admin.h"
#include "core/inputs.h"
#include "core/view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

enum {
	KINDS = VIEW_CONSUMERS + 1,
	NUMBERS = 20000,
	VHOSTS = 4,
	CONNECTIONS = 8,
	VIEWS = 6,
	RECENT = 40
};

struct client {
	struct connection *connection; /* NULL: there is none. */
	struct channel *channels[3];
	unsigned vhost;
};

/* Everything has a number of its own, by which it is known again. */
struct seen {
	enum view_of of;
	size_t len;
	uint8_t times[NUMBERS];
};

struct running {
	struct view *view; /* NULL: none. */
	struct seen before;
	struct seen seen;
	char vhost[8]; /* Empty: all. */
};

static struct space space;
static struct changes changes;
static struct batch batch;
static struct core *core;
static struct prng prng;
static struct client clients[CONNECTIONS];
static struct vhost *vhosts[VHOSTS]; /* The first is "/". */
static struct running running[VIEWS];
static uint8_t owners[NUMBERS]; /* Of channels, by number. */
static unsigned last[128];      /* Number, by the letter of its kind. */
static struct binding_name {
	unsigned number, source, destination;
	bool is_to_exchange;
} binds[RECENT];

static unsigned below(unsigned n)
{
	return prng_below(&prng, n);
}

static void begin(void)
{
	batch.sequence++;
	core_begin(core, &batch, batch.sequence);
	core_durable(core, batch.sequence - 1);
}

static void end(void)
{
	struct effect e;
	while (core_next_effect(core, &e))
		continue;
	core_end(core);
}

static void set_up(void)
{
	static const uint64_t hash_seed = 7;
	const struct core_options options = { .hash_seed = hash_seed,
					      .memory_budget_bytes = 1 << 20,
					      .queues_max = NUMBERS,
					      .exchanges_max = NUMBERS,
					      .bindings_max = NUMBERS,
					      .consumers_max = NUMBERS,
					      .space = &space };
	space_init(&space);
	batch_init(&batch, &space, &changes);
	core = core_create(&options);
	memset(clients, 0, sizeof clients);
	memset(vhosts, 0, sizeof vhosts);
	memset(running, 0, sizeof running);
	vhosts[0] = core_vhost(core, bytes_str("/"));
	memset(last, 0, sizeof last);
	memset(binds, 0, sizeof binds);
}

static void tear_down(void)
{
	for (size_t i = 0; i < VIEWS; i++)
		view_close(running[i].view);
	core_destroy(core);
	batch_close(&batch, 0);
	batch_fini(&batch);
	changes_fini(&changes);
	space_fini(&space);
	changes = (struct changes){ 0 };
}

TestSuite(view, .init = set_up, .fini = tear_down);

/* --- what comes and goes --- */

static struct client *some_client(void)
{
	struct client *c = &clients[below(CONNECTIONS)];
	if (c->connection == NULL) {
		do
			c->vhost = below(VHOSTS);
		while (vhosts[c->vhost] == NULL);
		c->connection = connection_open(core, vhosts[c->vhost], bytes_str("u"));
	}
	return c;
}

static struct channel **some_channel(void)
{
	struct client *c = some_client();
	struct channel **ch = &c->channels[below(3)];
	if (*ch == NULL)
		*ch = channel_open(c->connection, &owners[++last['h']]);
	return ch;
}

static void hang_up(struct client *c)
{
	if (c->connection != NULL)
		connection_close(c->connection);
	*c = (struct client){ 0 };
}

/* Of something in a virtual host, which need not be there. */
static struct bytes some_name(char kind, unsigned number)
{
	static char texts[16][12];
	static unsigned at;
	char *text = texts[at++ % 16];
	snprintf(text, sizeof texts[0], "%c%u", kind, number);
	return bytes_str(text);
}

static struct bytes fresh(char kind)
{
	return some_name(kind, ++last[(unsigned char)kind]);
}

static unsigned old_number(char kind)
{
	unsigned n = last[(unsigned char)kind];
	return n < RECENT ? below(n + 1) : n - below(RECENT);
}

static struct bytes some_old(char kind)
{
	return some_name(kind, old_number(kind));
}

static struct bind bind_of(const struct binding_name *b)
{
	return (struct bind){ .source = some_name('x', b->source),
			      .destination =
				      some_name(b->is_to_exchange ? 'x' : 'q', b->destination),
			      .is_to_exchange = b->is_to_exchange,
			      .routing_key = some_name('b', b->number) };
}

static void bind_some(void)
{
	struct refusal refusal;
	bool is_to_exchange = below(3) == 0;
	struct binding_name *b = &binds[below(RECENT)];
	*b = (struct binding_name){ ++last['b'], old_number('x'),
				    old_number(is_to_exchange ? 'x' : 'q'), is_to_exchange };
	const struct bind bind = bind_of(b);
	core_bind(some_client()->connection, &bind, &refusal);
}

static void come(void)
{
	struct refusal refusal;
	struct queue_counts counts;
	struct channel *ch = *some_channel();
	const struct queue_declare queue = { .name = fresh('q'),
					     .is_exclusive = below(4) == 0,
					     .is_auto_delete = below(8) == 0 };
	const struct exchange_declare exchange = { .name = fresh('x'),
						   .type = bytes_str("direct") };
	core_queue_declare(ch, &queue, &counts, &refusal);
	core_exchange_declare(some_client()->connection, &exchange, &refusal);
	for (int i = 0; i < 3; i++) {
		const struct consume consume = { .queue = some_old('q'), .tag = fresh('c') };
		core_consume(*some_channel(), &consume, &refusal);
		bind_some();
	}
}

static void change_vhosts(void)
{
	unsigned i = 1 + below(VHOSTS - 1);
	char name[4];
	if (vhosts[i] == NULL) {
		snprintf(name, sizeof name, "v%u", i);
		const struct vhost_settings settings = { -1, -1, bytes_of("", 0) };
		if (core_vhost(core, bytes_str(name)) == NULL)
			vhosts[i] = core_vhost_create(core, bytes_str(name), &settings);
		return;
	}
	for (size_t j = 0; j < CONNECTIONS; j++)
		if (clients[j].vhost == i)
			hang_up(&clients[j]);
	core_vhost_delete(vhosts[i]);
	vhosts[i] = NULL;
}

static void cancel_some(void)
{
	struct bytes tag = some_old('c');
	for (size_t i = 0; i < CONNECTIONS; i++)
		for (size_t j = 0; j < 3; j++)
			if (clients[i].channels[j] != NULL)
				core_cancel(clients[i].channels[j], tag);
}

static void unbind_some(void)
{
	struct refusal refusal;
	const struct bind bind = bind_of(&binds[below(RECENT)]);
	core_unbind(some_client()->connection, &bind, &refusal);
}

static void go(void)
{
	struct refusal refusal;
	uint64_t messages;
	struct client *c = some_client();
	struct channel **ch = some_channel();
	switch (below(32)) {
	case 0: hang_up(c); break;
	case 1:
	case 2:
		channel_close(*ch);
		*ch = NULL;
		break;
	case 3:
		if (below(4) == 0)
			change_vhosts();
		break;
	case 4:
	case 5:
	case 6: core_exchange_delete(c->connection, some_old('x'), false, &refusal); break;
	case 7:
	case 8:
	case 9:
		core_queue_delete(c->connection, some_old('q'), false, false, &messages, &refusal);
		break;
	default: cancel_some(); unbind_some();
	}
}

/* --- what is seen --- */

static unsigned number_of(enum view_of of, const void *info)
{
	struct bytes name = { NULL, 0 };
	unsigned number = 0;
	switch (of) {
	case VIEW_QUEUES: name = ((const struct queue_info *)info)->name; break;
	case VIEW_EXCHANGES: name = ((const struct exchange_info *)info)->name; break;
	case VIEW_BINDINGS: name = ((const struct binding_info *)info)->routing_key; break;
	case VIEW_CONSUMERS: name = ((const struct consumer_info *)info)->tag; break;
	case VIEW_CHANNELS:
		return (unsigned)((const uint8_t *)((const struct channel_info *)info)->owner -
				  owners);
	}
	if (name.len == 0 || name.data[0] == 'a')
		return 0; /* Of those that are there from the start. */
	for (size_t i = 1; i < name.len; i++)
		number = number * 10 + (unsigned)(name.data[i] - '0');
	return number;
}

static void see(void *arg, const void *info)
{
	struct seen *seen = arg;
	seen->len++;
	seen->times[number_of(seen->of, info)]++;
}

static void see_all(struct seen *seen, enum view_of of, const char *vhost)
{
	struct bytes name = bytes_str(vhost);
	struct view *view = view_open(core, of, name.len == 0 ? NULL : &name);
	*seen = (struct seen){ .of = of };
	while (view_next(view, SIZE_MAX, see, seen))
		continue;
	view_close(view);
}

static void expect_seen_once(const struct running *r)
{
	static struct seen after;
	see_all(&after, r->seen.of, r->vhost);
	for (unsigned i = 1; i < NUMBERS; i++) {
		bool was_there = r->before.times[i] > 0 && after.times[i] > 0;
		cr_assert(r->seen.times[i] <= 1 && r->seen.times[i] >= was_there,
			  "kind %d, number %u: %u times", (int)r->seen.of, i, r->seen.times[i]);
	}
}

static void step(struct running *r)
{
	if (r->view == NULL) {
		r->vhost[0] = '\0';
		if (below(3) == 0)
			snprintf(r->vhost, sizeof r->vhost, below(2) == 0 ? "/" : "v1");
		struct bytes name = bytes_str(r->vhost);
		enum view_of of = (enum view_of)below(KINDS);
		see_all(&r->before, of, r->vhost);
		r->seen = (struct seen){ .of = of };
		r->view = view_open(core, of, name.len == 0 ? NULL : &name);
	}
	size_t len = r->seen.len, budget = 1 + below(6);
	bool is_more = view_next(r->view, budget, see, &r->seen);
	cr_assert_leq(r->seen.len - len, budget);
	if (is_more)
		return;
	expect_seen_once(r);
	view_close(r->view);
	r->view = NULL;
}

/* A look at all of it at once sees what the core has counted. */
static void expect_counted(void)
{
	static struct seen seen;
	struct core_figures f;
	struct message_stats stats;
	core_totals(core, &f, &stats);
	const uint64_t lens[KINDS] = { f.queues, f.exchanges, f.bindings,
				       f.channels_opened - f.channels_closed, f.consumers };
	for (int of = 0; of < KINDS; of++) {
		see_all(&seen, (enum view_of)of, "");
		cr_assert_eq(seen.len, lens[of], "kind %d: %zu, not %zu", of, seen.len,
			     (size_t)lens[of]);
	}
}

Test(view, what_stays_is_seen_once_whatever_comes_and_goes)
{
	prng.state = (uint64_t)time(NULL);
	fprintf(stderr, "seed %llu\n", (unsigned long long)prng.state);
	while (last['c'] < NUMBERS - 100) {
		begin();
		if (below(3) == 0)
			come();
		for (unsigned n = below(6); n > 0; n--)
			go();
		end();
		step(&running[below(VIEWS)]);
		if (below(50) == 0)
			expect_counted();
	}
}

Test(view, what_is_passed_over_is_looked_at_too)
{
	struct seen seen = { .of = VIEW_QUEUES };
	struct refusal refusal;
	struct queue_counts counts;
	struct bytes name = bytes_str("v1");
	const struct vhost_settings settings = { -1, -1, bytes_of("", 0) };
	begin();
	struct connection *c = connection_open(core, vhosts[0], bytes_str("u"));
	struct channel *ch = channel_open(c, owners);
	for (unsigned i = 0; i < 10; i++) {
		const struct queue_declare d = { .name = fresh('q') };
		cr_assert(core_queue_declare(ch, &d, &counts, &refusal));
	}
	core_vhost_create(core, name, &settings);
	end();
	struct view *view = view_open(core, VIEW_QUEUES, &name);
	cr_assert(view_next(view, 9, see, &seen));
	cr_assert_not(view_next(view, 9, see, &seen));
	cr_assert_eq(seen.len, 0);
	view_close(view);
}
