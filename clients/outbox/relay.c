/* The relay: from a store to the broker.
 *
 * A row's sequence is its number as a producer's publish, so the broker takes it once, however
 * often it comes. Two rules make that hold:
 *   - All rows that are on their way lie within SPAN of the oldest one that is not marked, which is
 * less than what the broker remembers below the highest. So what is that far below the highest has
 * been published, and needs only to be marked.
 *   - Of one aggregate one row is on its way at a time, so that a refused one is not overtaken.
 * A lease keeps relays from doing each other's work; nothing else depends on it: two at once would
 * publish the same rows under the same numbers. */
#include "store.h"

#include <errno.h>
#include <leveret/outbox.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	SPAN = 1000, /* The broker remembers 1,024. */
	AGGREGATES = 4096,
	KEY_BYTES = 256,
	PAUSE_MS = 50,     /* After a failure, the first time. */
	ANSWER_MS = 30000, /* How long a publish may have no outcome before its batch is given up
			      and read again. */
};

enum row_state { ROW_WAITING, ROW_SENT, ROW_PUBLISHED, ROW_FAILED };

struct flight {
	struct row row;
	enum row_state state;
	uint32_t next; /* Of the same aggregate, later; 0: none. Indices are one more than they are.
			*/
	bool is_head;  /* Nothing of its aggregate is before it. */
	struct lev_outbox *outbox;
};

struct lev_outbox {
	struct store *store;
	struct lev *lev;
	char holder[33];
	char name[STORE_NAME_BYTES];
	char *uri;
	char *exchange;
	struct lev_outbox_options options;
	int wake_fd;
	atomic_bool is_stopping;
	atomic_uint_least64_t published;

	/* The batch. Outcomes come from another thread. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct flight flights[SPAN];
	size_t flights_len;
	size_t sent;
	size_t ended;   /* Published, in this batch. */
	bool is_failed; /* A publish failed: what comes after it in its aggregate waits for the next
			   batch. */
	char failure[300];
};

static void say(struct lev_outbox *o, const char *what, const char *why)
{
	char line[400];
	snprintf(line, sizeof line, "%s%s%s", what, why[0] == '\0' ? "" : ": ", why);
	if (o->options.log != NULL)
		o->options.log(o->options.arg, line);
	else
		fprintf(stderr, "leveret-outbox: %s\n", line);
}

/* --- a batch --- */

