#include "server/control.h"

#include "core/admin.h"
#include "core/core.h"

#include "base/alloc.h"
#include "base/list.h"
#include "ctl/ask.h"
#include "manage/audit.h"
#include "manage/manage.h"
#include "net/net.h"
#include "server/config.h"
#include "server/log.h"
#include "server/worker.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 64 << 20,
	READ_BYTES = 1 << 20,
	LONG_BYTES = 64 << 10, /* From here on the worker reads the question. */
	ASKERS_MAX = 16,
	TIMEOUT_S = 5
};

/* One who has asked. While his question is at work he is not listened to, so he stays. */
struct asker {
	struct control *control;
	struct list in_askers;
	struct bufferevent *socket;
	struct job job;
	struct evbuffer *line;  /* What he asked, until it is read. */
	json_t *question;       /* Until it is answered. */
	json_t *reply;          /* Until it is written. */
	char *text;             /* Then the reply. */
	struct list in_waiting; /* For the journal to have what the answer says. */
	uint64_t sequence;
	size_t scanned; /* Bytes of the input without the end of the line. */
};

struct control {
	struct control_options options;
	struct evconnlistener *listener;
	struct list askers;
	unsigned askers_len;
	struct list waiting;
	struct sockaddr_un address;
};

/* --- answers --- */

static struct bytes text_of(const json_t *question, const char *name)
{
	const json_t *v = json_object_get(question, name);
	return json_is_string(v) ? bytes_of(json_string_value(v), json_string_length(v))
				 : bytes_of("", 0);
}

