/* One thread, one loop. A turn: read what came (net), decide (core), record (journal), write (net).
 * A turn begins with the first event of a round and ends when the round is over; between turns the
 * journal's writer may take what was submitted. */
#include "core/admin.h"

#include "server/server.h"

#include "auth/guesses.h"
#include "auth/users.h"
#include "base/alloc.h"
#include "manage/manage.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/tls.h"
#include "server/alarm.h"
#include "server/control.h"
#include "server/datadir.h"
#include "server/definitions.h"
#include "server/logins.h"
#include "server/management.h"
#include "server/notify.h"
#include "server/worker.h"
#include "table.h"
#include "turn/turn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TICK_MS = 500,
	QUIET_MS = 60,
	DUE_MAX_MS = 24 * 3600 * 1000,
	CHECKPOINT_MS = 1000,
	CHECKPOINT_BYTES = 32 << 20,
	BACKLOG_HIGH =
		64 << 20, /* Bytes on their way to the disk: above it publishers are not read, */
	BACKLOG_LOW = 16 << 20, /* until it is down to this. */
	GIVE_BACK_BYTES = 4 << 20,
	SHUTDOWN_MS = 5000, /* How long clients have to say close-ok. */
};

/* SIGHUP: what will hold when the definitions do. */
struct reload {
	struct config *config; /* Owned; NULL: nothing is being loaded. */
	struct ssl_ctx_st *tls;
	struct definitions_reload *definitions;
	bool is_wanted; /* Once more, then. */
};

struct server {
	struct config *config;
	const struct config_source *source;
	int lock_fd;
	struct event_base *base;
	struct event *events[8];
	struct event *quiet; /* Due a while after deliveries. */
	size_t events_len;
	struct journal *journal;
	struct journal_look journal_look;
	struct core *core;
	struct turn turn;
	struct users *users;
	struct guesses *guesses;
	struct logins *logins;
	struct manage *manage;
	bool must_recheck; /* Users or virtual hosts have changed. */
	struct outbuf_pool outbufs;
	struct session_options session_options;
	struct session_host sessions;
	struct ssl_ctx_st *tls;
	struct net *net;
	struct worker *worker;
	struct reload reload;
	struct control *control;
	struct management *management; /* NULL: there is none. */
	struct api *api;               /* Its; NULL likewise. */
	struct alarm alarm;
	bool is_backlogged;
	bool is_flooded;          /* Messages come faster than paging gets them out of memory. */
	const char *alarm_reason; /* What publishers have been told. */
	bool is_busy;             /* There is more to do: the next round must not wait. */
	uint64_t heap_bytes; /* The most that messages and output took since memory was given back.
			      */
	uint64_t checkpoint_ms;
	uint64_t duplicates_ms; /* When the log last heard of duplicates. */
	uint64_t epoch_ms; /* Unix time when the steady clock was 0: a clock that is set anew moves
			      no deadline while the broker runs. */
	uint64_t due_ms;   /* What the timer `due` is set for; 0: it is not set. */
	struct event *due;
	uint64_t stop_ms; /* When to give up waiting for clients; 0: not stopping. */
	int status;
	bool is_done;
};

static const struct timeval quiet_time = { .tv_usec = QUIET_MS * 1000 };

/* --- turns --- */

/* What the journal has to say is said once. */
static void look_at_journal(struct server *s)
{
	char why[400];
	enum journal_state before = s->journal_look.state;
	s->journal_look = journal_look(s->journal);
	s->alarm.is_disk_short |= s->journal_look.is_short || s->journal_look.state == JOURNAL_FULL;
	if (s->journal_look.state == before)
		return;
	journal_reason(s->journal, why, sizeof why);
	if (s->journal_look.state == JOURNAL_OK) {
		log_line(LOG_INFO, "the disk has space again");
	} else if (s->journal_look.state == JOURNAL_FULL) {
		log_line(LOG_ERROR,
			 "the disk is full: nothing is confirmed until there is space (%s)", why);
	} else {
		log_line(LOG_ERROR, "the journal failed, what is on disk is unknown: stopping (%s)",
			 why);
		s->status = EXIT_FAILURE;
		s->is_done = true;
	}
}

static void begin_turn(void *arg)
{
	struct server *s = arg;
	if (turn_is_open(&s->turn))
		return;
	s->sessions.now_ms = clock_steady_ms();
	look_at_journal(s);
	turn_begin(&s->turn, s->epoch_ms + s->sessions.now_ms);
	s->sessions.batch = s->turn.batch;
}