static uint64_t hash(uint64_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

/* Rows of the same aggregate are chained. Others may be chained with them, which costs a little
 * time, and nothing else. */
static void chain(struct lev_outbox *o)
{
	uint32_t last[AGGREGATES] = { 0 };
	for (size_t i = 0; i < o->flights_len; i++) {
		struct flight *f = &o->flights[i];
		uint64_t h =
			hash(hash(0xcbf29ce484222325u, f->row.aggregate_type), f->row.aggregate_id);
		h ^= f->row.is_cut; /* What it is cut to may be another one's name. */
		uint32_t *tail = &last[(h ^ h >> 32) % AGGREGATES];
		f->outbox = o;
		f->state = ROW_WAITING;
		f->next = 0;
		f->is_head = *tail == 0;
		if (*tail != 0)
			o->flights[*tail - 1].next = (uint32_t)i + 1;
		*tail = (uint32_t)i + 1;
	}
}

static void on_outcome(void *arg, const struct lev_outcome *outcome)
{
	struct flight *f = arg;
	struct lev_outbox *o = f->outbox;
	bool is_published = outcome->result >= 0;
	pthread_mutex_lock(&o->lock);
	o->sent--;
	f->state = is_published ? ROW_PUBLISHED : ROW_FAILED;
	if (is_published) {
		o->ended++;
		if (f->next != 0)
			o->flights[f->next - 1].is_head = true;
	} else if (!o->is_failed) {
		o->is_failed = true;
		snprintf(o->failure, sizeof o->failure, "row %llu (%.50s %.50s, %.50s): %s",
			 (unsigned long long)f->row.sequence, f->row.aggregate_type,
			 f->row.aggregate_id, f->row.event_type, outcome->text);
	}
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

static int publish(struct lev_outbox *o, struct flight *f)
{
	char key[KEY_BYTES], id[32];
	struct lev_table *headers;
	if (f->row.has_nul)
		return lev_fail(LEV_INVALID, "a NUL in its aggregate_type, aggregate_id or "
					     "event_type");
	headers = lev_table_create();
	if (headers == NULL)
		return LEV_NO_MEMORY;
	lev_table_set_str(headers, "aggregate-type", f->row.aggregate_type);
	lev_table_set_str(headers, "aggregate-id", f->row.aggregate_id);
	snprintf(id, sizeof id, "%.16s-%llu", o->name, (unsigned long long)f->row.sequence);
	struct lev_properties properties = { .type = f->row.event_type,
					     .message_id = id,
					     .timestamp = f->row.created_s,
					     .headers = headers };
	struct lev_publish p = {
		.exchange = o->exchange,
		.routing_key = key,
		.body = f->row.payload,
		.body_len = f->row.payload_len,
		.properties = &properties,
		.sequence = f->row.sequence,
		.is_optional = o->options.is_optional,
		.deadline = lev_in(ANSWER_MS),
	};
	int len = snprintf(key, sizeof key, "%s.%s", f->row.aggregate_type, f->row.event_type);
	int rc = len >= (int)sizeof key
			 ? lev_fail(LEV_INVALID, "its routing key has more than 255 bytes")
			 : lev_publish(o->lev, &p, on_outcome, f, lev_in(ANSWER_MS));
	lev_table_destroy(headers);
	return rc;
}

/* Sends what may be sent. True if something was. The lock is held. */
static bool send_some(struct lev_outbox *o)
{
	bool is_any = false;
	for (size_t i = 0; i < o->flights_len; i++) {
		struct flight *f = &o->flights[i];
		if (!f->is_head || f->state != ROW_WAITING)
			continue;
		f->state = ROW_SENT;
		o->sent++;
		pthread_mutex_unlock(&o->lock);
		int rc = publish(o, f);
		pthread_mutex_lock(&o->lock);
		is_any = true;
		if (rc == LEV_OK)
			continue;
		f->state = ROW_FAILED;
		o->sent--;
		o->is_failed = true;
		snprintf(o->failure, sizeof o->failure, "row %llu (%.50s %.50s, %.50s): %s",
			 (unsigned long long)f->row.sequence, f->row.aggregate_type,
			 f->row.aggregate_id, f->row.event_type, lev_reason());
	}
	return is_any;
}

/* Until all rows are published, but for those that failed and what is behind them. */
static void publish_all(struct lev_outbox *o)
{
	pthread_mutex_lock(&o->lock);
	o->sent = o->ended = 0;
	o->is_failed = false;
	while (o->ended < o->flights_len) {
		if (send_some(o))
			continue;
		if (o->sent == 0)
			break;
		pthread_cond_wait(&o->changed, &o->lock);
	}
	pthread_mutex_unlock(&o->lock);
}

static int mark_published(struct lev_outbox *o)
{
	uint64_t sequences[SPAN];
	size_t len = 0;
	for (size_t i = 0; i < o->flights_len; i++)
		if (o->flights[i].state == ROW_PUBLISHED)
			sequences[len++] = o->flights[i].row.sequence;
	int rc = len == 0 ? LEV_OK
			  : o->store->does->mark(o->store, sequences, len, o->options.is_deleting);
	if (rc == LEV_OK)
		atomic_fetch_add(&o->published, len);
	return rc;
}

static void forget_batch(struct lev_outbox *o)
{
	for (size_t i = 0; i < o->flights_len; i++)
		row_fini(&o->flights[i].row);
	o->flights_len = 0;
}

static int fetch(struct lev_outbox *o)
{
	struct row rows[SPAN];
	size_t len = 0;
	int rc = o->store->does->fetch(o->store, rows, SPAN, SPAN, &len);
	for (size_t i = 0; i < len; i++)
		o->flights[i].row = rows[i];
	o->flights_len = len;
	chain(o);
	return rc;
}

/* One batch. LEV_EMPTY: there are no rows. */
static int relay_batch(struct lev_outbox *o)
{
	int rc = fetch(o);
	if (rc == LEV_OK && o->flights_len == 0)
		rc = LEV_EMPTY;
	if (rc == LEV_OK) {
		publish_all(o);
		rc = mark_published(o);
	}
	forget_batch(o);
	if (rc == LEV_OK && o->is_failed)
		rc = lev_fail(LEV_REFUSED, "%s", o->failure);
	return rc;
}

/* --- coming and going --- */

/* What is further below the broker's highest number than rows can be on their way has been
 * published. */
static int resume(struct lev_outbox *o)
{
	uint64_t epoch, sequence;
	int rc = lev_producer_info(o->lev, o->name, &epoch, &sequence, lev_in(ANSWER_MS));
	if (rc == LEV_EMPTY || (rc == LEV_OK && sequence < SPAN))
		return LEV_OK;
	return rc == LEV_OK ? o->store->does->mark_until(o->store, sequence - SPAN,
							 o->options.is_deleting)
			    : rc;
}

static int connect_broker(struct lev_outbox *o)
{
	struct lev_options options = {
		.uri = o->uri, .name = "leveret-outbox", .producer_id = o->name, .window = SPAN
	};
	int rc = o->lev != NULL ? LEV_OK : lev_open(&o->lev, &options, lev_in(ANSWER_MS));
	if (rc == LEV_OK && lev_is_connected(o->lev) && !lev_broker_can(o->lev, "idempotency"))
		rc = lev_fail(LEV_UNSUPPORTED,
			      "the broker knows no idempotency, rows could be doubled");
	return rc;
}

static int prepare(struct lev_outbox *o)
{
	int rc = o->store->does->connect(o->store);
	if (rc == LEV_OK)
		rc = o->store->does->name(o->store, o->name);
	if (rc == LEV_OK)
		rc = connect_broker(o);
	return rc;
}

static void doze(struct lev_outbox *o, uint32_t ms)
{
	struct pollfd fd = { .fd = o->wake_fd, .events = POLLIN };
	poll(&fd, 1, (int)ms);
}

/* While the lease is ours: batch after batch. Returns when it is not, or when something has failed.
 */
static int relay(struct lev_outbox *o)
{
	bool is_ours = false, was_ours = false;
	int rc = LEV_OK;
	while (!atomic_load(&o->is_stopping)) {
		rc = o->store->does->lease(o->store, o->holder, o->options.lease_ms, &is_ours);
		if (rc != LEV_OK)
			return rc;
		if (!is_ours) {
			was_ours = false;
			doze(o, o->options.lease_ms / 5);
			continue;
		}
		if (!was_ours && (rc = resume(o)) != LEV_OK)
			return rc;
		was_ours = true;
		rc = relay_batch(o);
		if (rc == LEV_EMPTY)
			rc = o->store->does->wait(o->store, o->wake_fd, o->options.lease_ms / 3);
		if (rc == LEV_REFUSED &&
		    o->ended > 0) { /* Others went on; it will be tried again with them. */
			say(o, "trying again", lev_reason());
			doze(o, PAUSE_MS);
			rc = LEV_OK;
		}
		if (rc != LEV_OK)
			return rc;
	}
	return o->store->does->release(o->store, o->holder);
}

int lev_outbox_run(struct lev_outbox *o)
{
	if (o == NULL)
		return lev_fail(LEV_INVALID, "no outbox: was the result of lev_outbox_open() looked at?");
	uint32_t pause_ms = PAUSE_MS;
	while (!atomic_load(&o->is_stopping)) {
		uint64_t before = atomic_load(&o->published);
		int rc = prepare(o);
		bool has_relayed = rc == LEV_OK;
		if (has_relayed)
			rc = relay(o);
		if (rc == LEV_UNSUPPORTED)
			return rc;
		if (rc < 0)
			say(o, "trying again", lev_reason());
		if (has_relayed && rc < 0) /* Another relay need not wait for the lease to end. */
			o->store->does->release(o->store, o->holder);
		o->store->does->disconnect(o->store);
		if (atomic_load(&o->published) != before)
			pause_ms = PAUSE_MS;
		if (rc < 0 && !atomic_load(&o->is_stopping))
			doze(o, pause_ms);
		pause_ms = pause_ms * 2 < o->options.backoff_max_ms ? pause_ms * 2
								    : o->options.backoff_max_ms;
	}
	lev_close(o->lev, lev_in(ANSWER_MS));
	o->lev = NULL;
	return LEV_OK;
}

void lev_outbox_stop(struct lev_outbox *o)
{
	if (o == NULL)
		return;
	const uint64_t one = 1;
	int error = errno;
	atomic_store(&o->is_stopping, true);
	if (write(o->wake_fd, &one, sizeof one) != sizeof one)
		abort(); /* An eventfd takes it, always. */
	errno = error;
}

uint64_t lev_outbox_published(const struct lev_outbox *o)
{
	if (o == NULL)
		return 0;
	return atomic_load(&o->published);
}

/* --- life --- */

int lev_outbox_migrate(const char *database)
{
	struct store *s;
	int rc = store_create(&s, database);
	if (rc != LEV_OK)
		return rc;
	rc = s->does->connect(s);
	if (rc == LEV_OK)
		rc = s->does->migrate(s);
	s->does->destroy(s);
	return rc;
}

static int take_options(struct lev_outbox *o, const struct lev_outbox_options *options)
{
	unsigned long long random[2];
	o->options = *options;
	o->options.lease_ms = o->options.lease_ms == 0 ? 10000 : o->options.lease_ms;
	o->options.backoff_max_ms =
		o->options.backoff_max_ms == 0 ? 5000 : o->options.backoff_max_ms;
	o->uri = strdup(options->uri == NULL ? "amqp://" : options->uri);
	o->exchange = strdup(options->exchange == NULL ? "events" : options->exchange);
	o->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (o->uri == NULL || o->exchange == NULL)
		return lev_fail(LEV_NO_MEMORY, "%s", lev_result_text(LEV_NO_MEMORY));
	if (o->wake_fd == -1 || getrandom(random, sizeof random, 0) != sizeof random)
		return lev_fail(LEV_SYSTEM, "no eventfd, or no random numbers");
	snprintf(o->holder, sizeof o->holder, "%016llx%016llx", random[0], random[1]);
	if (strlen(o->exchange) > UINT8_MAX)
		return lev_fail(LEV_INVALID, "the exchange's name is longer than 255 bytes");
	struct lev *probe; /* What cannot be a URI is to be told now. */
	int rc = lev_open(&probe,
			  &(struct lev_options){ .uri = o->uri, .is_loop = true, .is_lazy = true },
			  LEV_NOW);
	if (rc != LEV_OK)
		return rc;
	lev_close(probe, LEV_NOW);
	rc = store_create(&o->store, options->database);
	if (rc == LEV_OK && options->poll_ms != 0)
		o->store->poll_ms = options->poll_ms;
	return rc;
}

int lev_outbox_open(struct lev_outbox **out, const struct lev_outbox_options *options)
{
	if (options == NULL)
		return lev_fail(LEV_INVALID, "no options");
	struct lev_outbox *o = calloc(1, sizeof *o);
	if (o == NULL)
		return lev_fail(LEV_NO_MEMORY, "%s", lev_result_text(LEV_NO_MEMORY));
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	int rc = take_options(o, options);
	if (rc == LEV_OK)
		*out = o;
	else
		lev_outbox_close(o);
	return rc;
}

void lev_outbox_close(struct lev_outbox *o)
{
	if (o == NULL)
		return;
	lev_close(o->lev, LEV_NOW);
	if (o->store != NULL)
		o->store->does->destroy(o->store);
	if (o->wake_fd > 0)
		close(o->wake_fd);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	free(o->uri);
	free(o->exchange);
	free(o);
}
