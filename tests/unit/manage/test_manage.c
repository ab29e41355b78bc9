/* Manage: what is set holds, is recorded, and is the same after a restart. */
#include "manage/manage.h"

#include "auth/users.h"
#include "core/admin.h"
#include "turn/diskless.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct diskless d;
	struct users *users;
	struct manage *manage;
	bool is_open;
	unsigned changes;
};

static void begin_turn(void *arg)
{
	struct world *w = arg;
	if (!w->is_open)
		diskless_begin(&w->d);
	w->is_open = true;
}

static void on_changed(void *arg)
{
	struct world *w = arg;
	w->changes++;
}

static void world_init(struct world *w)
{
	static const uint8_t secret[16] = { 9 };
	*w = (struct world){ .users = users_create(1, secret) };
	struct manage_options options = { .users = w->users,
					  .hash_seed = 5,
					  .begin_turn = begin_turn,
					  .changed = on_changed,
					  .arg = w };
	struct core_options limits = { .queues_max = 10,
				       .exchanges_max = 40,
				       .bindings_max = 10,
				       .on_document = manage_on_document };
	limits.arg = w->manage = manage_create(&options);
	diskless_init(&w->d, &limits, "test");
	cr_assert_eq(manage_recovered(w->manage, w->d.core), 0);
}

static void world_fini(struct world *w)
{
	if (w->is_open)
		diskless_end(&w->d);
	diskless_fini(&w->d);
	manage_destroy(w->manage);
	users_destroy(w->users);
}

static json_t *json(const char *text)
{
	json_error_t why;
	json_t *j = json_loads(text, 0, &why);
	cr_assert_not_null(j, "%s: %s", why.text, text);
	return j;
}

/* The answer to a question, which is to be given up. */
static json_t *ask(struct world *w, const char *text)
{
	uint64_t awaited;
	json_t *question = json(text);
	json_t *a = manage_answer(w->manage, question, &awaited);
	json_decref(question);
	cr_assert_not_null(a, "%s is no command", text);
	return a;
}

static void good(struct world *w, const char *text)
{
	json_t *a = ask(w, text);
	cr_assert_null(json_object_get(a, "error"), "%s: %s", text,
		       json_string_value(json_object_get(a, "error")));
	json_decref(a);
}

static void bad(struct world *w, const char *text, int status, const char *error)
{
	json_t *a = ask(w, text);
	const char *said = json_string_value(json_object_get(a, "error"));
	cr_assert(said != NULL && strstr(said, error) != NULL, "%s: %s", text,
		  said == NULL ? "taken" : said);
	cr_assert_eq(json_integer_value(json_object_get(a, "status")), status);
	json_decref(a);
}

static const char hash[] = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"; /* test12 */

static void set_policy(struct world *w, const char *definition, const char *error)
{
	char text[400];
	snprintf(text, sizeof text,
		 "{\"command\": \"set_policy\", \"name\": \"p\", \"pattern\": \".\", "
		 "\"definition\": %s}",
		 definition);
	if (error == NULL)
		good(w, text);
	else
		bad(w, text, MANAGE_REFUSED, error);
}

Test(manage, policies_may_ask_for_idempotency)
{
	struct world w;
	world_init(&w);
	set_policy(&w, "{\"idempotency\": \"sliding\", \"idempotency-window\": 1000}", NULL);
	set_policy(&w, "{\"idempotency-conflict\": \"reject\"}", NULL);
	set_policy(&w, "{\"message-deduplication\": true, \"cache-ttl\": 1000}", NULL);
	world_fini(&w);
}

