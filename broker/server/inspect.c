#include "server/inspect.h"

#include "base/alloc.h"
#include "chunk.h"
#include "core/admin.h"
#include "core/core.h"
#include "core/line/fifo.h"
#include "server/datadir.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

struct queue_figures {
	uint64_t ready;
	uint64_t delivered; /* And not settled. */
	uint64_t bytes;
	uint64_t damaged;
};

struct inspection {
	struct journal *journal;
	FILE *out; /* For messages; NULL: only figures. */
	struct bytes vhost;
	struct bytes queue;
	struct queue_figures now; /* Of this queue. */
	uint64_t damaged;
	FILE *report;
	bool is_first;
};

enum { PLACE_BYTES = UINT8_MAX + sizeof " in vhost ''" };

/* " in vhost 'x'", written to room; nothing of "/". */
static const char *place_of(const struct inspection *n, char room[PLACE_BYTES])
{
	room[0] = '\0';
	if (!bytes_equal_str(n->vhost, "/"))
		snprintf(room, PLACE_BYTES, " in vhost '%.*s'", BYTES_ARG(n->vhost));
	return room;
}

/* --- messages --- */

/* Names are UTF-8: quotes, backslashes and control characters are all there is to escape. */
static void put_string(FILE *out, const char *key, struct bytes s)
{
	fprintf(out, "\"%s\":\"", key);
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"' || s.data[i] == '\\')
			fprintf(out, "\\%c", s.data[i]);
		else if (s.data[i] < 0x20)
			fprintf(out, "\\u%04x", s.data[i]);
		else
			fputc(s.data[i], out);
	}
	fputs("\",", out);
}

static void put_base64(FILE *out, const char *key, struct bytes b)
{
	char *text = alloc_resize(NULL, b.len / 3 * 4 + 8);
	int len = EVP_EncodeBlock((unsigned char *)text, b.data, (int)b.len);
	fprintf(out, "\"%s\":\"%.*s\"", key, len, text);
	free(text);
}

static void export_message(const struct inspection *n, uint64_t position, bool is_delivered,
			   const struct message_record *m)
{
	fputc('{', n->out);
	put_string(n->out, "vhost", n->vhost);
	put_string(n->out, "queue", n->queue);
	fprintf(n->out, "\"position\":%" PRIu64 ",\"delivered\":%s,\"published_ms\":%" PRIu64 ",",
		position, is_delivered ? "true" : "false", m->time_ms);
	put_string(n->out, "exchange", m->exchange);
	put_string(n->out, "routing_key", m->routing_key);
	put_base64(n->out, "properties", m->properties);
	fputc(',', n->out);
	put_base64(n->out, "body", m->body);
	fputs("}\n", n->out);
}

static void look_at_message(struct inspection *n, uint64_t position, uint64_t location,
			    bool is_delivered)
{
	struct entry e;
	char room[PLACE_BYTES];
	++*(is_delivered ? &n->now.delivered : &n->now.ready);
	if (!journal_read(n->journal, location, &e)) {
		n->now.damaged++;
		n->damaged++;
		fprintf(n->report,
			"damaged: queue '%.*s'%s position %" PRIu64 ", at %" PRIu64 " of the log\n",
			BYTES_ARG(n->queue), place_of(n, room), position, location_at(location));
		return;
	}
	n->now.bytes += e.message.body.len;
	if (n->out != NULL)
		export_message(n, position, is_delivered, &e.message);
}

/* --- queues --- */

static void look_at_stretch(struct inspection *n, const struct held *held)
{
	uint64_t seen = 0;
	char room[PLACE_BYTES];
	for (uint64_t at = held->position, base; at < held->until;) {
		struct chunk_reader chunk;
		struct bytes value;
		uint64_t location, position;
		if (!journal_index_find(n->journal, held->index_id, at, &base, &value) ||
		    base >= held->until)
			break;
		if (!chunk_open(&chunk, value)) {
			at = base + 1;
			continue;
		}
		uint64_t end = base + chunk.left;
		for (position = base; chunk_next(&chunk, &location); position++) {
			if (position < at || location == 0 || location_is_volatile(location))
				continue;
			look_at_message(n, position, location, false);
			seen++;
		}
		at = end > at ? end : at + 1;
	}
	if (seen >= held->len)
		return;
	n->damaged += held->len - seen;
	fprintf(n->report,
		"damaged: the index of queue '%.*s'%s: %" PRIu64 " messages cannot be found\n",
		BYTES_ARG(n->queue), place_of(n, room), held->len - seen);
}

