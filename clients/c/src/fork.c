/* Fork: what becomes of handles in a child process. The I/O thread stays with the parent, and so
 * must the connection: two processes that write to it would garble it. A child's copy answers
 * LEV_FORKED, whatever is asked of it.
 *
 * All handles are locked while the process forks, so that a copy is never caught half changed and
 * its lock is not held by a thread that the child does not have. */
#include "handle.h"

#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* Of: */
static struct list handles = { &handles, &handles };
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before(void)
{
	pthread_mutex_lock(&lock);
	list_each (node, &handles)
		pthread_mutex_lock(&list_entry(node, struct lev, among_handles)->lock);
}

static void in_parent(void)
{
	list_each (node, &handles)
		pthread_mutex_unlock(&list_entry(node, struct lev, among_handles)->lock);
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	list_each (node, &handles) {
		struct lev *lev = list_entry(node, struct lev, among_handles);
		lev->is_forked = lev->is_stopping = true;
		lev->waiters = 0; /* Those are the parent's threads. */
		if (lev->socket.fd >= 0)
			close(lev->socket.fd);
		if (lev->wake_fd >= 0)
			close(lev->wake_fd);
		lev->socket.fd = lev->wake_fd = -1;
		lev->held++; /* It is never freed: who knows who was using it. */
	}
	in_parent();
}

static void install(void)
{
	pthread_atfork(before, in_parent, in_child);
}

void fork_watch(struct lev *lev)
{
	pthread_once(&once, install);
	pthread_mutex_lock(&lock);
	list_push_tail(&handles, &lev->among_handles);
	pthread_mutex_unlock(&lock);
}

void fork_forget(struct lev *lev)
{
	pthread_mutex_lock(&lock);
	list_remove(&lev->among_handles);
	pthread_mutex_unlock(&lock);
}

int handle_gone(const struct lev *lev)
{
	return fail_plainly(lev->is_forked ? LEV_FORKED : LEV_CLOSED);
}
