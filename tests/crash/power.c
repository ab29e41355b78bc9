/* power: cuts the power of a broker's core and journal at any moment, over and over, and looks at
 * what comes back.
 *
 * A life of publishers and consumers is recorded, with what was promised when. Then every so many
 * of its moments are replayed (recorder.h): from what a power cut leaves, the journal is opened,
 * and the core must hold everything that was promised, nothing that was acked and promised, nothing
 * else, in order, and fan-outs whole.
 *
 *   power [--first SEED] [--lives N] [--steps N] [--states N] [--dir DIR]
 *
 * A failure prints the seed and moment, and ends with 3. DIR: where the files go, /dev/shm. */
#include "chunk.h"
#include "core/admin.h"
#include "core/inputs.h"
#include "core/line/fifo.h"
#include "journal.h"
#include "recorder.h"
#include "table.h"
#include "turn/turn.h"

#include "base/alloc.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is rejected in queue 0 goes to the queue DEAD. */
enum { QUEUES = 3, DEAD = QUEUES, MESSAGES_MAX = 20000, BODY_MAX = 6000, BUDGET = 20000 };
enum { NEVER = 0 };
enum { LINGER = 20 }; /* Writes of the log: some turns. */

/* What was asked for, in the sequences of the journal. */
struct history {
	uint64_t published[MESSAGES_MAX]; /* By id, from 1. */
	unsigned queues[MESSAGES_MAX];    /* A set of bits. */
	uint64_t moved[MESSAGES_MAX];     /* From queue 0 to DEAD. */
	uint64_t settled[MESSAGES_MAX][QUEUES + 1];
	uint64_t purged[MESSAGES_MAX][QUEUES];
	size_t len;
};

/* At this moment of the recording it was known that this sequence was durable. */
struct promise {
	size_t moment;
	uint64_t sequence;
};

struct life {
	uint64_t seed;
	struct prng prng;
	char dir[200];
	struct journal *journal;
	struct core *core;
	struct connection *connection;
	struct channel *channel;
	uint64_t now_ms;
	uint64_t sequence; /* Of the batch. */
	struct turn turn;
	struct disk_operations disk; /* The journal's, but for what is promised. */
	struct history history;
	struct promise *promises;
	size_t promises_len;
	size_t promises_cap;
};

static struct life life;
static const char *files_in = "/dev/shm";
static const char *const queue_names[QUEUES + 1] = { "q0", "q1", "q2", "q3" };

_Noreturn static void die(const char *what, uint64_t detail)
{
	fprintf(stderr, "seed %" PRIu64 ": %s (%" PRIu64 ")\n", life.seed, what, detail);
	exit(3);
}

/* --- a broker without sockets --- */

/* What the journal says to be durable is a promise, from this moment on. */
static uint64_t promise(void *journal)
{
	struct journal_look look = journal_look(journal);
	if (look.state != JOURNAL_OK)
		die("the journal failed", 0);
	life.promises = alloc_grow(life.promises, &life.promises_cap, life.promises_len + 1,
				   sizeof *life.promises);
	life.promises[life.promises_len++] = (struct promise){ recorder_now(), look.durable };
	return look.durable;
}

static void on_effect(void *arg, const struct effect *e)
{
	(void)arg;
	(void)e;
}

static void on_damage(void *arg, uint64_t location)
{
	(void)arg;
	die("a message cannot be read", location);
}

static void make_turn(void)
{
	struct disk disk = disk_of_journal(life.journal);
	life.disk = *disk.operations;
	life.disk.durable = promise;
	struct turn_options options = {
		.core = life.core,
		.disk = { &life.disk, life.journal },
		.on_effect = on_effect,
		.on_damage = on_damage,
	};
	turn_init(&life.turn, &options);
}

static void begin(void)
{
	turn_begin(&life.turn, life.now_ms += 7);
	life.sequence = life.turn.batch->sequence;
	life.turn.batch->is_awaited = true;
}

static uint64_t end(bool is_checkpoint)
{
	return turn_end(&life.turn, is_checkpoint ? TURN_CHECKPOINT : TURN_NO_CHECKPOINT, false);
}

static void wait_for(uint64_t sequence)
{
	for (struct journal_look look; (look = journal_look(life.journal)).durable < sequence;) {
		struct pollfd p = { journal_fd(life.journal), POLLIN, 0 };
		if (look.state != JOURNAL_OK || poll(&p, 1, 10000) != 1)
			die("the journal does not get on", sequence);
	}
}

static struct core *make_core(struct journal *j, uint64_t budget)
{
	struct core_options options = {
		.hash_seed = 1,
		.memory_budget_bytes = budget,
		.queues_max = 10,
		.exchanges_max = 20,
		.bindings_max = 10,
		.consumers_max = 10,
		.space = journal_space(j),
	};
	return core_create(&options);
}

