/* Definitions as files: exported and imported. */
#include "api/json_text.h"
#include "api/list.h"

#include "auth/password.h"
#include "core/core.h"
#include "manage/manage.h"
#include "manage/table_json.h"

#include "base/alloc.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Of a hundred thousand queues. */
enum { DEFINITION_VALUES_MAX = 2 << 20 };

static bool is_of_vhost(const struct query *c)
{
	return c->route->vhost != VHOST_NONE;
}

/* --- export --- */

static enum desk_step get_definitions(struct query *c)
{
	json_t *q = json_pack("{s:s}", "command", "export_definitions");
	if (is_of_vhost(c) && core_vhost(c->api->options.core, c->names[0]) == NULL) {
		json_decref(q);
		query_bad(c, "vhost_not_found");
		return DESK_DONE;
	}
	if (is_of_vhost(c))
		json_object_set_new(q, "vhost", json_of_text(c->names[0]));
	json_t *answer = query_ask(c, q);
	c->answer = json_incref(json_object_get(answer, "definitions"));
	json_decref(answer);
	return DESK_DONE;
}

/* Those of a virtual host can be brought into any: they do not say whose they are. */
static void make_portable(json_t *definitions)
{
	static const char *const lists[] = { "parameters", "policies", "queues", "exchanges",
					     "bindings" };
	static const char *const others[] = { "users", "vhosts", "permissions", "topic_permissions",
					      "global_parameters" };
	size_t i;
	json_t *o;
	for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
		json_array_foreach(json_object_get(definitions, lists[k]), i, o)
			json_object_del(o, "vhost");
	for (size_t k = 0; k < sizeof others / sizeof *others; k++)
		json_object_del(definitions, others[k]);
}

static void tell_definitions(struct query *c)
{
	struct bytes name;
	json_t *definitions = c->answer;
	c->answer = NULL;
	if (is_of_vhost(c))
		make_portable(definitions);
	json_object_set_new(definitions, "rabbit_version", json_string(c->api->options.version));
	if (http_parameter(c->request, "download", &name)) {
		size_t at = (size_t)snprintf(c->disposition, sizeof c->disposition,
					     "attachment; filename=");
		for (size_t i = 0; i < name.len && at < sizeof c->disposition - 1; i++)
			if (name.data[i] > ' ' && name.data[i] < 127 && name.data[i] != '"' &&
			    name.data[i] != ';' && name.data[i] != '\\')
				c->disposition[at++] = (char)name.data[i];
	}
	list_reply_object(c, definitions);
}

/* --- import --- */

/* Clear passwords of users are hashed here: that takes long. */
static bool hash_one(struct query *c, json_t *user)
{
	const json_t *text = json_object_get(user, "password");
	uint8_t salt[PASSWORD_SALT_BYTES];
	struct password password;
	char hash[PASSWORD_TEXT_MAX];
	if (!json_is_string(text) || json_object_get(user, "password_hash") != NULL)
		return true;
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		abort();
	if (!password_make(&password, bytes_of(json_string_value(text), json_string_length(text)),
			   salt))
		return query_refuse(c, 503, "no_memory", "there is no memory for a hash");
	password_export(&password, hash);
	json_object_set_new(user, "password_hash", json_string(hash));
	json_object_set_new(user, "hashing_algorithm", json_string("leveret_scrypt"));
	json_object_del(user, "password");
	return true;
}

static bool hash_passwords(struct query *c)
{
	size_t i;
	json_t *user;
	json_array_foreach(json_object_get(c->body, "users"), i,
			   user) if (!hash_one(c, user)) return false;
	return true;
}

