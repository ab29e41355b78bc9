/* An inbox in each database: a key is claimed once, by each consumer, and only if its transaction
 * commits.
 *
 *   inbox lmdb DIRECTORY | sqlite FILE | postgresql CONNINFO */
#define LEV_INBOX_LMDB
#define LEV_INBOX_SQLITE
#define LEV_INBOX_POSTGRESQL
#include "must.h"

#include <leveret/inbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	sqlite3 *sqlite;
	PGconn *pg;
} db;

/* --- the three, in the same words --- */

static void sql(const char *command)
{
	if (db.sqlite != NULL) {
		CHECK(sqlite3_exec(db.sqlite, command, NULL, NULL, NULL) == SQLITE_OK);
		return;
	}
	PGresult *r = PQexec(db.pg, command);
	CHECK(PQresultStatus(r) == PGRES_COMMAND_OK);
	PQclear(r);
}

static void begin(void)
{
	if (db.env != NULL)
		CHECK(mdb_txn_begin(db.env, NULL, 0, &db.txn) == 0 &&
		      lev_inbox_lmdb_open(db.txn, &db.dbi) == LEV_OK);
	else
		sql("BEGIN");
}

static void end(bool is_commit)
{
	if (db.env == NULL)
		sql(is_commit ? "COMMIT" : "ROLLBACK");
	else if (is_commit)
		CHECK(mdb_txn_commit(db.txn) == 0);
	else
		mdb_txn_abort(db.txn);
}

static int claim(const char *consumer, const char *key, uint64_t now_s)
{
	if (db.env != NULL)
		return lev_inbox_lmdb_claim(db.txn, db.dbi, consumer, key, now_s);
	if (db.sqlite != NULL)
		return lev_inbox_sqlite_claim(db.sqlite, consumer, key, now_s);
	return lev_inbox_postgresql_claim(db.pg, consumer, key, now_s);
}

static int forget(uint64_t before_s, size_t *forgotten)
{
	if (db.env != NULL)
		return lev_inbox_lmdb_forget(db.txn, db.dbi, before_s, 1000, forgotten);
	if (db.sqlite != NULL)
		return lev_inbox_sqlite_forget(db.sqlite, before_s, forgotten);
	return lev_inbox_postgresql_forget(db.pg, before_s, forgotten);
}

static void open_database(const char *kind, const char *where)
{
	if (strcmp(kind, "lmdb") == 0)
		CHECK(mdb_env_create(&db.env) == 0 && mdb_env_set_maxdbs(db.env, 4) == 0 &&
		      mdb_env_open(db.env, where, 0, 0600) == 0);
	else if (strcmp(kind, "sqlite") == 0)
		CHECK(sqlite3_open(where, &db.sqlite) == SQLITE_OK &&
		      lev_inbox_sqlite_migrate(db.sqlite) == LEV_OK &&
		      lev_inbox_sqlite_migrate(db.sqlite) == LEV_OK);
	else
		CHECK(PQstatus(db.pg = PQconnectdb(where)) == CONNECTION_OK &&
		      lev_inbox_postgresql_migrate(db.pg) == LEV_OK);
}

static void close_database(void)
{
	if (db.env != NULL)
		mdb_env_close(db.env);
	sqlite3_close(db.sqlite);
	PQfinish(db.pg);
}

int main(int argc, char **argv)
{
	char long_key[300];
	size_t forgotten;
	if (argc != 3)
		return fputs("usage: inbox lmdb|sqlite|postgresql WHERE\n", stderr), 2;
	memset(long_key, 'k', sizeof long_key - 1);
	long_key[sizeof long_key - 1] = '\0';
	open_database(argv[1], argv[2]);
	begin();
	CHECK(claim("billing", "m-1", 100) == LEV_OK);
	end(false);
	begin(); /* It was rolled back: nothing was claimed. */
	CHECK(claim("billing", "m-1", 100) == LEV_OK);
	CHECK(claim("billing", "m-1", 100) == LEV_DUPLICATE);
	CHECK(claim("shipping", "m-1", 100) == LEV_OK);
	CHECK(claim("billing", "m-2", 200) == LEV_OK);
	CHECK(claim("billing", long_key + 44, 200) == LEV_OK);
	CHECK(claim("billing", long_key, 200) == LEV_INVALID);
	CHECK(claim("billing", "", 200) == LEV_INVALID);
	CHECK(claim("billing", NULL, 200) == LEV_INVALID);
	end(true);
	begin();
	CHECK(claim("billing", "m-1", 300) == LEV_DUPLICATE);
	CHECK(claim("billing", long_key + 44, 300) == LEV_DUPLICATE);
	CHECK(forget(150, &forgotten) == LEV_OK && forgotten == 2);
	CHECK(claim("billing", "m-1", 300) == LEV_OK);
	CHECK(claim("billing", "m-2", 300) == LEV_DUPLICATE);
	end(true);
	begin();
	CHECK(forget(1000, &forgotten) == LEV_OK && forgotten == 3);
	CHECK(forget(1000, NULL) == LEV_OK);
	end(true);
	close_database();
	return 0;
}