Test(manage, policies_that_make_no_sense_are_refused)
{
	struct world w;
	world_init(&w);
	set_policy(&w, "{\"idempotency\": 5}", "5 is not a valid value of idempotency");
	set_policy(&w, "{\"idempotence\": \"window\"}",
		   "[{\"idempotence\",\"window\"}] are not recognised policy settings");
	set_policy(&w, "[]", "definition should be an object");
	bad(&w,
	    "{\"command\": \"set_policy\", \"name\": \"p\", \"pattern\": \"(\", \"definition\": "
	    "{\"max-length\": 1}}",
	    MANAGE_REFUSED, "pattern should be regular expression but is invalid");
	set_policy(&w, "{}", "no policy provided");
	set_policy(&w, "{\"max-length\": -1}", "-1 is not a valid maximum length");
	set_policy(&w, "{\"expires\": 0}", "0 is not a valid queue expiry");
	set_policy(&w, "{\"overflow\": \"drop\"}", "\"drop\" is not a valid overflow value");
	set_policy(&w, "{\"ha-mode\": \"all\"}", NULL); /* It means nothing here. */
	good(&w, "{\"command\": \"set_policy\", \"name\": \"all\", \"pattern\": \"\", "
		 "\"definition\": {\"max-length\": 1}}");
	bad(&w,
	    "{\"command\": \"set_policy\", \"vhost\": \"none\", \"name\": \"p\", \"pattern\": "
	    "\"x\", \"definition\": {}}",
	    MANAGE_DATA, "Virtual host 'none' does not exist");
	bad(&w, "{\"command\": \"clear_policy\", \"name\": \"none\"}", MANAGE_REFUSED,
	    "Parameter does not exist");
	world_fini(&w);
}

Test(manage, the_first_user_may_do_everything)
{
	struct world w;
	world_init(&w);
	static const struct manage_first first = { "shop", "guest", "guest", "administrator",
						   ".*",   ".*",    ".*" };
	char why[200];
	cr_assert(manage_is_new(w.manage));
	begin_turn(&w);
	cr_assert(manage_begin(w.manage, &first, why, sizeof why));
	cr_assert_not(manage_is_new(w.manage));
	const struct user *guest = users_find(w.users, bytes_str("guest"));
	cr_assert(user_has_tag(guest, "administrator"));
	cr_assert(password_is_right(&guest->password, bytes_str("guest")));
	cr_assert_not_null(user_grant(guest, bytes_str("shop")));
	cr_assert_null(user_grant(guest, bytes_str("/")));
	cr_assert_not_null(core_vhost(w.d.core, bytes_str("shop")));
	world_fini(&w);
}

Test(manage, users_come_change_and_go)
{
	struct world w;
	char text[400];
	world_init(&w);
	snprintf(text, sizeof text,
		 "{\"command\": \"add_user\", \"name\": \"ann\", \"password_hash\": \"%s\", "
		 "\"tags\": [\"ops\"]}",
		 hash);
	good(&w, text);
	bad(&w, text, MANAGE_EXISTS, "User \"ann\" already exists");
	const struct user *ann = users_find(w.users, bytes_str("ann"));
	cr_assert(password_is_right(&ann->password, bytes_str("test12")));
	good(&w, "{\"command\": \"set_user_tags\", \"name\": \"ann\", \"tags\": \"a, b\"}");
	cr_assert(user_has_tag(ann, "b") && !user_has_tag(ann, "ops"));
	good(&w, "{\"command\": \"set_permissions\", \"user\": \"ann\", \"configure\": \"\", "
		 "\"write\": \".*\", \"read\": \"^q\"}");
	cr_assert_not_null(user_grant(ann, bytes_str("/")));
	bad(&w, "{\"command\": \"set_permissions\", \"user\": \"ann\", \"read\": \"(\"}",
	    MANAGE_REFUSED, "read: no regular expression");
	bad(&w, "{\"command\": \"set_permissions\", \"user\": \"nobody\"}", MANAGE_NO_USER,
	    "User \"nobody\" does not exist");
	good(&w, "{\"command\": \"set_user_limits\", \"name\": \"ann\", \"limits\": "
		 "{\"max-connections\": 2}}");
	cr_assert_eq(ann->connections_max, 2);
	bad(&w, "{\"command\": \"set_user_limits\", \"name\": \"ann\", \"limits\": {\"x\": 2}}",
	    MANAGE_REFUSED, "unrecognised limit 'x'");
	cr_assert_eq(ann->connections_max, 2);
	bad(&w, "{\"command\": \"change_password\", \"name\": \"ann\", \"password_hash\": \"!\"}",
	    MANAGE_DATA, "password_hash");
	good(&w, "{\"command\": \"clear_password\", \"name\": \"ann\"}");
	cr_assert_eq(ann->password.kind, PASSWORD_NONE);
	cr_assert_geq(w.changes, 5);
	good(&w, "{\"command\": \"delete_user\", \"name\": \"ann\"}");
	cr_assert_null(users_find(w.users, bytes_str("ann")));
	world_fini(&w);
}

