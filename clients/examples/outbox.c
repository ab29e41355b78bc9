/* A shop that sells, and tells of it: sale and event are one transaction, and a relay, here a
 * thread of the same program, publishes events.
 *
 *   outbox DATABASE [URI] */
#define LEV_OUTBOX_SQLITE
#include <leveret/outbox.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SALES = 10 };

static bool execute(sqlite3 *db, const char *commands)
{
	return sqlite3_exec(db, commands, NULL, NULL, NULL) == SQLITE_OK;
}

static bool sell(sqlite3 *db, int number)
{
	char id[16], event[64];
	snprintf(id, sizeof id, "%d", number);
	int len = snprintf(event, sizeof event, "{\"order\":%d,\"total\":%d}", number, number * 10);
	return execute(db, "BEGIN IMMEDIATE") && execute(db, "INSERT INTO sales DEFAULT VALUES") &&
	       lev_outbox_sqlite_add(db, "order", id, "paid", event, (size_t)len) == LEV_OK &&
	       execute(db, "COMMIT");
}

static void *relay(void *arg)
{
	lev_outbox_run(arg);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *uri = argc > 2 ? argv[2] : "amqp://localhost";
	char database[256];
	struct lev *lev;
	struct lev_outbox *outbox;
	sqlite3 *db;
	pthread_t thread;
	if (argc < 2)
		return fputs("usage: outbox DATABASE [URI]\n", stderr), 2;
	snprintf(database, sizeof database, "sqlite:%s", argv[1]);
	const struct lev_outbox_options options = { .database = database, .uri = uri };
	if (lev_outbox_migrate(database) < 0 || lev_connect(&lev, uri, lev_in(5000)) < 0 ||
	    lev_declare_exchange(lev, "events", "topic", NULL, lev_in(5000)) < 0 ||
	    lev_declare_queue(lev, "shipping", NULL, lev_in(5000)) < 0 ||
	    lev_bind(lev, "shipping", "events", "order.paid", NULL, lev_in(5000)) < 0 ||
	    lev_outbox_open(&outbox, &options) < 0)
		return fprintf(stderr, "%s\n", lev_reason()), 1;
	if (sqlite3_open(argv[1], &db) != SQLITE_OK ||
	    !execute(db, "CREATE TABLE IF NOT EXISTS sales (id INTEGER PRIMARY KEY)"))
		return fprintf(stderr, "%s\n", sqlite3_errmsg(db)), 1;
	sqlite3_busy_timeout(db, 5000);
	pthread_create(&thread, NULL, relay, outbox);
	for (int i = 1; i <= SALES; i++)
		if (!sell(db, i))
			return fprintf(stderr, "%s\n", sqlite3_errmsg(db)), 1;
	while (lev_outbox_published(outbox) < SALES)
		usleep(10000);
	lev_outbox_stop(outbox);
	pthread_join(thread, NULL);
	lev_outbox_close(outbox);
	sqlite3_close(db);
	for (struct lev_message *m; lev_get(lev, "shipping", &m, lev_in(5000)) == LEV_OK;
	     lev_ack(m))
		printf("%s %s\n", m->routing_key, (const char *)m->body);
	return lev_close(lev, lev_in(5000)) < 0;
}