static struct journal *open_journal(const char *dir)
{
	struct journal *j;
	char why[400];
	struct journal_options options = { .dir = dir, .map_bytes = 1 << 26 };
	if (journal_open(&j, &options, why, sizeof why) != 0) {
		fprintf(stderr, "%s\n", why);
		die("the journal cannot be opened", 0);
	}
	return j;
}

static void recover(struct journal *j, struct core *core)
{
	char why[400];
	if (journal_recover(j, &core_recovery, core, why, sizeof why) != 0) {
		fprintf(stderr, "%s\n", why);
		die("the journal cannot be recovered", 0);
	}
}

/* --- what clients do --- */

static void declare(void)
{
	struct refusal refusal = { 0 };
	struct queue_counts counts;
	struct exchange_declare x = { .name = bytes_str("fan"),
				      .type = bytes_str("fanout"),
				      .is_durable = true };
	core_exchange_declare(life.connection, &x, &refusal);
	uint8_t arguments[100];
	struct writer w = writer_of(arguments, sizeof arguments);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str(queue_names[DEAD]));
	for (unsigned q = 0; q <= QUEUES; q++) {
		struct queue_declare d = { .name = bytes_str(queue_names[q]), .is_durable = true };
		struct bind b = { .source = bytes_str("fan"), .destination = d.name };
		if (q == 0)
			d.arguments = bytes_of(arguments, (size_t)(w.at - arguments));
		if (!core_queue_declare(life.channel, &d, &counts, &refusal) ||
		    (q != DEAD && !core_bind(life.connection, &b, &refusal)))
			die("refused", q);
	}
}

static size_t fill_body(uint8_t *body, uint64_t id, size_t len)
{
	memcpy(body, &id, sizeof id);
	for (size_t i = sizeof id; i < len; i++)
		body[i] = (uint8_t)(id + i);
	return len;
}

static void publish(void)
{
	uint8_t body[BODY_MAX];
	static const uint8_t persistent[] = { 0x10, 0, 2 };
	struct history *h = &life.history;
	unsigned q = prng_below(&life.prng, QUEUES);
	bool is_fan = prng_below(&life.prng, 3) == 0;
	struct properties p;
	struct refusal refusal = { 0 };
	if (h->len + 1 >= MESSAGES_MAX)
		return;
	uint64_t id = ++h->len;
	size_t len = fill_body(body, id,
			       sizeof id + prng_below(&life.prng, prng_below(&life.prng, 8) == 0
									  ? BODY_MAX - 8
									  : 300));
	struct message *m = message_create(core_messages(life.core), bytes_str(is_fan ? "fan" : ""),
					   bytes_str(queue_names[q]),
					   bytes_of(persistent, sizeof persistent), len);
	message_append(core_messages(life.core), &m, bytes_of(body, len));
	properties_decode(&p, message_properties(m));
	if (!core_publish(life.channel, m, &p, false, &refusal))
		die("refused", id);
	h->published[id] = life.sequence;
	h->queues[id] = is_fan ? (1u << QUEUES) - 1 : 1u << q;
}

static uint64_t id_of(struct bytes body)
{
	uint64_t id = 0;
	uint8_t expected[BODY_MAX];
	if (body.len < sizeof id || body.len > BODY_MAX)
		die("a message of another length", body.len);
	memcpy(&id, body.data, sizeof id);
	fill_body(expected, id, body.len);
	if (!bytes_equal(body, bytes_of(expected, body.len)))
		die("a message with another body", id);
	return id;
}

/* One message: acked, mostly; or put back. */
static void get(void)
{
	unsigned q = prng_below(&life.prng, QUEUES);
	struct effect e;
	struct refusal refusal = { 0 };
	uint64_t left;
	if (core_get(life.channel, bytes_str(queue_names[q]), false, &e, &left, &refusal) != GET_OK)
		return;
	uint64_t id = id_of(message_body(e.deliver.message));
	unsigned what = prng_below(&life.prng, 10);
	if (what == 0)
		core_reject(life.channel, e.deliver.delivery_tag, false, true, &refusal);
	else if (what < 4 && q == 0 &&
		 core_reject(life.channel, e.deliver.delivery_tag, false, false, &refusal))
		life.history.settled[id][0] = life.history.moved[id] = life.sequence;
	else if (what > 1 && core_ack(life.channel, e.deliver.delivery_tag, false, &refusal))
		life.history.settled[id][q] = life.sequence;
}

static void purge(void)
{
	unsigned q = prng_below(&life.prng, QUEUES);
	uint64_t messages;
	struct refusal refusal = { 0 };
	core_recover(life.channel); /* What is unacked would stay. */
	core_queue_purge(life.connection, bytes_str(queue_names[q]), &messages, &refusal);
	for (size_t id = 1; id <= life.history.len; id++)
		if ((life.history.queues[id] & 1u << q) && life.history.settled[id][q] == NEVER)
			life.history.settled[id][q] = life.sequence;
}

