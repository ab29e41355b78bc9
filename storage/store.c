#include "store.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	SEGMENT_KEY_BYTES = 9,
	SPACE_MIN = 1 << 20, /* With less than this free, a failed write is put down to a full disk. */
	MAP_BYTES_MIN = 1 << 30,
};

struct store {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *reader;
	MDB_cursor *cursor;
	char *dir;
	char error[256];
};

/* LMDB reports a short write as EIO, so whether the disk is full has to be asked. */
static bool is_disk_full(const struct store *store)
{
	struct statvfs fs;
	return statvfs(store->dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < SPACE_MIN;
}

/* The one place that reads LMDB's codes. */
static int map_error(struct store *store, const char *doing, int rc)
{
	if (rc == MDB_SUCCESS)
		return STORE_OK;
	snprintf(store->error, sizeof store->error, "%s: %s", doing, mdb_strerror(rc));
	if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT)
		return STORE_FULL;
	return rc == EIO && is_disk_full(store) ? STORE_FULL : STORE_FAILED;
}

struct bytes store_segment_key(uint8_t *key, uint64_t number)
{
	key[0] = STORE_KEY_SEGMENT;
	store_u64(key + 1, number);
	return bytes_of(key, SEGMENT_KEY_BYTES);
}

static MDB_val val_of(struct bytes b)
{
	return (MDB_val){ b.len, (void *)b.data };
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static int sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	int rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

static int open_env(struct store *store, uint64_t map_bytes)
{
	int rc;
	do { /* Address space may be limited: half as much will do for long. */
		rc = mdb_env_create(&store->env);
		if (rc != 0)
			return rc;
		mdb_env_set_mapsize(store->env, map_bytes);
		rc = mdb_env_open(store->env, store->dir, MDB_NOMETASYNC | MDB_NORDAHEAD | MDB_NOTLS, 0600);
		if (rc != 0) {
			mdb_env_close(store->env);
			store->env = NULL;
		}
		map_bytes /= 2;
	} while (rc == ENOMEM && map_bytes >= MAP_BYTES_MIN);
	return rc;
}

static int open_dbi(struct store *store)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static bool is_format_known(struct store *store)
{
	static const uint8_t key[] = { STORE_KEY_CHECKPOINT };
	struct store_checkpoint checkpoint = { .format = JOURNAL_FORMAT };
	struct bytes value;
	if (store_read_begin(store) != STORE_OK)
		return false;
	if (store_get(store, bytes_of(key, sizeof key), &value)) {
		checkpoint.format = 0;
		memcpy(&checkpoint, value.data, value.len < sizeof checkpoint ? value.len : sizeof checkpoint);
	}
	store_read_end(store);
	if (checkpoint.format != JOURNAL_FORMAT)
		snprintf(store->error, sizeof store->error, "the journal has format %u, this program reads format %u only",
			 checkpoint.format, JOURNAL_FORMAT);
	return checkpoint.format == JOURNAL_FORMAT;
}

int store_open(struct store **out, const char *dir, uint64_t map_bytes, char *why, size_t why_size)
{
	struct store *store = alloc_zeroed(sizeof *store);
	store->dir = strdup(dir);
	int rc = open_env(store, map_bytes);
	if (rc == 0)
		rc = open_dbi(store);
	if (rc == 0)
		rc = mdb_env_sync(store->env, 1);
	if (rc == 0)
		rc = sync_directory(dir); /* The file itself must survive a power cut. */
	bool is_open = map_error(store, "cannot open the journal", rc) == STORE_OK && is_format_known(store);
	if (!is_open) {
		snprintf(why, why_size, "%s: %s", dir, store->error);
		store_close(store);
		return STORE_FAILED;
	}
	*out = store;
	return STORE_OK;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->reader != NULL)
		mdb_txn_abort(store->reader);
	if (store->env != NULL)
		mdb_env_close(store->env);
	free(store->dir);
	free(store);
}