static json_t *error(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *answer_figures(const struct core *core)
{
	struct core_figures f;
	struct message_stats stats;
	core_totals(core, &f, &stats);
	json_t *a = json_object();
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{ "queues", f.queues },
		{ "exchanges", f.exchanges },
		{ "bindings", f.bindings },
		{ "messages_ready", f.messages_ready },
		{ "messages_unacked", f.messages_unacked },
		{ "published", f.published },
		{ "delivered", f.delivered },
		{ "unroutable", f.dropped },
		{ "refused", f.refused },
		{ "idempotency_keys", f.keys },
		{ "idempotency_key_bytes", f.key_bytes },
		{ "idempotency_hits", f.key_hits },
		{ "idempotency_conflicts", f.key_conflicts },
		{ "idempotency_evictions", f.key_evictions },
		{ "idempotency_window_ms", f.key_window_ms },
		{ "idempotency_chunks_waiting", f.keys_waiting },
		{ "producers", f.producers },
		{ "producers_fenced", f.producers_fenced },
		{ "producer_evictions", f.producer_evictions },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		json_object_set_new(a, all[i].name, json_integer((json_int_t)all[i].value));
	return a;
}

static json_t *answer_environment(const struct config *config)
{
	char text[CONFIG_TEXT_MAX * 2];
	const char *kind;
	json_t *a = json_object();
	for (size_t i = 0; config_value(config, i, text, sizeof text); i++)
		json_object_set_new(a, config_key(i, &kind), json_string(text));
	return a;
}

/* vhost=; without it "/". NULL: there is none. */
static struct vhost *vhost_of(const struct control *c, const json_t *question)
{
	bool is_named = json_object_get(question, "vhost") != NULL;
	return core_vhost(c->options.core, is_named ? text_of(question, "vhost") : bytes_str("/"));
}

static json_t *answer_key(const struct control *c, const json_t *question, bool is_to_be_forgotten)
{
	struct vhost *vhost = vhost_of(c, question);
	if (vhost == NULL)
		return error("there is no such vhost");
	struct key_found found;
	struct key_wanted wanted = {
		.exchange = text_of(question, "exchange"),
		.routing_key = text_of(question, "routing_key"),
		.queue = text_of(question, "queue"),
		.key = text_of(question, "key"),
	};
	char print[17];
	if (wanted.key.len == 0 || wanted.key.len > UINT8_MAX)
		return error("key=TEXT is needed, of 1 to 255 bytes; and exchange= and "
			     "routing_key=, or queue=");
	if (wanted.exchange.len > UINT8_MAX || wanted.routing_key.len > UINT8_MAX ||
	    wanted.queue.len > UINT8_MAX)
		return error("names have 255 bytes at most");
	if (core_keys_are_loading(c->options.core))
		return error("the keys are still being loaded: try again");
	if (!core_key_find(vhost, &wanted, &found))
		return json_pack("{s:b}", "found", 0);
	if (is_to_be_forgotten) {
		c->options.begin_turn(c->options.arg);
		core_key_forget(vhost, &wanted);
	}
	snprintf(print, sizeof print, "%016" PRIx64, found.print);
	return json_pack("{s:b,s:I,s:s,s:b,s:b,s:b}", "found", 1, "published_ms",
			 (json_int_t)found.time_ms, "body_fingerprint", print, "transient",
			 found.is_transient, "while_queued", found.is_while_queued, "forgotten",
			 is_to_be_forgotten);
}

static json_t *answer_producer(const struct control *c, const json_t *question)
{
	struct producer_found found;
	struct bytes name = text_of(question, "id");
	const struct vhost *vhost = vhost_of(c, question);
	if (vhost == NULL)
		return error("there is no such vhost");
	if (name.len == 0 || name.len > UINT8_MAX)
		return error("id=TEXT is needed, of 1 to 255 bytes");
	if (!core_producer_find(vhost, name, &found))
		return json_pack("{s:b}", "found", 0);
	return json_pack("{s:b,s:I,s:I}", "found", 1, "epoch", (json_int_t)found.epoch, "sequence",
			 (json_int_t)found.sequence);
}

static json_t *answer_duplicates(const struct control *c, const json_t *question)
{
	uint64_t len;
	struct bytes exchange = text_of(question, "exchange"), queue = text_of(question, "queue");
	const struct vhost *vhost = vhost_of(c, question);
	if (vhost == NULL)
		return error("there is no such vhost");
	bool is_asked = json_object_get(question, "exchange") != NULL || queue.len > 0;
	if (!is_asked || exchange.len > UINT8_MAX || queue.len > UINT8_MAX)
		return error("exchange= or queue= is needed, of at most 255 bytes");
	if (!core_duplicates(vhost, exchange, queue, &len))
		return json_pack("{s:b}", "found", 0);
	return json_pack("{s:b,s:I}", "found", 1, "duplicates", (json_int_t)len);
}

/* --- connections --- */

struct look {
	const char *name;   /* Of the one that is to be closed, or of its peer; */
	struct bytes vhost; /* or those of this virtual host, */
	struct bytes user;  /* or user; */
	bool are_all;       /* or all. */
	const char *reason;
	size_t closed;
};

static void close_one(void *arg, struct session *session)
{
	struct look *look = arg;
	struct session_info i = session_info(session);
	char text[300];
	bool is_wanted =
		look->are_all ||
		(look->name != NULL && (strcmp(look->name, session_connection_name(session)) == 0 ||
					strcmp(look->name, session_peer_name(session)) == 0)) ||
		(look->vhost.len > 0 && bytes_equal(look->vhost, i.vhost)) ||
		(look->user.len > 0 && bytes_equal(look->user, i.user));
	if (!is_wanted)
		return;
	snprintf(text, sizeof text, "%s", look->reason);
	session_shutdown(session, REPLY_CONNECTION_FORCED, text);
	look->closed++;
}

/* That there is none is no mistake, as in RabbitMQ. */
static json_t *answer_close(const struct control *c, const json_t *question, bool is_one)
{
	const char *reason = json_string_value(json_object_get(question, "reason"));
	struct look look = {
		.name = is_one ? json_string_value(json_object_get(question, "name")) : NULL,
		.reason = reason == NULL ? "closed by the operator" : reason,
		.are_all = !is_one && json_is_true(json_object_get(question, "global")),
	};
	if (!is_one) {
		look.vhost = text_of(question, "vhost");
		look.user = text_of(question, "user");
	}
	c->options.begin_turn(c->options.arg);
	net_each(c->options.net, close_one, &look);
	return json_pack("{s:I}", "closed", (json_int_t)look.closed);
}

static json_t *answer_own(const struct control *c, const json_t *question)
{
	struct bytes command = text_of(question, "command");
	return bytes_equal_str(command, "figures")            ? answer_figures(c->options.core)
	       : bytes_equal_str(command, "key")              ? answer_key(c, question, false)
	       : bytes_equal_str(command, "forget-key")       ? answer_key(c, question, true)
	       : bytes_equal_str(command, "producer")         ? answer_producer(c, question)
	       : bytes_equal_str(command, "environment")      ? answer_environment(c->options.config)
	       : bytes_equal_str(command, "close_connection") ? answer_close(c, question, true)
	       : bytes_equal_str(command, "close_all_connections")
		       ? answer_close(c, question, false)
	       : bytes_equal_str(command, "duplicates")
		       ? answer_duplicates(c, question)
		       : error("the commands are figures, key, forget-key, producer, "
			       "duplicates, and those of leveretctl");
}

/* Who asks is known by his user of the system. */
static void tell_audit(const struct asker *a, const json_t *question, const json_t *answer)
{
	int fd = bufferevent_getfd(a->socket);
	struct ucred asker;
	socklen_t len = sizeof asker;
	char user[32] = "", peer[48] = "control", text[AUDIT_TEXT_MAX];
	if (!audit_is_change(question))
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &asker, &len) == 0) {
		snprintf(user, sizeof user, "uid %u", (unsigned)asker.uid);
		snprintf(peer, sizeof peer, "control,pid=%d", (int)asker.pid);
	}
	audit_text(question, answer, text);
	const struct log_about about = { .peer = peer,
					 .user = bytes_str(user),
					 .action = text_of(question, "command") };
	log_about(LOG_INFO, &about, text);
}

