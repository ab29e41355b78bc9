/* State: what the parts of manage/ share. Nothing outside includes this. */
#ifndef LEV_MANAGE_STATE_H
#define LEV_MANAGE_STATE_H

#include "manage/manage.h"
#include "manage/table_json.h"

#include "auth/users.h"
#include "base/list.h"
#include "base/map.h"
#include "core/admin.h"
#include "core/core.h"
#include "core/inputs.h"

enum document {
	DOCUMENT_GLOBAL = 'G',     /* A global parameter. */
	DOCUMENT_MADE = 'M',       /* The first user has been made. */
	DOCUMENT_PERMISSION = 'P', /* Of a user in a virtual host. */
	DOCUMENT_PARAMETER = 'R',  /* Of a virtual host, policies and limits included. */
	DOCUMENT_TOPIC = 'T',      /* A topic permission. */
	DOCUMENT_USER = 'U',
};

/* A parameter, or a global one: then vhost and component are empty. */
struct parameter {
	struct bytes key; /* Owned: the three names, NUL between them. */
	char *vhost;      /* Views into the key. */
	char *component;
	char *name;
	json_t *value;
	bool is_of_file;  /* Of load_definitions: it goes when it is not in there any more. */
	uint64_t loading; /* When the file said it last. */
	struct list in_policied; /* A policy; else alone. */
};

/* The policies of a virtual host. */
struct policied {
	char *vhost; /* Owned. */
	struct list all;
};

struct manage {
	struct manage_options options;
	struct core *core;
	struct users *users;
	struct map parameters; /* key -> struct parameter */
	bool is_made;
	uint64_t loading; /* Of which file; 0: of none. */
	uint64_t loading_last;
	bool is_recovering; /* Policies come into force at its end. */
	/* Until recovery is over: what the journal has. */
	struct document_found *found; /* An array, owned. */
	size_t found_len, found_cap;
	uint8_t *found_bytes; /* Their values, owned. */
	size_t found_bytes_len, found_bytes_cap;
	struct map policied; /* Virtual hosts with policies: name -> struct policied */
	json_t *late; /* Virtual hosts whose policies come into force later; NULL: at once. */
	struct list imports; /* The first is at work. */
	struct kept_connection {
		bool is_wanted;      /* By an import that is at work. */
		struct vhost *vhost; /* NULL: there is none. */
		struct connection *connection;
		struct channel *channel;
	} kept; /* --- objects.c --- */
};

struct document_found {
	enum document kind;
	size_t at, len; /* In found_bytes. */
};

/* An answer that refuses. */
struct trouble {
	int status; /* 0: there is none. */
	int code;   /* Of AMQP, if the core refused; 0: it did not. */
	char text[600];
};

__attribute__((format(printf, 3, 4))) bool trouble(struct trouble *t, int status,
						   const char *format, ...);

/* --- what questions say --- */

/* Empty if it is not there or no string. */
struct bytes field_text(const json_t *object, const char *name);
/* NULL as above. */
const char *field_str(const json_t *object, const char *name);
/* "vhost", without it "/". */
struct bytes field_vhost_name(const json_t *object);
/* The same; NULL, and trouble: there is none. */
struct vhost *field_vhost(struct manage *m, const json_t *question, struct trouble *t);

/* --- documents.c --- */

/* names: what tells it from others of its kind. */
void document_put(struct manage *m, enum document kind, const struct bytes *names, size_t names_len,
		  const json_t *value);
void document_put_fields(struct manage *m, enum document kind, const struct bytes *names,
			 size_t names_len, const struct bytes *fields, size_t fields_len);
void document_delete(struct manage *m, enum document kind, const struct bytes *names,
		     size_t names_len);
bool document_is_of_fields(struct bytes value);
/* Views of the fields of such a one. False: they are not so many. */
bool document_fields(struct bytes value, struct bytes *fields, size_t len);

/* --- users.c --- */

/* Each takes the JSON of definitions, checks it, and, unless is_check, brings it into force without
 * a record. */
bool user_apply(struct manage *m, const json_t *user, bool is_check, struct trouble *t);
bool permission_apply(struct manage *m, const json_t *permission, bool is_check, struct trouble *t);
bool topic_apply(struct manage *m, const json_t *topic, bool is_check, struct trouble *t);
/* From the fields of its document, into force. False: they make no sense. */
bool user_recover(struct manage *m, struct bytes document);
bool permission_recover(struct manage *m, struct bytes document);
bool topic_recover(struct manage *m, struct bytes document);
/* What is in force becomes a document. */
void user_record(struct manage *m, const struct user *user);
void permission_record(struct manage *m, const struct user *user, struct bytes vhost);
void topic_record(struct manage *m, const struct user *user, struct bytes vhost,
		  struct bytes exchange);
json_t *user_json(const struct user *user);
json_t *permission_json(const struct user *user, const struct grant *grant);
json_t *topic_json(const struct user *user, const struct grant *grant,
		   const struct topic_grant *topic);
/* The documents of a virtual host that is going. */
void users_drop_vhost(struct manage *m, struct bytes vhost);

/* --- vhosts.c --- */

bool vhost_apply(struct manage *m, const json_t *vhost, bool is_check, struct trouble *t);
/* What its notes say comes into force. */
void vhost_recovered(struct vhost *vhost);
json_t *vhost_json(const struct vhost *vhost);

/* --- parameters.c --- */

/* Policies are those with the components "policy" and "operator_policy"; "vhost-limits" are limits.
 * vhost NULL: a global one. */
bool parameter_apply(struct manage *m, const char *vhost, const char *component, const char *name,
		     json_t *value, bool is_check, struct trouble *t);
void parameter_record(struct manage *m, const char *vhost, const char *component, const char *name);
const struct parameter *parameter_find(const struct manage *m, const char *vhost,
				       const char *component, const char *name);
bool parameter_clear(struct manage *m, const char *vhost, const char *component, const char *name);
void parameters_drop_vhost(struct manage *m, const char *vhost);
/* Those of an older file that the one being loaded does not say. */
void parameters_drop_unloaded(struct manage *m);
void parameters_fini(struct manage *m);
/* The policies of a virtual host come into force. */
void policies_set(struct manage *m, const char *vhost);
void policies_recovered(struct manage *m);
/* Of a policy in definitions, the value of its parameter. */
json_t *policy_value(const json_t *policy);

/* --- objects.c --- */

/* Queues, exchanges and bindings of definitions: into force by way of a connection of their own,
 * which, if m->kept.is_wanted, is kept for the next one of the same virtual host. */
bool object_check(struct manage *m, const char *kind, const json_t *object, struct trouble *t);
bool object_apply(struct manage *m, const char *kind, const json_t *object, struct trouble *t);
/* After a few of them: the connection goes. */
void objects_rest(struct manage *m);
void objects_export(struct manage *m, struct vhost *vhost, json_t *out);

/* --- import.c --- */

void imports_fini(struct manage *m);

/* --- commands: a table of them each --- */

typedef json_t *command_run(struct manage *m, const json_t *question, struct trouble *t);

struct command {
	const char *name;
	command_run *run;
};

extern const struct command user_commands[], vhost_commands[], parameter_commands[],
	definition_commands[], import_commands[], object_commands[];

#endif