static void on_effect(void *arg, const struct effect *effect)
{
	struct server *s = arg;
	if (!api_effect(s->api, effect))
		net_touch(s->net, session_effect(effect));
}

static void drain(void *arg)
{
	struct server *s = arg;
	turn_drain(&s->turn);
}

/* Nobody can be given such a message: its bytes are kept in a file, and all others are served. */
static void on_damage(void *arg, uint64_t location)
{
	struct server *s = arg;
	char kept[CONFIG_TEXT_MAX + 64] = "nothing could be kept of it";
	journal_quarantine(s->journal, location, kept, sizeof kept);
	log_line(LOG_ERROR, "the message at %llu of the log is damaged: set aside; its bytes: %s",
		 (unsigned long long)location_at(location), kept);
}

static enum turn_checkpoint is_checkpoint_due(struct server *s)
{
	bool is_due = s->turn.unchecked_bytes >= CHECKPOINT_BYTES ||
		      (turn_has_unchecked(&s->turn) &&
		       s->sessions.now_ms - s->checkpoint_ms >= CHECKPOINT_MS);
	return is_due ? TURN_CHECKPOINT : TURN_NO_CHECKPOINT;
}

static void pause_if_needed(struct server *s)
{
	s->is_backlogged =
		s->journal_look.backlog_bytes > (s->is_backlogged ? BACKLOG_LOW : BACKLOG_HIGH);
	uint64_t bytes = core_messages(s->core)->bytes, budget = s->config->memory_budget_bytes;
	s->is_flooded = core_is_paging(s->core) &&
			bytes > budget + (s->is_flooded ? budget / 4 : budget / 2);
	alarm_look_at_memory(&s->alarm, core_held_bytes(s->core));
	const char *reason = alarm_reason(&s->alarm);
	/* During an alarm what they say besides must be read: it is what ends it. */
	net_pause_publishers(s->net, (s->is_backlogged || s->is_flooded) && reason == NULL);
	if (reason == s->alarm_reason)
		return;
	if (reason != NULL)
		log_line(LOG_WARNING, "publishers are blocked: %s", reason);
	else
		log_line(LOG_INFO, "publishers are unblocked");
	net_set_alarm(s->net, reason);
	s->alarm_reason = reason;
}

/* One publisher and its consumer: nobody else has to wait while the loop writes to the disk itself.
 */
static bool is_lone(const struct server *s)
{
	enum { SENDERS = 2 };
	return net_senders(s->net) <= SENDERS;
}

/* A millisecond late rather than early: the clock is cut to those. */
static void set_due(struct server *s)
{
	uint64_t due_ms = core_next_due(s->core), now_ms = s->epoch_ms + s->sessions.now_ms;
	if (due_ms == s->due_ms || due_ms == UINT64_MAX)
		return;
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	if (wait_ms > DUE_MAX_MS)
		wait_ms = DUE_MAX_MS;
	struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
				.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
	event_add(s->due, &wait);
	s->due_ms = due_ms;
}

static void recheck_session(void *arg, struct session *session)
{
	(void)arg;
	session_recheck(session);
}

static void end_turn(struct server *s)
{
	if (!turn_is_open(&s->turn))
		return;
	if (s->must_recheck)
		net_each(s->net, recheck_session, s);
	s->must_recheck = false;
	s->is_busy = api_work(s->api);
	bool is_here = is_lone(s);
	uint64_t checkpoints = s->turn.checkpoints;
	uint64_t submitted = turn_end(&s->turn, is_checkpoint_due(s), is_here);
	if (s->turn.checkpoints != checkpoints)
		s->checkpoint_ms = s->sessions.now_ms;
	look_at_journal(s);
	pause_if_needed(s);
	set_due(s);
	if (core_is_loose(s->core) && !event_pending(s->quiet, EV_TIMEOUT, NULL))
		event_add(s->quiet, &quiet_time);
	s->is_busy |= net_flush(s->net, submitted, s->journal_look.durable);
	control_durable(s->control, s->journal_look.durable);
	api_durable(s->api, s->journal_look.durable);
	/* What was written made room for more. */
	s->is_busy |= core_has_work(s->core) || s->turn.is_clearing;
	s->is_busy |= manage_has_work(s->manage) && !s->is_backlogged;
	s->is_busy |= s->journal_look.durable > s->turn.durable;
	s->is_busy |= is_here && journal_write_here(s->journal, !s->is_busy);
}

