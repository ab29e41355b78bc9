/* Records that are whole and make no sense: each is counted, what it said is not there, and the
 * rest is served. */
#include "base/prng.h"
#include "core/admin.h"
#include "segment.h"
#include "space.h"

#include <criterion/criterion.h>

static struct space space;
static struct changes changes;
static struct batch batch;
static struct core *core;
static uint8_t memory[512];
static struct writer w;

static bool find_none(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		      struct bytes *chunk)
{
	(void)arg;
	(void)queue;
	(void)position;
	(void)base;
	(void)chunk;
	return false;
}

static bool get_none(void *arg, struct bytes key, struct bytes *value)
{
	(void)arg;
	(void)key;
	(void)value;
	return false;
}

static const struct journal_index no_index = { find_none, get_none, NULL };

static void set_up(void)
{
	space_init(&space);
	batch_init(&batch, &space, &changes);
	const struct core_options options = { .hash_seed = 1,
					      .memory_budget_bytes = 1 << 20,
					      .queues_max = 100,
					      .exchanges_max = 100,
					      .bindings_max = 100,
					      .consumers_max = 100,
					      .space = &space };
	core = core_create(&options);
	core_recovery.begin(core, &no_index, 1);
	w = writer_of(memory, sizeof memory);
}

/* It recovers, and does what there is to do for an hour. */
static void live(void)
{
	struct effect e;
	core_recovery.end(core);
	for (uint64_t now_ms = 1; now_ms < 3600000; now_ms += 600000) {
		batch.sequence++;
		batch.now_ms = now_ms;
		core_begin(core, &batch, now_ms);
		while (core_next_effect(core, &e)) {
			if (e.kind == EFFECT_INDEX)
				core_index_loaded(core, false, 0, (struct bytes){ NULL, 0 });
			if (e.kind == EFFECT_STATE)
				core_state_loaded(core, e.state.key, false,
						  (struct bytes){ NULL, 0 });
			for (size_t i = 0; e.kind == EFFECT_LOAD && i < e.load.slots_len; i++) {
				uint64_t location;
				if (core_needs_load(e.load.slots[i], &location))
					core_loaded(e.load.queue, &e.load.slots[i], NULL);
			}
		}
		core_end(core);
	}
}

static void tear_down(void)
{
	core_destroy(core);
	batch_close(&batch, 0);
	batch_fini(&batch);
	changes_fini(&changes);
	space_fini(&space);
	changes = (struct changes){ 0 };
}

TestSuite(recovery, .init = set_up, .fini = tear_down);

static struct core_figures figures(void)
{
	struct core_figures f;
	core_figures(core, &f);
	return f;
}

/* What has been written to w is the value of this definition. */
static void define(char kind, const char *name, size_t name_len)
{
	uint8_t key[600];
	key[0] = (uint8_t)kind;
	memcpy(key + 1, name, name_len);
	cr_assert_not(w.failed);
	core_recovery.definition(core, bytes_of(key, 1 + name_len),
				 bytes_of(memory, (size_t)(w.at - memory)));
	w = writer_of(memory, sizeof memory);
}

static void define_queue(uint8_t id, const char *name)
{
	write_u8(&w, id);
	write_u8(&w, 0);
	define('2', name, strlen(name));
}

static void define_exchange(uint8_t type, const char *name)
{
	write_u8(&w, type);
	write_u8(&w, 0);
	define('1', name, strlen(name));
}

/* What it is bound to and by follows. */
static void begin_binding(const char *source, char kind, const char *destination, const char *key)
{
	write_shortstr(&w, bytes_str(source));
	write_u8(&w, (uint8_t)kind);
	write_shortstr(&w, bytes_str(destination));
	write_shortstr(&w, bytes_str(key));
}

static void define_binding(void)
{
	static char id[8];
	id[7]++;
	define('3', id, sizeof id);
}

static void expect_damaged(uint64_t n)
{
	cr_assert_eq(figures().damaged, n, "%lu", (unsigned long)figures().damaged);
}

