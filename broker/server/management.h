/* Management: the api (api.h) as this server has it. The loop's thread. */
#ifndef LEV_SERVER_MANAGEMENT_H
#define LEV_SERVER_MANAGEMENT_H

#include "api/api.h"
#include "server/alarm.h"
#include "server/config.h"

struct logins;
struct ssl_ctx_st;
struct turn;

struct management_options {
	struct event_base *base; /* Borrowed, as all here. */
	const struct config *config;
	const char *config_file; /* NULL: none. */
	struct core *core;
	struct manage *manage;
	struct users *users;
	struct logins *logins;
	struct net *net;
	const struct alarm *alarm;
	struct turn *turn;
	void (*begin_turn)(void *arg);
	void *arg;
};

struct management;

/* Without management.enabled it serves the operator's socket in the data directory only. NULL, and
 * not *is_fine: it could not be made, as the log says. */
struct management *management_create(const struct management_options *options, bool *is_fine);
/* Within a turn, before what it borrows goes. NULL is fine. */
void management_destroy(struct management *management);

/* NULL: there is none. */
struct api *management_api(const struct management *management);
/* Certificates are read anew. False, and why: nothing has changed. NULL is fine. */
bool management_reload(struct management *management, char *why, size_t why_size);

#endif