/* Definitions come in beside everything else. */
static void work_on_imports(struct server *s)
{
	enum { STEPS = 16, WORK_MS = 2 };
	if (!manage_has_work(s->manage))
		return;
	begin_turn(s);
	uint64_t until_ms = clock_steady_ms() + WORK_MS;
	while (!s->is_backlogged && manage_has_work(s->manage) && clock_steady_ms() < until_ms)
		manage_work(s->manage, STEPS);
}

/* A flush may have let consumers go on, or sessions; what they do belongs to a turn of its own. */
static void round_of_events(struct server *s)
{
	event_base_loop(s->base, s->is_busy ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
	if (s->is_busy)
		begin_turn(s);
	net_take_up(s->net);
	work_on_imports(s);
	end_turn(s);
}

/* --- events --- */

static void on_journal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_turn(arg); /* Which looks at it. */
}

/* What floods and drains leave in the allocator goes back to the system. */
static void give_memory_back(struct server *s)
{
	uint64_t bytes = core_messages(s->core)->bytes + s->outbufs.used_bytes;
	if (bytes > s->heap_bytes)
		s->heap_bytes = bytes;
	if (s->heap_bytes - bytes < GIVE_BACK_BYTES)
		return;
	malloc_trim(0);
	s->heap_bytes = bytes;
}

/* What a publisher takes for enqueued and no consumer will see had better be known. */
static void tell_duplicates(struct server *s)
{
	enum { PAUSE_MS = 1000 };
	struct duplicates_told told;
	char sequence[40] = "";
	uint64_t now_ms = s->sessions.now_ms;
	if (now_ms - s->duplicates_ms < PAUSE_MS || !core_tell_duplicates(s->core, &told))
		return;
	s->duplicates_ms = now_ms;
	if (told.is_producer)
		snprintf(sequence, sizeof sequence, ", sequence %llu",
			 (unsigned long long)told.sequence);
	log_line(LOG_INFO,
		 "%llu publish(es) dropped as duplicates; the first: exchange '%.*s', routing key "
		 "'%.*s', %s '%.*s'%s",
		 (unsigned long long)told.len, BYTES_ARG(told.exchange),
		 BYTES_ARG(told.routing_key), told.is_producer ? "producer" : "key",
		 BYTES_ARG(told.identity), sequence);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	(void)fd;
	(void)what;
	begin_turn(s);
	alarm_look_at_disk(&s->alarm, s->config);
	s->alarm.is_disk_short |= s->journal_look.is_short || s->journal_look.state == JOURNAL_FULL;
	net_tick(s->net);
	core_rest(s->core);
	tell_duplicates(s);
	give_memory_back(s);
	if (s->stop_ms != 0 && (net_connections(s->net) == 0 || s->sessions.now_ms >= s->stop_ms))
		s->is_done = true;
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	(void)fd;
	(void)what;
	begin_turn(s);
	core_tighten(s->core, false);
}

/* Something of the core is due; the turn finds it. */
static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	(void)fd;
	(void)what;
	s->due_ms = 0;
	begin_turn(s);
}

/* What became of all messages since the start, in a line: what there was none of is left out. */
static void log_figures(const struct server *s)
{
	struct core_figures f;
	struct message_stats stats;
	char text[900] = "";
	size_t at = 0;
	core_totals(s->core, &f, &stats);
	const struct {
		const char *what;
		uint64_t n;
	} all[] = {
		{ "published", f.published },
		{ "delivered", f.delivered },
		{ "unroutable", f.dropped },
		{ "refused by full queues", f.refused },
		{ "dead-lettered: rejected", f.dead_lettered[0] },
		{ "dead-lettered: expired", f.dead_lettered[1] },
		{ "dead-lettered: too many", f.dead_lettered[2] },
		{ "dead-lettered: failed too often", f.dead_lettered[3] },
		{ "dropped: rejected", f.discarded[0] },
		{ "dropped: expired", f.discarded[1] },
		{ "dropped: too many", f.discarded[2] },
		{ "dropped: failed too often", f.discarded[3] },
		{ "cycles ended", f.cycles },
		{ "set aside", f.set_aside },
		{ "duplicates", f.key_hits },
		{ "conflicts of keys", f.key_conflicts },
		{ "keys evicted", f.key_evictions },
		{ "producers fenced", f.producers_fenced },
	};
	static_assert(sizeof f.dead_lettered / sizeof f.dead_lettered[0] == 4, "a row each");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].n > 0)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu %s",
					       at == 0 ? "" : ", ", (unsigned long long)all[i].n,
					       all[i].what);
	log_line(LOG_INFO, "since the start: %s", at == 0 ? "nothing published" : text);
}

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
	struct server *s = arg;
	(void)what;
	if (s->stop_ms != 0)
		return;
	log_line(LOG_INFO, "%s: stopping", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
	notify_state("STOPPING=1");
	begin_turn(s);
	s->stop_ms = s->sessions.now_ms + SHUTDOWN_MS;
	net_stop_listening(s->net);
	net_shutdown(s->net, REPLY_CONNECTION_FORCED,
		     "broker forced connection closure with reason 'shutdown'");
	s->is_done = net_connections(s->net) == 0;
}

