#include "server/management.h"

#include "auth/users.h"
#include "base/alloc.h"
#include "core/core.h"
#include "ctl/ask.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/tls.h"
#include "server/logins.h"
#include "turn/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PORT_DEFAULT = 15672, METRICS_PORT_DEFAULT = 15692 };

struct management {
	struct management_options options;
	struct sockaddr_un address; /* Of the operator's socket; empty: it is not there yet. */
	struct api *api;
	bool has_tls; /* It is served. */
	uint64_t began_ms;
};

/* --- what the api asks of the loop --- */

static enum api_login log_in(void *arg, const struct api_asked *asked, struct user **user)
{
	const struct management *m = arg;
	struct login_asked login = { .name = asked->user,
				     .password = asked->password,
				     .asker = asked->asker,
				     .told = asked->told };
	bool is_local =
		m->options.config->guest_loopback_only && bytes_equal_str(asked->user, "guest");
	if (is_local && !asked->is_loopback)
		return API_LOGIN_REFUSED;
	memcpy(login.address, asked->address, sizeof login.address);
	switch (logins_ask(m->options.logins, &login, user)) {
	case LOGINS_TAKEN: return API_LOGIN_TAKEN;
	case LOGINS_REFUSED: return API_LOGIN_REFUSED;
	case LOGINS_LATER: break;
	}
	return API_LOGIN_LATER;
}

static void forget_login(void *arg, void *asker)
{
	const struct management *m = arg;
	logins_forget(m->options.logins, asker);
}

static void tell_node(void *arg, struct api_node *node)
{
	const struct management *m = arg;
	const struct config *c = m->options.config;
	struct statvfs disk;
	*node = (struct api_node){
		.memory_used_bytes = core_held_bytes(m->options.core),
		.memory_limit_bytes = m->options.alarm->memory_limit_bytes,
		.is_memory_alarm = m->options.alarm->is_memory_short,
		.disk_limit_bytes = c->disk_free_bytes,
		.is_disk_alarm = m->options.alarm->is_disk_short,
		.uptime_ms = clock_steady_ms() - m->began_ms,
		.sockets_max = c->connection_max,
		.unix_ms = clock_unix_ms(),
	};
	if (statvfs(c->data_dir, &disk) == 0)
		node->disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
}

static struct message *read_message(void *arg, uint64_t location, uint32_t queue_id,
				    uint64_t position)
{
	const struct management *m = arg;
	return turn_read(m->options.turn, location, queue_id, position);
}

static void begin_turn(void *arg)
{
	const struct management *m = arg;
	m->options.begin_turn(m->options.arg);
}

static void tell_log(void *arg, const char *peer, const char *text)
{
	(void)arg;
	log_peer(LOG_INFO, peer, text);
}

static void tell_audit(void *arg, const char *peer, struct bytes user, const char *action,
		       const char *text)
{
	const struct log_about about = { .peer = peer, .user = user, .action = bytes_str(action) };
	(void)arg;
	log_about(LOG_INFO, &about, text);
}

/* --- listeners --- */

static int open_socket(const char *ip, uint64_t port)
{
	struct sockaddr_storage address;
	socklen_t len = listener_address(ip, (uint16_t)port, &address);
	if (len != 0)
		return listener_socket((struct sockaddr *)&address, len);
	errno = EINVAL;
	return -1;
}

/* The default is no wish of the operator's: what is in its way is said, and no more. -1: it cannot
 * be had; *is_fine: and that is all right. */
static int open_said(const char *what, const char *ip, uint64_t port, uint64_t port_default,
		     bool *is_fine)
{
	int fd = open_socket(ip, port);
	*is_fine = fd != -1 || (port == port_default && errno == EADDRINUSE);
	if (fd != -1)
		log_line(LOG_INFO, "%s: listening on %s port %u", what, ip, (unsigned)port);
	else
		log_line(
			*is_fine ? LOG_WARNING : LOG_ERROR, "%s: cannot listen on %s port %u: %s%s",
			what, ip, (unsigned)port, strerror(errno),
			*is_fine
				? "; going on without (management.tcp.port and prometheus.tcp.port "
				  "set others, management.enabled = false none)"
				: "");
	return fd;
}

static bool listen_plain(struct management *m, const char *ip, uint64_t port)
{
	bool is_fine;
	int fd = open_said("management", ip, port, PORT_DEFAULT, &is_fine);
	return fd == -1 ? is_fine : api_listen(m->api, fd, false);
}

static bool listen_tls(struct management *m, const char *ip, uint64_t port)
{
	bool is_fine;
	int fd = open_said("management (TLS)", ip, port, 0, &is_fine);
	return fd != -1 && api_listen(m->api, fd, true);
}

static bool listen_metrics(struct management *m, const char *ip, uint64_t port)
{
	bool is_fine;
	int fd = open_said("metrics", ip, port, METRICS_PORT_DEFAULT, &is_fine);
	return fd == -1 ? is_fine : api_listen_metrics(m->api, fd);
}

