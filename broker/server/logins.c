#include "server/logins.h"

#include "auth/password.h"
#include "base/alloc.h"
#include "base/list.h"
#include "net/clock.h"
#include "server/worker.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* What waits to be looked at. */
struct wait {
	struct list in_waiting;
	struct bytes name;     /* Owned, */
	struct bytes password; /* as this. */
	uint8_t address[GUESSES_ADDRESS_BYTES];
	void *asker; /* NULL: it has gone. */
	void (*told)(void *asker, struct user *user);
};

/* What the thread works on: it sees nothing else. */
struct work {
	struct job job;
	struct password password;
	struct bytes text; /* Borrowed from the wait. */
	bool is_right;
};

struct logins {
	struct logins_options options;
	struct worker *worker; /* Of its own: no login waits for large files. */
	struct list waiting;   /* struct wait; the first is at work, if is_working. */
	bool is_working;
	uint64_t version; /* Of the user that is looked at, when that began; 0: there is none. */
	struct work work; /* The worker's, while is_working. */
};

/* --- the thread --- */

static void run(struct job *job)
{
	struct work *work = list_entry(job, struct work, job);
	work->is_right = password_is_right(&work->password, work->text);
}

/* --- the loop --- */

static void wait_free(struct wait *w)
{
	list_remove(&w->in_waiting);
	free((void *)w->name.data);
	OPENSSL_cleanse((void *)w->password.data, w->password.len);
	free((void *)w->password.data);
	free(w);
}

static struct wait *first(struct logins *l)
{
	return list_entry(l->waiting.next, struct wait, in_waiting);
}

/* The first one of those that wait, if it can be answered without work. */
static bool is_known(struct logins *l, const struct wait *w, struct user **user)
{
	*user = users_find(l->options.users, w->name);
	if (guesses_are_enough(l->options.guesses, w->name, w->address, clock_steady_ms())) {
		*user = NULL;
		return true;
	}
	return *user != NULL && users_is_verified(l->options.users, *user, w->password);
}

static void answer(struct logins *l, struct user *user)
{
	struct wait *w = first(l);
	void *asker = w->asker;
	void (*told)(void *, struct user *) = w->told;
	wait_free(w);
	if (asker != NULL && told != NULL)
		told(asker, user);
	else if (asker != NULL)
		l->options.told(l->options.arg, asker, user);
}

static void on_answer(struct job *job);

/* Of a user that is not there nothing is right, after as long a time. */
static void begin_work(struct logins *l)
{
	struct user *user;
	while (!list_is_empty(&l->waiting)) {
		struct wait *w = first(l);
		if (w->asker != NULL && !is_known(l, w, &user)) {
			static const struct password none = { .kind = PASSWORD_NONE };
			l->work = (struct work){ { .run = run, .done = on_answer },
						 user == NULL ? none : user->password,
						 w->password,
						 false };
			l->version = user == NULL ? 0 : user->version;
			l->is_working = true;
			worker_do(l->worker, &l->work.job);
			return;
		}
		answer(l, w->asker == NULL ? NULL : user);
	}
}

static void on_answer(struct job *job)
{
	struct logins *l = list_entry(job, struct logins, work.job);
	bool is_right = l->work.is_right;
	OPENSSL_cleanse(&l->work, sizeof l->work);
	l->is_working = false;
	struct wait *w = first(l);
	struct user *user = users_find(l->options.users, w->name);
	bool is_same = user != NULL && user->version == l->version;
	guesses_note(l->options.guesses, w->name, w->address, is_right, clock_steady_ms());
	if (is_right && is_same)
		users_set_verified(l->options.users, user, w->password);
	if (!is_right || is_same || user == NULL)
		answer(l, is_right ? user : NULL);
	begin_work(l); /* One whose user has changed meanwhile is looked at again. */
}

enum logins_answer logins_ask(struct logins *l, const struct login_asked *asked, struct user **user)
{
	struct wait w = { .name = asked->name, .password = asked->password };
	memcpy(w.address, asked->address, sizeof w.address);
	if (is_known(l, &w, user)) {
		if (*user != NULL)
			guesses_note(l->options.guesses, w.name, w.address, true,
				     clock_steady_ms());
		return *user != NULL ? LOGINS_TAKEN : LOGINS_REFUSED;
	}
	struct wait *kept = alloc_zeroed(sizeof *kept);
	*kept = w;
	kept->name = alloc_copy(asked->name);
	kept->password = alloc_copy(asked->password);
	kept->asker = asked->asker;
	kept->told = asked->told;
	list_push_tail(&l->waiting, &kept->in_waiting);
	if (!l->is_working)
		begin_work(l);
	return LOGINS_LATER;
}

void logins_forget(struct logins *l, const void *asker)
{
	list_each (node, &l->waiting) {
		struct wait *w = list_entry(node, struct wait, in_waiting);
		if (w->asker != asker)
			continue;
		w->asker = NULL;
		return;
	}
}

/* --- life --- */

struct logins *logins_create(const struct logins_options *options)
{
	struct worker *worker = worker_create(options->base);
	if (worker == NULL)
		return NULL;
	struct logins *l = alloc_zeroed(sizeof *l);
	l->options = *options;
	l->worker = worker;
	list_init(&l->waiting);
	return l;
}

void logins_destroy(struct logins *l)
{
	if (l == NULL)
		return;
	worker_destroy(l->worker);
	while (!list_is_empty(&l->waiting))
		wait_free(first(l));
	free(l);
}