static void apply_config(struct server *s)
{
	const struct config *c = s->config;
	log_set_level(c->log_level);
	log_set_format(c->log_format);
	s->session_options = (struct session_options){
		.product = c->product,
		.version = c->product_version,
		.cluster_name = c->cluster_name,
		.frame_max = (uint32_t)c->frame_max_bytes,
		.channel_max = (uint16_t)c->channel_max,
		.heartbeat_s = (uint16_t)c->heartbeat_s,
		.message_bytes_max = c->message_max_bytes,
		.table_fields_max = (uint32_t)c->table_fields_max,
		.table_depth_max = (uint32_t)c->table_depth_max,
		.handshake_timeout_ms = (uint32_t)c->handshake_timeout_ms,
		.takes_certificates = c->takes_certificates,
		.takes_anyone = c->anonymous_user[0] != '\0',
		.send_timeout_ms = (uint32_t)c->send_timeout_ms,
	};
	alarm_init(&s->alarm, c);
	alarm_look_at_disk(&s->alarm, c);
}

static bool make_tls(const struct config *c, struct ssl_ctx_st **tls, char *why, size_t why_size)
{
	struct tls_options options = {
		.certificate_file = c->tls_certificate,
		.key_file = c->tls_key,
		.ca_file = c->tls_ca[0] == '\0' ? NULL : c->tls_ca,
		.verify_peer = c->tls_verify_peer,
		.require_peer = c->tls_require_peer,
	};
	*tls = c->ssl.len == 0 ? NULL : tls_create(&options, why, why_size);
	return c->ssl.len == 0 || *tls != NULL;
}

static void tell_mistakes(const struct mistakes *m)
{
	for (size_t i = 0; i < m->kept; i++)
		log_line(LOG_ERROR, "SIGHUP: configuration unchanged: %s", m->lines[i]);
}

/* Everything that is wrong goes to mistakes. */
static bool read_anew(struct server *s, struct config *fresh, struct ssl_ctx_st **tls,
		      struct mistakes *mistakes)
{
	char why[700];
	if (!config_load(fresh, s->source, mistakes))
		return false;
	if (!make_tls(fresh, tls, why, sizeof why)) {
		mistakes_add(mistakes, "%s", why);
		return false;
	}
	return true;
}

static void reload_end(struct server *s)
{
	tls_destroy(s->reload.tls);
	free(s->reload.config);
	s->reload = (struct reload){ .is_wanted = s->reload.is_wanted };
}

static void reload_begin(struct server *s);

static void take_over(struct server *s)
{
	char names[2048], why[400];
	struct ssl_ctx_st *old = s->tls;
	if (config_reload(s->config, s->reload.config, names, sizeof names) > 0)
		log_line(LOG_WARNING, "SIGHUP: with the next start only: %s", names);
	s->tls = s->reload.tls;
	s->reload.tls = old;
	if (log_open(s->config->log_file) == -1)
		log_line(LOG_ERROR, "SIGHUP: cannot open log file %s: %s", s->config->log_file,
			 strerror(errno));
	apply_config(s);
	if (!management_reload(s->management, why, sizeof why))
		log_line(LOG_ERROR, "SIGHUP: management.ssl: %s", why);
	log_figures(s);
	log_line(LOG_INFO, "SIGHUP: configuration reloaded");
}

/* All or nothing: what is bad changes nothing. */
static void on_defined(void *arg, const char *why)
{
	struct server *s = arg;
	struct reload *r = &s->reload;
	struct mistakes mistakes = { 0 };
	begin_turn(s);
	r->definitions = NULL;
	if (why == NULL)
		take_over(s);
	else
		config_blame(r->config, r->config->definitions, &mistakes, "%s", why);
	tell_mistakes(&mistakes);
	mistakes_fini(&mistakes);
	reload_end(s);
	if (r->is_wanted)
		reload_begin(s);
}