static void live(uint64_t seed, unsigned steps)
{
	unsigned eagerness = 30 + (unsigned)(seed % 60);
	life.journal = open_journal(life.dir);
	life.core = make_core(life.journal, BUDGET);
	recover(life.journal, life.core);
	if (journal_start(life.journal) != 0)
		die("no thread", 0);
	make_turn();
	begin();
	life.connection = connection_open(life.core, core_vhost(life.core, bytes_str("/")),
					  bytes_str("guest"));
	life.channel = channel_open(life.connection, NULL);
	declare();
	wait_for(end(false));
	recorder_linger(LINGER);
	for (unsigned step = 0; step < steps; step++) {
		begin();
		for (unsigned n = prng_below(&life.prng, 8); n > 0; n--)
			prng_below(&life.prng, 100) < eagerness ? publish() : get();
		if (prng_below(&life.prng, 400) == 0)
			purge();
		uint64_t sequence = end(prng_below(&life.prng, 12) == 0);
		if (prng_below(&life.prng, 3) == 0)
			wait_for(sequence);
	}
	wait_for(journal_submit(life.journal));
	begin();
	connection_close(life.connection);
	end(false);
	recorder_stop();
	core_destroy(life.core);
	journal_close(life.journal);
}

/* --- what is left of it --- */

struct found {
	struct journal *journal;
	uint64_t *ids[QUEUES + 1]; /* By position, as they come. */
	uint64_t *positions[QUEUES + 1];
	size_t len[QUEUES + 1];
};

static void find(struct found *f, unsigned q, uint64_t position, uint64_t location)
{
	struct entry e;
	if (!journal_read(f->journal, location, &e))
		die("a message that is held cannot be read", location_at(location));
	if (f->len[q] >= MESSAGES_MAX)
		die("too many messages", q);
	f->positions[q][f->len[q]] = position;
	f->ids[q][f->len[q]++] = id_of(e.message.body);
}

static void on_held(void *arg, const struct held *held)
{
	struct found *f = arg;
	unsigned q = (unsigned)(held->queue.data[1] - '0');
	if (held->slot != 0) {
		find(f, q, held->position, slot_location(held->slot));
		return;
	}
	for (uint64_t at = held->position, base; at < held->until;) {
		struct chunk_reader chunk;
		struct bytes value;
		uint64_t location, position;
		if (!journal_index_find(f->journal, held->index_id, at, &base, &value) ||
		    !chunk_open(&chunk, value))
			die("an index chunk is missing", at);
		for (position = base; chunk_next(&chunk, &location); position++)
			if (position >= at && location != 0 && !location_is_volatile(location))
				find(f, q, position, location);
		at = position;
	}
}

/* Whether a message may and must be in a queue when everything up to a sequence is durable. */
static bool may_be_there(uint64_t id, unsigned q, uint64_t durable)
{
	const struct history *h = &life.history;
	if (q == DEAD)
		return h->moved[id] != NEVER;
	bool is_gone = h->settled[id][q] != NEVER && h->settled[id][q] <= durable;
	return (h->queues[id] & 1u << q) && !is_gone;
}

static bool must_be_there(uint64_t id, unsigned q, uint64_t durable)
{
	const struct history *h = &life.history;
	if (q == DEAD)
		return h->moved[id] != NEVER && h->moved[id] <= durable;
	return (h->queues[id] & 1u << q) && h->published[id] <= durable &&
	       h->settled[id][q] == NEVER;
}

static void check_queue(const struct found *f, unsigned q, uint64_t durable, unsigned *there)
{
	uint64_t before_id = 0, before_position = 0;
	for (size_t n = 0; n < f->len[q];
	     n++) { /* In order of position: few, so the simplest way. */
		size_t next = f->len[q];
		for (size_t i = 0; i < f->len[q]; i++)
			if ((n == 0 || f->positions[q][i] > before_position) &&
			    (next == f->len[q] || f->positions[q][i] < f->positions[q][next]))
				next = i;
		if (next == f->len[q])
			die("one position twice", q);
		uint64_t id = f->ids[q][next];
		if (id == 0 || id > life.history.len || !may_be_there(id, q, durable))
			die("a message that should not be there", id);
		if (id <= before_id && q != DEAD)
			die("out of order", id);
		there[id] |= 1u << q;
		before_id = id;
		before_position = f->positions[q][next];
	}
	for (uint64_t id = 1; id <= life.history.len; id++)
		if (must_be_there(id, q, durable) && !(there[id] & 1u << q))
			die("a promised message is missing", id);
}

