/* bench-journal: the journal alone, and beside it what the disk can do: a plain file, written full
 * of zeros before, to which the same bytes are appended with one fdatasync a batch. Both take
 * turns, so that a noisy machine is noisy for both.
 *
 *   bench-journal DIR [--rounds N] [--seconds S]        DIR is created and removed; put it on the
 *                                                       disk to be measured */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BODY_MAX = 1024,
	PLAIN_BYTES = 256 << 20,
	READY_BYTES = 1 << 30,
	CHECKPOINT_BYTES = 64 << 20,
	ROUNDS_MAX = 64,
	STEADY_TURNS = 64,
	QUEUES_MAX = 10
};

struct scenario {
	const char *name;
	unsigned batch;
	unsigned body;
	bool is_acked;   /* Every message is acked soon after it is durable. */
	unsigned queues; /* That each message goes to. */
	bool is_growing; /* The file has to grow; otherwise it has been written before, like the
			    plain one. */
};

static const struct scenario scenarios[] = {
	{ "publish, batches of 4096 x 100 B", 4096, 100, false, 1, false },
	{ "the same, the file growing", 4096, 100, false, 1, true },
	{ "publish + ack, batches of 4096 x 100 B", 4096, 100, true, 1, false },
	{ "publish + ack, batches of 256 x 100 B", 256, 100, true, 1, false },
	{ "publish + ack, batches of 256 x 1 KiB", 256, 1024, true, 1, false },
	{ "publish to 10 queues, 256 x 1 KiB", 256, 1024, false, 10, false },
	{ "publish, batches of 1 x 100 B", 1, 100, false, 1, false },
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* What one run came to. */
struct result {
	double seconds;
	double cpu;
	uint64_t messages;
	uint64_t batches;
	uint64_t device_bytes;
};

static char dir[400];
static double run_seconds = 1.5;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What the kernel has sent to the device for this process. */
static uint64_t device_bytes(void)
{
	unsigned long long bytes = 0;
	char line[100];
	FILE *f = fopen("/proc/self/io", "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "write_bytes: %llu", &bytes) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return bytes;
}

static void begin(struct result *r)
{
	*r = (struct result){ now_s(), cpu_s(), 0, 0, device_bytes() };
}

static void end(struct result *r)
{
	r->seconds = now_s() - r->seconds;
	r->cpu = cpu_s() - r->cpu;
	r->device_bytes = device_bytes() - r->device_bytes;
}

_Noreturn static void die(const char *doing, const char *why)
{
	fprintf(stderr, "journal: %s: %s\n", doing, why);
	exit(1);
}

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

/* --- the plain file --- */

static int plain_open(void)
{
	static uint8_t zeros[1 << 20];
	char path[512];
	path_of(path, sizeof path, "plain");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t at = 0; fd != -1 && at < PLAIN_BYTES; at += sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, (off_t)at) != sizeof zeros)
			die("plain file", strerror(errno));
	if (fd == -1 || fsync(fd) == -1)
		die("plain file", strerror(errno));
	return fd;
}

/* The same number of bytes a batch as the journal writes. */
static struct result run_plain(int fd, const struct scenario *s, size_t batch_bytes)
{
	struct result r;
	size_t at = 0;
	uint8_t *data = calloc(1, batch_bytes);
	begin(&r);
	while (now_s() - r.seconds < run_seconds) {
		if (at + batch_bytes > PLAIN_BYTES)
			at = 0;
		if (pwrite(fd, data, batch_bytes, (off_t)at) != (ssize_t)batch_bytes ||
		    fdatasync(fd) == -1)
			die("plain file", strerror(errno));
		at += (batch_bytes + SEGMENT_ALIGN - 1) & ~(size_t)(SEGMENT_ALIGN - 1);
		r.messages += s->batch;
		r.batches++;
	}
	end(&r);
	free(data);
	return r;
}

/* --- the journal --- */

static void nothing(void *arg)
{
	(void)arg;
}

static void no_begin(void *arg, const struct journal_index *index, uint32_t generation)
{
	(void)arg;
	(void)index;
	(void)generation;
}

static void no_value(void *arg, struct bytes value)
{
	(void)arg;
	(void)value;
}

static void no_definition(void *arg, struct bytes key, struct bytes value)
{
	(void)arg;
	(void)key;
	(void)value;
}