static void reload_begin(struct server *s)
{
	struct reload *r = &s->reload;
	struct mistakes mistakes = { 0 };
	r->is_wanted = false;
	r->config = alloc_zeroed(sizeof *r->config);
	bool is_good = read_anew(s, r->config, &r->tls, &mistakes);
	tell_mistakes(&mistakes);
	mistakes_fini(&mistakes);
	if (!is_good) {
		reload_end(s);
		return;
	}
	struct definitions_options options = { .manage = s->manage,
					       .worker = s->worker,
					       .path = r->config->definitions,
					       .told = on_defined,
					       .arg = s };
	r->definitions = definitions_reload(&options);
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
	struct server *s = arg;
	(void)signal_number;
	(void)what;
	begin_turn(s);
	if (s->reload.definitions != NULL)
		s->reload.is_wanted = true;
	else
		reload_begin(s);
}

/* --- set-up --- */

static bool fail(const char *doing, const char *what)
{
	log_line(LOG_ERROR, "%s %s: %s", doing, what, strerror(errno));
	return false;
}

static void fill_randomly(void *out, size_t len)
{
	if (getrandom(out, len, 0) != (ssize_t)len)
		abort();
}

static uint64_t random_seed(void)
{
	uint64_t seed;
	fill_randomly(&seed, sizeof seed);
	return seed;
}

/* What others can read or write had better be known, though it keeps nobody from starting. */
static void warn_of_exposed(const struct config *c)
{
	const struct {
		const char *what, *path;
	} items[] = { { "data directory", c->data_dir },
		      { "log file", c->log_file },
		      { "key file", c->ssl.len == 0 ? "" : c->tls_key } };
	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
		if (items[i].path[0] != '\0' && datadir_is_exposed(items[i].path))
			log_line(LOG_WARNING,
				 "the %s %s is open to others than its owner: chmod o=,g-w",
				 items[i].what, items[i].path);
}

/* Deadlines are kept as times of day: with a clock that was set, they come early or late. */
static void warn_of_clock(const struct server *s)
{
	enum { BACK_MS = 60000, DAY_MS = 24 * 3600 * 1000 };
	uint64_t now_ms = clock_unix_ms(), last_ms = datadir_written_ms(s->config->data_dir);
	if (last_ms > now_ms + BACK_MS)
		log_line(LOG_WARNING,
			 "the clock is %llu s behind the journal's last write: what expires or is "
			 "delayed stays that much longer",
			 (unsigned long long)(last_ms - now_ms) / 1000);
	else if (last_ms != 0 && now_ms > last_ms + DAY_MS)
		log_line(LOG_WARNING,
			 "the clock is %llu s ahead of the journal's last write: if it was set "
			 "forward, much expires at once",
			 (unsigned long long)(now_ms - last_ms) / 1000);
}

static void on_changed(void *arg)
{
	struct server *s = arg;
	s->must_recheck = true;
}

