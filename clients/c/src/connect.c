/* Connecting: addresses of brokers in turn, and pauses that grow when none of them answers. */
#include "connect.h"

#include "handle.h"

#include <netdb.h>

void connect_forget_addresses(struct lev *lev)
{
	if (lev->addresses != NULL)
		freeaddrinfo(lev->addresses);
	lev->addresses = lev->address = NULL;
}

/* After a round over all brokers that has failed. */
static uint64_t pause_ms(struct lev *lev)
{
	uint64_t ms = lev->backoff_min_ms;
	for (unsigned i = 1; i < lev->rounds && ms < lev->backoff_max_ms; i++)
		ms *= 2;
	if (ms > lev->backoff_max_ms)
		ms = lev->backoff_max_ms;
	lev->paused_ms = ms - prng_below(&lev->random, (uint32_t)(ms / 2) + 1);
	return lev->paused_ms;
}

/* This attempt has failed: the next address, the next broker, or the next round. */
static void attempt_failed(struct lev *lev, const struct reason *why, bool is_hopeless)
{
	lev->failure = *why;
	socket_close(&lev->socket);
	lev->retry_ms = lev->now_ms;
	if (lev->address != NULL && lev->address->ai_next != NULL && !is_hopeless) {
		lev->address = lev->address->ai_next;
		return;
	}
	connect_forget_addresses(lev);
	lev->uri_at = (lev->uri_at + 1) % lev->uris_len;
	lev->hopeless += is_hopeless;
	if (++lev->tried < lev->uris_len)
		return;
	if (lev->hopeless == lev->uris_len && !lev->was_ready && !lev->is_lazy)
		lev->is_given_up = true;
	lev->tried = lev->hopeless = 0;
	lev->rounds++;
	lev->retry_ms = lev->now_ms + pause_ms(lev);
	handle_changed(lev);
}

static bool resolve(struct lev *lev, const struct uri *uri)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM },
			*found = NULL;
	if (lev->addresses != NULL)
		return true;
	pthread_mutex_unlock(&lev->lock); /* It may take seconds. */
	int rc = getaddrinfo(uri->host, uri->port, &hints, &found);
	pthread_mutex_lock(&lev->lock);
	lev->addresses = lev->address = rc == 0 ? found : NULL;
	if (rc == 0)
		return true;
	struct reason why;
	reason_set(&why, LEV_UNREACHABLE, "%s: %s", uri->host, gai_strerror(rc));
	attempt_failed(lev, &why, false);
	return false;
}

static void connect_next(struct lev *lev)
{
	const struct uri *uri = &lev->uris[lev->uri_at];
	struct reason why;
	if (!resolve(lev, uri))
		return;
	lev->attempt_ms =
		lev->now_ms + (uri->timeout_ms != 0 ? uri->timeout_ms : lev->connect_timeout_ms);
	if (socket_connect(&lev->socket, uri, lev->address, &why) != LEV_OK)
		attempt_failed(lev, &why, false);
}

static void advance(struct lev *lev)
{
	const struct uri *uri = &lev->uris[lev->uri_at];
	struct reason why;
	int rc = socket_advance(&lev->socket, uri, &why);
	if (rc != LEV_OK) {
		attempt_failed(lev, &why, rc == LEV_TLS);
		return;
	}
	if (lev->socket.state != SOCKET_OPEN)
		return;
	struct link_options options = { .uri = uri,
					.name = lev->name,
					.message_bytes_max = lev->message_bytes_max };
	buffer_clear(&lev->in);
	buffer_clear(&lev->writing);
	link_start(&lev->link, &options, lev->now_ms);
}

void connect_check(struct lev *lev)
{
	struct reason why;
	if (lev->socket.state == SOCKET_NONE || lev->now_ms < lev->attempt_ms)
		return;
	if (lev->socket.state == SOCKET_OPEN && lev->link.phase != LINK_HANDSHAKE)
		return;
	reason_set(&why, LEV_TIMEOUT, "%s:%s: no connection in time", lev->uris[lev->uri_at].host,
		   lev->uris[lev->uri_at].port);
	if (lev->socket.state == SOCKET_OPEN)
		link_fail(&lev->link, LEV_TIMEOUT, "%s", why.text);
	else
		attempt_failed(lev, &why, false);
}

enum { SILENCE_MS = 15 * 60 * 1000, GRACE_MS = 5000, LASTING_MS = 500 };

/* A broker that hears nothing ends a connection after two heartbeats; without any, TCP does. */
static uint64_t holding_ms(const struct link *link)
{
	return link->heartbeat_ms == 0 ? SILENCE_MS : 3 * link->heartbeat_ms + GRACE_MS;
}

/* The pause begins anew only after a connection that has lived for a while. */
static void note_end(struct lev *lev)
{
	uint64_t lived_ms = lev->now_ms - lev->opened_ms;
	if (lived_ms >= LASTING_MS && lived_ms >= lev->paused_ms / 2)
		lev->rounds = 0;
	lev->holding_ms = lev->now_ms + holding_ms(&lev->link);
}

void connect_lost(struct lev *lev)
{
	bool was_open = lev->link.was_open, is_fatal = lev->link.is_fatal;
	struct reason why = lev->link.failure;
	lev->is_set_up = lev->is_ready = false;
	link_reset(&lev->link);
	lev->restoring = 0;
	if (!was_open) {
		attempt_failed(lev, &why, is_fatal);
		return;
	}
	note_end(lev);
	lev->failure = why;
	socket_close(&lev->socket);
	connect_forget_addresses(lev);
	lev->tried = lev->hopeless = 0;
	lev->rounds++;
	lev->retry_ms = lev->now_ms + pause_ms(lev);
	handle_changed(lev);
}

void connect_turn(struct lev *lev)
{
	bool may_begin = lev->socket.state == SOCKET_NONE && lev->now_ms >= lev->retry_ms &&
			 !lev->is_given_up && !lev->is_stopping;
	if (may_begin)
		connect_next(lev);
	if (lev->socket.state == SOCKET_CONNECTING || lev->socket.state == SOCKET_SECURING)
		advance(lev);
}