Test(manage, a_vhost_takes_what_was_said_of_it_along)
{
	struct world w;
	world_init(&w);
	good(&w, "{\"command\": \"add_user\", \"name\": \"ann\"}");
	good(&w, "{\"command\": \"add_vhost\", \"name\": \"shop\", \"description\": \"Shop\", "
		 "\"tags\": [\"a\"]}");
	good(&w, "{\"command\": \"set_permissions\", \"user\": \"ann\", \"vhost\": \"shop\", "
		 "\"read\": \".*\"}");
	good(&w, "{\"command\": \"set_vhost_limits\", \"vhost\": \"shop\", \"limits\": "
		 "{\"max-queues\": 1}}");
	struct vhost *shop = core_vhost(w.d.core, bytes_str("shop"));
	cr_assert_eq(vhost_settings(shop).queues_max, 1);
	good(&w, "{\"command\": \"clear_vhost_limits\", \"vhost\": \"shop\"}");
	cr_assert_eq(vhost_settings(shop).queues_max, -1);
	good(&w, "{\"command\": \"delete_vhost\", \"name\": \"shop\"}");
	cr_assert_null(user_grant(users_find(w.users, bytes_str("ann")), bytes_str("shop")));
	bad(&w, "{\"command\": \"delete_vhost\", \"name\": \"shop\"}", MANAGE_DATA,
	    "Virtual host 'shop' does not exist");
	world_fini(&w);
}

static const char all[] =
	"{\"rabbit_version\": \"3.12.0\", \"vhosts\": [{\"name\": \"shop\"}],"
	" \"users\": [{\"name\": \"ann\", \"password_hash\": \"\", \"tags\": \"ops,web\"}],"
	" \"permissions\": [{\"user\": \"ann\", \"vhost\": \"shop\", \"configure\": \"\", "
	"\"write\": \".*\", \"read\": \"\"}],"
	" \"topic_permissions\": [{\"user\": \"ann\", \"vhost\": \"shop\", \"exchange\": "
	"\"events\", \"write\": \"^a\", \"read\": \"\"}],"
	" \"parameters\": [{\"vhost\": \"shop\", \"component\": \"vhost-limits\", \"name\": "
	"\"limits\", \"value\": {\"max-queues\": 5}}],"
	" \"global_parameters\": [{\"name\": \"cluster_name\", \"value\": \"x\"}],"
	" \"policies\": [{\"vhost\": \"shop\", \"name\": \"p\", \"pattern\": \"^w\", "
	"\"definition\": {\"max-length\": 2}}],"
	" \"queues\": [{\"vhost\": \"shop\", \"name\": \"work\", \"durable\": true, "
	"\"arguments\": {\"x-max-priority\": 3}}],"
	" \"exchanges\": [{\"vhost\": \"shop\", \"name\": \"events\", \"type\": \"topic\", "
	"\"durable\": true}],"
	" \"bindings\": [{\"vhost\": \"shop\", \"source\": \"events\", \"destination\": \"work\", "
	"\"destination_type\": \"queue\", \"routing_key\": \"a.#\", \"arguments\": {}}],"
	" \"shovels\": []}";

/* A report is to be given up. */
static json_t *import(struct world *w, const char *text, bool is_dry)
{
	json_t *definitions = json(text);
	json_t *report = manage_import(w->manage, definitions, NULL, is_dry);
	json_decref(definitions);
	return report;
}

static size_t count(const json_t *object, const char *list)
{
	return json_array_size(json_object_get(object, list));
}

