/* Key log: how the keys that are remembered reach the journal and come back.
 *
 *   note of the log     '60' position 8       keys from this position on, as keys_write() writes
 *                                             them
 *                       '61'                  (hash 8, check 4, until 8)*: keys of these names at
 *                                             lower positions are gone
 *   key of the store    '60' chunk 8          a chunk, whole
 *                       '61'                  first chunk v, next position v, and as the note: not
 *                                             all chunks say so yet
 *
 * Notes are written with the turn whose messages the keys are of, and hold until the next
 * checkpoint has put the chunks into the store. What the store has is loaded while the broker
 * serves, a few chunks in a turn. */
#include "core/dedup/keylog.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/dedup/identity.h"
#include "core/dedup/keys.h"
#include "core/record/definitions.h"
#include "core/state.h"
#include "core/time/timer.h"

#include "base/alloc.h"
#include "store.h"

#include <stdlib.h>

#ifndef KEYS_LOADED_PER_TURN /* Chunks: a millisecond or two. */
#define KEYS_LOADED_PER_TURN 8
#endif
enum {
	DROPPED_PER_TURN = 16384, /* Keys that are too old. */
	DROPPED_PER_KEY = 2,
	GONE_BYTES = 20,
	LATE_MS = 1000, /* How long a key that is too old may stay in memory. */
};

static struct bytes numbered_key(uint8_t *buffer, uint64_t number)
{
	buffer[0] = STORE_KEY_KEYS;
	store_u64(buffer + 1, number);
	return bytes_of(buffer, KEYS_STORE_KEY_BYTES);
}

/* --- in a turn --- */

void keylog_begin(struct core *core)
{
	struct key_log *log = &core->key_log;
	log->work = KEYS_LOADED_PER_TURN;
	if (log->marks[0].sequence == core->batch->sequence)
		return;
	/* Should there be more batches on their way than marks, the last mark stands for several:
	 * waiting too long is no harm. */
	memmove(log->marks + 1, log->marks, sizeof log->marks - sizeof *log->marks);
	log->marks[0] = (struct key_mark){ core->keys.next, core->batch->sequence };
}

static uint64_t sequence_of(const struct core *core, uint64_t position)
{
	const struct key_log *log = &core->key_log;
	for (int i = 0; i < KEY_MARKS && log->marks[i].sequence > core->durable; i++)
		if (position >= log->marks[i].position || i + 1 == KEY_MARKS)
			return log->marks[i].sequence;
	return 0;
}

uint64_t keylog_sequence(const struct core *core, uint64_t position)
{
	uint64_t time_ms;
	const struct key *k = keys_at(&core->keys, position, &time_ms);
	return k == NULL || (k->when & KEY_IS_VOLATILE) ? 0 : sequence_of(core, position);
}

/* Those before the newest are on disk before it. */
uint64_t keylog_group_sequence(const struct core *core, const struct keys_group *g)
{
	return g->newest == KEYS_NONE ? 0 : sequence_of(core, g->newest);
}

static uint64_t window_left(const struct core *core, uint64_t time_ms)
{
	uint64_t age = core->now_ms > time_ms ? core->now_ms - time_ms : 0;
	return age < core->key_log.longest_ms ? core->key_log.longest_ms - age : 0;
}

/* The oldest keys go, if they are too old or there are too many. Those of messages that are still
 * queued begin anew. True: there may be more. */
static bool drop_old(struct core *core, unsigned most)
{
	uint64_t time_ms, position = KEYS_NONE;
	for (; most > 0; most--) {
		position = keys_oldest(&core->keys);
		if (position == KEYS_NONE)
			return false;
		const struct key *k = keys_at(&core->keys, position, &time_ms);
		assert(k != NULL);
		bool is_too_many = core->keys.alive > core->options.keys_max;
		if (!is_too_many && window_left(core, time_ms) > 0)
			return false;
		bool is_kept = !is_too_many && (k->when & KEY_IS_QUEUED) &&
			       identity_is_queued(core, k, position);
		if (is_too_many && window_left(core, time_ms) > 0) {
			core->figures.key_evictions++;
			core->key_log.evicted_ms =
				core->now_ms > time_ms ? core->now_ms - time_ms : 0;
		}
		if (is_kept)
			keylog_renew(core, position);
		else if (k->when & KEY_IS_QUEUED) /* Should it come back, nothing would end it. */
			keylog_remove(core, position);
		else
			keys_remove(&core->keys, position);
	}
	return true;
}

