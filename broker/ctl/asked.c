#include "ctl/asked.h"

#include "auth/password.h"
#include "ctl/ask.h"
#include "ctl/lists.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PASSWORD_MAX = 1024 };

/* --- asking --- */

/* That a virtual host is not there is told as RabbitMQ tells it: without "Error:". */
static bool is_validated(const char *command)
{
	static const char *const all[] = { "set_policy", "set_operator_policy", "set_vhost_limits",
					   "set_parameter" };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (command != NULL && strcmp(command, all[i]) == 0)
			return true;
	return false;
}

/* What RabbitMQ says of a queue that is not deleted. */
static const char *plain_error(const char *command, const char *error)
{
	bool is_delete = command != NULL && strcmp(command, "delete_queue") == 0;
	return is_delete && strstr(error, "not empty") != NULL ? "Queue is not empty"
	       : is_delete && strstr(error, "in use") != NULL  ? "Queue is in use"
							       : NULL;
}

static int tell_refused(const json_t *command, const json_t *answer)
{
	json_int_t status = json_integer_value(json_object_get(answer, "status"));
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *asked_for = json_string_value(command);
	const char *plain = plain_error(asked_for, error);
	if (plain != NULL)
		return say_error(STATUS_USAGE, "%s", plain);
	if (status != STATUS_DATA || strncmp(error, "Virtual host '", 14) != 0)
		fputs("Error:\n", stderr);
	if (status == STATUS_REFUSED && is_validated(asked_for))
		fputs("Validation failed\n\n", stderr);
	fprintf(stderr, "%s\n", error);
	return status == 0 ? STATUS_USAGE : (int)status;
}

json_t *asked(const struct options *o, json_t *question, int *status)
{
	json_t *answer = NULL;
	*status = STATUS_REFUSED;
	if (o->url != NULL)
		say_error(0, "this is asked on the broker's machine only");
	else if ((answer = ask_broker(o->data_dir, question)) == NULL)
		say_error(0, "no broker answers in %s: %s", o->data_dir, strerror(errno));
	bool is_refused = json_object_get(answer, "error") != NULL;
	if (is_refused)
		*status = tell_refused(json_object_get(question, "command"), answer);
	else if (answer != NULL)
		*status = 0;
	json_decref(question);
	if (!is_refused)
		return answer;
	json_decref(answer);
	return NULL;
}

/* --- questions --- */

static void set_option(json_t *question, const char *field, const char *text)
{
	if (text != NULL)
		json_object_set_new(question, field, json_string(text));
}