Test(manage, definitions_come_in_and_go_out_whole)
{
	struct world w, other;
	world_init(&w);
	world_init(&other);
	json_t *dry = import(&w, all, true);
	cr_assert_null(json_object_get(dry, "error"));
	cr_assert_eq(count(dry, "created"), 10);
	cr_assert_eq(count(dry, "ignored"), 1);
	cr_assert_null(core_vhost(w.d.core, bytes_str("shop")));
	json_t *report = import(&w, all, false);
	cr_assert(json_equal(dry, report));
	json_t *out = manage_export(w.manage, NULL);
	char *text = json_dumps(out, 0);
	json_decref(import(&other, text, false));
	json_t *again = manage_export(other.manage, NULL);
	cr_assert(json_equal(out, again), "%s", text);
	static const char *const lists[] = { "users",      "permissions",       "topic_permissions",
					     "parameters", "global_parameters", "policies",
					     "queues",     "exchanges",         "bindings" };
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		cr_assert_eq(count(out, lists[i]), 1, "%s", lists[i]);
	cr_assert_eq(count(out, "vhosts"), 2);
	free(text);
	json_decref(dry);
	json_decref(report);
	json_decref(out);
	json_decref(again);
	world_fini(&w);
	world_fini(&other);
}

static void nothing_of(const char *definitions, const char *error)
{
	struct world w;
	world_init(&w);
	json_t *report = import(&w, definitions, false);
	const char *said = json_string_value(json_object_get(report, "error"));
	cr_assert(said != NULL && strstr(said, error) != NULL, "%s", said == NULL ? "-" : said);
	cr_assert_null(core_vhost(w.d.core, bytes_str("shop")));
	json_decref(report);
	world_fini(&w);
}

Test(manage, of_definitions_with_a_mistake_nothing_holds)
{
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"users\": [{\"name\": \"\"}]}",
		   "users[0]: ");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"permissions\": [{\"user\": \"x\", "
		   "\"vhost\": \"shop\"}]}",
		   "permissions[0]: there is no user 'x'");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"queues\": [{\"name\": \"q\", "
		   "\"vhost\": \"other\"}]}",
		   "queues[0]: there is no vhost 'other'");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"exchanges\": [{\"name\": \"q\", "
		   "\"vhost\": \"shop\", \"type\": \"none\"}]}",
		   "unknown exchange type 'none'");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}, {\"name\": 5}]}", "vhosts[1]: ");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"queues\": [{\"name\": \"q\", "
		   "\"vhost\": \"shop\", \"arguments\": {\"x-max-length\": \"x\"}}]}",
		   "queues[0]: PRECONDITION_FAILED - invalid arg 'x-max-length'");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"queues\": [{\"name\": "
		   "\"amq.delayed\", \"vhost\": \"shop\"}]}",
		   "contains reserved prefix");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"exchanges\": [{\"name\": \"\", "
		   "\"vhost\": \"shop\", \"type\": \"direct\"}]}",
		   "exchanges[0]: ");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"queues\": [{\"name\": \"q\", "
		   "\"vhost\": \"shop\"}], \"bindings\": [{\"vhost\": \"shop\", \"source\": "
		   "\"none\", \"destination\": \"q\", \"destination_type\": \"queue\", "
		   "\"routing_key\": \"\"}]}",
		   "bindings[0]: there is no exchange 'none'");
	nothing_of("{\"vhosts\": [{\"name\": \"shop\"}], \"bindings\": [{\"vhost\": \"shop\", "
		   "\"source\": \"amq.topic\", \"destination\": \"q\", \"destination_type\": "
		   "\"queue\", \"routing_key\": \"\"}]}",
		   "bindings[0]: there is no queue 'q'");
	nothing_of("[]", "definitions are no object");
}

Test(manage, what_is_there_and_differs_is_in_conflict)
{
	struct world w;
	world_init(&w);
	json_decref(import(&w, all, false));
	json_t *report = import(&w, all, false);
	cr_assert_null(json_object_get(report, "error"));
	json_decref(report);
	report = import(&w,
			"{\"vhosts\": [{\"name\": \"new\"}], \"queues\": [{\"vhost\": \"shop\", "
			"\"name\": \"work\", \"durable\": true, \"arguments\": "
			"{\"x-max-priority\": 4}}]}",
			false);
	cr_assert_eq(json_integer_value(json_object_get(report, "status")), MANAGE_EXISTS);
	cr_assert_eq(count(report, "conflicting"), 1);
	cr_assert_null(core_vhost(w.d.core, bytes_str("new")));
	json_decref(report);
	world_fini(&w);
}

