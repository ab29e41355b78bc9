#include "store.h"

#include "base/alloc.h"
#include "segment.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	SPACE_MIN =
		1 << 20, /* With less than this free, a failed write is put down to a full disk. */
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

static const uint8_t checkpoint_key[] = { STORE_KEY_CHECKPOINT };

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

/* LMDB has no checksums, so each value ends with one, over its key and itself. */
static uint32_t checksum(struct bytes key, const void *value, size_t value_len)
{
	return (uint32_t)XXH3_64bits_withSeed(value, value_len, XXH3_64bits(key.data, key.len));
}

/* What a key was set to; empty if that is damaged. */
static struct bytes checked(struct bytes key, struct bytes stored)
{
	uint32_t sum;
	if (stored.len < sizeof sum)
		return bytes_of(stored.data, 0);
	size_t len = stored.len - sizeof sum;
	memcpy(&sum, stored.data + len, sizeof sum);
	return bytes_of(stored.data, sum == checksum(key, stored.data, len) ? len : 0);
}

static MDB_val val_of(struct bytes b)
{
	return (MDB_val){ b.len, (void *)b.data };
}

/* --- opening --- */

static int sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	int rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

static int open_env(struct store *store, uint64_t map_bytes, unsigned flags)
{
	int rc;
	do { /* Address space may be limited: half as much will do for long. */
		rc = mdb_env_create(&store->env);
		if (rc != 0)
			return rc;
		mdb_env_set_mapsize(store->env, map_bytes);
		rc = mdb_env_open(store->env, store->dir, MDB_NORDAHEAD | MDB_NOTLS | flags, 0600);
		if (rc != 0) {
			mdb_env_close(store->env);
			store->env = NULL;
		}
		map_bytes /= 2;
	} while (rc == ENOMEM && map_bytes >= MAP_BYTES_MIN);
	return rc;
}

/* A new environment is made elsewhere and renamed when it is whole: a power cut must not leave half
 * of one. */
static int make_env(const char *dir)
{
	char scratch[4096], from[4200], to[4200];
	struct store made = { .dir = (char *)dir };
	MDB_txn *txn;
	snprintf(scratch, sizeof scratch, "%s/new", dir);
	snprintf(from, sizeof from, "%s/data.mdb", scratch);
	snprintf(to, sizeof to, "%s/data.mdb", dir);
	if (access(to, F_OK) == 0)
		return 0;
	unlink(from);
	if (mkdir(scratch, 0700) == -1 && errno != EEXIST)
		return errno;
	made.dir = scratch;
	int rc = open_env(&made, MAP_BYTES_MIN, 0);
	if (rc == 0)
		rc = mdb_txn_begin(made.env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &made.dbi);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	if (rc == 0)
		rc = mdb_env_sync(made.env, 1);
	if (made.env != NULL)
		mdb_env_close(made.env);
	if (rc == 0 && rename(from, to) == -1)
		rc = errno;
	snprintf(from, sizeof from, "%s/lock.mdb", scratch);
	unlink(from);
	rmdir(scratch);
	return rc == 0 ? sync_directory(dir) : rc;
}

static int open_dbi(struct store *store, bool is_read_only)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, is_read_only ? MDB_RDONLY : 0u, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

struct store_checkpoint store_checkpoint(struct store *store)
{
	struct store_checkpoint checkpoint = { 0 };
	struct bytes value;
	if (store_read_begin(store) != STORE_OK)
		return checkpoint;
	if (store_get(store, bytes_of(checkpoint_key, sizeof checkpoint_key), &value)) {
		checkpoint.format = UINT32_MAX; /* Should it be damaged. */
		memcpy(&checkpoint, value.data,
		       value.len < sizeof checkpoint ? value.len : sizeof checkpoint);
	}
	store_read_end(store);
	return checkpoint;
}

/* A store that nobody has written to has none. */
static bool is_format_known(struct store *store)
{
	uint32_t format = store_checkpoint(store).format;
	if (format == 0 || (format >= JOURNAL_FORMAT_OLDEST && format <= JOURNAL_FORMAT))
		return true;
	if (format == UINT32_MAX)
		snprintf(store->error, sizeof store->error,
			 "the journal's checkpoint is damaged, or of an older format");
	else
		snprintf(store->error, sizeof store->error,
			 "the journal has format %u, this program reads formats %u to %u", format,
			 JOURNAL_FORMAT_OLDEST, JOURNAL_FORMAT);
	return false;
}

