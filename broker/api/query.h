/* Query: a request from the moment that it has been read until it is answered. It is admitted
 * (login, rights, virtual host) and asked on the loop's thread, and prepared and answered on the
 * api's. Nothing outside api/ includes this. */
#ifndef LEV_API_QUERY_H
#define LEV_API_QUERY_H

#include "api/api.h"
#include "api/route.h"
#include "base/map.h"
#include "desk/desk.h"
#include "http/basic.h"
#include "http/reply.h"

#include <jansson.h>
#include <pthread.h>

struct desk;
struct http_server;
struct rates;
struct sessions;
struct refusal;
struct sheet;
struct ssl_ctx_st;
struct vhost;

enum { QUERY_NAMES_MAX = 8, QUERY_REASON_MAX = 1024 };

struct api {
	struct api_options options;
	struct event_base *base;
	struct http_server *server;
	struct http_server *metrics;
	struct desk *desk;
	pthread_t thread;
	int stop_fd; /* Written to by the loop's thread, */
	struct event *stop;
	struct event *tidy;
	bool is_running;
	struct rates *rates;       /* The api's thread. */
	struct sessions *sessions; /* Likewise. */
	struct ssl_ctx_st *tls;    /* Likewise. Owned; NULL: none. */
	struct map deeds;          /* The loop's: address of its owner -> struct deed */
	uint64_t seed;             /* Of hash tables. */
};

struct query {
	struct desk_job job;
	struct api *api;
	struct http_request *request;
	const struct route *route;
	struct bytes names[QUERY_NAMES_MAX]; /* What the stars of the route's path stand for. */
	json_t *body;                        /* An object; NULL: there was none. */
	void *prepared;                      /* The route's own, of what the request says, */
	void (*free_prepared)(void *prepared);
	struct http_basic login;
	bool has_login;
	bool has_session;          /* In place of a login: the user, */
	struct bytes session_user; /* owned, */
	uint64_t session_version;  /* who has not changed since. */
	bool is_later;             /* Its login waits for an answer. */
	bool is_read;              /* What it says has been read and prepared. */

	/* The loop's. */
	struct user *user; /* Held, from admission to the last step. */
	bool sees_all;     /* Objects of all virtual hosts. */
	unsigned stage;    /* The route's own: which step it is at; begins with 0. */
	void *state;       /* The route's own; freed with end_state. */
	void (*end_state)(struct query *query);
	void *waiting;                            /* For what has a time; likewise, */
	void (*end_waiting)(struct query *query); /* with end_waiting. */
	bool is_ended;                            /* Nothing more is to be done on the loop. */

	/* The answer. */
	unsigned status;
	const char *error; /* Of a refusal; NULL: that of the status. */
	char reason[QUERY_REASON_MAX];
	json_t *answer;  /* Owned. */
	json_t *details; /* Owned; a reason that is no text. */
	size_t samples;  /* Of histories, that are in the answer. */
	bool asks_for_login;
	struct sheet *sheet; /* Owned: rows of a list, */
	struct sheet *one;   /* and the object that they belong to. */
	char location[1024];
	char disposition[300];
	char cookie[160];
};

/* --- refusals: all return false --- */

/* error: of the reply; NULL: there is no body. */
bool query_refuse(struct query *query, unsigned status, const char *error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool query_bad(struct query *query, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool query_not_found(struct query *query);
/* 401; why: "Not administrator user". */
bool query_unauthorised(struct query *query, const char *why);

/* --- the loop's thread --- */

/* The virtual host that names[0] says: as the route's access was checked, it is there, unless it
 * has gone since: NULL, and 404. */
struct vhost *query_vhost(struct query *query);
bool query_may_see(const struct query *query, struct bytes vhost);
/* Tells the log of a change that is no question to manage; query_ask() does of those. Takes the
 * question: "command" and what it was about. error: why it was refused; NULL: it was done. */
void query_audit(struct query *query, json_t *question, const char *error);
/* Asks manage; takes the question. The answer is the caller's; NULL: refused, with the status that
 * fits. */
json_t *query_ask(struct query *query, json_t *question);
/* The same, for questions whose answer is of no interest. */
bool query_do(struct query *query, json_t *question);
/* The core has refused: 401 what the user may not, 404 what is not there, otherwise 400. */
void query_refuse_by(struct query *query, const struct refusal *refusal);
/* The answer waits for the journal to have this sequence, too; 0: for nothing. */
void query_await(struct query *query, uint64_t sequence);

/* --- the api's thread --- */

struct query *query_create(struct api *api, struct http_request *request);
void query_begin(struct query *query);
/* Replies with status and answer, and frees it. */
void query_reply(struct query *query);
/* A whole text as the reply. */
void query_reply_text(struct query *query, unsigned status, const char *type, struct bytes text);

/* --- names, bodies and parameters --- */

/* The default exchange has a name where an empty one cannot stand. */
struct bytes query_exchange_name(struct bytes name);

/* A field that is true, false, or one of these as a text. False, and a refusal: it is something
 * else. */
bool query_flag(struct query *query, const char *name, bool *value);
/* All of these (ends with NULL) are there; otherwise a refusal as RabbitMQ's. */
bool query_needs(struct query *query, const char *const *names);
bool query_parameter_is_true(const struct query *query, const char *name);
/* {"command": ..., "vhost": names[0], ...} in the name of the user that asks. */
json_t *query_question(const struct query *query, const char *command);
const char *query_str(const struct query *query, const char *name); /* NULL: absent or no text. */

#endif