static bool recover(struct server *s)
{
	char why[600];
	struct journal_options options = { .dir = s->config->data_dir,
					   .map_bytes = s->config->journal_map_bytes };
	uint64_t began = clock_steady_ms();
	warn_of_clock(s);
	if (journal_open(&s->journal, &options, why, sizeof why) != 0) {
		log_line(LOG_ERROR, "%s", why);
		return false;
	}
	struct core_options core = {
		.hash_seed = random_seed(),
		.memory_budget_bytes = s->config->memory_budget_bytes,
		.queues_max = (uint32_t)s->config->queue_max,
		.exchanges_max = (uint32_t)s->config->exchange_max,
		.bindings_max = (uint32_t)s->config->binding_max,
		.consumers_max = (uint32_t)s->config->consumer_max,
		.key_window_ms = s->config->key_window_ms,
		.keys_max = s->config->keys_max,
		.producers_max = (uint32_t)s->config->producers_max,
		.gives_uids = s->config->gives_uids,
		.space = journal_space(s->journal),
		.on_document = manage_on_document,
	};
	uint8_t secret[16];
	fill_randomly(core.secret, sizeof core.secret);
	fill_randomly(secret, sizeof secret);
	s->users = users_create(random_seed(), secret);
	struct manage_options manage = { .users = s->users,
					 .hash_seed = random_seed(),
					 .begin_turn = begin_turn,
					 .changed = on_changed,
					 .arg = s };
	core.arg = s->manage = manage_create(&manage);
	s->core = core_create(&core);
	s->guesses = guesses_create((struct siphash_key){ { random_seed(), random_seed() } });
	if (journal_recover(s->journal, &core_recovery, s->core, why, sizeof why) != 0) {
		log_line(LOG_ERROR, "%s", why);
		return false;
	}
	struct turn_options turn = {
		.core = s->core,
		.disk = disk_of_journal(s->journal),
		.on_effect = on_effect,
		.on_damage = on_damage,
		.arg = s,
	};
	turn_init(&s->turn, &turn);
	int rc = journal_start(s->journal);
	if (rc != 0) {
		log_line(LOG_ERROR, "cannot start the journal's thread: %s", strerror(rc));
		return false;
	}
	size_t bad = manage_recovered(s->manage, s->core);
	struct core_figures f;
	struct message_stats stats;
	core_totals(s->core, &f, &stats);
	f.damaged += bad;
	log_line(LOG_INFO,
		 "recovered %llu queues, %llu exchanges, %llu bindings, %llu messages in %llu ms",
		 (unsigned long long)f.queues, (unsigned long long)f.exchanges,
		 (unsigned long long)f.bindings, (unsigned long long)f.messages_ready,
		 (unsigned long long)(clock_steady_ms() - began));
	if (f.damaged > 0)
		log_line(LOG_ERROR, "%llu places of the journal are damaged: skipped",
			 (unsigned long long)f.damaged);
	return true;
}

static enum login authenticate(void *arg, struct session *session, struct bytes user,
			       struct bytes password, struct user **account)
{
	const struct server *s = arg;
	const struct session_peer *peer = session_peer(session);
	bool is_local = s->config->guest_loopback_only && bytes_equal_str(user, "guest");
	struct login_asked asked = { .name = user, .password = password, .asker = session };
	if (is_local && !peer->is_loopback)
		return LOGIN_REFUSED;
	memcpy(asked.address, peer->address, sizeof asked.address);
	switch (logins_ask(s->logins, &asked, account)) {
	case LOGINS_TAKEN: return LOGIN_TAKEN;
	case LOGINS_REFUSED: return LOGIN_REFUSED;
	case LOGINS_LATER: break;
	}
	return LOGIN_LATER;
}

static bool vouch(void *arg, struct session *session, enum vouched by, struct bytes *name,
		  struct user **account)
{
	struct server *s = arg;
	static char room[USER_NAME_MAX];
	size_t len = strlen(s->config->anonymous_user);
	if (by == VOUCHED_EXTERNAL)
		len = net_peer_certificate(session, s->config->is_common_name, room, sizeof room);
	*name = bytes_of(by == VOUCHED_EXTERNAL ? room : s->config->anonymous_user, len);
	bool is_guest = s->config->guest_loopback_only && bytes_equal_str(*name, "guest");
	*account = len == 0 ? NULL : users_find(s->users, *name);
	return *account != NULL && (!is_guest || session_peer(session)->is_loopback);
}

static void on_login(void *arg, void *asker, struct user *user)
{
	struct server *s = arg;
	begin_turn(s);
	session_login(asker, user != NULL, user);
	net_touch(s->net, asker);
}

static void forget_login(void *arg, struct session *session)
{
	const struct server *s = arg;
	logins_forget(s->logins, session);
}

static void log_session(void *arg, const struct session *session, bool is_warning, const char *kind,
			const char *text)
{
	const struct server *s = arg;
	struct session_info i = session_info(session);
	enum log_level level = is_warning ? LOG_WARNING : LOG_INFO;
	struct log_about about = { .peer = session_peer_name(session), .user = i.user };
	if (!table_find_string(i.client_properties, "connection_name", &about.name))
		about.name = bytes_of(NULL, 0);
	if (kind == NULL)
		log_about(level, &about, text);
	else
		log_stranger(level, kind, &about, text, s->sessions.now_ms);
}

static void log_net(void *arg, const char *text)
{
	const struct server *s = arg;
	static const struct log_about nobody;
	log_stranger(LOG_WARNING, "net", &nobody, text, s->sessions.now_ms);
}

static bool listen_on(struct server *s, const struct listen_address *a,
		      struct ssl_ctx_st *const *tls)
{
	struct sockaddr_storage address;
	char name[128];
	const char *host = a->host[0] == '\0' ? "0.0.0.0" : a->host;
	socklen_t len = listener_address(a->host, a->port, &address);
	snprintf(name, sizeof name, "%s port %u%s", host, a->port, tls == NULL ? "" : " (TLS)");
	if (net_listen(s->net, (struct sockaddr *)&address, len, tls) == -1)
		return fail("cannot listen on", name);
	log_line(LOG_INFO, "listening on %s", name);
	return true;
}

