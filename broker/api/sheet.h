/* Sheet: rows that the loop's thread has copied for the api's: plain structs with what their texts
 * say, filled a little in each turn. */
#ifndef LEV_API_SHEET_H
#define LEV_API_SHEET_H

#include "core/view.h"
#include "session/session.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sheet_kind {
	SHEET_QUEUES,
	SHEET_EXCHANGES,
	SHEET_BINDINGS,
	SHEET_CHANNELS,
	SHEET_CONSUMERS,
	SHEET_CONNECTIONS,
	SHEET_KINDS,
};

struct queue_row {
	struct queue_info i;
	struct bytes owner;          /* Name of the connection that it is exclusive to. */
	struct bytes active_channel; /* Name of its single active consumer's channel. */
};

struct exchange_row {
	struct exchange_info i;
};

struct binding_row {
	struct binding_info i;
};

struct channel_row {
	struct channel_info i;
	struct bytes connection; /* "127.0.0.1:40000 -> 127.0.0.1:5672" */
	uint16_t number;
};

struct consumer_row {
	struct consumer_info i;
	struct bytes connection;
	struct bytes user;
	uint16_t number;
};

struct connection_row {
	struct session_info i;
	struct bytes name;
};

struct sheet;

struct sheet *sheet_create(enum sheet_kind kind);
void sheet_free(struct sheet *sheet); /* NULL is fine. */
/* row: the struct of the sheet's kind; its texts are copied. */
void sheet_add(struct sheet *sheet, const void *row);
size_t sheet_len(const struct sheet *sheet);
const void *sheet_row(const struct sheet *sheet, size_t at);
enum sheet_kind sheet_kind(const struct sheet *sheet);
/* Of a row of any kind; empty: it has none. */
struct bytes sheet_row_vhost(enum sheet_kind kind, const void *row);

#endif
