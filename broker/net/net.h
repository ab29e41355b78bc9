/* Net: sockets around sessions. Listeners accept, connections read and write; what the bytes mean
 * is the sessions' business.
 *
 * The owner runs the event base. Work happens in turns: the first event of a round calls
 * host->begin_turn, and the owner ends the turn after the round with net_flush(). One thread. */
#ifndef LEV_NET_NET_H
#define LEV_NET_NET_H

#include "base/list.h"
#include "session/session.h"

#include <sys/socket.h>

struct event_base;
struct ssl_ctx_st;
struct net;
struct listener;

struct net_options {
	struct event_base *base; /* Borrowed, as all here. */
	struct session_host *sessions;
	uint32_t connections_max;
	uint32_t io_threads; /* That move and encrypt bytes; 0: the caller's thread does. */
	void (*begin_turn)(
		void *arg); /* Called before any session is touched; more than once in a turn. */
	void (*log)(void *arg, const char *text);
	void *arg;
};

/* NULL with errno if descriptors or memory are lacking. */
struct net *net_create(const struct net_options *options);

/* Closes everything at once; sessions included. Within a turn. */
void net_destroy(struct net *net);

/* Listens on an address. tls is where the context is looked up at each accept (so that it can be
 * replaced), NULL: plain. -1 with errno on failure. */
int net_listen(struct net *net, const struct sockaddr *address, socklen_t len,
	       struct ssl_ctx_st *const *tls);

/* The same with a socket that listens already; it is taken over. */
int net_listen_fd(struct net *net, int fd, struct ssl_ctx_st *const *tls);

/* Stops accepting. */
void net_stop_listening(struct net *net);

size_t net_connections(const struct net *net);

/* The session's output or state has changed: it will be looked at by net_flush(). */
void net_touch(struct net *net, struct session *session);

/* What the last turn left to do: connections that have gone are destroyed, sessions that wait no
 * longer get the input they have left. Within a turn. */
void net_take_up(struct net *net);

/* After the turn: writes what gathered, closes what has ended, lets sessions go on that waited for
 * the journal. True if there is more to do at once. */
bool net_flush(struct net *net, uint64_t submitted, uint64_t durable);

/* How many connections have sent something in this turn, which net_flush() ends. */
unsigned net_senders(const struct net *net);

/* Calls session_tick() for all and ends connections that linger. Twice a second. */
void net_tick(struct net *net);

/* While paused, connections that have published are not read: for a moment, while something of the
 * broker's own catches up. */
void net_pause_publishers(struct net *net, bool is_paused);

/* Why no publish is taken, whoever it is from, as those who try are told; NULL: they are taken. All
 * else goes on. The text is borrowed until the next call. */
void net_set_alarm(struct net *net, const char *reason);

/* transport_peer_name() of the session's. */
size_t net_peer_certificate(const struct session *session, bool is_common_name, char *out,
			    size_t size);

/* Calls visit for every session; it may end them. Within a turn. */
void net_each(struct net *net, void (*visit)(void *arg, struct session *session), void *arg);

/* A list of sessions that is gone through in several turns: those that are there from open to close
 * are visited once, whoever comes and goes meanwhile. Within a turn or between two; closed before
 * the net goes. */
struct net_view;
struct net_view *net_view_open(struct net *net);
void net_view_close(struct net_view *view); /* NULL is fine. */
/* Up to budget of them; visit may end them. False: that was the last one. */
bool net_view_next(struct net_view *view, size_t budget,
		   void (*visit)(void *arg, struct session *session), void *arg);

/* Asks every connection to end. */
void net_shutdown(struct net *net, enum reply_code code, const char *text);

#endif