const char *store_error(const struct store *store)
{
	return store->error;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static int write_changes(struct store *store, MDB_txn *txn, const struct batch *batch)
{
	size_t at = 0;
	struct batch_change change;
	while (batch_next_put(batch, &at, &change)) {
		MDB_val key = val_of(change.key), value = val_of(change.value);
		int rc = change.is_delete ? mdb_del(txn, store->dbi, &key, NULL) : mdb_put(txn, store->dbi, &key, &value, 0);
		if (rc != 0 && !(change.is_delete && rc == MDB_NOTFOUND))
			return rc;
	}
	return 0;
}

static bool is_deleted(const struct batch *batch, uint64_t number)
{
	for (size_t i = 0; i < batch->deletes_len; i++)
		if (batch->deletes[i] == number)
			return true;
	return false;
}

static int write_segments(struct store *store, MDB_txn *txn, const struct batch *batch)
{
	for (size_t i = 0; i < batch->segments_len; i++) {
		const struct batch_segment *s = &batch->segments[i];
		if (batch->checkpoint_segment >= s->number && is_deleted(batch, s->number))
			continue; /* Born and dead within the batch. */
		uint8_t bytes[SEGMENT_KEY_BYTES];
		MDB_val key = val_of(store_segment_key(bytes, s->number));
		MDB_val value = { s->len, NULL };
		int rc = mdb_put(txn, store->dbi, &key, &value, MDB_APPEND | MDB_RESERVE);
		if (rc != 0)
			return rc;
		memcpy(value.mv_data, s->data, s->len);
	}
	return 0;
}

static int delete_segments(struct store *store, MDB_txn *txn, const struct batch *batch)
{
	for (size_t i = 0; i < batch->deletes_len; i++) {
		uint8_t bytes[SEGMENT_KEY_BYTES];
		MDB_val key = val_of(store_segment_key(bytes, batch->deletes[i]));
		int rc = mdb_del(txn, store->dbi, &key, NULL);
		if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
	}
	return 0;
}

static int write_checkpoint(struct store *store, MDB_txn *txn, const struct batch *batch)
{
	static const uint8_t name[] = { STORE_KEY_CHECKPOINT };
	if (batch->checkpoint_segment == 0)
		return 0;
	struct store_checkpoint checkpoint = { JOURNAL_FORMAT, batch->is_clean, batch->checkpoint_segment };
	MDB_val key = val_of(bytes_of(name, sizeof name));
	MDB_val value = { sizeof checkpoint, &checkpoint };
	return mdb_put(txn, store->dbi, &key, &value, 0);
}

int store_commit(struct store *store, const struct batch *batch)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != 0)
		return map_error(store, "cannot begin a transaction", rc);
	rc = write_changes(store, txn, batch);
	if (rc == 0)
		rc = delete_segments(store, txn, batch);
	if (rc == 0)
		rc = write_segments(store, txn, batch);
	if (rc == 0)
		rc = write_checkpoint(store, txn, batch);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return map_error(store, "cannot write", rc);
	}
	return map_error(store, "cannot commit", mdb_txn_commit(txn));
}

int store_flush(struct store *store)
{
	return map_error(store, "cannot sync", mdb_env_sync(store->env, 1));
}

/* --- reading --------------------------------------------------------------------------------------------------- */

int store_read_begin(struct store *store)
{
	int rc = store->reader == NULL ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader)
				       : mdb_txn_renew(store->reader);
	if (rc == 0)
		rc = mdb_cursor_open(store->reader, store->dbi, &store->cursor);
	return map_error(store, "cannot begin a read", rc);
}

void store_read_end(struct store *store)
{
	mdb_cursor_close(store->cursor);
	store->cursor = NULL;
	mdb_txn_reset(store->reader);
}

bool store_get(struct store *store, struct bytes key, struct bytes *value)
{
	MDB_val k = val_of(key), v;
	if (mdb_get(store->reader, store->dbi, &k, &v) != 0)
		return false;
	*value = bytes_of(v.mv_data, v.mv_size);
	return true;
}

bool store_next(struct store *store, uint8_t prefix, struct bytes *key, struct bytes *value)
{
	MDB_val k = { 1, &prefix }, v;
	int rc;
	if (key->len == 0) {
		rc = mdb_cursor_get(store->cursor, &k, &v, MDB_SET_RANGE);
	} else {
		k = val_of(*key);
		rc = mdb_cursor_get(store->cursor, &k, &v, MDB_NEXT);
	}
	if (rc != 0 || *(const uint8_t *)k.mv_data != prefix)
		return false;
	*key = bytes_of(k.mv_data, k.mv_size);
	*value = bytes_of(v.mv_data, v.mv_size);
	return true;
}

void store_will_need(struct bytes value)
{
	uintptr_t start = (uintptr_t)value.data & ~(uintptr_t)4095;
	madvise((void *)start, (uintptr_t)value.data + value.len - start, MADV_WILLNEED);
}