static void end_queue(struct inspection *n)
{
	char room[PLACE_BYTES];
	if (!n->is_first)
		fprintf(n->report,
			"queue '%.*s'%s: %" PRIu64 " ready, %" PRIu64
			" delivered and not settled, %" PRIu64 " bytes%s\n",
			BYTES_ARG(n->queue), place_of(n, room), n->now.ready, n->now.delivered,
			n->now.bytes, n->now.damaged > 0 ? ", damaged" : "");
	n->is_first = false;
	n->now = (struct queue_figures){ 0 };
}

/* Queues come one after the other. What had been delivered comes first. */
static void on_held(void *arg, const struct held *held)
{
	struct inspection *n = arg;
	if (n->is_first || !bytes_equal(n->queue, held->queue) ||
	    !bytes_equal(n->vhost, held->vhost)) {
		end_queue(n);
		n->vhost = held->vhost;
		n->queue = held->queue;
	}
	if (held->slot == 0)
		look_at_stretch(n, held);
	else
		look_at_message(n, held->position, slot_location(held->slot), held->is_delivered);
}

/* --- the whole --- */

static void report_log(FILE *report, const struct space *space)
{
	uint64_t places = 0, moved = 0;
	for (size_t i = 0; i < space->slots_len; i++) {
		places += space->slots[i].places;
		moved += space->slots[i].is_moved;
	}
	fprintf(report,
		"log: %zu of %" PRIu32 " slots of %u MiB in use, %" PRIu64 " cleared, %" PRIu64
		" living places\n",
		space->slots_len - (size_t)moved, space->file_slots, LOG_SLOT_BYTES >> 20, moved,
		places);
}

static int inspect(struct journal *j, struct core *core, FILE *messages, FILE *report)
{
	char why[600];
	struct core_figures f;
	struct message_stats stats;
	struct inspection n = { .journal = j, .out = messages, .report = report, .is_first = true };
	if (journal_recover(j, &core_recovery, core, why, sizeof why) != 0) {
		fprintf(stderr, "leveretd: %s\n", why);
		return EXIT_FAILURE;
	}
	core_totals(core, &f, &stats);
	fprintf(report,
		"%" PRIu64 " queues, %" PRIu64 " exchanges, %" PRIu64 " bindings, %" PRIu64
		" messages\n",
		f.queues, f.exchanges, f.bindings, f.messages_ready);
	report_log(report, journal_space(j));
	journal_read_begin(j);
	core_each_held(core, on_held, &n);
	end_queue(&n);
	journal_read_end(j);
	fprintf(report, "%" PRIu64 " places are damaged\n", n.damaged + f.damaged);
	return n.damaged + f.damaged == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int inspect_run(const char *dir, bool is_export, FILE *out)
{
	char why[600];
	struct journal *j;
	struct journal_options options = { .dir = dir, .is_read_only = true };
	if (access(dir, F_OK) == -1) {
		fprintf(stderr, "leveretd: there is no directory %s\n", dir);
		return EXIT_FAILURE;
	}
	int lock = datadir_lock(dir, why, sizeof why);
	if (lock == -1 || journal_open(&j, &options, why, sizeof why) != 0) {
		fprintf(stderr, "leveretd: %s\n", why);
		if (lock != -1)
			close(lock);
		return EXIT_FAILURE;
	}
	struct core_options core_options = { .memory_budget_bytes = UINT64_MAX,
					     .space = journal_space(j) };
	struct core *core = core_create(&core_options);
	int status = inspect(j, core, is_export ? out : NULL, is_export ? stderr : out);
	core_destroy(core);
	journal_close(j);
	close(lock);
	return status;
}
