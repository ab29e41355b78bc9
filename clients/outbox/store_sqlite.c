/* An outbox in SQLite. Writers come one after the other, so ids are given in the order of commits,
 * and an id is a row's sequence. */
#define LEV_OUTBOX_SQLITE
#include "store.h"

#include <leveret/outbox.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 50, BUSY_MS = 5000 };

struct sqlite {
	struct store store;
	char *path;
	sqlite3 *db;
	int64_t version; /* Of the file, as of the last look. */
};

static const char schema[] = "CREATE TABLE IF NOT EXISTS leveret_outbox ("
			     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
			     " aggregate_type TEXT NOT NULL, aggregate_id TEXT NOT NULL, "
			     "event_type TEXT NOT NULL, payload BLOB NOT NULL,"
			     " created INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS "
			     "INTEGER)), published INTEGER);"
			     "CREATE INDEX IF NOT EXISTS leveret_outbox_unpublished ON "
			     "leveret_outbox (id) WHERE published IS NULL;"
			     "CREATE TABLE IF NOT EXISTS leveret_outbox_relay ("
			     " one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, holder "
			     "TEXT, expires_ms INTEGER NOT NULL DEFAULT 0);"
			     "INSERT OR IGNORE INTO leveret_outbox_relay (one, name) VALUES (1, "
			     "lower(hex(randomblob(16))));";

/* Unix time in ms, as the database has it. */
#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

static struct sqlite *sqlite_of(struct store *s)
{
	return (struct sqlite *)s;
}

static int failed(sqlite3 *db)
{
	return lev_fail(LEV_SYSTEM, "SQLite: %s", db == NULL ? "no memory" : sqlite3_errmsg(db));
}

static int prepare(sqlite3 *db, const char *command, sqlite3_stmt **s)
{
	return sqlite3_prepare_v2(db, command, -1, s, NULL) == SQLITE_OK ? LEV_OK : failed(db);
}

/* To the end; the statement is finalized. */
static int finish(sqlite3 *db, sqlite3_stmt *s)
{
	int step = sqlite3_step(s),
	    rc = step == SQLITE_DONE || step == SQLITE_ROW ? LEV_OK : failed(db);
	sqlite3_finalize(s);
	return rc;
}

static int execute(sqlite3 *db, const char *commands)
{
	return sqlite3_exec(db, commands, NULL, NULL, NULL) == SQLITE_OK ? LEV_OK : failed(db);
}

static int connect_(struct store *store)
{
	struct sqlite *q = sqlite_of(store);
	if (sqlite3_open_v2(q->path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		return failed(q->db);
	sqlite3_busy_timeout(q->db, BUSY_MS);
	return LEV_OK;
}

static void disconnect(struct store *store)
{
	sqlite3_close(sqlite_of(store)->db);
	sqlite_of(store)->db = NULL;
}

static int migrate(struct store *store)
{
	return execute(sqlite_of(store)->db, schema);
}

static int name_(struct store *store, char name[STORE_NAME_BYTES])
{
	sqlite3 *db = sqlite_of(store)->db;
	sqlite3_stmt *s;
	int rc = prepare(db, "SELECT name FROM leveret_outbox_relay", &s);
	if (rc != LEV_OK)
		return rc;
	if (sqlite3_step(s) == SQLITE_ROW)
		strncpy(name, (const char *)sqlite3_column_text(s, 0), STORE_NAME_BYTES - 1);
	else
		rc = failed(db);
	name[STORE_NAME_BYTES - 1] = '\0';
	sqlite3_finalize(s);
	return rc;
}

static int lease(struct store *store, const char *holder, uint32_t ms, bool *is_ours)
{
	sqlite3 *db = sqlite_of(store)->db;
	sqlite3_stmt *s;
	int rc = prepare(db,
			 "UPDATE leveret_outbox_relay SET holder = ?1, expires_ms = " NOW_MS
			 " + ?2 WHERE holder = ?1 OR expires_ms <= " NOW_MS,
			 &s);
	if (rc != LEV_OK)
		return rc;
	sqlite3_bind_text(s, 1, holder, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, ms);
	rc = finish(db, s);
	*is_ours = rc == LEV_OK && sqlite3_changes(db) == 1;
	return rc;
}

static int release(struct store *store, const char *holder)
{
	sqlite3 *db = sqlite_of(store)->db;
	sqlite3_stmt *s;
	int rc =
		prepare(db, "UPDATE leveret_outbox_relay SET expires_ms = 0 WHERE holder = ?1", &s);
	if (rc != LEV_OK)
		return rc;
	sqlite3_bind_text(s, 1, holder, -1, SQLITE_STATIC);
	return finish(db, s);
}

static char *text(sqlite3_stmt *s, int column, bool *has_nul)
{
	const char *t = (const char *)sqlite3_column_text(s, column);
	*has_nul |= t != NULL && strlen(t) != (size_t)sqlite3_column_bytes(s, column);
	return strdup(t == NULL ? "" : t);
}

static int take_row(sqlite3_stmt *s, struct row *row)
{
	const void *payload = sqlite3_column_blob(s, 4);
	size_t len = (size_t)sqlite3_column_bytes(s, 4);
	bool is_cut = false, has_nul = false;
	*row = (struct row){
		.sequence = (uint64_t)sqlite3_column_int64(s, 0),
		.aggregate_type = text(s, 1, &is_cut),
		.aggregate_id = text(s, 2, &is_cut),
		.event_type = text(s, 3, &has_nul),
		.payload = malloc(len + 1),
		.payload_len = len,
		.created_s = (uint64_t)sqlite3_column_int64(s, 5),
	};
	row->is_cut = is_cut;
	row->has_nul = is_cut || has_nul;
	if (row->aggregate_type == NULL || row->aggregate_id == NULL || row->event_type == NULL ||
	    row->payload == NULL) {
		row_fini(row);
		return lev_fail(LEV_SYSTEM, "no memory");
	}
	if (len > 0)
		memcpy(row->payload, payload, len);
	return LEV_OK;
}

static int fetch(struct store *store, struct row *rows, size_t most, uint64_t span, size_t *len)
{
	sqlite3 *db = sqlite_of(store)->db;
	sqlite3_stmt *s;
	int step = SQLITE_DONE;
	int rc = prepare(db,
			 "SELECT id, aggregate_type, aggregate_id, event_type, payload, created "
			 "FROM leveret_outbox WHERE "
			 "published IS NULL AND id <"
			 " (SELECT min(id) FROM leveret_outbox WHERE published IS NULL) + ?1 ORDER "
			 "BY id LIMIT ?2",
			 &s);
	*len = 0;
	if (rc != LEV_OK)
		return rc;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)span);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)most);
	while (rc == LEV_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
		rc = take_row(s, &rows[*len]);
		*len += rc == LEV_OK;
	}
	if (rc == LEV_OK && step != SQLITE_DONE)
		rc = failed(db);
	sqlite3_finalize(s);
	return rc;
}

