/* Api: RabbitMQ's management over HTTP, on a thread of its own with an event base of its own. There
 * requests are read, judged as far as that needs no broker, and answered: JSON, filters, order,
 * pages. What is asked of the broker goes over a desk (desk.h) to the loop, which answers in steps.
 *
 * query.h is a request on its way, route.h what can be asked; the other files are nouns.
 */
#ifndef LEV_API_API_H
#define LEV_API_API_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct api;
struct core;
struct effect;
struct event_base;
struct manage;
struct message;
struct net;
struct ssl_ctx_st;
struct user;
struct users;

enum api_login { API_LOGIN_REFUSED, API_LOGIN_TAKEN, API_LOGIN_LATER };

/* What a login is judged by. */
struct api_asked {
	struct bytes user;
	struct bytes password;
	uint8_t address[16]; /* Of version 6, or one of version 4 mapped into it. */
	bool is_loopback;
	/* With API_LOGIN_LATER, on the loop's thread: user NULL: refused. */
	void (*told)(void *asker, struct user *user);
	void *asker;
};

/* What the broker tells of itself, sampled by the loop's thread when it is asked. */
struct api_node {
	uint64_t memory_used_bytes; /* What the memory alarm compares, */
	uint64_t memory_limit_bytes;
	bool is_memory_alarm;
	uint64_t disk_free_bytes; /* and the disk's. */
	uint64_t disk_limit_bytes;
	bool is_disk_alarm;
	uint64_t uptime_ms;
	uint64_t sockets_max;
	uint64_t unix_ms;
};

struct api_listener {
	const char *protocol; /* "amqp", "amqp/ssl", "http", ...; borrowed. */
	char host[64];
	uint16_t port;
};

enum { API_LISTENERS_MAX = 24 };

struct api_options {
	struct event_base *loop; /* Borrowed, as all here. */
	struct core *core;
	struct manage *manage;
	struct users *users;
	struct net *net;
	const char *node;    /* Name of the node, "rabbit@localhost". */
	const char *product; /* Name and version of the product, */
	const char *product_version;
	const char *version;      /* and of the RabbitMQ whose behaviour is promised. */
	const char *cluster_name; /* Until a global parameter says another. */
	const char *data_dir;
	const char *config_file; /* NULL: none. */
	const char *log_file;    /* Empty: standard error. */
	uint64_t message_bytes_max;
	struct api_listener listeners[API_LISTENERS_MAX];
	size_t listeners_len;
	/* The loop's thread, within a turn or, the first, to begin one. */
	void (*begin_turn)(void *arg);
	enum api_login (*login)(void *arg, const struct api_asked *asked, struct user **user);
	void (*forget_login)(void *arg, void *asker);
	void (*node_state)(void *arg, struct api_node *node);
	/* As turn_read(). */
	struct message *(*read_message)(void *arg, uint64_t location, uint32_t queue_id,
					uint64_t position);
	/* Any thread: one line for the operator. */
	void (*log)(void *arg, const char *peer, const char *text);
	/* The loop's thread: a change that has been asked for, and what came of it (audit.h). NULL:
	 * nobody wants to know. */
	void (*audit)(void *arg, const char *peer, struct bytes user, const char *action,
		      const char *text);
	void *arg;
};

/* NULL, and errno. Nothing is served before api_start(). */
struct api *api_create(const struct api_options *options);
/* Serves the listening socket, which it takes over. False if memory is lacking. */
bool api_listen(struct api *api, int fd, bool is_tls);
/* What connections under TLS that begin from now on are made with; takes it (tls_create()). Before
 * api_listen(); later the loop's thread may renew it. */
void api_set_tls(struct api *api, struct ssl_ctx_st *context);
/* The same for metrics (metrics.h). */
bool api_listen_metrics(struct api *api, int fd);
/* False, and errno: no thread. */
bool api_start(struct api *api);
/* Ends the thread; requests that wait are dropped. Within a turn, since what has begun is given up.
 * NULL is fine. */
void api_destroy(struct api *api);

/* --- the loop's thread --- */

/* See desk_work() and desk_durable(); NULL is fine. */
bool api_work(struct api *api);
/* True: the effect was for a channel of the api's own, and is done. NULL is fine. */
bool api_effect(struct api *api, const struct effect *effect);
void api_durable(struct api *api, uint64_t durable);

#endif