/* What reached some of its queues and never left any must be in all of them. */
static void check_fan_out(const unsigned *there)
{
	for (uint64_t id = 1; id <= life.history.len; id++) {
		unsigned kept = 0;
		for (unsigned q = 0; q < QUEUES; q++)
			if ((life.history.queues[id] & 1u << q) &&
			    life.history.settled[id][q] == NEVER)
				kept |= 1u << q;
		if ((there[id] & kept) != 0 && (there[id] & kept) != kept)
			die("half a fan-out", id);
	}
}

/* A dead letter left the one queue and came to the other in one transaction. */
static void check_moves(const unsigned *there, uint64_t durable)
{
	for (uint64_t id = 1; id <= life.history.len; id++) {
		bool is_source = there[id] & 1, is_target = there[id] & 1u << DEAD;
		if (life.history.moved[id] == NEVER)
			continue;
		if (is_source && is_target)
			die("a dead letter is in both queues", id);
		if (!is_source && !is_target && life.history.published[id] <= durable)
			die("a dead letter is in no queue", id);
	}
}

static void check(const char *dir, uint64_t durable)
{
	static struct found f;
	static unsigned there[MESSAGES_MAX];
	struct core_figures figures;
	memset(there, 0, sizeof there);
	for (unsigned q = 0; q <= QUEUES; q++) {
		f.ids[q] = alloc_resize(f.ids[q], MESSAGES_MAX * sizeof(uint64_t));
		f.positions[q] = alloc_resize(f.positions[q], MESSAGES_MAX * sizeof(uint64_t));
		f.len[q] = 0;
	}
	f.journal = open_journal(dir);
	struct core *core = make_core(f.journal, 1 << 20);
	recover(f.journal, core);
	core_figures(core, &figures);
	if (figures.damaged > 0)
		die("taken for damage", figures.damaged);
	journal_read_begin(f.journal);
	core_each_held(core, on_held, &f);
	journal_read_end(f.journal);
	for (unsigned q = 0; q <= QUEUES; q++)
		check_queue(&f, q, durable, there);
	check_fan_out(there);
	check_moves(there, durable);
	core_destroy(core);
	journal_close(f.journal);
}

static void remove_dir(const char *dir)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "journal.log", "ballast" };
	char path[300];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
}

static void make_dir(char *dir, size_t size)
{
	char path[4096];
	const char *parent = realpath(files_in, path);
	if (parent == NULL || snprintf(dir, size, "%s/leveret-power.XXXXXX", parent) >= (int)size ||
	    mkdtemp(dir) == NULL)
		die("no directory", 0);
}

static uint64_t promised_at(size_t moment)
{
	uint64_t sequence = 0;
	for (size_t i = 0; i < life.promises_len && life.promises[i].moment <= moment; i++)
		sequence = life.promises[i].sequence;
	return sequence;
}

static size_t cut(uint64_t seed, unsigned steps, unsigned states)
{
	char left[200];
	memset(&life.history, 0, sizeof life.history);
	life.seed = life.prng.state = seed;
	life.now_ms = 1700000000000;
	life.promises_len = 0;
	make_dir(life.dir, sizeof life.dir);
	recorder_start(life.dir);
	live(seed, steps);
	size_t moments = recorder_now();
	make_dir(left, sizeof left);
	for (unsigned i = 0; i < states; i++) {
		size_t moment = prng_below(&life.prng, (uint32_t)moments + 1);
		remove_dir(left);
		recorder_replay(moment, &life.prng, left);
		check(left, promised_at(moment));
	}
	remove_dir(left);
	rmdir(left);
	remove_dir(life.dir);
	rmdir(life.dir);
	recorder_forget();
	return moments;
}

int main(int argc, char **argv)
{
	static const struct option all[] = { { "first", 1, NULL, 'f' }, { "lives", 1, NULL, 'n' },
					     { "steps", 1, NULL, 's' }, { "states", 1, NULL, 'c' },
					     { "dir", 1, NULL, 'd' },   { NULL, 0, NULL, 0 } };
	uint64_t first = 1, lives = 6, steps = 400, states = 60, moments = 0;
	uint64_t loads = 0, cleared = 0;
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;) {
		if (c == '?')
			return 2;
		if (c == 'd') {
			files_in = optarg;
			continue;
		}
		*(c == 'f'   ? &first
		  : c == 'n' ? &lives
		  : c == 's' ? &steps
			     : &states) = strtoull(optarg, NULL, 10);
	}
	for (uint64_t seed = first; seed < first + lives; seed++) {
		moments += cut(seed, (unsigned)steps, (unsigned)states);
		loads += life.turn.loads;
		cleared += life.turn.cleared;
	}
	printf("%" PRIu64 " lives of %" PRIu64 " writes and syncs, power cut %" PRIu64
	       " times: nothing promised was lost (%" PRIu64 " reads back, %" PRIu64
	       " slots cleared)\n",
	       lives, moments / lives, lives * states, loads, cleared);
	return 0;
}
