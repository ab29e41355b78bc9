/* Manage: what operators and their programs ask of a broker: virtual hosts, users, permissions,
 * limits, parameters and policies, definitions as a whole. Questions and answers are JSON; whoever
 * brings them has seen to it that the asker may.
 *
 * What is set is kept in the journal beside the core's definitions, as documents, and the answer is
 * to wait until it is on disk. All calls are the loop's. */
#ifndef LEV_MANAGE_MANAGE_H
#define LEV_MANAGE_MANAGE_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct manage;
struct users;

struct manage_options {
	struct users *users; /* Borrowed. */
	uint64_t hash_seed;
	void (*begin_turn)(void *arg); /* Before the core is touched; more than once in a turn. */
	void (*changed)(void *arg);    /* Sessions are to be looked at again. */
	void *arg;
};

/* The statuses of rabbitmqctl, which scripts know: those of sysexits.h. */
enum manage_status {
	MANAGE_OK = 0,
	MANAGE_USAGE = 64,
	MANAGE_DATA = 65, /* No such virtual host, a value that makes no sense. */
	MANAGE_NO_USER = 67,
	MANAGE_REFUSED = 69,
	MANAGE_EXISTS = 70,
};

struct manage *manage_create(const struct manage_options *options);
void manage_destroy(struct manage *manage); /* NULL is fine. */

/* For struct core_options.on_document, with the manage as argument. */
void manage_on_document(void *manage, uint8_t kind, struct bytes key, struct bytes value);
/* When recovery is over, before the first turn: what documents said comes into force. Returns how
 * many made no sense. */
size_t manage_recovered(struct manage *manage, struct core *core);
/* The directory has never been managed: its first user is still to be made. */
bool manage_is_new(const struct manage *manage);

struct manage_first {
	const char *vhost;
	const char *user;
	const char *password;
	const char *tags;                     /* Separated by commas. */
	const char *configure, *write, *read; /* Regular expressions: what he may in the vhost. */
};

/* Makes the first user, and the virtual host, if it is not there. Within a turn. False, and why: a
 * pattern is none, or there is no memory for the password's hash. */
bool manage_begin(struct manage *manage, const struct manage_first *first, char *why,
		  size_t why_size);

/* question: an object with "command" and what it takes. The answer is the caller's; it has "error",
 * "status" (enum manage_status) and "code" (of AMQP; 0: it was not the core) if it was refused.
 * NULL: no command of ours. *awaited: the sequence of the journal that must be on disk before it is
 * told; 0: none. */
json_t *manage_answer(struct manage *manage, const json_t *question, uint64_t *awaited);

/* Definitions as RabbitMQ exports them, all or nothing: what exists stays if the same is said of
 * it. vhost: what says none goes there; NULL: what says none is refused. The answer is the
 * caller's: "created", "changed", "conflicting" and "ignored" (what has no meaning here) are lists
 * of texts; with the first conflict, or "error", nothing has been done. is_dry: nothing is done
 * anyway. */
json_t *manage_import(struct manage *manage, const json_t *definitions, const char *vhost,
		      bool is_dry);
/* As above, of the file of the configuration: parameters and policies that an older one said, and
 * this one does not, go. */
json_t *manage_load(struct manage *manage, const json_t *definitions);
/* --- the same in steps --- */

/* report, definitions: the callee's; both are large, so that to give them up, too, takes a while.
 * awaited: as in manage_answer(). */
typedef void manage_told(void *arg, json_t *report, json_t *definitions, uint64_t awaited);

struct manage_import_options {
	json_t *definitions; /* Taken. */
	const char *vhost;   /* As in manage_import(); copied. */
	bool is_dry;
	bool is_load; /* As of manage_load(). */
	manage_told *told;
	void *arg;
};

/* One after the other, if several are started. Each is all or nothing as far as it is wrong itself;
 * if others change what it needs while it is at work, it ends where it is, and says so. */
void manage_start_import(struct manage *manage, const struct manage_import_options *options);
/* It goes on; told() is called with NULL for this arg. */
void manage_forget_import(struct manage *manage, const void *arg);
bool manage_has_work(const struct manage *manage);
/* If there is: a step is an object that is looked at or brought into force, some 20 us. At the end
 * told() is called. */
void manage_work(struct manage *manage, size_t steps);

/* vhost: of that one; NULL: of all, with users. */
json_t *manage_export(struct manage *manage, const char *vhost);

#endif