/* The part of a form that is called "file"; false: there is none. */
static bool find_file(struct bytes type, struct bytes form, struct bytes *file)
{
	static const char mark[] = "boundary=", blank[] = "\r\n\r\n";
	char line[200];
	const uint8_t *at = memmem(type.data, type.len, mark, sizeof mark - 1);
	if (at == NULL)
		return false;
	at += sizeof mark - 1;
	size_t len = (size_t)(type.data + type.len - at);
	if (len > 0 && at[0] == '"') {
		at++;
		len -= len > 1 ? 2 : 1;
	}
	int line_len = snprintf(line, sizeof line, "--%.*s", (int)(len < 150 ? len : 150), at);
	const uint8_t *end = form.data + form.len, *part = form.data;
	while (part < end && (part = memmem(part, (size_t)(end - part), line, (size_t)line_len))) {
		const uint8_t *head = part + line_len;
		const uint8_t *body = memmem(head, (size_t)(end - head), blank, sizeof blank - 1);
		const uint8_t *next =
			body == NULL ? NULL
				     : memmem(body, (size_t)(end - body), line, (size_t)line_len);
		if (next == NULL)
			return false;
		body += sizeof blank - 1;
		if (memmem(head, (size_t)(body - head), "name=\"file\"", 11) != NULL) {
			*file = bytes_of(body, (size_t)(next - body));
			return true;
		}
		part = next;
	}
	return false;
}

static bool has_prefix(struct bytes type, const char *prefix)
{
	return type.len >= strlen(prefix) &&
	       strncasecmp((const char *)type.data, prefix, strlen(prefix)) == 0;
}

static bool prepare_import(struct query *c)
{
	struct bytes type = bytes_str("application/json"), file = c->request->body;
	http_header(c->request, "content-type", &type);
	bool is_form = has_prefix(type, "multipart/form-data");
	if (!is_form && !has_prefix(type, "application/json"))
		return query_refuse(c, 415, NULL, "%s", "");
	if (is_form && !find_file(type, c->request->body, &file))
		return query_bad(c, "failed_to_parse_json");
	c->body = file.len == 0 ? json_object() : json_text_load(file, DEFINITION_VALUES_MAX);
	if (!json_is_object(c->body))
		return query_bad(c, "failed_to_parse_json");
	return hash_passwords(c);
}

static void end_report(struct query *c)
{
	json_decref(c->state);
	c->state = NULL;
}

/* The body is the query's, too: to give it up takes its own thread's time. */
static void on_imported(void *arg, json_t *report, json_t *definitions, uint64_t awaited)
{
	struct query *c = arg;
	json_decref(definitions);
	c->state = report;
	c->end_state = end_report;
	query_await(c, awaited);
	desk_wake(c->api->desk, &c->job);
}

static bool start_import(struct query *c)
{
	char vhost[UINT8_MAX + 1];
	if (is_of_vhost(c) && core_vhost(c->api->options.core, c->names[0]) == NULL)
		return query_refuse(c, 404, "not_found", "vhost_not_found");
	snprintf(vhost, sizeof vhost, "%.*s", BYTES_ARG(c->names[0]));
	struct manage_import_options options = {
		.definitions = json_incref(c->body),
		.vhost = is_of_vhost(c) ? vhost : NULL,
		.is_dry = query_parameter_is_true(c, "dry_run"),
		.told = on_imported,
		.arg = c,
	};
	manage_start_import(c->api->options.manage, &options);
	return true;
}

/* Others go on meanwhile: manage takes its own steps. */
static enum desk_step import(struct query *c)
{
	if (c->stage++ == 0)
		return start_import(c) ? DESK_LATER : DESK_DONE;
	const json_t *error = json_object_get(c->state, "error");
	json_t *asked = query_question(c, "import_definitions");
	json_object_set_new(asked, "definitions", json_null()); /* Of which the log says no more. */
	query_audit(c, asked, json_string_value(error));
	if (error != NULL)
		query_bad(c, "%s", json_string_value(error));
	else if (query_parameter_is_true(c, "report"))
		c->answer = json_incref(c->state);
	else
		c->status = 204;
	return DESK_DONE;
}

const struct route definition_routes[] = {
	{ HTTP_GET, "definitions", RIGHT_ADMIN, VHOST_NONE, false, NULL, get_definitions,
	  tell_definitions },
	{ HTTP_GET, "definitions/*", RIGHT_ADMIN, VHOST_NAMED, false, NULL, get_definitions,
	  tell_definitions },
	{ HTTP_GET, "all-configuration", RIGHT_ADMIN, VHOST_NONE, false, NULL, get_definitions,
	  tell_definitions },
	{ HTTP_POST, "definitions", RIGHT_ADMIN, VHOST_NONE, true, prepare_import, import, NULL },
	{ HTTP_POST, "definitions/*", RIGHT_ADMIN, VHOST_NAMED, true, prepare_import, import,
	  NULL },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