struct told {
	json_t *report;
	json_t *definitions;
	uint64_t awaited;
	unsigned times;
};

static struct told nobody;

static void on_told(void *arg, json_t *report, json_t *definitions, uint64_t awaited)
{
	struct told *told = arg == NULL ? &nobody : arg;
	*told = (struct told){ report, definitions, awaited, told->times + 1 };
}

static void told_fini(struct told *told)
{
	json_decref(told->report);
	json_decref(told->definitions);
	*told = (struct told){ 0 };
}

static void start(struct world *w, const char *text, struct told *told)
{
	struct manage_import_options options = { .definitions = json(text),
						 .told = on_told,
						 .arg = told };
	manage_start_import(w->manage, &options);
}

/* In so many steps. */
static unsigned finish(struct world *w)
{
	unsigned steps = 0;
	for (; manage_has_work(w->manage); steps++)
		manage_work(w->manage, 1);
	return steps;
}

Test(manage, an_import_in_steps_ends_as_one_at_once)
{
	struct world w, other;
	struct told told = { 0 };
	world_init(&w);
	world_init(&other);
	json_t *report = import(&other, all, false);
	start(&w, all, &told);
	cr_assert_gt(finish(&w), 30);
	cr_assert_eq(told.times, 1);
	cr_assert_neq(told.awaited, 0);
	cr_assert(json_equal(told.report, report));
	json_t *one = manage_export(w.manage, NULL), *at_once = manage_export(other.manage, NULL);
	cr_assert(json_equal(one, at_once));
	json_decref(one);
	json_decref(at_once);
	json_decref(report);
	told_fini(&told);
	world_fini(&w);
	world_fini(&other);
}

Test(manage, imports_come_one_after_the_other)
{
	struct world w;
	struct told first = { 0 }, second = { 0 };
	world_init(&w);
	start(&w, all, &first);
	start(&w, "{\"users\": [{\"name\": \"ann\", \"password_hash\": \"\", \"tags\": \"x\"}]}",
	      &second);
	while (first.times == 0)
		manage_work(w.manage, 1);
	cr_assert_eq(second.times, 0);
	finish(&w);
	cr_assert_eq(count(second.report, "changed"), 1, "it is looked at after the first");
	cr_assert(user_has_tag(users_find(w.users, bytes_str("ann")), "x"));
	told_fini(&first);
	told_fini(&second);
	world_fini(&w);
}

/* Somebody takes away what an import has looked at. */
Test(manage, an_import_whose_ground_goes_says_so_and_can_be_repeated)
{
	struct world w;
	struct told told = { 0 };
	world_init(&w);
	start(&w, all, &told);
	while (core_vhost(w.d.core, bytes_str("shop")) == NULL)
		manage_work(w.manage, 1);
	good(&w, "{\"command\": \"delete_vhost\", \"name\": \"shop\"}");
	finish(&w);
	const char *said = json_string_value(json_object_get(told.report, "error"));
	cr_assert(said != NULL && strstr(said, "has changed since it was looked at") != NULL, "%s",
		  said == NULL ? "-" : said);
	told_fini(&told);
	start(&w, all, &told);
	finish(&w);
	cr_assert_null(json_object_get(told.report, "error"));
	told_fini(&told);
	world_fini(&w);
}

Test(manage, an_import_that_nobody_waits_for_goes_on)
{
	struct world w;
	struct told told = { 0 };
	world_init(&w);
	start(&w, all, &told);
	manage_forget_import(w.manage, &told);
	finish(&w);
	cr_assert_eq(told.times, 0);
	cr_assert_eq(nobody.times, 1);
	cr_assert_not_null(core_vhost(w.d.core, bytes_str("shop")));
	told_fini(&nobody);
	world_fini(&w);
}

