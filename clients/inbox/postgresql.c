#define LEV_INBOX_POSTGRESQL
#include "check.h"

#include <inttypes.h>
#include <leveret/inbox.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs a command; *rows is how many it touched. */
static int run(PGconn *db, const char *command, int len, const char *const *values, size_t *rows)
{
	PGresult *r = PQexecParams(db, command, len, NULL, values, NULL, NULL, 0);
	int rc = PQresultStatus(r) == PGRES_COMMAND_OK
			 ? LEV_OK
			 : lev_fail(LEV_SYSTEM, "inbox: %s", PQerrorMessage(db));
	*rows = rc == LEV_OK ? (size_t)strtoull(PQcmdTuples(r), NULL, 10) : 0;
	PQclear(r);
	return rc;
}

int lev_inbox_postgresql_migrate(PGconn *db)
{
	size_t rows;
	int rc = run(db,
		     "CREATE TABLE IF NOT EXISTS leveret_inbox (consumer text NOT NULL, key text "
		     "NOT NULL, seen bigint NOT NULL,"
		     " PRIMARY KEY (consumer, key))",
		     0, NULL, &rows);
	if (rc == LEV_OK)
		rc = run(db,
			 "CREATE INDEX IF NOT EXISTS leveret_inbox_seen ON leveret_inbox (seen)", 0,
			 NULL, &rows);
	return rc;
}

int lev_inbox_postgresql_claim(PGconn *db, const char *consumer, const char *key, uint64_t now_s)
{
	char time[24];
	const char *values[] = { consumer, key, time };
	size_t rows;
	int rc = inbox_check(consumer, key);
	if (rc != LEV_OK)
		return rc;
	snprintf(time, sizeof time, "%" PRIu64, now_s);
	rc = run(db, "INSERT INTO leveret_inbox VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", 3,
		 values, &rows);
	return rc != LEV_OK ? rc : rows == 1 ? LEV_OK : LEV_DUPLICATE;
}

int lev_inbox_postgresql_forget(PGconn *db, uint64_t before_s, size_t *forgotten)
{
	char time[24];
	const char *values[] = { time };
	size_t rows;
	snprintf(time, sizeof time, "%" PRIu64, before_s);
	int rc = run(db, "DELETE FROM leveret_inbox WHERE seen < $1", 1, values, &rows);
	if (rc == LEV_OK && forgotten != NULL)
		*forgotten = rows;
	return rc;
}
