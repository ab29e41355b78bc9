/* A stranger's program that uses one library, the one that -DUSE_... names, and what that brings with it. */
#if defined(USE_INBOX_LMDB)
#define LEV_INBOX_LMDB
#elif defined(USE_INBOX_SQLITE)
#define LEV_INBOX_SQLITE
#elif defined(USE_INBOX_POSTGRESQL)
#define LEV_INBOX_POSTGRESQL
#endif
#include <leveret/inbox.h>
#include <leveret/leveret.h>
#include <leveret/mock.h>
#include <leveret/outbox.h>
#include <stdio.h>

/* Enough that the linker wants all of it; it is run without arguments. */
static int use(void)
{
#if defined(USE_MOCK)
	struct lev_mock *mock;
	return lev_mock_start(&mock);
#elif defined(USE_OUTBOX)
	struct lev_outbox *outbox;
	return lev_outbox_open(&outbox, &(struct lev_outbox_options){ .database = "sqlite:x" });
#elif defined(USE_INBOX_LMDB)
	MDB_dbi inbox;
	return lev_inbox_lmdb_open(NULL, &inbox);
#elif defined(USE_INBOX_SQLITE)
	return lev_inbox_sqlite_migrate(NULL);
#elif defined(USE_INBOX_POSTGRESQL)
	return lev_inbox_postgresql_migrate(NULL);
#else
	struct lev *lev;
	return lev_connect(&lev, "amqp://localhost", LEV_NOW);
#endif
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return use();
	puts(LEVERET_VERSION);
	return 0;
}