/* Sockets from the service manager replace the plain listeners of the configuration. */
static bool listen_all(struct server *s)
{
	int passed = notify_listen_fds();
	for (int i = 0; i < passed; i++) {
		if (net_listen_fd(s->net, NOTIFY_FIRST_FD + i, NULL) == -1)
			return fail("cannot use", "a socket that was passed");
		log_line(LOG_INFO, "listening on a socket that was passed (descriptor %d)",
			 NOTIFY_FIRST_FD + i);
	}
	for (size_t i = 0; passed == 0 && i < s->config->tcp.len; i++)
		if (!listen_on(s, &s->config->tcp.items[i], NULL))
			return false;
	for (size_t i = 0; i < s->config->ssl.len; i++)
		if (!listen_on(s, &s->config->ssl.items[i], &s->tls))
			return false;
	return true;
}

static bool add_event(struct server *s, int fd, short what, event_callback_fn run,
		      const struct timeval *every)
{
	struct event *e = event_new(s->base, fd, what | EV_PERSIST, run, s);
	if (e == NULL || event_add(e, every) != 0)
		return fail("cannot set up", "events");
	s->events[s->events_len++] = e;
	return true;
}

static bool set_up_net(struct server *s)
{
	static const struct timeval tick = { .tv_usec = TICK_MS * 1000 };
	s->base = event_base_new();
	if (s->base == NULL)
		return fail("cannot set up", "the event loop");
	outbuf_pool_init(&s->outbufs, core_messages(s->core));
	s->sessions = (struct session_host){
		.core = s->core,
		.epoch_ms = s->epoch_ms,
		.outbufs = &s->outbufs,
		.options = &s->session_options,
		.now_ms = clock_steady_ms(),
		.authenticate = authenticate,
		.forget_login = forget_login,
		.vouch = vouch,
		.hash_seed = random_seed(),
		.drain = drain,
		.log = log_session,
		.arg = s,
	};
	struct net_options options = {
		.base = s->base,
		.sessions = &s->sessions,
		.connections_max = (uint32_t)s->config->connection_max,
		.io_threads = (uint32_t)s->config->io_threads,
		.begin_turn = begin_turn,
		.log = log_net,
		.arg = s,
	};
	s->net = net_create(&options);
	struct logins_options logins = { .base = s->base,
					 .users = s->users,
					 .guesses = s->guesses,
					 .told = on_login,
					 .arg = s };
	s->logins = logins_create(&logins);
	if (s->logins == NULL)
		return fail("cannot set up", "the thread for logins");
	s->worker = worker_create(s->base);
	if (s->worker == NULL)
		return fail("cannot set up", "the thread for definitions");
	s->quiet = event_new(s->base, -1, EV_TIMEOUT, on_quiet, s);
	s->due = event_new(s->base, -1, EV_TIMEOUT, on_due, s);
	if (s->quiet == NULL || s->due == NULL)
		return fail("cannot set up", "events");
	struct control_options control = { .base = s->base,
					   .core = s->core,
					   .manage = s->manage,
					   .net = s->net,
					   .config = s->config,
					   .worker = s->worker,
					   .data_dir = s->config->data_dir,
					   .begin_turn = begin_turn,
					   .arg = s };
	char why[200];
	s->control = control_create(&control, why, sizeof why);
	if (s->control == NULL) /* The broker is of use without it. */
		log_line(LOG_WARNING, "%s: leveretctl and --ask will not work", why);
	return add_event(s, journal_fd(s->journal), EV_READ, on_journal, NULL) &&
	       add_event(s, -1, 0, on_tick, &tick) &&
	       add_event(s, SIGTERM, EV_SIGNAL, on_stop, NULL) &&
	       add_event(s, SIGINT, EV_SIGNAL, on_stop, NULL) &&
	       add_event(s, SIGHUP, EV_SIGNAL, on_reload, NULL);
}

/* The first start makes the first user; what definitions say comes with every one. All of it is on
 * disk before anybody can ask. */
