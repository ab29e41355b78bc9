/* odd: a data directory whose records are whole, every checksum right, and make no sense here and
 * there: what another program, an older one or a fault has left. Messages whose properties nobody
 * can decode lie among good ones, where they are waited for, expire and are delayed; definitions
 * refer to nothing.
 *
 *   odd DIR        "good" holds 10 good messages and 3 odd ones; "dying" 1 and 3, which are due */
#include "core/inputs.h"
#include "journal.h"
#include "store.h"
#include "table.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct journal *journal;
static struct core *core;
static struct channel *channel;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "odd: %s\n", what);
	exit(1);
}

static void declare(const char *name, struct bytes arguments)
{
	struct queue_declare d = { .name = bytes_str(name),
				   .is_durable = true,
				   .arguments = arguments };
	struct queue_counts counts;
	struct refusal refusal = { 0 };
	if (!core_queue_declare(channel, &d, &counts, &refusal))
		die(refusal.text);
}

/* The core is told of good properties, and stores what the message has. */
static void publish(const char *queue, struct bytes wire, const char *body)
{
	struct refusal refusal = { 0 };
	struct properties p = { .flags = HAS_delivery_mode, .delivery_mode = 2 };
	struct message *m = message_create(core_messages(core), bytes_str(""), bytes_str(queue),
					   wire, strlen(body));
	if (m == NULL || !message_append(core_messages(core), &m, bytes_str(body)))
		die("no memory");
	m->is_persistent = true;
	if (!core_publish(channel, m, &p, false, &refusal))
		die(refusal.text);
}

static void publish_all(void)
{
	static const char good[] = { 0x10, 0, 2 };
	static const char bad_type[] = "\x30\0\0\0\0\3\1a?\2", cut[] = "\x30\0\0\0\0\xff\1",
			  flags[] = "\x10\1\2";
	struct bytes whole = bytes_of(good, sizeof good);
	const struct bytes odd[] = { bytes_of(bad_type, sizeof bad_type - 1),
				     bytes_of(cut, sizeof cut - 1),
				     bytes_of(flags, sizeof flags - 1) };
	for (int i = 0; i < 10; i++) {
		publish("good", whole, "good");
		if (i < 3) {
			publish("good", odd[i], "odd");
			publish("dying", odd[i], "odd");
		}
	}
	publish("dying", whole, "good");
}

/* Keys and values as they would stand in the store. */
static void define_nonsense(struct batch *batch)
{
	static const char *const keys[] = { "2unnumbered", "1untyped", "3short", "9unknown", "2" };
	static const char nothing[] = { 0, 0 };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		uint8_t key[32];
		struct writer w = writer_of(key, sizeof key);
		write_u8(&w, STORE_KEY_DEFINITION);
		write_bytes(&w, bytes_str(keys[i]));
		batch_put(batch, bytes_of(key, (size_t)(w.at - key)),
			  bytes_of(i == 1 ? "\x99" : nothing, 2));
	}
}

static void fill(struct batch *batch)
{
	uint8_t room[200];
	struct writer w = writer_of(room, sizeof room);
	struct connection *connection =
		connection_open(core, core_vhost(core, bytes_str("/")), bytes_str("guest"));
	channel = channel_open(connection, NULL);
	declare("good", bytes_of(NULL, 0));
	declare("dead", bytes_of(NULL, 0));
	table_write_int(&w, "x-message-ttl", 500);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str("dead"));
	declare("dying", bytes_of(room, (size_t)(w.at - room)));
	publish_all();
	define_nonsense(batch);
}

static void open_journal(const char *dir)
{
	char why[400];
	const struct journal_options options = { .dir = dir, .map_bytes = 1 << 26 };
	if (journal_open(&journal, &options, why, sizeof why) != 0)
		die(why);
	const struct core_options limits = {
		.hash_seed = 1,
		.memory_budget_bytes = 1 << 20,
		.queues_max = 10,
		.exchanges_max = 20,
		.bindings_max = 10,
		.consumers_max = 10,
		.space = journal_space(journal),
	};
	core = core_create(&limits);
	if (journal_recover(journal, &core_recovery, core, why, sizeof why) != 0)
		die(why);
	if (journal_start(journal) != 0)
		die("no thread");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		die("DIR");
	open_journal(argv[1]);
	uint64_t now_ms = (uint64_t)time(NULL) * 1000;
	struct batch *batch = journal_batch(journal, now_ms);
	core_begin(core, batch, now_ms);
	fill(batch);
	core_end(core);
	journal_submit(journal);
	_Exit(journal_stop(journal)
		      ? 0
		      : 1); /* As if it had been killed: the core is not taken down. */
}
