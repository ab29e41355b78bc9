#include "server/logins.h"

#include "auth/password.h"
#include "base/alloc.h"
#include "base/list.h"
#include "net/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

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
	struct password password;
	struct bytes text; /* Borrowed from the wait. */
	bool is_right;
};

struct logins {
	struct logins_options options;
	struct list waiting; /* struct wait; the first is at work, if is_working. */
	bool is_working;
	uint64_t version; /* Of the user that is looked at, when that began; 0: there is none. */
	struct event *event;
	int fd; /* The thread has an answer. */
	pthread_t thread;
	pthread_mutex_t lock; /* Of what follows. */
	pthread_cond_t wake;
	struct work work;
	bool has_work;
	bool is_ending;
};

/* --- the thread --- */

static void *run(void *arg)
{
	struct logins *l = arg;
	pthread_mutex_lock(&l->lock);
	while (!l->is_ending) {
		if (!l->has_work) {
			pthread_cond_wait(&l->wake, &l->lock);
			continue;
		}
		struct work work = l->work;
		pthread_mutex_unlock(&l->lock);
		work.is_right = password_is_right(&work.password, work.text);
		pthread_mutex_lock(&l->lock);
		l->work = work;
		l->has_work = false;
		OPENSSL_cleanse(&work, sizeof work);
		eventfd_write(l->fd, 1);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
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

/* Of a user that is not there nothing is right, after as long a time. */
static void begin_work(struct logins *l)
{
	struct user *user;
	while (!list_is_empty(&l->waiting)) {
		struct wait *w = first(l);
		if (w->asker != NULL && !is_known(l, w, &user)) {
			static const struct password none = { .kind = PASSWORD_NONE };
			pthread_mutex_lock(&l->lock);
			l->work = (struct work){ user == NULL ? none : user->password, w->password,
						 false };
			l->has_work = l->is_working = true;
			l->version = user == NULL ? 0 : user->version;
			pthread_cond_signal(&l->wake);
			pthread_mutex_unlock(&l->lock);
			return;
		}
		answer(l, w->asker == NULL ? NULL : user);
	}
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct logins *l = arg;
	eventfd_t n;
	(void)what;
	eventfd_read(fd, &n);
	pthread_mutex_lock(&l->lock);
	bool is_done = l->is_working && !l->has_work, is_right = l->work.is_right;
	OPENSSL_cleanse(&l->work, sizeof l->work);
	pthread_mutex_unlock(&l->lock);
	if (!is_done)
		return;
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

static bool start(struct logins *l)
{
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd == -1)
		return false;
	l->event = event_new(l->options.base, l->fd, EV_READ | EV_PERSIST, on_answer, l);
	if (l->event == NULL || event_add(l->event, NULL) != 0)
		return false;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	errno = pthread_create(&l->thread, NULL, run, l);
	return errno == 0;
}

struct logins *logins_create(const struct logins_options *options)
{
	struct logins *l = alloc_zeroed(sizeof *l);
	l->options = *options;
	list_init(&l->waiting);
	if (start(l))
		return l;
	int error = errno;
	if (l->event != NULL)
		event_free(l->event);
	if (l->fd != -1)
		close(l->fd);
	free(l);
	errno = error;
	return NULL;
}

void logins_destroy(struct logins *l)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	l->is_ending = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	while (!list_is_empty(&l->waiting))
		wait_free(first(l));
	event_free(l->event);
	close(l->fd);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	free(l);
}
