/* Read: what the journal has, read back by the owner: messages from the log or, where their slot
 * has been cleared, from the store; index chunks and other values from the store. */
#include "base/alloc.h"
#include "chunk.h"
#include "journal_state.h"
#include "survivors.h"

#include <stdio.h>
#include <stdlib.h>

void journal_read_begin(struct journal *j)
{
	if (store_read_begin(j->store) != STORE_OK)
		abort(); /* One reader at a time by contract: LMDB has a slot for it. */
	pthread_mutex_lock(&j->mutex);
	j->read_end_at = j->durable_at;
	pthread_mutex_unlock(&j->mutex);
}

void journal_read_end(struct journal *j)
{
	store_read_end(j->store);
}

/* What lives of a slot that has no place in the file any more: the part that begins at or before
 * the address. */
static bool find_part(struct journal *j, uint64_t at, struct bytes *part)
{
	uint8_t kind = STORE_KEY_SURVIVORS, wanted[9];
	wanted[0] = kind;
	store_u64(wanted + 1, at);
	struct bytes prefix = bytes_of(&kind, 1), key = bytes_of(wanted, sizeof wanted);
	bool is_there = store_seek(j->store, prefix, &key, part);
	if (!is_there || load_u64(key.data + 1) != at)
		is_there = store_previous(j->store, prefix, &key, part);
	return is_there;
}

static bool read_survivor(struct journal *j, uint64_t at, struct entry *entry)
{
	struct bytes part;
	return find_part(j, at, &part) && survivors_find(part, at, entry);
}

bool journal_read(struct journal *j, uint64_t location, struct entry *entry)
{
	uint64_t at = location_at(location);
	const struct space_slot *slot = space_slot_at(&j->space, at);
	if (slot == NULL)
		return false;
	bool is_read = slot->is_moved ? read_survivor(j, at, entry)
				      : fetch_entry(&j->fetch, j->log, &j->space, at,
						    j->read_end_at, entry);
	return is_read && entry->kind == ENTRY_MESSAGE;
}

static bool keep(struct bytes bytes, const char *name)
{
	FILE *f = fopen(name, "we");
	bool is_kept = f != NULL && fwrite(bytes.data, 1, bytes.len, f) == bytes.len;
	return f != NULL && fclose(f) == 0 && is_kept;
}

/* Of an entry that cannot be read its length may be wrong, too. */
static bool keep_from_log(struct journal *j, uint64_t at, bool is_whole, const char *name)
{
	enum { MOST_BYTES = 1 << 20 };
	uint64_t offset = space_offset(&j->space, at);
	uint8_t head[ENTRY_HEAD_BYTES];
	if (offset == UINT64_MAX || logfile_read(j->log, offset, head, sizeof head) != sizeof head)
		return false;
	size_t len = entry_length(head);
	if (!is_whole && len > MOST_BYTES)
		len = MOST_BYTES;
	uint8_t *data = alloc_resize(NULL, len + 1);
	len = logfile_read(j->log, offset, data, len);
	bool is_kept = keep(bytes_of(data, len), name);
	free(data);
	return is_kept;
}

bool journal_quarantine(struct journal *j, uint64_t location, char *name, size_t name_size)
{
	struct bytes part;
	struct entry entry;
	uint64_t at = location_at(location);
	const struct space_slot *slot = space_slot_at(&j->space, at);
	char path[4096];
	int len = snprintf(path, sizeof path, "%s/quarantine-%llu", j->dir, (unsigned long long)at);
	if (slot == NULL || len >= (int)sizeof path)
		return false;
	bool is_kept = slot->is_moved
			       ? find_part(j, at, &part) && keep(survivors_bytes(part, at), path)
			       : keep_from_log(j, at, journal_read(j, location, &entry), path);
	if (is_kept)
		snprintf(name, name_size, "%s", path);
	return is_kept;
}

static bool chunk_holds(struct bytes value, uint64_t base, uint64_t position)
{
	struct chunk_reader chunk;
	return chunk_open(&chunk, value) && position - base < chunk.left;
}

bool journal_get(struct journal *j, struct bytes key, struct bytes *value)
{
	return store_get(j->store, key, value);
}

bool journal_index_find(struct journal *j, uint32_t queue, uint64_t position, uint64_t *base,
			struct bytes *chunk)
{
	uint8_t wanted[STORE_INDEX_KEY_BYTES];
	struct bytes key = store_index_key(wanted, queue, position), prefix = bytes_of(wanted, 5);
	struct bytes before_key = key, before;
	bool is_there = store_seek(j->store, prefix, &key, chunk);
	*base = is_there ? store_index_position(key) : 0;
	if (is_there && *base == position)
		return true;
	if (store_previous(j->store, prefix, &before_key, &before) &&
	    chunk_holds(before, store_index_position(before_key), position)) {
		*base = store_index_position(before_key);
		*chunk = before;
		return true;
	}
	return is_there;
}
