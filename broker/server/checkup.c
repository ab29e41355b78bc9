#include "server/checkup.h"

#include "auth/permission.h"
#include "ctl/ask.h"
#include "net/listener.h"
#include "net/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct checkup {
	const struct config *config;
	struct mistakes *mistakes;
};

/* --- files --- */

/* Whether it is a file that can be read; empty: not given, and false. */
static bool can_read(const struct checkup *c, const char *path)
{
	struct stat st;
	if (path[0] == '\0')
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = fd == -1 ? errno : fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? EISDIR : 0;
	if (fd != -1)
		close(fd);
	if (error != 0)
		config_blame(c->config, path, c->mistakes, "%s: %s", path, strerror(error));
	return error == 0;
}

/* field: of the file that is to blame. */
static bool check_pem(const struct checkup *c, const char *field, const char *certificate,
		      const char *key, const char *ca)
{
	char why[300];
	bool is_good = pem_check(certificate, key, ca, why, sizeof why);
	if (!is_good)
		config_blame(c->config, field, c->mistakes, "%s: %s", field, why);
	return is_good;
}

static void check_pair(const struct checkup *c, const char *certificate, const char *key)
{
	bool has_certificate =
		can_read(c, certificate) && check_pem(c, certificate, certificate, NULL, NULL);
	bool has_key = can_read(c, key) && check_pem(c, key, NULL, key, NULL);
	if (has_certificate && has_key)
		check_pem(c, key, certificate, key, NULL);
}

static void check_certificates(const struct checkup *c)
{
	const char *ca = c->config->tls_ca;
	check_pair(c, c->config->tls_certificate, c->config->tls_key);
	check_pair(c, c->config->management_certificate, c->config->management_key);
	if (can_read(c, ca))
		check_pem(c, ca, NULL, NULL, ca);
}

static void check_definitions(const struct checkup *c)
{
	json_error_t error;
	const char *path = c->config->definitions;
	if (!can_read(c, path))
		return;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		config_blame(c->config, path, c->mistakes, "%s: line %d, column %d: %s", path,
			     error.line, error.column, error.text);
	else if (!json_is_object(root))
		config_blame(c->config, path, c->mistakes, "%s: expected an object of JSON", path);
	json_decref(root);
}

/* The directory that a path is in; "." for a bare name. */
static void put_parent(const char *path, char out[static CONFIG_TEXT_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	memcpy(out, path, len);
	out[len] = '\0';
	if (slash == NULL)
		strcpy(out, ".");
}

static void check_log(const struct checkup *c)
{
	char parent[CONFIG_TEXT_MAX];
	const char *path = c->config->log_file;
	if (path[0] == '\0')
		return;
	/* Not O_CREAT: that is for the broker to do. A pipe that nobody reads would do. */
	int fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd != -1) {
		close(fd);
		return;
	}
	int error = errno;
	put_parent(path, parent);
	if (error == ENOENT && access(parent, F_OK) == 0)
		error = access(parent, W_OK | X_OK) == 0 ? 0 : errno;
	if (error != 0)
		config_blame(c->config, path, c->mistakes, "%s: %s", path, strerror(error));
}

/* What is missing of the path is made by the broker, so the last that is there must allow it. */
static void check_data_dir(const struct checkup *c)
{
	char at[CONFIG_TEXT_MAX], copy[CONFIG_TEXT_MAX];
	struct stat st;
	size_t len = strlen(c->config->data_dir);
	if (len == 0)
		return;
	strcpy(at, c->config->data_dir);
	while (len > 1 && at[len - 1] == '/')
		at[--len] = '\0';
	while (stat(at, &st) == -1 && errno == ENOENT && strcmp(at, ".") != 0) {
		strcpy(copy, at);
		put_parent(copy, at);
	}
	int error = stat(at, &st) == -1              ? errno
		    : !S_ISDIR(st.st_mode)           ? ENOTDIR
		    : access(at, R_OK | W_OK | X_OK) ? errno
						     : 0;
	if (error != 0)
		config_blame(c->config, c->config->data_dir, c->mistakes, "%s: %s", at,
			     strerror(error));
}

/* --- listeners --- */

/* With a broker that runs on this data directory, the addresses in use are most likely its own. */
static bool is_running(const char *data_dir)
{
	struct sockaddr_un address;
	if (!ask_address(&address, data_dir, ASK_CONTROL))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_running = fd != -1 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd != -1)
		close(fd);
	return is_running;
}

/* 0, or why nobody could listen there. That it is no address config_check() says. */
static int bind_error(const char *host, uint16_t port)
{
	int on = 1, error = 0;
	struct sockaddr_storage address;
	socklen_t len = listener_address(host, port, &address);
	if (len == 0)
		return 0;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, len) == -1)
		error = errno;
	close(fd);
	return error;
}

/* field: what to blame. */
static void check_address(const struct checkup *c, const void *field, const char *host,
			  uint64_t port, bool may_be_in_use)
{
	int error = bind_error(host, (uint16_t)port);
	if (error != 0 && !(error == EADDRINUSE && may_be_in_use))
		config_blame(c->config, field, c->mistakes, "cannot listen on %s port %u: %s",
			     host[0] == '\0' ? "0.0.0.0" : host, (unsigned)port, strerror(error));
}

/* The broker goes on without its default port, if that is taken. */
static void check_management(const struct checkup *c, bool is_running)
{
	const struct config *g = c->config;
	if (g->has_management && g->management_port != 0)
		check_address(c, &g->management_port, g->management_ip, g->management_port,
			      is_running || config_is_default(g, &g->management_port));
	if (g->has_management && g->management_tls_port != 0)
		check_address(c, &g->management_tls_port, g->management_tls_ip,
			      g->management_tls_port, is_running);
}

static void check_listeners(const struct checkup *c)
{
	const struct listen_addresses *const all[] = { &c->config->tcp, &c->config->ssl };
	bool is_up = is_running(c->config->data_dir);
	for (size_t k = 0; k < sizeof all / sizeof *all; k++)
		for (size_t i = 0; i < all[k]->len; i++)
			check_address(c, &all[k]->items[i], all[k]->items[i].host,
				      all[k]->items[i].port, is_up);
	check_management(c, is_up);
}

/* --- the whole --- */

static void check_patterns(const struct checkup *c)
{
	const char *const patterns[PERMISSION_KINDS] = {
		[PERMISSION_CONFIGURE] = c->config->default_configure,
		[PERMISSION_WRITE] = c->config->default_write,
		[PERMISSION_READ] = c->config->default_read,
	};
	char why[300];
	for (size_t kind = 0; kind < PERMISSION_KINDS; kind++) {
		struct bytes only[PERMISSION_KINDS] = { bytes_str(""), bytes_str(""),
							bytes_str("") };
		only[kind] = bytes_str(patterns[kind]);
		struct permission *p = permission_create(only, false, why, sizeof why);
		if (p == NULL)
			config_blame(c->config, patterns[kind], c->mistakes, "%s", why);
		permission_destroy(p);
	}
}

void checkup_run(const struct config *config, struct mistakes *mistakes)
{
	const struct checkup c = { config, mistakes };
	check_data_dir(&c);
	check_listeners(&c);
	check_certificates(&c);
	check_patterns(&c);
	check_definitions(&c);
	check_log(&c);
}