static void arm(struct core *core)
{
	struct key_log *log = &core->key_log;
	uint64_t time_ms, position = keys_oldest(&core->keys);
	if (position == KEYS_NONE)
		return;
	keys_at(&core->keys, position, &time_ms);
	timer_set(&core->timers, &log->timer, core->now_ms + window_left(core, time_ms) + LATE_MS);
}

void keylog_is_due(struct core *core)
{
	if (drop_old(core, DROPPED_PER_TURN))
		timer_set(&core->timers, &core->key_log.timer, core->now_ms + 1);
	else
		arm(core);
}

uint64_t keylog_add(struct core *core, struct key_name name, uint64_t print, uint32_t flags)
{
	struct key_log *log = &core->key_log;
	if ((flags & KEY_IS_VOLATILE) == 0 && !log->has_seed)
		durable_counters(core); /* Without the seed the keys would mean nothing. */
	uint64_t position = keys_add(&core->keys, name, print, core->now_ms, flags);
	if (log->timer.at == 0)
		arm(core);
	return position;
}

void keylog_tidy(struct core *core, uint64_t added)
{
	drop_old(core, (unsigned)added * DROPPED_PER_KEY);
}

static void gone_add(struct gone_key **list, size_t *len, size_t *cap, struct gone_key gone)
{
	*list = alloc_grow(*list, cap, *len + 1, sizeof **list);
	(*list)[(*len)++] = gone;
}

void keylog_remove(struct core *core, uint64_t position)
{
	struct key_log *log = &core->key_log;
	uint64_t time_ms;
	struct key was = *keys_at(&core->keys, position, &time_ms);
	keys_remove(&core->keys, position);
	struct gone_key gone = { { was.hash, was.check }, core->keys.next };
	bool is_told = position < log->noted || position < log->saved_next;
	if ((was.when & KEY_IS_VOLATILE) == 0 && is_told)
		gone_add(&log->gone, &log->gone_len, &log->gone_cap, gone);
	if (keys_is_loading(&core->keys)) /* There may be an older one, which must not come to life
					     again. */
		gone_add(&log->pending, &log->pending_len, &log->pending_cap, gone);
}

/* What follows it may be gone before the log has it: the one before is noted as gone, too. */
void keylog_renew(struct core *core, uint64_t position)
{
	uint64_t time_ms;
	struct key was = *keys_at(&core->keys, position, &time_ms);
	keylog_remove(core, position);
	keys_add(&core->keys, (struct key_name){ was.hash, was.check }, was.print, core->now_ms,
		 was.when & (KEY_IS_VOLATILE | KEY_IS_QUEUED | KEY_IS_COUNTED));
}

void keylog_forget(struct core *core, struct key_name name)
{
	struct key_log *log = &core->key_log;
	struct gone_key gone = { name, core->keys.next };
	gone_add(&log->gone, &log->gone_len, &log->gone_cap, gone);
	gone_add(&log->pending, &log->pending_len, &log->pending_cap, gone);
}

/* --- writing --- */

/* Keys [from, until) of a chunk, for the log or the store, in a buffer of KEYS_VALUE_BYTES_MAX;
 * empty: none of them is to be kept. */
static struct bytes encode(uint8_t *buffer, const struct keys_chunk *c, uint32_t from,
			   uint32_t until)
{
	struct writer w = writer_of(buffer, KEYS_VALUE_BYTES_MAX);
	bool is_any = keys_write(c, from, until, &w);
	return bytes_of(buffer, is_any ? (size_t)(w.at - buffer) : 0);
}

static void note_keys(struct core *core, const struct keys_chunk *c, uint32_t from, uint32_t until)
{
	uint8_t buffer[KEYS_VALUE_BYTES_MAX], key[KEYS_STORE_KEY_BYTES];
	struct bytes value = encode(buffer, c, from, until);
	if (value.len > 0)
		batch_note(core->batch, numbered_key(key, (c->number << KEYS_CHUNK_BITS) + from),
			   value);
}