Test(manage, an_import_may_end_with_the_broker)
{
	struct world w;
	struct told told = { 0 };
	world_init(&w);
	start(&w, all, &told);
	manage_work(w.manage, 15);
	world_fini(&w);
	cr_assert_eq(told.times, 0);
}

Test(manage, documents_of_users_that_make_no_sense_are_counted)
{
	struct world w;
	static const uint8_t user[] = "\1\0\0\0\1x", garbage[] = "{\"name\"";
	static const char json_user[] = "{\"name\": \"old\", \"password_hash\": \"\"}";
	world_init(&w);
	manage_on_document(w.manage, 'U', bytes_of("k", 1), bytes_of(user, sizeof user - 1));
	manage_on_document(w.manage, 'U', bytes_of("l", 1), bytes_of(garbage, sizeof garbage - 1));
	manage_on_document(w.manage, 'P', bytes_of("m", 1), bytes_of(user, sizeof user - 1));
	manage_on_document(w.manage, 'Z', bytes_of("n", 1), bytes_of(NULL, 0));
	manage_on_document(w.manage, 'U', bytes_of("o", 1), bytes_str(json_user));
	cr_assert_eq(manage_recovered(w.manage, w.d.core), 4);
	cr_assert_not_null(users_find(w.users, bytes_str("old")));
	cr_assert_null(users_find(w.users, bytes_str("x")));
	world_fini(&w);
}

static void rows(struct world *w, const char *question, size_t len, const char *name)
{
	json_t *a = ask(w, question);
	const json_t *first = json_array_get(json_object_get(a, "rows"), 0);
	const json_t *is = json_object_get(first, "name");
	if (is == NULL)
		is = json_object_get(first, "user");
	cr_assert_eq(count(a, "rows"), len, "%s", question);
	cr_assert(len == 0 || strcmp(json_string_value(is), name) == 0, "%s", question);
	json_decref(a);
}

Test(manage, lists_are_of_one_if_its_name_is_said)
{
	struct world w;
	world_init(&w);
	good(&w, "{\"command\": \"add_vhost\", \"name\": \"a\"}");
	good(&w, "{\"command\": \"add_vhost\", \"name\": \"b\"}");
	rows(&w, "{\"command\": \"list_vhosts\", \"name\": \"b\"}", 1, "b");
	rows(&w, "{\"command\": \"list_vhosts\", \"name\": \"c\"}", 0, NULL);
	good(&w, "{\"command\": \"add_user\", \"name\": \"ann\", \"password\": \"\"}");
	good(&w, "{\"command\": \"add_user\", \"name\": \"ben\", \"password\": \"\"}");
	rows(&w, "{\"command\": \"list_users\", \"name\": \"ben\"}", 1, "ben");
	rows(&w, "{\"command\": \"list_users\", \"with_hashes\": true, \"name\": \"ben\"}", 1,
	     "ben");
	rows(&w, "{\"command\": \"list_users\", \"name\": \"be\"}", 0, NULL);
	good(&w,
	     "{\"command\": \"set_policy\", \"vhost\": \"a\", \"name\": \"p\", \"pattern\": \".\", "
	     "\"definition\": {\"max-length\": 1}}");
	good(&w,
	     "{\"command\": \"set_policy\", \"vhost\": \"b\", \"name\": \"q\", \"pattern\": \".\", "
	     "\"definition\": {\"max-length\": 1}}");
	rows(&w, "{\"command\": \"list_policies\", \"name\": \"q\"}", 1, "q");
	rows(&w, "{\"command\": \"list_policies\", \"vhost\": \"a\", \"name\": \"q\"}", 0, NULL);
	good(&w, "{\"command\": \"set_global_parameter\", \"name\": \"g\", \"value\": 1}");
	good(&w, "{\"command\": \"set_global_parameter\", \"name\": \"h\", \"value\": 1}");
	rows(&w, "{\"command\": \"list_global_parameters\", \"name\": \"h\"}", 1, "h");
	rows(&w, "{\"command\": \"list_global_parameters\", \"name\": \"i\"}", 0, NULL);
	world_fini(&w);
}
