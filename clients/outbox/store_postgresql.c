/* An outbox in PostgreSQL. Transactions commit in another order than their ids were given, so a row
 * gets its sequence from the relay, in a transaction that only one relay can be in; it is given
 * once, and stays. New rows are told of by NOTIFY, from a trigger. */
#define LEV_OUTBOX_POSTGRESQL
#include "store.h"

#include <inttypes.h>
#include <leveret/outbox.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 1000 };

struct postgresql {
	struct store store;
	char *conninfo;
	PGconn *db;
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS leveret_outbox ("
	" id bigserial PRIMARY KEY,"
	" aggregate_type text NOT NULL, aggregate_id text NOT NULL, event_type text NOT NULL, "
	"payload bytea NOT NULL,"
	" created timestamptz NOT NULL DEFAULT now(), sequence bigint UNIQUE, published "
	"timestamptz);"
	"CREATE INDEX IF NOT EXISTS leveret_outbox_new ON leveret_outbox (id) WHERE sequence IS "
	"NULL;"
	"CREATE INDEX IF NOT EXISTS leveret_outbox_unpublished ON leveret_outbox (sequence) WHERE "
	"published IS NULL AND "
	"sequence IS NOT NULL;"
	"CREATE TABLE IF NOT EXISTS leveret_outbox_relay ("
	" one integer PRIMARY KEY CHECK (one = 1), name text NOT NULL, holder text, expires "
	"timestamptz NOT NULL DEFAULT "
	"'-infinity',"
	" sequence bigint NOT NULL DEFAULT 0);"
	"INSERT INTO leveret_outbox_relay (one, name) VALUES (1, md5(random()::text || "
	"clock_timestamp()::text)) ON CONFLICT "
	"DO NOTHING;"
	"CREATE OR REPLACE FUNCTION leveret_outbox_tell() RETURNS trigger LANGUAGE plpgsql AS"
	" 'BEGIN NOTIFY leveret_outbox; RETURN NULL; END';"
	"DROP TRIGGER IF EXISTS leveret_outbox_tell ON leveret_outbox;"
	"CREATE TRIGGER leveret_outbox_tell AFTER INSERT ON leveret_outbox FOR EACH STATEMENT "
	"EXECUTE FUNCTION "
	"leveret_outbox_tell();";

/* Gives sequences to rows that have none. First the relay's row is locked, so that there is no
 * other who does; what follows sees all that others have done. */
static const char number_rows[] =
	"BEGIN; SELECT 1 FROM leveret_outbox_relay FOR UPDATE;"
	"WITH relay AS (SELECT sequence FROM leveret_outbox_relay),"
	" new AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM (SELECT id FROM "
	"leveret_outbox WHERE sequence IS NULL ORDER BY id LIMIT 10000) AS ids),"
	" numbered AS (UPDATE leveret_outbox o SET sequence = relay.sequence + new.n FROM new, "
	"relay "
	"WHERE o.id = new.id RETURNING 1)"
	" UPDATE leveret_outbox_relay SET sequence = sequence + (SELECT count(*) FROM numbered) "
	"WHERE EXISTS (SELECT 1 FROM numbered);"
	"COMMIT";

static struct postgresql *postgresql_of(struct store *s)
{
	return (struct postgresql *)s;
}

static int failed(PGconn *db)
{
	char text[200];
	snprintf(text, sizeof text, "%s", db == NULL ? "no memory" : PQerrorMessage(db));
	text[strcspn(text, "\n")] = '\0';
	return lev_fail(LEV_SYSTEM, "PostgreSQL: %s", text);
}

/* *out: the result, to be cleared; NULL if nobody wants it. */
static int query(PGconn *db, const char *command, int len, const char *const *values,
		 PGresult **out)
{
	PGresult *r = PQexecParams(db, command, len, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(r);
	int rc = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ? LEV_OK : failed(db);
	if (rc == LEV_OK && out != NULL)
		*out = r;
	else
		PQclear(r);
	return rc;
}

static int execute(PGconn *db, const char *commands)
{
	PGresult *r = PQexec(db, commands);
	int rc = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK
			 ? LEV_OK
			 : failed(db);
	PQclear(r);
	return rc;
}

static void ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

static int connect_(struct store *store)
{
	struct postgresql *q = postgresql_of(store);
	q->db = PQconnectdb(q->conninfo);
	if (PQstatus(q->db) != CONNECTION_OK)
		return failed(q->db);
	PQsetNoticeProcessor(q->db, ignore_notice, NULL);
	return execute(q->db, "LISTEN leveret_outbox");
}

static void disconnect(struct store *store)
{
	PQfinish(postgresql_of(store)->db);
	postgresql_of(store)->db = NULL;
}

/* One at a time: two that create the same table meet in the catalogue. */
static int migrate(struct store *store)
{
	PGconn *db = postgresql_of(store)->db;
	int rc = execute(db, "BEGIN; SELECT pg_advisory_xact_lock(5672)");
	if (rc == LEV_OK)
		rc = execute(db, schema);
	if (rc != LEV_OK) {
		PQclear(PQexec(db, "ROLLBACK"));
		return rc;
	}
	return execute(db, "COMMIT");
}

static int name_(struct store *store, char name[STORE_NAME_BYTES])
{
	PGresult *r;
	int rc = query(postgresql_of(store)->db, "SELECT name FROM leveret_outbox_relay", 0, NULL,
		       &r);
	if (rc != LEV_OK)
		return rc;
	if (PQntuples(r) == 1)
		snprintf(name, STORE_NAME_BYTES, "%s", PQgetvalue(r, 0, 0));
	else
		rc = lev_fail(LEV_SYSTEM, "leveret_outbox_relay is empty: migrate");
	PQclear(r);
	return rc;
}

static int lease(struct store *store, const char *holder, uint32_t ms, bool *is_ours)
{
	char interval[32];
	const char *values[] = { holder, interval };
	PGresult *r;
	snprintf(interval, sizeof interval, "%" PRIu32 " milliseconds", ms);
	int rc = query(postgresql_of(store)->db,
		       "UPDATE leveret_outbox_relay SET holder = $1, expires = clock_timestamp() + "
		       "$2::interval"
		       " WHERE holder = $1 OR expires <= clock_timestamp()",
		       2, values, &r);
	*is_ours = rc == LEV_OK && strcmp(PQcmdTuples(r), "1") == 0;
	if (rc == LEV_OK)
		PQclear(r);
	return rc;
}

static int release(struct store *store, const char *holder)
{
	return query(postgresql_of(store)->db,
		     "UPDATE leveret_outbox_relay SET expires = '-infinity' WHERE holder = $1", 1,
		     &holder, NULL);
}

static int take_row(const PGresult *r, int i, struct row *row)
{
	size_t len;
	unsigned char *payload = PQunescapeBytea((const unsigned char *)PQgetvalue(r, i, 4), &len);
	*row = (struct row){
		.sequence = strtoull(PQgetvalue(r, i, 0), NULL, 10),
		.aggregate_type = strdup(PQgetvalue(r, i, 1)),
		.aggregate_id = strdup(PQgetvalue(r, i, 2)),
		.event_type = strdup(PQgetvalue(r, i, 3)),
		.payload = malloc(len + 1),
		.payload_len = len,
		.created_s = strtoull(PQgetvalue(r, i, 5), NULL, 10),
	};
	bool has_memory = payload != NULL && row->payload != NULL && row->aggregate_type != NULL &&
			  row->aggregate_id != NULL && row->event_type != NULL;
	if (has_memory)
		memcpy(row->payload, payload, len);
	else
		row_fini(row);
	PQfreemem(payload);
	return has_memory ? LEV_OK : lev_fail(LEV_SYSTEM, "no memory");
}

static int fetch(struct store *store, struct row *rows, size_t most, uint64_t span, size_t *len)
{
	PGconn *db = postgresql_of(store)->db;
	char span_text[24], most_text[24];
	const char *values[] = { span_text, most_text };
	PGresult *r;
	*len = 0;
	snprintf(span_text, sizeof span_text, "%" PRIu64, span);
	snprintf(most_text, sizeof most_text, "%zu", most);
	int rc = execute(db, number_rows);
	if (rc == LEV_OK)
		rc = query(db,
			   "SELECT sequence, aggregate_type, aggregate_id, event_type, payload, "
			   "extract(epoch FROM "
			   "created)::bigint FROM leveret_outbox"
			   " WHERE published IS NULL AND sequence IS NOT NULL AND sequence <"
			   " (SELECT min(sequence) FROM leveret_outbox WHERE published IS NULL AND "
			   "sequence IS NOT NULL) + "
			   "$1::bigint"
			   " ORDER BY sequence LIMIT $2::bigint",
			   2, values, &r);
	if (rc != LEV_OK)
		return rc;
	for (int i = 0; i < PQntuples(r) && rc == LEV_OK; i++) {
		rc = take_row(r, i, &rows[*len]);
		*len += rc == LEV_OK;
	}
	PQclear(r);
	return rc;
}

static int mark_until(struct store *store, uint64_t sequence, bool is_deleting)
{
	char text[24];
	const char *values[] = { text };
	snprintf(text, sizeof text, "%" PRIu64, sequence);
	return query(
		postgresql_of(store)->db,
		is_deleting
			? "DELETE FROM leveret_outbox WHERE published IS NULL AND sequence <= $1"
			: "UPDATE leveret_outbox SET published = now() WHERE published IS NULL AND "
			  "sequence <= $1",
		1, values, NULL);
}

static int mark(struct store *store, const uint64_t *sequences, size_t len, bool is_deleting)
{
	char *list = malloc(len * 21 + 3);
	size_t at = 0;
	if (list == NULL)
		return lev_fail(LEV_SYSTEM, "no memory");
	for (size_t i = 0; i < len; i++)
		at += (size_t)sprintf(list + at, "%c%" PRIu64, i == 0 ? '{' : ',', sequences[i]);
	memcpy(list + at, "}", 2);
	const char *values[] = { list };
	int rc =
		query(postgresql_of(store)->db,
		      is_deleting ? "DELETE FROM leveret_outbox WHERE sequence = ANY ($1::bigint[])"
				  : "UPDATE leveret_outbox SET published = now() WHERE sequence = "
				    "ANY ($1::bigint[])",
		      1, values, NULL);
	free(list);
	return rc;
}

static bool has_notice(PGconn *db)
{
	bool is_any = false;
	for (PGnotify *n; (n = PQnotifies(db)) != NULL; is_any = true)
		PQfreemem(n);
	return is_any;
}

static int wait_(struct store *store, int wake_fd, uint32_t ms)
{
	PGconn *db = postgresql_of(store)->db;
	struct pollfd fds[] = { { .fd = PQsocket(db), .events = POLLIN },
				{ .fd = wake_fd, .events = POLLIN } };
	if (has_notice(db))
		return LEV_OK;
	if (poll(fds, 2, (int)(ms < store->poll_ms ? ms : store->poll_ms)) > 0 &&
	    fds[0].revents != 0 && PQconsumeInput(db) == 0)
		return failed(db);
	has_notice(db);
	return LEV_OK;
}

static void destroy(struct store *store)
{
	disconnect(store);
	free(postgresql_of(store)->conninfo);
	free(store);
}

struct store *store_postgresql_create(const char *conninfo)
{
	static const struct store_ops ops = {
		connect_, disconnect, migrate, name_, lease,   release,
		fetch,    mark_until, mark,    wait_, destroy,
	};
	struct postgresql *q = calloc(1, sizeof *q);
	if (q == NULL || (q->conninfo = strdup(conninfo)) == NULL) {
		free(q);
		return NULL;
	}
	q->store = (struct store){ &ops, POLL_MS };
	return &q->store;
}

int lev_outbox_postgresql_add(PGconn *db, const char *aggregate_type, const char *aggregate_id,
			      const char *event_type, const void *payload, size_t len)
{
	const char *values[] = { aggregate_type, aggregate_id, event_type,
				 len == 0 ? "" : payload };
	const int lengths[] = { 0, 0, 0, (int)len }, formats[] = { 0, 0, 0, 1 };
	PGresult *r = PQexecParams(db,
				   "INSERT INTO leveret_outbox (aggregate_type, aggregate_id, "
				   "event_type, payload) VALUES ($1, $2, $3, $4)",
				   4, NULL, values, lengths, formats, 0);
	int rc = PQresultStatus(r) == PGRES_COMMAND_OK ? LEV_OK : failed(db);
	PQclear(r);
	return rc;
}