static void note_new_keys(struct core *core)
{
	struct key_log *log = &core->key_log;
	while (log->noted < core->keys.next) {
		uint64_t number = log->noted >> KEYS_CHUNK_BITS, end = (number + 1)
								       << KEYS_CHUNK_BITS;
		const struct keys_chunk *c = keys_chunk(&core->keys, number);
		uint32_t from = log->noted & (KEYS_CHUNK_LEN - 1);
		if (c != NULL && c->len > from)
			note_keys(core, c, from, c->len);
		log->noted = end < core->keys.next ? end : core->keys.next;
	}
}

static void write_gone(struct writer *w, const struct gone_key *gone, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		write_u64(w, gone[i].name.hash);
		write_u32(w, gone[i].name.check);
		write_u64(w, gone[i].until);
	}
}

static void note_gone_keys(struct core *core)
{
	static const uint8_t key[] = { STORE_KEY_KEYS_STATE };
	struct key_log *log = &core->key_log;
	size_t size = log->gone_len * GONE_BYTES;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_gone(&w, log->gone, log->gone_len);
	batch_note(core->batch, bytes_of(key, sizeof key), bytes_of(value, size));
	free(value);
	log->gone_len = 0;
}

/* Keys first: what of them is gone within the same turn is already left out. */
void keylog_end(struct core *core)
{
	if (core->key_log.noted < core->keys.next)
		note_new_keys(core);
	if (core->key_log.gone_len > 0)
		note_gone_keys(core);
}

static void save_chunk(struct changes *changes, const struct keys_chunk *c)
{
	uint8_t buffer[KEYS_VALUE_BYTES_MAX], key[KEYS_STORE_KEY_BYTES];
	struct bytes value = encode(buffer, c, 0, c->len);
	if (value.len > 0)
		changes_put(changes, numbered_key(key, c->number), value);
	else
		changes_delete(changes, numbered_key(key, c->number));
}

/* What is known of a chunk that is still to be loaded is what the log has said since the store got
 * it, and that was in the store's: the turn which saved it went on to note it. */
void keylog_save(struct core *core)
{
	struct key_log *log = &core->key_log;
	struct changes *changes = core->batch->changes;
	uint8_t from[KEYS_STORE_KEY_BYTES], until[KEYS_STORE_KEY_BYTES];
	static const uint8_t key[] = { STORE_KEY_KEYS_STATE };
	list_each (node, &core->keys.dirty) {
		struct keys_chunk *c = list_entry(node, struct keys_chunk, in_dirty);
		if (keys_awaits(&core->keys, c->number))
			continue;
		list_remove(&c->in_dirty);
		save_chunk(changes, c);
	}
	if (log->saved_first == core->keys.first && log->saved_next == core->keys.next &&
	    log->saved_pending == log->pending_len)
		return;
	if (log->saved_first < core->keys.first)
		changes_delete_range(changes, numbered_key(from, log->saved_first),
				     numbered_key(until, core->keys.first));
	log->saved_first = core->keys.first;
	log->saved_next = core->keys.next;
	log->saved_pending = log->pending_len;
	size_t size = 2 * VARINT_MAX + log->pending_len * GONE_BYTES;
	uint8_t *value = alloc_resize(NULL, size);
	struct writer w = writer_of(value, size);
	write_varint(&w, log->saved_first);
	write_varint(&w, log->saved_next);
	write_gone(&w, log->pending, log->pending_len);
	changes_put(changes, bytes_of(key, sizeof key), bytes_of(value, (size_t)(w.at - value)));
	free(value);
}

/* --- loading --- */

bool keylog_next(struct core *core, struct effect *effect)
{
	uint64_t number;
	if (core->key_log.work == 0 || !keys_next_unloaded(&core->keys, &number))
		return false;
	core->key_log.work--;
	*effect = (struct effect){ .kind = EFFECT_STATE };
	effect->state.key = numbered_key(core->key_log.wanted, number);
	return true;
}

static void forget_pending(struct core *core)
{
	struct key_log *log = &core->key_log;
	for (size_t i = 0; i < log->pending_len; i++) {
		uint64_t position = keys_find(&core->keys, log->pending[i].name);
		if (position != KEYS_NONE && position < log->pending[i].until)
			keys_remove(&core->keys, position);
	}
	free(log->pending);
	log->pending = NULL;
	log->pending_len = log->pending_cap = 0;
}