int store_open(struct store **out, const struct store_options *options, char *why, size_t why_size)
{
	struct store *store = alloc_zeroed(sizeof *store);
	store->dir = strdup(options->dir);
	int rc = options->is_read_only ? 0 : make_env(options->dir);
	if (rc == 0)
		rc = open_env(store, options->map_bytes,
			      (options->is_read_only ? MDB_RDONLY : 0u) |
				      (options->is_unchecked ? MDB_NOLOCK : 0u));
	if (rc == 0)
		rc = open_dbi(store, options->is_read_only);
	bool is_open = map_error(store, "cannot open the journal", rc) == STORE_OK &&
		       (options->is_unchecked || is_format_known(store));
	if (!is_open) {
		snprintf(why, why_size, "%s: %s", options->dir, store->error);
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

/* --- writing --- */

static int delete_range(struct store *store, MDB_txn *txn, struct bytes from, struct bytes until)
{
	MDB_cursor *cursor;
	MDB_val key = val_of(from), end = val_of(until), value;
	int rc = mdb_cursor_open(txn, store->dbi, &cursor);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && mdb_cmp(txn, store->dbi, &key, &end) < 0) {
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0) /* What comes after it has taken its place. */
			rc = mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT);
		if (rc == EINVAL)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put(struct store *store, MDB_txn *txn, struct bytes key, struct bytes value)
{
	MDB_val k = val_of(key), v = { value.len + sizeof(uint32_t), NULL };
	int rc = mdb_put(txn, store->dbi, &k, &v, MDB_RESERVE);
	if (rc != 0)
		return rc;
	uint32_t sum = checksum(key, value.data, value.len);
	if (value.len > 0)
		memcpy(v.mv_data, value.data, value.len);
	memcpy((uint8_t *)v.mv_data + value.len, &sum, sizeof sum);
	return 0;
}

static int write_change(struct store *store, MDB_txn *txn, const struct change *change)
{
	MDB_val key = val_of(change->key);
	int rc;
	switch (change->kind) {
	case CHANGE_PUT: return put(store, txn, change->key, change->value);
	case CHANGE_DELETE:
		rc = mdb_del(txn, store->dbi, &key, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	case CHANGE_DELETE_RANGE: return delete_range(store, txn, change->key, change->value);
	}
	return EINVAL;
}

static int write_changes(struct store *store, MDB_txn *txn, const struct changes *changes)
{
	size_t at = 0;
	struct change change;
	while (changes_next(changes, &at, &change)) {
		int rc = write_change(store, txn, &change);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int write_checkpoint(struct store *store, MDB_txn *txn,
			    const struct store_checkpoint *checkpoint)
{
	if (checkpoint == NULL)
		return 0;
	return put(store, txn, bytes_of(checkpoint_key, sizeof checkpoint_key),
		   bytes_of(checkpoint, sizeof *checkpoint));
}

int store_commit(struct store *store, const struct changes *changes,
		 const struct store_checkpoint *checkpoint)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != 0)
		return map_error(store, "cannot begin a transaction", rc);
	rc = write_changes(store, txn, changes);
	if (rc == 0)
		rc = write_checkpoint(store, txn, checkpoint);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return map_error(store, "cannot write", rc);
	}
	return map_error(store, "cannot commit", mdb_txn_commit(txn));
}

/* --- reading --- */

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

/* Of the map, the kernel reads no more than the page that is touched; of a long value all will be.
 */
static void want(MDB_val v)
{
	enum { PAGE = 4096 };
	uintptr_t from = (uintptr_t)v.mv_data & ~(uintptr_t)(PAGE - 1);
	if (v.mv_size > PAGE)
		madvise((void *)from, v.mv_size + ((uintptr_t)v.mv_data - from), MADV_WILLNEED);
}

uint64_t store_entries(struct store *store)
{
	MDB_stat stat;
	return mdb_stat(store->reader, store->dbi, &stat) == 0 ? stat.ms_entries : 0;
}

bool store_get(struct store *store, struct bytes key, struct bytes *value)
{
	MDB_val k = val_of(key), v;
	if (mdb_get(store->reader, store->dbi, &k, &v) != 0)
		return false;
	want(v);
	*value = checked(key, bytes_of(v.mv_data, v.mv_size));
	return true;
}

static bool has_prefix(const MDB_val *key, struct bytes prefix)
{
	return key->mv_size >= prefix.len && memcmp(key->mv_data, prefix.data, prefix.len) == 0;
}

static bool step(struct store *store, MDB_cursor_op op, MDB_val *k, struct bytes prefix,
		 struct bytes *key, struct bytes *value)
{
	MDB_val v;
	if (mdb_cursor_get(store->cursor, k, &v, op) != 0 || !has_prefix(k, prefix))
		return false;
	*key = bytes_of(k->mv_data, k->mv_size);
	*value = checked(*key, bytes_of(v.mv_data, v.mv_size));
	return true;
}

bool store_seek(struct store *store, struct bytes prefix, struct bytes *key, struct bytes *value)
{
	MDB_val k = val_of(*key);
	return step(store, MDB_SET_RANGE, &k, prefix, key, value);
}

bool store_next(struct store *store, struct bytes prefix, struct bytes *key, struct bytes *value)
{
	MDB_val k = val_of(*key);
	return step(store, MDB_NEXT, &k, prefix, key, value);
}

/* Also when the seek before it ran off the end. */
bool store_previous(struct store *store, struct bytes prefix, struct bytes *key,
		    struct bytes *value)
{
	MDB_val k = val_of(*key);
	return step(store, MDB_PREV, &k, prefix, key, value);
}