Test(recovery, definitions_that_make_no_sense_are_counted_and_not_there)
{
	static const char long_name[300] = "n";
	uint64_t before = figures().exchanges;
	define_queue(1, "q");
	define_exchange(0, "x");
	begin_binding("x", 'q', "q", "k");
	define_binding();
	expect_damaged(0);

	define_queue(0, "without an id");
	define_queue(1, "the id of another");
	define('2', "cut short", 9);
	write_u8(&w, 3);
	define('2', long_name, sizeof long_name);
	define('2', "", 0);
	define('9', "unknown kind", 12);
	write_u8(&w, 3);
	write_u8(&w, 0);
	write_bytes(&w, bytes_str("\5x-maxZ"));
	define('2', "malformed arguments", 19);
	define_exchange(200, "of no type");
	define_exchange(0, "x");
	write_u8(&w, 0);
	write_u8(&w, 0);
	write_u8(&w, 9);
	define('1', "malformed arguments", 19);
	expect_damaged(10);

	begin_binding("nowhere", 'q', "q", "k");
	define_binding();
	begin_binding("x", 'q', "no queue", "k");
	define_binding();
	begin_binding("x", '?', "q", "k");
	define_binding();
	begin_binding("x", 'q', "q", "other");
	write_u8(&w, 7); /* Arguments, cut short. */
	define_binding();
	write_shortstr(&w, bytes_str("x"));
	define_binding();
	begin_binding("x", 'q', "q", "other");
	define('3', "short id", 3);
	expect_damaged(16);
	core_recovery.definition(core, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	expect_damaged(17);
	live();
	cr_assert_eq(figures().queues, 1);
	cr_assert_eq(figures().exchanges, before + 1);
	cr_assert_eq(figures().bindings, 1);
}

/* Weights that are no numbers would have been asserted at the first publish. */
Test(recovery, a_binding_without_a_weight_is_none)
{
	define_queue(1, "q");
	define_exchange(4, "hash");
	define_exchange(5, "hash, too");
	begin_binding("hash", 'q', "q", "heavy");
	define_binding();
	begin_binding("hash, too", 'q', "q", "heavy");
	define_binding();
	cr_assert_eq(figures().damaged + figures().bindings, 2);
	live();
}

/* What is said to lie where there is no log is not there. */
Test(recovery, messages_that_lie_nowhere_are_counted)
{
	define_queue(1, "q");
	write_u8(&w, 0);  /* cursor */
	write_u8(&w, 0);  /* limit */
	write_u8(&w, 50); /* tail */
	write_u8(&w, 0);  /* indexed */
	write_u8(&w, 90); /* bytes */
	write_u8(&w, 2);  /* on the shelf */
	for (int i = 0; i < 2; i++) {
		write_u8(&w, 4);    /* position delta */
		write_u8(&w, 0);    /* flags */
		write_u8(&w, 0x20); /* location delta */
		for (int j = 0; j < 5; j++)
			write_u8(&w, 2);
		write_u8(&w, 0);
	}
	core_recovery.queue(core, 1, bytes_of(memory, (size_t)(w.at - memory)));
	expect_damaged(2);
	live();
	expect_damaged(2);
	cr_assert_eq(figures().messages_ready, 0);
}

/* Bytes of any kind in every record: whatever comes of it, it is counted or served. */
Test(recovery, noise_is_survived)
{
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct prng prng = { seed };
		uint8_t key[12], value[64];
		for (int record = 0; record < 12; record++) {
			size_t key_len = 1 + prng_below(&prng, 11),
			       value_len = prng_below(&prng, 64);
			for (size_t i = 0; i < key_len; i++)
				key[i] = (uint8_t)prng_below(&prng, 4);
			for (size_t i = 0; i < value_len; i++)
				value[i] = (uint8_t)(prng_below(&prng, 3) ? prng_below(&prng, 6)
									  : prng_next(&prng));
			struct bytes k = bytes_of(key, key_len), v = bytes_of(value, value_len);
			switch (prng_below(
				&prng,
				6)) { /* Not the counters: they say how much there is to do. */
			case 1: core_recovery.queue(core, 1 + prng_below(&prng, 3), v); break;
			case 2:
				core_recovery.doomed(core, 1 + prng_below(&prng, 3),
						     prng_below(&prng, 9), prng_below(&prng, 9));
				break;
			default:
				key[0] = (uint8_t)('1' + prng_below(&prng, 3));
				core_recovery.definition(core, k, v);
			}
		}
		live();
		tear_down();
		set_up();
	}
}
