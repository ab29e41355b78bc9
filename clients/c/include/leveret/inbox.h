/* Inbox: process each message once. The message's identity is stored in the same transaction as its
 * effect, so that either both are there or neither is; when it comes again, it is seen to be a
 * repeat:
 *
 *	BEGIN
 *	lev_inbox_sqlite_claim(db, "billing", lev_message_uid(m), now)
 *		LEV_OK: the first time - do the work in this transaction
 *		LEV_DUPLICATE: it has been done - just ack
 *	COMMIT
 *	lev_ack(m)
 *
 * consumer: who processes (several may process the same message); key: of the message, 1 to 255
 * bytes. now_s: Unix time, for forgetting. All run within the transaction that the caller has
 * begun,
 * and leave it open. Results: LEV_OK, LEV_DUPLICATE, LEV_INVALID, LEV_SYSTEM with a reason: roll
 * back. One thread to a connection.
 *
 * Define LEV_INBOX_LMDB, LEV_INBOX_SQLITE or LEV_INBOX_POSTGRESQL before including this, and link
 * with -lleveret-inbox-lmdb, and so on. */
#ifndef LEVERET_INBOX_H
#define LEVERET_INBOX_H

#include <leveret/leveret.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef LEV_INBOX_LMDB
#include <lmdb.h>

/* Opens, and creates if need be, the database "leveret_inbox" of an environment (which needs
 * mdb_env_set_maxdbs), within a write transaction. */
LEV_EXPORT int lev_inbox_lmdb_open(MDB_txn *txn, MDB_dbi *inbox);
LEV_EXPORT int lev_inbox_lmdb_claim(MDB_txn *txn, MDB_dbi inbox, const char *consumer,
				    const char *key, uint64_t now_s);

/* Forgets at most `most` keys that were claimed before this; *forgotten says how many there were,
 * and may be NULL. */
LEV_EXPORT int lev_inbox_lmdb_forget(MDB_txn *txn, MDB_dbi inbox, uint64_t before_s, size_t most,
				     size_t *forgotten);
#endif

#ifdef LEV_INBOX_SQLITE
#include <sqlite3.h>

/* Creates the table leveret_inbox, if it is not there. */
LEV_EXPORT int lev_inbox_sqlite_migrate(sqlite3 *db);
LEV_EXPORT int lev_inbox_sqlite_claim(sqlite3 *db, const char *consumer, const char *key,
				      uint64_t now_s);
LEV_EXPORT int lev_inbox_sqlite_forget(sqlite3 *db, uint64_t before_s, size_t *forgotten);
#endif

#ifdef LEV_INBOX_POSTGRESQL
#include <libpq-fe.h>

LEV_EXPORT int lev_inbox_postgresql_migrate(PGconn *db);

/* Waits for another transaction that has claimed the same key, and has not ended. */
LEV_EXPORT int lev_inbox_postgresql_claim(PGconn *db, const char *consumer, const char *key,
					  uint64_t now_s);
LEV_EXPORT int lev_inbox_postgresql_forget(PGconn *db, uint64_t before_s, size_t *forgotten);
#endif

#ifdef __cplusplus
}
#endif
#endif