static void no_queue(void *arg, uint32_t queue, struct bytes value)
{
	(void)arg;
	(void)queue;
	(void)value;
}

static void no_doomed(void *arg, uint32_t queue, uint64_t from, uint64_t until)
{
	(void)arg;
	(void)queue;
	(void)from;
	(void)until;
}

static void no_entry(void *arg, uint64_t location, struct entry *entry)
{
	(void)arg;
	(void)location;
	(void)entry;
}

static void no_damage(void *arg, uint64_t at)
{
	(void)arg;
	(void)at;
}

static const struct journal_visitor nobody = { no_begin, no_value,  no_definition,
					       no_queue, no_doomed, no_definition,
					       no_entry, no_damage, nothing };

/* Slots that have been written before, as in a journal that has been at work for a while. */
static void make_ready(const char *path)
{
	static uint8_t zeros[1 << 20];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t at = 0; fd != -1 && at < READY_BYTES; at += sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, (off_t)at) != sizeof zeros)
			die("journal", strerror(errno));
	if (fd == -1 || fsync(fd) == -1)
		die("journal", strerror(errno));
	close(fd);
}

static struct journal *open_journal(bool is_ready)
{
	char why[400], path[512];
	struct journal *j;
	struct journal_options options = { .dir = dir };
	static const char *const files[] = { "data.mdb", "lock.mdb", "journal.log", "ballast" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		path_of(path, sizeof path, files[i]);
		unlink(path);
	}
	path_of(path, sizeof path, "journal.log");
	if (is_ready)
		make_ready(path);
	if (journal_open(&j, &options, why, sizeof why) != 0 ||
	    journal_recover(j, &nobody, NULL, why, sizeof why) != 0)
		die("journal", why);
	if (journal_start(j) != 0)
		die("journal", "no thread");
	return j;
}

/* What is published and not acked yet, in turns. */
struct open_turns {
	uint64_t *locations[STEADY_TURNS];
	uint64_t sequences[STEADY_TURNS];
	uint64_t positions[STEADY_TURNS];
	unsigned first;
	unsigned len;
};

static void publish(struct batch *b, const struct scenario *s, uint64_t *position,
		    uint64_t *locations)
{
	static uint8_t body[BODY_MAX];
	static const uint8_t properties[] = { 0x10, 0, 2 };
	for (unsigned i = 0; i < s->batch; i++) {
		struct place places[QUEUES_MAX];
		for (unsigned q = 0; q < s->queues; q++)
			places[q] = (struct place){ q + 1, *position };
		++*position;
		struct message_record m = {
			.time_ms = b->now_ms,
			.places = places,
			.places_len = s->queues,
			.routing_key = bytes_of("queue", 5),
			.properties = bytes_of(properties, sizeof properties),
			.body = bytes_of(body, s->body),
		};
		locations[i] = batch_message(b, &m);
	}
	b->is_awaited = true;
}

static void ack_durable(struct journal *j, struct batch *b, const struct scenario *s,
			struct open_turns *turns, uint64_t durable)
{
	while (turns->len > 0 && turns->sequences[turns->first] <= durable) {
		struct range range = { turns->positions[turns->first], s->batch };
		for (unsigned i = 0; s->is_acked && i < s->batch; i++)
			space_unref(journal_space(j), turns->locations[turns->first][i]);
		if (s->is_acked)
			batch_ranges(b, ENTRY_REMOVED, 1, &range, 1);
		turns->first = (turns->first + 1) % STEADY_TURNS;
		turns->len--;
	}
}

static void wait_for(struct journal *j, uint64_t sequence)
{
	for (struct journal_look look; (look = journal_look(j)).durable < sequence;) {
		struct pollfd p = { journal_fd(j), POLLIN, 0 };
		if (look.state != JOURNAL_OK || poll(&p, 1, 10000) != 1)
			die("journal", "does not get on");
	}
}

/* As often as the broker does. */
struct checkpoint {
	double s;
	uint64_t at; /* Of the log. */
};

static void maybe_checkpoint(struct journal *j, struct checkpoint *last)
{
	uint64_t at = journal_space(j)->next_at;
	journal_checkpointed(j);
	bool is_due = now_s() - last->s >= 1 || at - last->at >= CHECKPOINT_BYTES;
	if (!is_due || journal_checkpoint_begin(j) == NULL)
		return;
	journal_checkpoint_end(j, false);
	*last = (struct checkpoint){ now_s(), at };
}