static int mark_until(struct store *store, uint64_t sequence, bool is_deleting)
{
	sqlite3 *db = sqlite_of(store)->db;
	sqlite3_stmt *s;
	int rc = prepare(db,
			 is_deleting
				 ? "DELETE FROM leveret_outbox WHERE published IS NULL AND id <= ?1"
				 : "UPDATE leveret_outbox SET published = CAST(strftime('%s', "
				   "'now') AS INTEGER) WHERE "
				   "published IS NULL AND id <= ?1",
			 &s);
	if (rc != LEV_OK)
		return rc;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)sequence);
	return finish(db, s);
}

static int mark_each(sqlite3 *db, const uint64_t *sequences, size_t len, bool is_deleting)
{
	sqlite3_stmt *s;
	int rc = prepare(db,
			 is_deleting ? "DELETE FROM leveret_outbox WHERE id = ?1"
				     : "UPDATE leveret_outbox SET published = CAST(strftime('%s', "
				       "'now') AS INTEGER) WHERE id = ?1",
			 &s);
	if (rc != LEV_OK)
		return rc;
	for (size_t i = 0; i < len && rc == LEV_OK; i++) {
		sqlite3_bind_int64(s, 1, (sqlite3_int64)sequences[i]);
		if (sqlite3_step(s) != SQLITE_DONE)
			rc = failed(db);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return rc;
}

static int mark(struct store *store, const uint64_t *sequences, size_t len, bool is_deleting)
{
	sqlite3 *db = sqlite_of(store)->db;
	int rc = execute(db, "BEGIN IMMEDIATE");
	if (rc == LEV_OK)
		rc = mark_each(db, sequences, len, is_deleting);
	if (rc == LEV_OK)
		rc = execute(db, "COMMIT");
	else
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int64_t file_version(sqlite3 *db)
{
	sqlite3_stmt *s;
	int64_t version = -1;
	if (sqlite3_prepare_v2(db, "PRAGMA data_version", -1, &s, NULL) != SQLITE_OK)
		return version;
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return version;
}

/* SQLite tells nobody of what others commit, but the version of the file is cheap to look at. */
static int wait_(struct store *store, int wake_fd, uint32_t ms)
{
	struct sqlite *q = sqlite_of(store);
	for (uint32_t passed = 0; passed < ms; passed += store->poll_ms) {
		struct pollfd fd = { .fd = wake_fd, .events = POLLIN };
		int64_t version = file_version(q->db);
		if (version == -1)
			return failed(q->db);
		if (version != q->version) {
			q->version = version;
			return LEV_OK;
		}
		if (poll(&fd, 1, (int)store->poll_ms) > 0)
			return LEV_OK;
	}
	return LEV_OK;
}

static void destroy(struct store *store)
{
	disconnect(store);
	free(sqlite_of(store)->path);
	free(store);
}

struct store *store_sqlite_create(const char *path)
{
	static const struct store_ops ops = {
		connect_, disconnect, migrate, name_, lease,   release,
		fetch,    mark_until, mark,    wait_, destroy,
	};
	struct sqlite *q = calloc(1, sizeof *q);
	if (q == NULL || (q->path = strdup(path)) == NULL) {
		free(q);
		return NULL;
	}
	q->store = (struct store){ &ops, POLL_MS };
	return &q->store;
}

int lev_outbox_sqlite_add(sqlite3 *db, const char *aggregate_type, const char *aggregate_id,
			  const char *event_type, const void *payload, size_t len)
{
	sqlite3_stmt *s;
	int rc = prepare(db,
			 "INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, "
			 "payload) VALUES (?, ?, ?, ?)",
			 &s);
	if (rc != LEV_OK)
		return rc;
	sqlite3_bind_text(s, 1, aggregate_type, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, aggregate_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, event_type, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 4, len == 0 ? "" : payload, len, SQLITE_STATIC);
	return finish(db, s);
}
