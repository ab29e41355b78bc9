#include "api/totals.h"

#include "auth/users.h"
#include "base/alloc.h"
#include "net/net.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUDGET = 1024 };

static uint64_t open_files(void)
{
	uint64_t len = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir != NULL && readdir(dir) != NULL)
		len++;
	if (dir != NULL)
		closedir(dir);
	return len < 3 ? 0 : len - 3;
}

static uint64_t resident_bytes(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (file != NULL && fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	if (file != NULL)
		fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void add_queue(void *arg, const void *info)
{
	struct totals *t = arg;
	const struct queue_info *q = info;
	if (q->is_system || !query_may_see(t->query, q->vhost))
		return;
	t->ready += q->ready;
	t->ready_bytes += q->ready_bytes;
	t->unacked += q->unacked;
	t->consumers += q->consumers;
	t->queues++;
}

static void add_exchange(void *arg, const void *info)
{
	struct totals *t = arg;
	t->exchanges += query_may_see(t->query, ((const struct exchange_info *)info)->vhost);
}

static void add_channel(void *arg, const void *info)
{
	struct totals *t = arg;
	const struct channel_info *ch = info;
	t->channels += bytes_equal(ch->user, t->query->user->name);
}

static void end_totals(struct query *c)
{
	struct totals *t = c->prepared;
	view_close(t->view);
	t->view = NULL;
}

/* Of those who see all, what is counted anyway need not be. */
enum desk_step totals_step(struct query *c)
{
	static const struct {
		enum view_of of;
		void (*add)(void *arg, const void *info);
	} parts[] = { { VIEW_QUEUES, add_queue },
		      { VIEW_EXCHANGES, add_exchange },
		      { VIEW_CHANNELS, add_channel } };
	struct totals *t = c->prepared;
	struct core *core = c->api->options.core;
	if (t == NULL) {
		c->prepared = t = alloc_zeroed(sizeof *t);
		c->free_prepared = free;
		c->end_state = end_totals;
		t->query = c;
	}
	unsigned last = c->sees_all ? 1 : 3;
	for (; c->stage < last; c->stage++) {
		if (t->view == NULL)
			t->view = view_open(core, parts[c->stage].of, NULL);
		if (view_next(t->view, BUDGET, parts[c->stage].add, t))
			return DESK_AGAIN;
		view_close(t->view);
		t->view = NULL;
	}
	c->api->options.node_state(c->api->options.arg, &t->node);
	core_totals(core, &t->figures, &t->stats);
	if (c->sees_all) {
		t->exchanges = t->figures.exchanges;
		t->channels = t->figures.channels_opened - t->figures.channels_closed;
		t->connections = net_connections(c->api->options.net);
		t->consumers = t->figures.consumers;
	} else {
		t->connections = c->user->connections_len;
	}
	return DESK_DONE;
}

void totals_look_at_process(struct totals *t)
{
	t->open_files = open_files();
	t->resident_bytes = resident_bytes();
}
