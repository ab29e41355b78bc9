/* An order: reserve stock, take payment, confirm. If payment fails, what was done is undone in
 * reverse. Whatever is killed, each step has its effect once.
 *
 *   saga service DATABASE           the three services, which keep their effects and an inbox in
 *                                   one SQLite file
 *   saga order LOG ID AMOUNT        one order; above 100 the payment is refused
 *   saga resume LOG                 goes on with orders whose orchestrator died
 *
 * LEVERET_URI says where the broker is. Exit status of an order: 0 completed, 3 undone, 1 neither
 * (resume it). */
#define LEV_INBOX_SQLITE
#include <leveret/inbox.h>
#include <leveret/patterns.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct lev *lev;

static int failed(void)
{
	fprintf(stderr, "saga: %s\n", lev_reason());
	return 1;
}

/* --- services --- */

static int sql(sqlite3 *db, const char *command, const char *text)
{
	sqlite3_stmt *s;
	if (sqlite3_prepare_v2(db, command, -1, &s, NULL) != SQLITE_OK)
		return LEV_SYSTEM;
	if (text != NULL)
		sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
	int rc = sqlite3_step(s) == SQLITE_DONE ? LEV_OK : LEV_SYSTEM;
	sqlite3_finalize(s);
	return rc;
}

/* The effect, and that it has happened, in one transaction. */
static int have_effect(sqlite3 *db, const char *key)
{
	int rc = sql(db, "BEGIN IMMEDIATE", NULL);
	if (rc != LEV_OK)
		return rc;
	rc = lev_inbox_sqlite_claim(db, "services", key, (uint64_t)time(NULL));
	if (rc == LEV_OK)
		rc = sql(db,
			 "INSERT INTO effects VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET times "
			 "= times + 1",
			 key);
	if (rc >= 0 && sql(db, "COMMIT", NULL) == LEV_OK)
		return LEV_OK;
	sql(db, "ROLLBACK", NULL);
	return LEV_SYSTEM;
}

/* The key of a step is "order/step" or "order/step/undo"; the body is the amount. */
static int serve(void *arg, const struct lev_message *m)
{
	const char *key = m->properties.message_id;
	bool is_payment =
		key != NULL && strstr(key, "/payment") != NULL && strstr(key, "/undo") == NULL;
	if (key == NULL)
		return LEV_JOB_REJECT;
	if (is_payment && strtol(m->body, NULL, 10) > 100)
		return lev_reply(m, "refused", 7, NULL) == LEV_OK ? LEV_JOB_OK : LEV_JOB_RETRY;
	if (have_effect(arg, key) != LEV_OK)
		return LEV_JOB_RETRY;
	lev_reply(m, "done", 4, NULL);
	return LEV_JOB_OK;
}

static int run_services(const char *path)
{
	const char *queue = "services";
	sqlite3 *db;
	struct lev_worker *worker;
	sigset_t stop;
	int number;
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sql(db, "CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, times INTEGER)",
		NULL) != LEV_OK ||
	    lev_inbox_sqlite_migrate(db) != LEV_OK) {
		fprintf(stderr, "saga: %s\n", sqlite3_errmsg(db));
		return 1;
	}
	sqlite3_busy_timeout(db, 5000);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	const struct lev_worker_options options = { .queue = queue, .handler = serve, .arg = db };
	if (lev_declare_queue(lev, queue, NULL, lev_in(5000)) < 0 ||
	    lev_worker_start(lev, &options, &worker, lev_in(5000)) < 0)
		return failed();
	puts("ready");
	fflush(stdout);
	sigwait(&stop, &number);
	lev_worker_stop(worker, lev_in(5000));
	sqlite3_close(db);
	return 0;
}

/* --- the orchestrator --- */

/* Without services every step would wait for its answer, and every undo as well. */
static int find_services(void)
{
	const uint64_t deadline = lev_in(10000);
	struct lev_queue_info info;
	for (bool is_told = false;; is_told = true) {
		int rc = lev_queue_info(lev, "services", &info, lev_in(5000));
		if (rc == LEV_OK && info.consumers > 0)
			return LEV_OK;
		if (!is_told)
			fputs("saga: waiting for the services, 10 s at most: start them with `saga "
			      "service DATABASE`\n",
			      stderr);
		if (lev_now() >= deadline)
			return lev_fail(LEV_NO_RESPONDER,
					"no services came: nothing was begun; start them with "
					"`saga service DATABASE`");
		usleep(100000);
	}
}

/* Asks a service, which answers "done" or "refused"; an answer that does not come in time is not
 * known. */
static int ask(const struct lev_saga_call *call)
{
	struct lev_properties properties = { .message_id = call->key };
	struct lev_publish request = { .routing_key = "services",
				       .body = call->data,
				       .body_len = call->data_len,
				       .properties = &properties };
	struct lev_message *reply;
	int rc = lev_request(lev, &request, &reply, lev_in(10000));
	if (rc != LEV_OK) {
		fprintf(stderr, "saga: %s: no answer: %s\n", call->key, lev_reason());
		return rc == LEV_NO_RESPONDER ? rc : LEV_UNKNOWN;
	}
	bool is_done = strcmp(reply->body, "done") == 0;
	lev_message_free(reply);
	return is_done ? LEV_OK : lev_fail(LEV_REFUSED, "%s was refused", call->key);
}

static const struct lev_saga_step steps[] = {
	{ "order", ask, ask },
	{ "inventory", ask, ask },
	{ "payment", ask, ask },
	{ "confirmation", ask, NULL },
};
static const struct lev_saga order = { .steps = steps, .steps_len = sizeof steps / sizeof *steps };

static int status_of(const char *id, int rc)
{
	printf("%s: %s\n", id, lev_result_text(rc));
	return rc == LEV_OK ? 0 : rc == LEV_UNDONE ? 3 : 1;
}

static int resume(void *arg, const char *id, struct lev_saga_state state, const void *data,
		  size_t data_len)
{
	const struct lev_saga_log *log = arg;
	int rc = find_services();
	if (rc < 0)
		return rc;
	rc = lev_saga_resume(&order, log, id, state, data, data_len, NULL);
	status_of(id, rc);
	return rc;
}

static int orchestrate(int argc, char **argv)
{
	struct lev_saga_file *file;
	if (argc == 5 && find_services() < 0)
		return failed();
	if (lev_saga_file_open(&file, argv[2]) < 0)
		return failed();
	const struct lev_saga_log log = lev_saga_file_log(file);
	int status;
	if (argc == 5)
		status = status_of(argv[3], lev_saga_run(&order, &log, argv[3], argv[4],
							 strlen(argv[4]), NULL));
	else
		status = lev_saga_file_each(file, resume, (void *)&log) < 0 ? failed() : 0;
	lev_saga_file_close(file);
	return status;
}

int main(int argc, char **argv)
{
	const char *uri = getenv("LEVERET_URI");
	bool is_service = argc == 3 && strcmp(argv[1], "service") == 0;
	if (!is_service && !(argc == 5 && strcmp(argv[1], "order") == 0) &&
	    !(argc == 3 && strcmp(argv[1], "resume") == 0)) {
		fputs("usage: saga service DATABASE | order LOG ID AMOUNT | resume LOG\n", stderr);
		return 2;
	}
	if (lev_connect(&lev, uri == NULL ? "amqp://localhost" : uri, lev_in(10000)) < 0)
		return failed();
	int status = is_service ? run_services(argv[2]) : orchestrate(argc, argv);
	lev_close(lev, lev_in(5000));
	return status;
}