/* A chunk of which nothing was to be kept is not there; neither is one that was lost. */
static void take_chunk(struct core *core, uint64_t number, bool is_found, struct bytes value)
{
	if (is_found && !keys_read(&core->keys, number << KEYS_CHUNK_BITS, value, true))
		core->figures.damaged++;
	keys_loaded(&core->keys, number);
	if (!keys_is_loading(&core->keys))
		forget_pending(core);
}

void core_state_loaded(struct core *core, struct bytes key, bool is_found, struct bytes value)
{
	CHECKED_INPUT(core);
	take_chunk(core, load_u64(key.data + 1), is_found, value);
	if (!keys_is_loading(&core->keys) && core->key_log.timer.at == 0)
		arm(core);
}

/* --- recovery --- */

/* What was said of the keys below a position must not hold for new ones: those after the last that
 * is known were lost. */
void keylog_skip(struct core *core, uint64_t position)
{
	keys_skip(&core->keys, position);
	core->key_log.noted = core->keys.next;
}

static void read_gone(struct core *core, struct reader *r)
{
	struct key_log *log = &core->key_log;
	while (reader_left(r) >= GONE_BYTES) {
		struct gone_key gone;
		gone.name.hash = read_u64(r);
		gone.name.check = read_u32(r);
		gone.until = read_u64(r);
		uint64_t position = keys_find(&core->keys, gone.name);
		if (position != KEYS_NONE && position < gone.until)
			keys_remove(&core->keys, position);
		keylog_skip(core, gone.until);
		if (keys_is_loading(
			    &core->keys)) /* There may be an older one, whatever has been found. */
			gone_add(&log->pending, &log->pending_len, &log->pending_cap, gone);
	}
}

/* The last chunk comes at once: more keys may follow in it. */
void keylog_on_state(struct core *core, struct bytes value)
{
	uint8_t chunk_key[KEYS_STORE_KEY_BYTES];
	struct reader r = reader_of(value.data, value.len);
	struct key_log *log = &core->key_log;
	uint64_t first = read_varint(&r), next = read_varint(&r), number;
	struct bytes chunk;
	if (r.failed || first > next >> KEYS_CHUNK_BITS) {
		core->figures.damaged++;
		return;
	}
	keys_expect(&core->keys, first, next);
	log->saved_first = first;
	log->saved_next = log->noted = next;
	if (keys_next_unloaded(&core->keys, &number)) {
		bool is_found =
			core->index->get(core->index->arg, numbered_key(chunk_key, number), &chunk);
		take_chunk(core, number, is_found, chunk);
	}
	read_gone(core, &r);
	log->saved_pending = log->pending_len;
}

void keylog_on_note(struct core *core, struct bytes key, struct bytes value)
{
	if (key.data[0] == STORE_KEY_KEYS_STATE) {
		struct reader r = reader_of(value.data, value.len);
		read_gone(core, &r);
		return;
	}
	uint64_t position = key.len == KEYS_STORE_KEY_BYTES ? load_u64(key.data + 1) : 0;
	if (position >> KEYS_CHUNK_BITS < core->keys.first)
		return; /* It has been given up since. */
	bool is_good =
		key.len == KEYS_STORE_KEY_BYTES && keys_read(&core->keys, position, value, false);
	core->figures.damaged += !is_good;
	core->key_log.noted = core->keys.next;
}

void keylog_figures(const struct core *core, struct core_figures *figures)
{
	bool is_full = core->keys.alive >= core->options.keys_max;
	figures->keys = core->keys.alive;
	figures->key_bytes = keys_bytes(&core->keys);
	figures->keys_waiting =
		core->keys.unloaded == 0 ? 0 : core->keys.unloaded - core->keys.first;
	figures->key_window_ms = core->options.key_window_ms;
	if (is_full && core->key_log.evicted_ms < figures->key_window_ms)
		figures->key_window_ms = core->key_log.evicted_ms;
}

void keylog_fini(struct core *core)
{
	keys_fini(&core->keys);
	free(core->key_log.gone);
	free(core->key_log.pending);
}