static json_t *list_of(char *const *texts, int len)
{
	json_t *list = json_array();
	for (int i = 0; i < len; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *split(const char *text)
{
	json_t *list = json_array();
	for (size_t len; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		json_array_append_new(list, json_stringn(text, len));
	}
	return list;
}

static void set_options(const struct options *o, const struct verb *v, json_t *question)
{
	if (o->is_global)
		json_object_set_new(question, "global", json_true());
	if (v->has_vhost && !o->is_global)
		json_object_set_new(question, "vhost", json_string(options_vhost(o)));
	set_option(question, "apply-to", o->apply_to);
	set_option(question, "description", o->description);
	set_option(question, "default_queue_type", o->default_queue_type);
	if (o->tags != NULL)
		json_object_set_new(question, "tags", split(o->tags));
	if (o->priority != NULL)
		json_object_set_new(question, "priority",
				    json_integer(strtoll(o->priority, NULL, 10)));
	if (o->is_if_empty)
		json_object_set_new(question, "if_empty", json_true());
	if (o->is_if_unused)
		json_object_set_new(question, "if_unused", json_true());
}

/* How many arguments are fields as they are. */
static int fields_len(const struct options *o, const struct verb *v)
{
	int most = v->kind == VERB_PASSWORD || v->kind == VERB_TAGS || v->kind == VERB_LIST_OF
			   ? 1
			   : VERB_ARGUMENTS_MAX;
	int len = 0;
	while (len < most && len + 1 < o->argc && v->fields[len] != NULL)
		len++;
	return len;
}

/* NULL: an argument that is to be JSON is none, as has been told. */
static json_t *make_question(const struct options *o, const struct verb *v)
{
	json_t *question = json_pack("{s:s}", "command", v->command);
	int len = fields_len(o, v);
	for (int i = 0; i < len; i++) {
		bool is_last = i + 1 == VERB_ARGUMENTS_MAX || v->fields[i + 1] == NULL;
		bool is_json = v->kind == VERB_JSON && is_last;
		json_t *field = is_json ? json_loads(o->argv[i + 1],
						     JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
					: json_string(o->argv[i + 1]);
		if (field == NULL) {
			json_decref(question);
			say_error(0, is_json ? "JSON decoding error. Reason: badarg"
					     : "an argument is no text of UTF-8");
			return NULL;
		}
		json_object_set_new(question, v->fields[i], field);
	}
	if (v->kind == VERB_TAGS)
		json_object_set_new(question, "tags", list_of(o->argv + 2, o->argc - 2));
	set_options(o, v, question);
	return question;
}

int asked_run(const struct options *o, const struct verb *v)
{
	int status;
	json_t *question = make_question(o, v);
	json_t *answer = question == NULL ? NULL : asked(o, question, &status);
	if (question == NULL)
		return STATUS_REFUSED;
	if (answer == NULL)
		return status;
	if (v->columns != NULL)
		lists_print(o, v, json_object_get(answer, "rows"), v->has_columns ? 1 : o->argc);
	else
		say_done(o, v->done);
	json_decref(answer);
	return 0;
}

/* --- passwords: hashed here, so that the broker need not --- */

static bool read_password(const struct options *o, char *text, size_t size)
{
	if (o->argc > 2) {
		snprintf(text, size, "%s", o->argv[2]);
		return true;
	}
	if (!o->is_quiet) {
		puts("Password: ");
		fflush(stdout);
	}
	if (fgets(text, (int)size, stdin) == NULL)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static bool add_hash(json_t *question, const char *text)
{
	struct password password;
	uint8_t salt[PASSWORD_SALT_BYTES];
	char hash[PASSWORD_TEXT_MAX];
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt ||
	    !password_make(&password, bytes_str(text), salt))
		return false;
	password_export(&password, hash);
	json_object_set_new(question, "password_hash", json_string(hash));
	json_object_set_new(question, "hashing_algorithm", json_string("leveret_scrypt"));
	return true;
}

int asked_with_password(const struct options *o, const struct verb *v)
{
	char text[PASSWORD_MAX], done[300];
	int status;
	if (!read_password(o, text, sizeof text))
		return say_error(STATUS_DATA, "Password is not provided via argument or stdin");
	json_t *question = make_question(o, v);
	if (question == NULL || !add_hash(question, text)) {
		json_decref(question);
		return say_error(STATUS_REFUSED, "no memory for the password's hash");
	}
	json_t *answer = asked(o, question, &status);
	if (answer == NULL)
		return status;
	json_decref(answer);
	snprintf(done, sizeof done,
		 "Done. Don't forget to grant the user permissions to some virtual hosts! See "
		 "'%s help set_permissions' to learn more.",
		 o->program);
	if (strcmp(v->name, "add_user") == 0)
		say_done(o, done);
	return 0;
}

static bool is_right(const json_t *user, const char *text)
{
	static const char *const names[] = { "", "leveret_scrypt", "rabbit_password_hashing_sha256",
					     "rabbit_password_hashing_sha512" };
	struct password password = { .kind = PASSWORD_NONE };
	const char *hash = json_string_value(json_object_get(user, "password_hash"));
	const char *algorithm = json_string_value(json_object_get(user, "hashing_algorithm"));
	for (enum password_kind k = PASSWORD_SCRYPT; k <= PASSWORD_SHA512; k++)
		if (hash != NULL && algorithm != NULL && strcmp(algorithm, names[k]) == 0 &&
		    !password_import(&password, k, bytes_str(hash)))
			return false;
	return password_is_right(&password, bytes_str(text));
}

int asked_authenticate(const struct options *o, const struct verb *v)
{
	char text[PASSWORD_MAX];
	int status = 0;
	size_t i;
	const json_t *user;
	bool is_good = false;
	if (!read_password(o, text, sizeof text))
		return say_error(STATUS_DATA, "Password is not provided via argument or stdin");
	json_t *answer = asked(o, json_pack("{s:s}", "command", "export_definitions"), &status);
	if (answer == NULL)
		return status;
	json_array_foreach(json_object_get(json_object_get(answer, "definitions"), "users"), i, user)
	{
		const char *name = json_string_value(json_object_get(user, "name"));
		if (strcmp(name, o->argv[1]) == 0)
			is_good = is_right(user, text);
	}
	json_decref(answer);
	if (is_good) {
		puts(v->done);
		return 0;
	}
	return say_error(STATUS_DATA,
			 "Error: failed to authenticate user \"%s\"\nuser '%s' - invalid credentials",
			 o->argv[1], o->argv[1]);
}

/* --- limits --- */

static void print_compact(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
}

static json_t *limits_row(const char *name, const json_t *row, json_t *limits)
{
	return json_pack("{s:O, s:O}", name, json_object_get(row, name), "limits", limits);
}

/* Those of one are their JSON, and nothing if there are none; those of all are rows. */
static void print_limits(const struct options *o, const char *name, const json_t *rows)
{
	static const struct verb of_all[] = { { .columns = "vhost limits" },
					      { .columns = "user limits" } };
	size_t i;
	json_t *row, *all = json_array();
	json_array_foreach((json_t *)rows, i, row)
	{
		json_t *limits = json_object_get(row, name[0] == 'v' ? "value" : "limits");
		if (json_object_size(limits) > 0)
			json_array_append_new(all, limits_row(name, row, limits));
	}
	lists_print(o, &of_all[name[0] == 'u'], all, o->argc);
	json_decref(all);
}

int asked_limits(const struct options *o, const struct verb *v)
{
	int status;
	say_title(o, o->is_global ? "Listing limits for all vhosts ..."
				  : "Listing limits for vhost \"$v\" ...");
	json_t *answer = asked(o, make_question(o, v), &status);
	if (answer == NULL)
		return status;
	const json_t *rows = json_object_get(answer, "rows");
	const json_t *one = json_array_get(rows, 0);
	if (o->is_global)
		print_limits(o, "vhost", rows);
	else if (one != NULL)
		print_compact(json_object_get(one, "value"));
	json_decref(answer);
	return 0;
}

static const json_t *find_user(const json_t *rows, const char *name)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *at = json_string_value(json_object_get(row, "user"));
		if (at != NULL && strcmp(at, name) == 0)
			return row;
	}
	return NULL;
}

int asked_user_limits(const struct options *o, const struct verb *v)
{
	int status;
	const char *name = o->user == NULL ? "guest" : o->user;
	say_title(o, o->is_global ? "Listing limits for all users ..."
				  : "Listing limits for user \"$u\" ...");
	json_t *answer = asked(o, json_pack("{s:s}", "command", v->command), &status);
	if (answer == NULL)
		return status;
	const json_t *rows = json_object_get(answer, "rows"), *one = find_user(rows, name);
	if (o->is_global)
		print_limits(o, "user", rows);
	else if (one != NULL)
		print_compact(json_object_get(one, "limits"));
	else
		status = say_error(STATUS_NO_USER, "User \"%s\" does not exist", name);
	json_decref(answer);
	return status;
}

int asked_clear_limits(const struct options *o, const struct verb *v)
{
	int status;
	bool is_all = strcmp(o->argv[2], "all") == 0;
	say_title(o, is_all ? "Clearing all limits for user \"$1\" ..."
			    : "Clearing \"$2\" limit for user \"$1\" ...");
	json_t *answer = asked(o, json_pack("{s:s}", "command", "list_users"), &status);
	const json_t *one = find_user(json_object_get(answer, "rows"), o->argv[1]);
	json_t *limits = is_all ? json_object() : json_copy(json_object_get(one, "limits"));
	json_decref(answer);
	if (status == 0) {
		json_object_del(limits, o->argv[2]);
		answer = asked(o,
			       json_pack("{s:s, s:s, s:O}", "command", v->command, "name",
					 o->argv[1], "limits", limits == NULL ? json_null() : limits),
			       &status);
		json_decref(answer);
	}
	json_decref(limits);
	return status;
}

/* --- others that say more than that it is done --- */

int asked_delete_queue(const struct options *o, const struct verb *v)
{
	int status;
	say_title(o, o->is_if_empty && o->is_if_unused
			     ? "Deleting queue '$1' on vhost '$v' if queue is empty and if queue is "
			       "unused ..."
		     : o->is_if_empty  ? "Deleting queue '$1' on vhost '$v' if queue is empty ..."
		     : o->is_if_unused ? "Deleting queue '$1' on vhost '$v' if queue is unused ..."
				       : "Deleting queue '$1' on vhost '$v' ...");
	json_t *answer = asked(o, make_question(o, v), &status);
	if (answer == NULL)
		return status;
	if (!o->is_quiet)
		printf("Queue was successfully deleted with %" JSON_INTEGER_FORMAT
		       " ready messages\n",
		       json_integer_value(json_object_get(answer, "messages")));
	json_decref(answer);
	return 0;
}

int asked_close_all(const struct options *o, const struct verb *v)
{
	int status;
	say_title(o, o->is_global ? "Closing all connections to node $n (across all vhosts), "
				    "reason: $1..."
				  : "Closing all connections in vhost $v, reason: $1...");
	json_t *answer = asked(o, make_question(o, v), &status);
	if (answer == NULL)
		return status;
	if (!o->is_quiet)
		printf("Closed %" JSON_INTEGER_FORMAT " connections\n",
		       json_integer_value(json_object_get(answer, "closed")));
	json_decref(answer);
	return 0;
}

int asked_clear_topic(const struct options *o, const struct verb *v)
{
	say_title(o, o->argc > 2
			     ? "Clearing topic permissions on \"$2\" for user \"$1\" in vhost "
			       "\"$v\" ..."
			     : "Clearing topic permissions for user \"$1\" in vhost \"$v\" ...");
	return asked_run(o, v);
}

int asked_cluster_name(const struct options *o, const struct verb *v)
{
	int status;
	json_t *answer = asked(o,
			       json_pack("{s:s, s:s, s:s}", "command", v->command, "name",
					 "cluster_name", "value", o->argv[1]),
			       &status);
	json_decref(answer);
	return status;
}