/* For leveretctl, whatever else is served. What an older process left there goes: the directory is
 * ours. */
static bool listen_local(struct management *m)
{
	struct sockaddr_un address;
	const char *dir = m->options.config->data_dir;
	if (!ask_address(&address, dir, ASK_HTTP)) {
		log_line(LOG_ERROR, "the path of %s is too long for a socket", dir);
		return false;
	}
	unlink(address.sun_path);
	mode_t before = umask(0177);
	int fd = listener_socket((struct sockaddr *)&address, sizeof address);
	umask(before);
	if (fd == -1) {
		log_line(LOG_ERROR, "cannot listen on %s: %s", address.sun_path, strerror(errno));
		return false;
	}
	m->address = address;
	return api_listen(m->api, fd, false);
}

static struct ssl_ctx_st *make_tls(const struct config *c, char *why, size_t why_size)
{
	struct tls_options options = {
		.certificate_file = c->management_certificate[0] != '\0' ? c->management_certificate
									 : c->tls_certificate,
		.key_file = c->management_key[0] != '\0' ? c->management_key : c->tls_key,
	};
	return tls_create(&options, why, why_size);
}

static void add_listener(struct api_options *o, const char *protocol, const char *host,
			 uint64_t port)
{
	if (o->listeners_len == API_LISTENERS_MAX || port == 0)
		return;
	struct api_listener *l = &o->listeners[o->listeners_len++];
	l->protocol = protocol;
	snprintf(l->host, sizeof l->host, "%s", host[0] == '\0' ? "::" : host);
	l->port = (uint16_t)port;
}

static void add_listeners(struct api_options *o, const struct config *c)
{
	for (size_t i = 0; i < c->tcp.len; i++)
		add_listener(o, "amqp", c->tcp.items[i].host, c->tcp.items[i].port);
	for (size_t i = 0; i < c->ssl.len; i++)
		add_listener(o, "amqp/ssl", c->ssl.items[i].host, c->ssl.items[i].port);
	if (!c->has_management)
		return;
	add_listener(o, "http", c->management_ip, c->management_port);
	if (c->has_metrics)
		add_listener(o, "http/prometheus", c->metrics_ip, c->metrics_port);
	add_listener(o, "https", c->management_tls_ip, c->management_tls_port);
}

/* --- life --- */

/* True: it has the certificates, or needs none. */
static bool renew_tls(struct management *m, char *why, size_t why_size)
{
	struct ssl_ctx_st *fresh =
		m->has_tls ? make_tls(m->options.config, why, why_size) : NULL;
	if (fresh != NULL)
		api_set_tls(m->api, fresh);
	return !m->has_tls || fresh != NULL;
}

static bool serve(struct management *m)
{
	const struct config *c = m->options.config;
	char why[400];
	m->has_tls = c->has_management && c->management_tls_port != 0;
	if (!renew_tls(m, why, sizeof why)) {
		log_line(LOG_ERROR, "management.ssl: %s", why);
		return false;
	}
	if (!c->has_management)
		return listen_local(m) && api_start(m->api);
	return listen_local(m) &&
	       (c->management_port == 0 || listen_plain(m, c->management_ip, c->management_port)) &&
	       (c->management_tls_port == 0 ||
		listen_tls(m, c->management_tls_ip, c->management_tls_port)) &&
	       (!c->has_metrics || listen_metrics(m, c->metrics_ip, c->metrics_port)) &&
	       api_start(m->api);
}

struct management *management_create(const struct management_options *options, bool *is_fine)
{
	const struct config *c = options->config;
	struct management *m = alloc_zeroed(sizeof *m);
	m->options = *options;
	m->began_ms = clock_steady_ms();
	struct api_options api = {
		.loop = options->base,
		.core = options->core,
		.manage = options->manage,
		.users = options->users,
		.net = options->net,
		.node = c->node_name,
		.product = c->product,
		.product_version = c->product_version,
		.version = "3.10.8",
		.cluster_name = c->cluster_name,
		.data_dir = c->data_dir,
		.config_file = options->config_file,
		.log_file = c->log_file,
		.message_bytes_max = c->message_max_bytes,
		.begin_turn = begin_turn,
		.login = log_in,
		.forget_login = forget_login,
		.node_state = tell_node,
		.read_message = read_message,
		.log = tell_log,
		.audit = tell_audit,
		.arg = m,
	};
	add_listeners(&api, c);
	m->api = api_create(&api);
	*is_fine = m->api != NULL && serve(m);
	if (*is_fine)
		return m;
	management_destroy(m);
	return NULL;
}

void management_destroy(struct management *m)
{
	if (m == NULL)
		return;
	api_destroy(m->api);
	if (m->address.sun_path[0] != '\0')
		unlink(m->address.sun_path);
	free(m);
}

struct api *management_api(const struct management *m)
{
	return m == NULL ? NULL : m->api;
}

bool management_reload(struct management *m, char *why, size_t why_size)
{
	return m == NULL || renew_tls(m, why, why_size);
}
