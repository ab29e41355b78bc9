/* List: rows as JSON, as the request's columns, sort and page parameters have it. */
#ifndef LEV_API_LIST_H
#define LEV_API_LIST_H

#include "api/query.h"

/* Which fields of an object are wanted. */
struct columns;

/* What a row is made into JSON by: all its fields, or those of columns. */
typedef json_t *list_make(struct query *query, const void *row, const struct columns *columns);

/* True if the field (of the top level) is wanted; columns NULL: all are. */
bool columns_want(const struct columns *columns, const char *field);
/* The same of FIELD_details. */
bool columns_want_details(const struct columns *columns, const char *field);
/* The same of a field, or its details, within an object of the top level. */
bool columns_want_inner(const struct columns *columns, const char *outer, const char *field);

/* What follows, but for the answer itself: query->answer, or a refusal, is what it would be. */
void list_fill(struct query *query, list_make *make, const char *name);
void list_fill_json(struct query *query, json_t *rows, const char *name, bool has_pages);

/* Answers with the rows of query->sheet, by virtual host and name unless asked otherwise, and frees
 * the query. name: of the field that pages are filtered by. */
void list_reply(struct query *query, list_make *make, const char *name);
/* The same with an array of objects; takes it. */
void list_reply_json(struct query *query, json_t *rows, const char *name, bool has_pages);
/* Answers with one object, of which columns may be wanted, and frees the query; takes it. */
void list_reply_object(struct query *query, json_t *object);
/* The same of what the step has left as query->answer. */
void list_reply_rows(struct query *query, const char *name, bool has_pages);
void list_reply_answer(struct query *query);

#endif