/* One batch is on its way while the next one fills; with batches of one, each waits for the one
 * before. */
static struct result run_journal(const struct scenario *s)
{
	static struct open_turns turns;
	struct result r;
	struct journal *j = open_journal(!s->is_growing);
	uint64_t position = 0, sequence = 0;
	struct checkpoint checkpointed = { now_s(), journal_space(j)->next_at };
	turns.first = turns.len = 0;
	for (unsigned i = 0; i < STEADY_TURNS; i++)
		turns.locations[i] = realloc(turns.locations[i], s->batch * sizeof(uint64_t));
	begin(&r);
	uint64_t until_at = s->is_growing || s->is_acked
				    ? UINT64_MAX
				    : journal_space(j)->next_at + READY_BYTES - (64 << 20);
	while (now_s() - r.seconds < run_seconds && journal_space(j)->next_at < until_at) {
		unsigned at = (turns.first + turns.len) % STEADY_TURNS;
		struct batch *b = journal_batch(j, 1700000000000);
		ack_durable(j, b, s, &turns, journal_durable(j));
		turns.positions[at] = position;
		publish(b, s, &position, turns.locations[at]);
		turns.len++;
		maybe_checkpoint(j, &checkpointed);
		uint64_t before = sequence;
		sequence = turns.sequences[at] =
			s->batch == 1 ? journal_submit_here(j) : journal_submit(j);
		if (s->batch == 1)
			journal_write_here(j, true);
		wait_for(j, s->batch > 1 && sequence != before ? sequence - 1 : sequence);
		r.messages += s->batch;
		r.batches++;
	}
	wait_for(j, sequence);
	end(&r);
	journal_close(j);
	return r;
}

/* --- the report --- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof *values, by_value);
	return values[n / 2];
}

static void compare(const struct scenario *s, int plain_fd, unsigned rounds)
{
	double rate[ROUNDS_MAX], cpu[ROUNDS_MAX], share[ROUNDS_MAX], bytes[ROUNDS_MAX];
	size_t entry = (s->body + 37u + 7u) &
		       ~(size_t)7; /* With what the journal adds to a message of this kind. */
	for (unsigned i = 0; i < rounds; i++) {
		struct result j = run_journal(s),
			      p = run_plain(plain_fd, s, SEGMENT_HEAD_BYTES + s->batch * entry);
		rate[i] = (double)j.messages / j.seconds;
		cpu[i] = j.cpu * 1e6 / (double)j.messages;
		share[i] = rate[i] / ((double)p.messages / p.seconds);
		bytes[i] = (double)j.device_bytes / ((double)j.messages * s->body);
	}
	printf("%-40s %9.0f/s  %6.2f us CPU each  %3.0f %% of the plain file  %5.2f device bytes a "
	       "payload byte\n",
	       s->name, median(rate, rounds), median(cpu, rounds), 100 * median(share, rounds),
	       median(bytes, rounds));
}

int main(int argc, char **argv)
{
	static const struct option all[] = { { "rounds", 1, NULL, 'r' },
					     { "seconds", 1, NULL, 's' },
					     { NULL, 0, NULL, 0 } };
	unsigned rounds = 3;
	for (int c; (c = getopt_long(argc, argv, "", all, NULL)) != -1;) {
		if (c == 'r')
			rounds = (unsigned)atoi(optarg);
		else if (c == 's')
			run_seconds = atof(optarg);
	}
	if (optind + 1 != argc || rounds == 0 || rounds > ROUNDS_MAX || run_seconds <= 0) {
		fprintf(stderr, "usage: bench-journal DIR [--rounds N] [--seconds S]\n");
		return 2;
	}
	snprintf(dir, sizeof dir, "%s", argv[optind]);
	if (mkdir(dir, 0700) == -1)
		die(dir, strerror(errno));
	int plain_fd = plain_open();
	for (size_t i = 0; i < SCENARIOS; i++)
		compare(&scenarios[i], plain_fd, rounds);
	close(plain_fd);
	static const char *const files[] = { "data.mdb", "lock.mdb", "journal.log", "ballast",
					     "plain" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[512];
		path_of(path, sizeof path, files[i]);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}
