#include "verify.h"

#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_BYTES_MAX = 511 }; /* LMDB's. */

struct finding {
	struct verdict verdict;
	bool is_readable;
	char what[200];
};

/* --- in the child --- */

/* Recovery visits, and counts, the others itself. */
static bool is_read_later(uint8_t kind)
{
	return kind == STORE_KEY_INDEX || kind == STORE_KEY_KEYS || kind == STORE_KEY_SURVIVORS;
}

/* Strictly ascending, and each found by its key as well as in its turn: else a search would miss
 * what a walk finds. */
static bool is_in_place(struct store *store, const uint8_t *before, size_t before_len,
			struct bytes key)
{
	struct bytes value;
	size_t len = before_len < key.len ? before_len : key.len;
	int order = memcmp(before, key.data, len);
	bool is_ascending = order < 0 || (order == 0 && before_len < key.len);
	return is_ascending && store_get(store, key, &value);
}

static void walk(struct store *store, struct finding *f)
{
	static const uint8_t least[1];
	uint8_t before[KEY_BYTES_MAX];
	size_t before_len = 0;
	uint64_t entries = store_entries(store);
	struct bytes all = bytes_of(least, 0), key = bytes_of(least, sizeof least), value;
	bool is_there = store_seek(store, all, &key, &value);
	for (; is_there; is_there = store_next(store, all, &key, &value)) {
		if (key.len == 0 || key.len > sizeof before ||
		    !is_in_place(store, before, before_len, key) || f->verdict.records == entries) {
			snprintf(f->what, sizeof f->what, "its keys are out of order");
			return;
		}
		memcpy(before, key.data, key.len);
		before_len = key.len;
		f->verdict.records++;
		f->verdict.damaged += value.len == 0;
		f->verdict.damaged_unread += value.len == 0 && is_read_later(key.data[0]);
	}
	f->is_readable = f->verdict.records == entries;
	snprintf(f->what, sizeof f->what, "%llu of its %llu records cannot be found",
		 (unsigned long long)(entries - f->verdict.records), (unsigned long long)entries);
}

static void look(const struct store_options *options, struct finding *f)
{
	struct store *store;
	struct store_options looking = *options;
	looking.is_read_only = looking.is_unchecked = true;
	if (store_open(&store, &looking, f->what, sizeof f->what) != STORE_OK)
		return;
	if (store_read_begin(store) != STORE_OK)
		snprintf(f->what, sizeof f->what, "%s", store_error(store));
	else
		walk(store, f);
}

/* Ends without giving anything back: what it inherited is the parent's. */
static _Noreturn void run_child(const struct store_options *options, int to)
{
	struct finding finding = { 0 };
	struct rlimit no_core = { 0, 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null != -1)
		dup2(null, STDERR_FILENO); /* LMDB's assertions speak. */
	setrlimit(RLIMIT_CORE, &no_core);
	look(options, &finding);
	_exit(write(to, &finding, sizeof finding) == sizeof finding ? 0 : 1);
}

/* --- in the parent --- */

static bool wait_for(pid_t child, int from, struct finding *f, char *why, size_t why_size)
{
	int status;
	ssize_t got;
	do
		got = read(from, f, sizeof *f);
	while (got == -1 && errno == EINTR);
	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR) {
			status = 0; /* Somebody else took it; what it said counts. */
			break;
		}
	if (WIFSIGNALED(status))
		snprintf(why, why_size, "reading it ends with signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (got != sizeof *f || WEXITSTATUS(status) != 0)
		snprintf(why, why_size, "it cannot be read to its end");
	else if (!f->is_readable)
		snprintf(why, why_size, "%s", f->what);
	else
		return true;
	return false;
}

/* -1: it is not there. */
static off_t size_of(const char *dir, const char *name)
{
	char path[4200];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

int verify_store(const struct store_options *options, struct verdict *verdict, char *why,
		 size_t why_size)
{
	int ends[2];
	char what[300];
	struct finding finding = { 0 };
	*verdict = finding.verdict;
	if (size_of(options->dir, "data.mdb") <= 0)
		return 0;
	if (pipe(ends) == -1) {
		snprintf(why, why_size, "%s: cannot verify the store: %m", options->dir);
		return -1;
	}
	pid_t child = fork();
	if (child == 0)
		run_child(options, ends[1]);
	close(ends[1]);
	bool is_good = child != -1;
	if (is_good)
		is_good = wait_for(child, ends[0], &finding, what, sizeof what);
	else
		snprintf(what, sizeof what, "cannot start a process to verify it: %m");
	close(ends[0]);
	*verdict = finding.verdict;
	if (!is_good)
		snprintf(why, why_size,
			 "%s: the store, data.mdb, is damaged: %s; nothing has been changed: bring "
			 "the whole directory back from a backup",
			 options->dir, what);
	return is_good ? 0 : -1;
}

/* The store is made, and synced, before the log is; and the log is on disk before the store says
 * that it is used. */
int verify_store_is_there(const char *dir, char *why, size_t why_size)
{
	off_t store = size_of(dir, "data.mdb"), log = size_of(dir, "journal.log");
	if (store <= 0 && log > 0) {
		snprintf(
			why, why_size,
			"%s: the store, data.mdb, is %s, but journal.log is not empty; nothing has "
			"been changed: both belong together, bring it back",
			dir, store < 0 ? "missing" : "empty");
		return -1;
	}
	return 0;
}

int verify_log_is_there(const char *dir, struct store_checkpoint checkpoint, char *why,
			size_t why_size)
{
	bool is_used = checkpoint.format != 0 && checkpoint.at > LOG_SLOT_BYTES;
	off_t log = size_of(dir, "journal.log");
	if (!is_used || log > 0)
		return 0;
	snprintf(why, why_size,
		 "%s: the log, journal.log, is %s, but the store, data.mdb, has messages in it; "
		 "nothing has been changed: both belong together, bring it back",
		 dir, log < 0 ? "missing" : "empty");
	return -1;
}