static bool set_up_users(struct server *s)
{
	char why[600];
	struct manage_first first = { .vhost = s->config->default_vhost,
				      .user = s->config->default_user,
				      .password = s->config->default_pass,
				      .tags = s->config->default_user_tags,
				      .configure = s->config->default_configure,
				      .write = s->config->default_write,
				      .read = s->config->default_read };
	begin_turn(s);
	if ((manage_is_new(s->manage) && !manage_begin(s->manage, &first, why, sizeof why)) ||
	    !definitions_load(s->manage, s->config->definitions, why, sizeof why)) {
		log_line(LOG_ERROR, "%s", why);
		return false;
	}
	end_turn(s);
	return journal_wait(s->journal) || fail("cannot write", "the first user");
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool set_up_management(struct server *s)
{
	bool is_fine;
	struct management_options options = { .base = s->base,
					      .config = s->config,
					      .config_file = s->source->file,
					      .core = s->core,
					      .manage = s->manage,
					      .users = s->users,
					      .logins = s->logins,
					      .net = s->net,
					      .alarm = &s->alarm,
					      .turn = &s->turn,
					      .begin_turn = begin_turn,
					      .arg = s };
	s->management = management_create(&options, &is_fine);
	s->api = management_api(s->management);
	return is_fine;
}

static bool set_up(struct server *s)
{
	char why[600];
	signal(SIGPIPE, SIG_IGN);
	s->epoch_ms = clock_unix_ms() - clock_steady_ms();
	raise_descriptor_limit();
	if (log_open(s->config->log_file) == -1)
		return fail("cannot open log file", s->config->log_file);
	log_set_level(s->config->log_level);
	log_set_format(s->config->log_format);
	log_line(LOG_INFO, "leveretd %s, data in %s", LEV_VERSION, s->config->data_dir);
	s->lock_fd = datadir_lock(s->config->data_dir, why, sizeof why);
	if (s->lock_fd == -1) {
		log_line(LOG_ERROR, "%s", why);
		return false;
	}
	if (!make_tls(s->config, &s->tls, why, sizeof why)) {
		log_line(LOG_ERROR, "%s", why);
		return false;
	}
	warn_of_exposed(s->config);
	if (!recover(s))
		return false;
	apply_config(s);
	return set_up_net(s) && set_up_users(s) && listen_all(s) && set_up_management(s);
}

static void stop_management(struct server *s)
{
	management_destroy(s->management);
	s->management = NULL;
	s->api = NULL;
}

/* The last turns: connections are gone, everything is flushed and then checkpointed. */
static void stop(struct server *s)
{
	begin_turn(s);
	stop_management(s);
	net_destroy(s->net);
	s->net = NULL;
	logins_destroy(s->logins);
	s->logins = NULL;
	core_tighten(s->core, true);
	turn_end(&s->turn, TURN_NO_CHECKPOINT, false);
	log_figures(s);
	if (s->status == EXIT_SUCCESS && journal_wait(s->journal)) {
		begin_turn(s);
		turn_end(&s->turn, TURN_LAST_CHECKPOINT, false);
	}
	if (!journal_stop(s->journal) && s->status == EXIT_SUCCESS) {
		log_line(LOG_ERROR, "the journal could not be flushed");
		s->status = EXIT_FAILURE;
	}
}

static void tear_down(struct server *s)
{
	stop_management(s);
	net_destroy(s->net);
	logins_destroy(s->logins);
	worker_destroy(s->worker);
	definitions_reload_destroy(s->reload.definitions);
	reload_end(s);
	control_destroy(s->control);
	core_destroy(s->core);
	manage_destroy(s->manage);
	outbuf_pool_fini(&s->outbufs);
	journal_close(s->journal);
	users_destroy(s->users);
	guesses_destroy(s->guesses);
	for (size_t i = 0; i < s->events_len; i++)
		event_free(s->events[i]);
	if (s->quiet != NULL)
		event_free(s->quiet);
	if (s->due != NULL)
		event_free(s->due);
	if (s->base != NULL)
		event_base_free(s->base);
	tls_destroy(s->tls);
	if (s->lock_fd != -1)
		close(s->lock_fd);
}

int server_run(struct config *config, const struct config_source *source)
{
	struct server s = { .config = config, .source = source, .lock_fd = -1 };
	if (!set_up(&s)) {
		s.status = EXIT_FAILURE;
		tear_down(&s);
		return s.status;
	}
	log_line(LOG_INFO, "ready");
	notify_state("READY=1");
	while (!s.is_done)
		round_of_events(&s);
	stop(&s);
	tear_down(&s);
	log_line(LOG_INFO, "stopped");
	return s.status;
}