static json_t *answer(const struct asker *asker, uint64_t *awaited)
{
	const struct control *c = asker->control;
	const json_t *question = asker->question;
	*awaited = 0;
	if (!json_is_object(question))
		return error("a question is a line with a JSON object");
	json_t *a = manage_answer(c->options.manage, question, awaited);
	if (a == NULL)
		a = answer_own(c, question);
	tell_audit(asker, question, a);
	return a;
}

/* --- the broker's side --- */

static void asker_free(struct asker *a)
{
	a->control->askers_len--;
	list_remove(&a->in_askers);
	list_remove(&a->in_waiting);
	bufferevent_free(a->socket);
	if (a->line != NULL)
		evbuffer_free(a->line);
	json_decref(a->question);
	json_decref(a->reply);
	free(a->text);
	free(a);
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
	(void)socket;
	(void)what;
	asker_free(arg);
}

static void on_written(struct bufferevent *socket, void *arg)
{
	(void)socket;
	asker_free(arg);
}

/* What is in the output may go. */
static void let_go(struct asker *a)
{
	list_remove(&a->in_waiting);
	bufferevent_setcb(a->socket, NULL, on_written, on_event, a);
	bufferevent_enable(a->socket, EV_WRITE);
}

/* --- a question's way --- */

static void free_text(const void *text, size_t len, void *arg)
{
	(void)len;
	(void)arg;
	free((void *)text);
}

/* What he is told is known; it may have to wait for the journal. */
static void send_text(struct asker *a)
{
	struct evbuffer *out = bufferevent_get_output(a->socket);
	evbuffer_add_reference(out, a->text, strlen(a->text), free_text, NULL);
	evbuffer_add(out, "\n", 1);
	a->text = NULL;
	if (a->sequence != 0)
		list_push_tail(&a->control->waiting, &a->in_waiting);
	else
		let_go(a);
}

/* By the worker, or by the loop if it is short. */
static void run_write(struct job *job)
{
	struct asker *a = list_entry(job, struct asker, job);
	a->text = json_dumps(a->reply, JSON_COMPACT);
	json_decref(a->reply);
	json_decref(a->question);
	a->reply = a->question = NULL;
}

static void on_text(struct job *job)
{
	struct asker *a = list_entry(job, struct asker, job);
	a->control->options.begin_turn(a->control->options.arg); /* Which says what is durable. */
	send_text(a);
}

static void write_long(struct asker *a)
{
	a->job = (struct job){ .run = run_write, .done = on_text };
	worker_do(a->control->options.worker, &a->job);
}

static void on_imported(void *arg, json_t *report, json_t *definitions, uint64_t awaited)
{
	struct asker *a = arg;
	tell_audit(a, a->question, report);
	json_decref(a->question);
	a->sequence = awaited;
	a->reply = report;
	a->question = definitions;
	write_long(a);
}

static void import(struct asker *a)
{
	struct manage_import_options options = {
		.definitions = json_incref(json_object_get(a->question, "definitions")),
		.vhost = json_string_value(json_object_get(a->question, "vhost")),
		.is_dry = json_is_true(json_object_get(a->question, "dry_run")),
		.told = on_imported,
		.arg = a,
	};
	manage_start_import(a->control->options.manage, &options);
	json_object_set_new(a->question, "definitions", json_null()); /* They are manage's. */
}

/* The question is there, or NULL, if it is none. */
static void take_up(struct asker *a)
{
	struct bytes command = text_of(a->question, "command");
	if (bytes_equal_str(command, "import_definitions")) {
		import(a);
		return;
	}
	a->reply = answer(a, &a->sequence);
	if (bytes_equal_str(command, "export_definitions")) {
		write_long(a);
		return;
	}
	run_write(&a->job);
	send_text(a);
}

