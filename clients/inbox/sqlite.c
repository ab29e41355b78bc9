#define LEV_INBOX_SQLITE
#include "check.h"

#include <leveret/inbox.h>

static int failed(sqlite3 *db)
{
	return lev_fail(LEV_SYSTEM, "inbox: %s", sqlite3_errmsg(db));
}

int lev_inbox_sqlite_migrate(sqlite3 *db)
{
	static const char schema[] =
		"CREATE TABLE IF NOT EXISTS leveret_inbox (consumer TEXT NOT NULL, key TEXT NOT "
		"NULL, seen INTEGER NOT NULL,"
		" PRIMARY KEY (consumer, key)) WITHOUT ROWID;"
		"CREATE INDEX IF NOT EXISTS leveret_inbox_seen ON leveret_inbox (seen);";
	return sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK ? LEV_OK : failed(db);
}

int lev_inbox_sqlite_claim(sqlite3 *db, const char *consumer, const char *key, uint64_t now_s)
{
	sqlite3_stmt *s;
	int rc = inbox_check(consumer, key);
	if (rc != LEV_OK)
		return rc;
	if (sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO leveret_inbox VALUES (?, ?, ?)", -1, &s,
			       NULL) != SQLITE_OK)
		return failed(db);
	sqlite3_bind_text(s, 1, consumer, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)now_s);
	rc = sqlite3_step(s) == SQLITE_DONE ? (sqlite3_changes(db) == 1 ? LEV_OK : LEV_DUPLICATE)
					    : failed(db);
	sqlite3_finalize(s);
	return rc;
}

int lev_inbox_sqlite_forget(sqlite3 *db, uint64_t before_s, size_t *forgotten)
{
	sqlite3_stmt *s;
	if (sqlite3_prepare_v2(db, "DELETE FROM leveret_inbox WHERE seen < ?", -1, &s, NULL) !=
	    SQLITE_OK)
		return failed(db);
	sqlite3_bind_int64(s, 1, (sqlite3_int64)before_s);
	int rc = sqlite3_step(s) == SQLITE_DONE ? LEV_OK : failed(db);
	sqlite3_finalize(s);
	if (rc == LEV_OK && forgotten != NULL)
		*forgotten = (size_t)sqlite3_changes(db);
	return rc;
}
