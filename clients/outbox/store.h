/* Store: an outbox table in some database. A row has a sequence: a number that it keeps, given in
 * the order in which rows are to be published; it is what the broker knows it by.
 *
 * Operations answer LEV_OK, or LEV_SYSTEM with the thread's reason: the connection is then closed
 * and opened anew. Not thread-safe. */
#ifndef LEV_OUTBOX_STORE_H
#define LEV_OUTBOX_STORE_H

#include <leveret/leveret.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_NAME_BYTES = 33 };

struct row {
	uint64_t sequence;
	char *aggregate_type; /* Owned, as all here. */
	char *aggregate_id;
	char *event_type;
	bool has_nul; /* In one of these, which end there and are not what was written, */
	bool is_cut;  /* and in one of the aggregate's two. */
	void *payload;
	size_t payload_len;
	uint64_t created_s; /* Unix time. */
};

struct store;

struct store_ops {
	int (*connect)(struct store *store);
	void (*disconnect)(struct store *store);
	int (*migrate)(struct store *store);
	/* The outbox's own name, for the broker: made at random when the table was. */
	int (*name)(struct store *store, char name[STORE_NAME_BYTES]);
	/* Takes the lease, or prolongs it: *is_ours. */
	int (*lease)(struct store *store, const char *holder, uint32_t ms, bool *is_ours);
	int (*release)(struct store *store, const char *holder);
	/* Rows that are not published, in order of sequence, from the first one to those less than
	 * `span` after it. */
	int (*fetch)(struct store *store, struct row *rows, size_t most, uint64_t span,
		     size_t *len);
	/* Rows up to this one have been published, and that was not marked. */
	int (*mark_until)(struct store *store, uint64_t sequence, bool is_deleting);
	int (*mark)(struct store *store, const uint64_t *sequences, size_t len, bool is_deleting);
	/* Until there may be new rows, wake_fd is readable, or time is up. */
	int (*wait)(struct store *store, int wake_fd, uint32_t ms);
	void (*destroy)(struct store *store);
};

struct store {
	const struct store_ops *does;
	uint32_t poll_ms;
};

/* LEV_INVALID, LEV_NO_MEMORY, LEV_UNSUPPORTED: built without this database. */
int store_create(struct store **out, const char *database);

struct store *store_sqlite_create(const char *path);
struct store *store_postgresql_create(const char *conninfo);

void row_fini(struct row *row);

#endif