static size_t read_some(void *room, size_t len, void *line)
{
	int got = evbuffer_remove(line, room, len);
	return got < 0 ? 0 : (size_t)got;
}

static void run_read(struct job *job)
{
	struct asker *a = list_entry(job, struct asker, job);
	a->question = json_load_callback(read_some, a->line, JSON_REJECT_DUPLICATES, NULL);
	evbuffer_free(a->line);
	a->line = NULL;
}

static void on_question(struct job *job)
{
	take_up(list_entry(job, struct asker, job));
}

/* False: it has not all come. What has been looked through is not looked through again. */
static bool take_line(struct asker *a, struct evbuffer *in)
{
	struct evbuffer_ptr from, end = { .pos = -1 };
	size_t len = evbuffer_get_length(in);
	if (a->scanned < len && evbuffer_ptr_set(in, &from, a->scanned, EVBUFFER_PTR_SET) == 0)
		end = evbuffer_search_eol(in, &from, NULL, EVBUFFER_EOL_LF);
	a->scanned = len;
	if (end.pos < 0)
		return false;
	a->line = evbuffer_new();
	evbuffer_remove_buffer(in, a->line, (size_t)end.pos);
	return true;
}

static void on_read(struct bufferevent *socket, void *arg)
{
	struct asker *a = arg;
	struct evbuffer *in = bufferevent_get_input(socket);
	if (!take_line(a, in)) {
		if (evbuffer_get_length(in) >= LINE_MAX_BYTES)
			asker_free(a);
		return;
	}
	bufferevent_disable(socket, EV_READ | EV_WRITE);
	bufferevent_set_timeouts(socket, NULL, NULL);
	a->job = (struct job){ .run = run_read, .done = on_question };
	if (evbuffer_get_length(a->line) >= LONG_BYTES) {
		worker_do(a->control->options.worker, &a->job);
	} else {
		run_read(&a->job);
		take_up(a);
	}
}

void control_durable(struct control *c, uint64_t durable)
{
	if (c == NULL)
		return;
	for (struct list *node = c->waiting.next, *next; node != &c->waiting; node = next) {
		struct asker *a = list_entry(node, struct asker, in_waiting);
		next = node->next;
		if (a->sequence <= durable)
			let_go(a);
	}
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int len, void *arg)
{
	static const struct timeval patience = { .tv_sec = TIMEOUT_S };
	struct control *c = arg;
	(void)listener;
	(void)address;
	(void)len;
	struct bufferevent *socket =
		c->askers_len < ASKERS_MAX
			? bufferevent_socket_new(c->options.base, fd, BEV_OPT_CLOSE_ON_FREE)
			: NULL;
	if (socket == NULL) {
		close(fd);
		return;
	}
	struct asker *a = alloc_zeroed(sizeof *a);
	a->control = c;
	a->socket = socket;
	list_init(&a->in_waiting);
	list_push_tail(&c->askers, &a->in_askers);
	c->askers_len++;
	bufferevent_set_max_single_read(socket, READ_BYTES);
	bufferevent_setwatermark(socket, EV_READ, 0, LINE_MAX_BYTES);
	bufferevent_setcb(socket, on_read, NULL, on_event, a);
	bufferevent_set_timeouts(socket, &patience, &patience);
	bufferevent_enable(socket, EV_READ | EV_WRITE);
}

/* What an older process left there goes: the directory is ours. */
struct control *control_create(const struct control_options *options, char *why, size_t why_size)
{
	struct control *c = alloc_zeroed(sizeof *c);
	c->options = *options;
	list_init(&c->askers);
	list_init(&c->waiting);
	if (!ask_address(&c->address, options->data_dir, ASK_CONTROL)) {
		snprintf(why, why_size, "the path of %s is too long for a socket",
			 options->data_dir);
		free(c);
		return NULL;
	}
	unlink(c->address.sun_path);
	mode_t before = umask(0177);
	c->listener = evconnlistener_new_bind(
		options->base, on_accept, c, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
		ASKERS_MAX, (struct sockaddr *)&c->address, sizeof c->address);
	umask(before);
	if (c->listener == NULL) {
		snprintf(why, why_size, "cannot listen on %s: %m", c->address.sun_path);
		free(c);
		return NULL;
	}
	return c;
}

void control_destroy(struct control *c)
{
	if (c == NULL)
		return;
	evconnlistener_free(c->listener);
	while (!list_is_empty(&c->askers))
		asker_free(list_entry(c->askers.next, struct asker, in_askers));
	unlink(c->address.sun_path);
	free(c);
}
