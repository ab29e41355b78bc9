/* Recover: what a start finds, told to a visitor: the store first, then the tail of the log that is
 * newer. */
#include "journal_state.h"
#include "tail.h"

#include <stdio.h>

struct recovery {
	struct journal *j;
	const struct journal_visitor *visitor;
	void *arg;
	struct tail tail;
	uint64_t damaged; /* Values of the store. */
};
static bool find_index(void *arg, uint32_t queue, uint64_t position, uint64_t *base,
		       struct bytes *chunk)
{
	return journal_index_find(arg, queue, position, base, chunk);
}

static bool get_value(void *arg, struct bytes key, struct bytes *value)
{
	return journal_get(arg, key, value);
}

/* Calls visit for every key of a kind. */
static void each(struct recovery *r, uint8_t kind,
		 void (*visit)(struct recovery *r, struct bytes key, struct bytes value))
{
	uint8_t copy[CHANGES_KEY_MAX];
	struct bytes prefix = bytes_of(&kind, 1), key = prefix, value;
	struct store *store = r->j->store;
	bool is_there = store_seek(store, prefix, &key, &value);
	while (is_there) {
		size_t len = key.len;
		memcpy(copy, key.data, len);
		if (value.len == 0)
			r->damaged++;
		else
			visit(r, key, value);
		key = bytes_of(
			copy,
			len); /* The visitor may have moved the cursor by looking into the index. */
		is_there = store_seek(store, prefix, &key, &value) &&
			   store_next(store, prefix, &key, &value);
	}
}

static void load_slot(struct recovery *r, struct bytes key, struct bytes value)
{
	if (!space_load(&r->j->space, key, value))
		r->damaged++;
}

static void visit_counters(struct recovery *r, struct bytes key, struct bytes value)
{
	(void)key;
	r->visitor->counters(r->arg, value);
}

static void visit_definition(struct recovery *r, struct bytes key, struct bytes value)
{
	r->visitor->definition(r->arg, bytes_of(key.data + 1, key.len - 1), value);
}

static void visit_queue(struct recovery *r, struct bytes key, struct bytes value)
{
	if (key.len == 5)
		r->visitor->queue(r->arg, load_u32(key.data + 1), value);
}

static void visit_doomed(struct recovery *r, struct bytes key, struct bytes value)
{
	if (key.len == 13 && value.len == 8)
		r->visitor->doomed(r->arg, load_u32(key.data + 1), load_u64(value.data),
				   load_u64(key.data + 5));
}

static void visit_state(struct recovery *r, struct bytes key, struct bytes value)
{
	r->visitor->state(r->arg, key, value);
}

/* Calls visit for every whole entry of the tail, or of those of its segments that have definitions.
 */
static void each_entry(struct recovery *r, bool only_definitions,
		       void (*visit)(struct recovery *r, struct entry *entry))
{
	struct journal *j = r->j;
	for (size_t i = 0; i < r->tail.segments_len; i++) {
		const struct tail_segment *s = &r->tail.segments[i];
		if (only_definitions && !s->has_definitions)
			continue;
		struct bytes bytes = tail_read(&r->tail, j->log, &j->space, s);
		struct entry entry;
		uint32_t next = SEGMENT_HEAD_BYTES;
		for (uint32_t at = next; bytes.len > 0 && at != 0; at = next) {
			int rc = entry_read(bytes, s->at, at, &entry, &next);
			if (rc == ENTRY_END)
				break;
			if (rc == ENTRY_OK)
				visit(r, &entry);
		}
	}
}

static void redo(struct recovery *r, struct entry *e)
{
	if (e->kind == ENTRY_PUT)
		changes_put(&r->j->job, e->key, e->value);
	else if (e->kind == ENTRY_DELETE)
		changes_delete(&r->j->job, e->key);
}

static void visit_entry(struct recovery *r, struct entry *e)
{
	if (e->kind == ENTRY_MESSAGE && e->message.is_volatile)
		return;
	if (e->kind != ENTRY_PUT && e->kind != ENTRY_DELETE && e->kind != ENTRY_SKIP)
		r->visitor->entry(r->arg, location_of(e->at, false), e);
}

