#include "manage/audit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[AUDIT_TEXT_MAX];

static const char *told(const char *question, const char *answer)
{
	json_t *q = json_loads(question, 0, NULL);
	json_t *a = answer == NULL ? NULL : json_loads(answer, 0, NULL);
	cr_assert(q != NULL, "%s", question);
	audit_text(q, a, text);
	json_decref(q);
	json_decref(a);
	return text;
}

static bool is_change(const char *command)
{
	json_t *q = json_pack("{s:s}", "command", command);
	bool is_change = audit_is_change(q);
	json_decref(q);
	return is_change;
}

/* What is not known to read is taken for a change: a new command is audited without being named. */
Test(audit, tells_changes_from_questions)
{
	static const char *const reads[] = { "list_users", "list_queues", "export_definitions",
					     "figures",    "key",         "producer",
					     "duplicates" };
	static const char *const changes[] = { "add_user",
					       "set_permissions",
					       "delete_vhost",
					       "import_definitions",
					       "forget-key",
					       "purge_queue",
					       "close_all_connections",
					       "keys",
					       "new",
					       "" };
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
		cr_assert_not(is_change(reads[i]), "%s", reads[i]);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		cr_assert(is_change(changes[i]), "%s", changes[i]);
	json_t *none = json_object();
	cr_assert_not(audit_is_change(none));
	json_decref(none);
}

Test(audit, says_what_was_asked_and_what_came_of_it)
{
	cr_assert_str_eq(
		told("{\"command\":\"set_permissions\",\"user\":\"bob\",\"write\":\".*\"}", "{}"),
		"done, user \"bob\", write \".*\"");
	cr_assert_str_eq(told("{\"command\":\"delete_vhost\",\"name\":\"x\"}",
			      "{\"error\":\"no such vhost\",\"status\":65}"),
			 "refused: no such vhost, name \"x\"");
	cr_assert_str_eq(
		told("{\"command\":\"set_policy\",\"priority\":3,\"definition\":{\"expires\":1}}",
		     "{}"),
		"done, priority 3, definition {\"expires\":1}");
	cr_assert_str_eq(told("{\"command\":\"nonsense\"}", NULL), "unknown");
}

Test(audit, keeps_secrets)
{
	static const char *const questions[] = {
		"{\"command\":\"add_user\",\"password\":\"hidden\"}",
		"{\"command\":\"put_user\",\"password_hash\":\"hidden\"}",
		"{\"command\":\"x\",\"Secret\":{\"a\":\"hidden\"},\"API_TOKEN\":\"hidden\"}",
		"{\"command\":\"set_parameter\",\"value\":{\"a\":[{\"src-password\":\"hidden\"}]}}",
		"{\"command\":\"set_parameter\",\"value\":{\"uri\":\"amqp://bob:hidden@host/x\"}}",
		"{\"command\":\"set_parameter\",\"value\":{\"uri\":[\"amqp://"
		"bob:hid@hidden@host\"]}}",
		"{\"command\":\"import_definitions\",\"definitions\":{\"users\":[{\"x\":\"hidden\"}"
		"]}}",
	};
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		told(questions[i], "{}");
		cr_assert_null(strstr(text, "hidden"), "%s", text);
		cr_assert(strstr(text, "***") != NULL || strstr(text, "...") != NULL, "%s", text);
	}
	cr_assert_str_eq(told("{\"command\":\"x\",\"uri\":\"amqp://bob:p@host:5672/a@b\"}", "{}"),
			 "done, uri \"amqp://bob:***@host:5672/a@b\"");
	cr_assert_str_eq(told("{\"command\":\"x\",\"uri\":\"amqp://host:5672/a@b\"}", "{}"),
			 "done, uri \"amqp://host:5672/a@b\"");
}

/* However long or deep: a line of bounded length that begins with what came of it. */
Test(audit, cuts_what_is_long)
{
	static char question[300000];
	strcpy(question, "{\"command\":\"x\",\"deep\":");
	for (int i = 0; i < 500; i++)
		strcat(question, "[");
	for (int i = 0; i < 500; i++)
		strcat(question, "]");
	for (int i = 0; i < 2000; i++)
		snprintf(question + strlen(question), 200, ",\"field%d\":\"%0100d\"", i, i);
	strcat(question, "}");
	told(question, "{\"error\":\"no\"}");
	cr_assert_eq(strlen(text), AUDIT_TEXT_MAX - 1);
	cr_assert_eq(strncmp(text, "refused: no, deep [[[", 21), 0, "%s", text);
	cr_assert(strstr(text, "\"...\"") != NULL, "%s", text);
}
