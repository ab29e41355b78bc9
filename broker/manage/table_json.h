/* Table as JSON: AMQP's tables as RabbitMQ's management shows and takes them. Any thread. */
#ifndef LEV_MANAGE_TABLE_JSON_H
#define LEV_MANAGE_TABLE_JSON_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdbool.h>

/* A table that has been checked; times become numbers of seconds, what JSON has not becomes null.
 */
json_t *table_json(struct bytes table);
/* The fields of an object: whole numbers become signed of 64 bits, others doubles, texts long
 * strings. False: it is too deep, or a name is longer than 255 bytes; w->failed: there was no room.
 */
bool table_write_json(struct writer *w, const json_t *object);
/* Text that need not be UTF-8: then what is not ASCII is shown as question marks. */
json_t *json_of_text(struct bytes text);

#endif
