/* Outbox: events are written to a table in the transaction of what they tell, and a relay publishes
 * them. None is lost, none is told that did not happen, and, with Leveret as broker, each is in the
 * queue once, in the order of its aggregate, whatever is killed on the way.
 *
 *	BEGIN
 *	UPDATE orders SET state = 'paid' ...
 *	lev_outbox_sqlite_add(db, "order", "4711", "paid", payload, len)
 *	COMMIT
 *
 * (or an INSERT of your own into leveret_outbox), and somewhere a relay runs: the program
 * leveret-outbox, or lev_outbox_run(). How it keeps its promise: docs/outbox.md.
 *
 * Link with -lleveret-outbox. Define LEV_OUTBOX_SQLITE or LEV_OUTBOX_POSTGRESQL before including
 * this for the functions that take a connection. */
#ifndef LEVERET_OUTBOX_H
#define LEVERET_OUTBOX_H

#include <leveret/leveret.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lev_outbox;

struct lev_outbox_options {
	const char *database; /* "sqlite:/var/lib/shop.db", or a libpq connection string:
				 "postgresql:///shop". */
	const char *uri;      /* Of the broker, as in struct lev_options. */
	const char *exchange; /* "events". The routing key is "aggregate type.event type". */
	/* It is fine if no queue wants an event. Otherwise it waits, and is tried again, until one
	 * does. */
	bool is_optional;
	bool is_deleting;  /* Rows are deleted when they have been published, instead of marked. */
	uint32_t lease_ms; /* How long a relay that has died keeps others from taking over; 10,000.
			    */
	/* How often to look at the table if nothing tells of new rows; SQLite: 50, PostgreSQL:
	 * 1,000. */
	uint32_t poll_ms;
	uint32_t backoff_max_ms; /* After a failure, of database, broker or a publish; 5,000. */
	/* One line for the operator, without newline. NULL: standard error. */
	void (*log)(void *arg, const char *line);
	void *arg;
};

/* Creates the tables, or brings them up to date. Harmless if they are. */
LEV_EXPORT int lev_outbox_migrate(const char *database);

/* *out is the caller's. LEV_INVALID, LEV_NO_MEMORY; database and broker need not be there yet. */
LEV_EXPORT int lev_outbox_open(struct lev_outbox **out, const struct lev_outbox_options *options);

/* Relays until lev_outbox_stop(), through all failures of database and broker, which are logged. Of
 * several relays of one outbox one is at work. LEV_OK; LEV_UNSUPPORTED: the broker knows no
 * idempotency, so rows could be doubled. */
LEV_EXPORT int lev_outbox_run(struct lev_outbox *outbox);

/* Has lev_outbox_run() return when what is in flight has been settled. From any thread, or a signal
 * handler. */
LEV_EXPORT void lev_outbox_stop(struct lev_outbox *outbox);
LEV_EXPORT void lev_outbox_close(struct lev_outbox *outbox); /* Not while it runs. NULL is fine. */

/* Rows that were published since it was opened. */
LEV_EXPORT uint64_t lev_outbox_published(const struct lev_outbox *outbox);

#ifdef LEV_OUTBOX_SQLITE
#include <sqlite3.h>

/* Adds an event, within the caller's transaction. LEV_OK or LEV_SYSTEM with a reason. */
LEV_EXPORT int lev_outbox_sqlite_add(sqlite3 *db, const char *aggregate_type,
				     const char *aggregate_id, const char *event_type,
				     const void *payload, size_t len);
#endif

#ifdef LEV_OUTBOX_POSTGRESQL
#include <libpq-fe.h>
LEV_EXPORT int lev_outbox_postgresql_add(PGconn *db, const char *aggregate_type,
					 const char *aggregate_id, const char *event_type,
					 const void *payload, size_t len);
#endif

#ifdef __cplusplus
}
#endif
#endif