static void tell_damage(struct recovery *r)
{
	for (; r->damaged > 0; r->damaged--)
		r->visitor->damage(r->arg, 0);
	for (size_t i = 0; i < r->tail.gaps_len; i++)
		r->visitor->damage(r->arg, r->tail.gaps[i].at);
	for (size_t i = 0; i < r->tail.segments_len; i++)
		if (r->tail.segments[i].is_damaged)
			r->visitor->damage(r->arg, r->tail.segments[i].at);
}

static int begin_read(struct journal *j, char *why, size_t why_size)
{
	if (store_read_begin(j->store) == STORE_OK)
		return 0;
	snprintf(why, why_size, "cannot read the journal: %s", store_error(j->store));
	return -1;
}

/* Definitions that only the log has go into the store first, so that they are all found in one
 * place; and the generation of this process, before it writes anything. */
static int recover_definitions(struct recovery *r, struct store_checkpoint checkpoint, char *why,
			       size_t why_size)
{
	struct journal *j = r->j;
	each_entry(r, true, redo);
	if (checkpoint.format == 0)
		checkpoint.at = LOG_SLOT_BYTES;
	checkpoint.format = JOURNAL_FORMAT;
	checkpoint.is_clean = false;
	checkpoint.generation = j->generation = checkpoint.generation + 1;
	if (j->is_read_only)
		return 0; /* visit_definitions() sees to them. */
	int rc = store_commit(j->store, &j->job, &checkpoint);
	changes_clear(&j->job);
	if (rc == STORE_OK)
		return 0;
	snprintf(why, why_size, "cannot recover the journal: %s", store_error(j->store));
	return -1;
}

/* With a journal that is only looked at, what the log's tail says of a definition has not been put
 * into the store. */
static bool is_overridden(const struct recovery *r, size_t at, struct bytes key)
{
	struct change change;
	while (changes_next(&r->j->job, &at, &change))
		if (bytes_equal(change.key, key))
			return true;
	return false;
}

static void visit_stored_definition(struct recovery *r, struct bytes key, struct bytes value)
{
	if (!is_overridden(r, 0, key))
		visit_definition(r, key, value);
}

static void visit_definitions(struct recovery *r)
{
	struct change change;
	size_t at = 0;
	each(r, STORE_KEY_DEFINITION, visit_stored_definition);
	while (changes_next(&r->j->job, &at, &change))
		if (change.kind == CHANGE_PUT && change.key.data[0] == STORE_KEY_DEFINITION &&
		    !is_overridden(r, at, change.key))
			visit_definition(r, change.key, change.value);
}

static void visit_all(struct recovery *r)
{
	const struct journal_index index = { find_index, get_value, r->j };
	r->visitor->begin(r->arg, &index, r->j->generation);
	each(r, STORE_KEY_COUNTERS, visit_counters);
	visit_definitions(r);
	each(r, STORE_KEY_QUEUE, visit_queue);
	each(r, STORE_KEY_DOOMED, visit_doomed);
	each(r, STORE_KEY_KEYS_STATE, visit_state);
	each(r, STORE_KEY_PRODUCER, visit_state);
	each_entry(r, false, visit_entry);
	tell_damage(r);
	r->visitor->end(r->arg);
}

int journal_recover(struct journal *j, const struct journal_visitor *visitor, void *arg, char *why,
		    size_t why_size)
{
	struct recovery r = {
		.j = j, .visitor = visitor, .arg = arg, .damaged = j->damaged_unread
	};
	struct store_checkpoint checkpoint = store_checkpoint(j->store);
	assert(!j->is_started);
	if (begin_read(j, why, why_size) != 0)
		return -1;
	each(&r, STORE_KEY_SLOT, load_slot);
	store_read_end(j->store);
	tail_find(&r.tail, j->log, &j->space,
		  checkpoint.format == 0 ? LOG_SLOT_BYTES : checkpoint.at);
	int rc = recover_definitions(&r, checkpoint, why, why_size);
	if (rc == 0)
		rc = begin_read(j, why, why_size);
	if (rc == 0) {
		visit_all(&r);
		store_read_end(j->store);
	}
	j->durable_at = r.tail.end_at;
	tail_fini(&r.tail);
	return rc;
}
