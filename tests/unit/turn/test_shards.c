/* Two shards in one process: each has its own core, journal, directory and time; nothing is shared.
 */
#include "core/core.h"
#include "core/inputs.h"
#include "core/message/message.h"

#include "../storage/journal_dir.h"
#include "turn/turn.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>

struct shard {
	char dir[64]; /* Of the journal. */
	int number;
	struct journal *journal;
	struct core *core;
	struct turn turn;
	struct connection *connection;
	struct channel *channel;
	uint64_t now_ms;
	uint64_t confirmed;
	unsigned delivered;
	char bodies[16][32];
};

static void on_effect(void *arg, const struct effect *e)
{
	struct shard *s = arg;
	if (e->kind == EFFECT_CONFIRM)
		s->confirmed = e->confirm.delivery_tag;
	if (e->kind != EFFECT_DELIVER)
		return;
	struct bytes body = message_body(e->deliver.message);
	snprintf(s->bodies[s->delivered++], sizeof s->bodies[0], "%.*s", (int)body.len,
		 (const char *)body.data);
}

static void on_damage(void *arg, uint64_t location)
{
	(void)arg;
	cr_assert_fail("damaged: %llu", (unsigned long long)location);
}

static void start(struct shard *s)
{
	char why[300];
	struct journal_options journal = { .dir = s->dir, .map_bytes = 1 << 28 };
	cr_assert_eq(journal_open(&s->journal, &journal, why, sizeof why), 0, "%s", why);
	struct core_options core = {
		.hash_seed = 42,
		.memory_budget_bytes = 1 << 20,
		.queues_max = 100,
		.exchanges_max = 100,
		.bindings_max = 100,
		.consumers_max = 100,
		.space = journal_space(s->journal),
	};
	s->core = core_create(&core);
	cr_assert_eq(journal_recover(s->journal, &core_recovery, s->core, why, sizeof why), 0, "%s",
		     why);
	cr_assert_eq(journal_start(s->journal), 0);
	struct turn_options turn = {
		.core = s->core,
		.disk = disk_of_journal(s->journal),
		.on_effect = on_effect,
		.on_damage = on_damage,
		.arg = s,
	};
	turn_init(&s->turn, &turn);
	turn_begin(&s->turn, s->now_ms);
	s->connection =
		connection_open(s->core, core_vhost(s->core, bytes_str("/")), bytes_str("guest"));
	s->channel = channel_open(s->connection, s);
}

static void stop(struct shard *s)
{
	turn_begin(&s->turn, s->now_ms);
	connection_close(s->connection);
	turn_end(&s->turn, TURN_NO_CHECKPOINT, false);
	cr_assert(journal_wait(s->journal));
	turn_begin(&s->turn, s->now_ms);
	turn_end(&s->turn, TURN_LAST_CHECKPOINT, false);
	cr_assert(journal_stop(s->journal));
	core_destroy(s->core);
	journal_close(s->journal);
}

static void end(struct shard *s)
{
	uint64_t sequence = turn_end(&s->turn, TURN_CHECKPOINT, false);
	while (journal_durable(s->journal) < sequence) {
		struct pollfd p = { journal_fd(s->journal), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, 10000), 1);
	}
}

static void declare(struct shard *s, const char *name)
{
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct queue_declare d = { .name = bytes_str(name), .is_durable = true };
	cr_assert(core_queue_declare(s->channel, &d, &counts, &refusal));
}

static void publish(struct shard *s, const char *queue, const char *body)
{
	static const uint8_t persistent[] = { 0x10, 0, 2 };
	struct properties properties = { .flags = HAS_delivery_mode, .delivery_mode = 2 };
	struct refusal refusal = { 0 };
	struct message *m = message_create(core_messages(s->core), bytes_str(""), bytes_str(queue),
					   bytes_of(persistent, sizeof persistent), strlen(body));
	message_append(core_messages(s->core), &m, bytes_str(body));
	cr_assert(core_publish(s->channel, m, &properties, false, &refusal));
	s->turn.batch->is_awaited = true;
}

static void consume(struct shard *s, const char *queue)
{
	struct refusal refusal = { 0 };
	struct consume c = { .queue = bytes_str(queue), .tag = bytes_str("c"), .is_no_ack = true };
	cr_assert(core_consume(s->channel, &c, &refusal));
}

/* A life of its own, and another after a restart. */
static void *live(void *arg)
{
	struct shard *s = arg;
	start(s);
	core_confirm_select(s->channel);
	declare(s, "q");
	end(s);
	for (int i = 0; i < 10; i++) {
		char body[32];
		turn_begin(&s->turn, ++s->now_ms);
		snprintf(body, sizeof body, "%d %d", s->number, i);
		publish(s, "q", body);
		end(s);
	}
	turn_begin(&s->turn, ++s->now_ms);
	end(s);
	stop(s);
	start(s);
	consume(s, "q");
	end(s);
	for (int i = 0; i < 100 && s->delivered < 10; i++) {
		turn_begin(&s->turn, ++s->now_ms);
		end(s);
	}
	stop(s);
	return NULL;
}

Test(shards, live_beside_each_other_in_threads_of_their_own)
{
	static struct shard shards[2];
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		shards[i].number = i;
		shards[i].now_ms = 1700000000000 + (uint64_t)i * 1000000;
		journal_dir_create(shards[i].dir, sizeof shards[i].dir);
	}
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, live, &shards[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(shards[i].confirmed, 10);
		cr_assert_eq(shards[i].delivered, 10);
		for (unsigned k = 0; k < 10; k++) {
			char body[32];
			snprintf(body, sizeof body, "%d %u", i, k);
			cr_assert_str_eq(shards[i].bodies[k], body);
		}
		journal_dir_remove(shards[i].dir);
	}
}

Test(shards, what_one_declares_the_other_does_not_know)
{
	static struct shard a, b;
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct queue_declare d = { .name = bytes_str("mine"), .is_passive = true };
	journal_dir_create(a.dir, sizeof a.dir);
	journal_dir_create(b.dir, sizeof b.dir);
	start(&a);
	start(&b);
	declare(&a, "mine");
	cr_assert_not(core_queue_declare(b.channel, &d, &counts, &refusal));
	end(&a);
	end(&b);
	stop(&a);
	stop(&b);
	journal_dir_remove(a.dir);
	journal_dir_remove(b.dir);
}
