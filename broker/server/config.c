#include "server/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { TEXT, NUMBER, BYTES, FLAG, FRACTION, LISTEN, LEVEL, FORMAT, VERIFY, NAME_OF };

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min; /* NUMBER and BYTES. */
	uint64_t max;
	const char *initial;
	bool can_reload; /* Takes effect with SIGHUP. */
	const char *meaning;
};

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
	{ "data_dir", TEXT, FIELD(data_dir), 0, 0, "/var/lib/leveret", false,
	  "Directory of the journal." },
	{ "listeners.tcp.*", LISTEN, FIELD(tcp), 0, 0, "127.0.0.1:5672", false,
	  "Where to listen: `port`, `address:port` or `[v6 address]:port`; the last part of the "
	  "key is a name of your choice. "
	  "`listeners.tcp = none` for nowhere." },
	{ "listeners.ssl.*", LISTEN, FIELD(ssl), 0, 0, "", false, "The same under TLS." },
	{ "ssl_options.cacertfile", TEXT, FIELD(tls_ca), 0, 0, "", true,
	  "PEM file with the CAs that client certificates are checked against." },
	{ "ssl_options.certfile", TEXT, FIELD(tls_certificate), 0, 0, "", true,
	  "PEM file with the server's certificate and its chain." },
	{ "ssl_options.keyfile", TEXT, FIELD(tls_key), 0, 0, "", true,
	  "PEM file with the private key." },
	{ "ssl_options.verify", VERIFY, FIELD(tls_verify_peer), 0, 0, "verify_none", true,
	  "`verify_peer` asks clients for a certificate and checks it." },
	{ "ssl_options.fail_if_no_peer_cert", FLAG, FIELD(tls_require_peer), 0, 0, "false", true,
	  "With verify_peer: refuse clients that have none." },
	{ "default_vhost", TEXT, FIELD(default_vhost), 0, 0, "/", false,
	  "Virtual host that the first start makes, if it is not there." },
	{ "default_user", TEXT, FIELD(default_user), 0, 0, "guest", false,
	  "The user whom the first start makes; later starts do not touch users." },
	{ "default_pass", TEXT, FIELD(default_pass), 0, 0, "guest", false, "His password." },
	{ "default_permissions.configure", TEXT, FIELD(default_configure), 0, 0, ".*", false,
	  "What he may declare and delete in the default virtual host: a regular expression." },
	{ "default_permissions.write", TEXT, FIELD(default_write), 0, 0, ".*", false,
	  "Where he may publish, and what he may bind." },
	{ "default_permissions.read", TEXT, FIELD(default_read), 0, 0, ".*", false,
	  "What he may consume, purge and bind from." },
	{ "default_user_tags", TEXT, FIELD(default_user_tags), 0, 0, "administrator", false,
	  "His tags, separated by commas." },
	{ "loopback_users.guest", FLAG, FIELD(guest_loopback_only), 0, 0, "true", true,
	  "The user `guest` may log in from this machine only." },
	{ "auth_mechanisms.external", FLAG, FIELD(takes_certificates), 0, 0, "false", true,
	  "Clients may log in by the certificate that they show under TLS (EXTERNAL): the user is "
	  "named as it is. Needs `ssl_options.verify = verify_peer`." },
	{ "ssl_cert_login_from", NAME_OF, FIELD(is_common_name), 0, 0, "distinguished_name", true,
	  "What of the certificate is the user's name: `distinguished_name` (RFC 4514: "
	  "`CN=worker,O=shop`) or `common_name`." },
	{ "anonymous_login_user", TEXT, FIELD(anonymous_user), 0, 0, "", true,
	  "The user that clients are who log in as nobody (ANONYMOUS); empty: none may." },
	{ "product_name", TEXT, FIELD(product), 0, 0, "Leveret", true,
	  "Product in the server properties. Some clients look for `RabbitMQ`." },
	{ "product_version", TEXT, FIELD(product_version), 0, 0, LEV_VERSION, true,
	  "Version in the server properties." },
	{ "cluster_name", TEXT, FIELD(cluster_name), 0, 0, "leveret@localhost", true,
	  "Name in the server properties." },
	{ "heartbeat", NUMBER, FIELD(heartbeat_s), 0, 65535, "60", true,
	  "Seconds, suggested to clients; 0: none." },
	{ "frame_max", BYTES, FIELD(frame_max_bytes), 4096, 16777216, "131072", true,
	  "Largest frame." },
	{ "channel_max", NUMBER, FIELD(channel_max), 1, 65535, "2047", true,
	  "Channels of a connection." },
	{ "connection_max", NUMBER, FIELD(connection_max), 1, 1000000, "65536", false,
	  "Connections." },
	{ "io_threads", NUMBER, FIELD(io_threads), 0, 64, "0", false,
	  "Threads that move and encrypt the bytes of connections; 0: the broker's one thread does "
	  "it. For machines with cores "
	  "to spare." },
	{ "handshake_timeout", NUMBER, FIELD(handshake_timeout_ms), 100, 600000, "10000", true,
	  "Milliseconds from connect to connection.open." },
	{ "tcp_listen_options.send_timeout", NUMBER, FIELD(send_timeout_ms), 0, 86400000, "30000",
	  true,
	  "Milliseconds; a client that reads nothing of what is sent to it for so long is closed, "
	  "even if its heartbeats come; 0: never." },
	{ "max_message_size", BYTES, FIELD(message_max_bytes), 1, 536870912, "134217728", true,
	  "Largest message body." },
	{ "table_fields_max", NUMBER, FIELD(table_fields_max), 64, 16777216, "8192", true,
	  "Fields of a peer's table of headers or arguments, elements of arrays and nested tables "
	  "included; what each costs when it is looked at grows with them." },
	{ "table_depth_max", NUMBER, FIELD(table_depth_max), 8, 1024, "128", true,
	  "Tables and arrays within each other in such a table." },
	{ "queue_max", NUMBER, FIELD(queue_max), 1, 100000000, "1000000", false, "Queues." },
	{ "exchange_max", NUMBER, FIELD(exchange_max), 8, 100000000, "100000", false,
	  "Exchanges." },
	{ "binding_max", NUMBER, FIELD(binding_max), 1, 100000000, "10000000", false, "Bindings." },
	{ "consumer_max_per_channel", NUMBER, FIELD(consumer_max), 1, 1000000, "65536", false,
	  "Consumers of a channel." },
	{ "idempotency.window", NUMBER, FIELD(key_window_ms), 1, (uint64_t)365 * 86400 * 1000,
	  "3600000", false,
	  "Milliseconds that an idempotency key is remembered, unless its exchange or queue says "
	  "otherwise "
	  "(docs/idempotency.md)." },
	{ "idempotency.keys_max", NUMBER, FIELD(keys_max), 1000, 1000000000, "10000000", false,
	  "Idempotency keys that are remembered, 31 bytes of memory each; beyond it the oldest are "
	  "forgotten." },
	{ "idempotency.producers_max", NUMBER, FIELD(producers_max), 1, 10000000, "10000", false,
	  "Producers whose sequences are remembered; beyond it the one that has been quiet for "
	  "longest is forgotten." },
	{ "idempotency.uid_for_all", FLAG, FIELD(gives_uids), 0, 0, "false", false,
	  "Gives every message a header `x-message-uid`, not only those that have an idempotency "
	  "key or a producer." },
	{ "vm_memory_high_watermark.relative", FRACTION, FIELD(memory_relative), 0, 0, "0.6", true,
	  "Part of the machine's (or cgroup's) memory; above it publishers are blocked." },
	{ "vm_memory_high_watermark.absolute", BYTES, FIELD(memory_absolute_bytes), 0, INT64_MAX,
	  "0", true, "The same in bytes; 0: the relative one holds." },
	{ "message_memory_budget", BYTES, FIELD(memory_budget_bytes), 0, INT64_MAX, "32MiB", false,
	  "Messages beyond it leave memory and are read back from the journal when their turn "
	  "comes." },
	{ "disk_free_limit.absolute", BYTES, FIELD(disk_free_bytes), 0, INT64_MAX, "50MB", true,
	  "With less free on the disk publishers are blocked." },
	{ "journal.map_size", BYTES, FIELD(journal_map_bytes), 1 << 20, (uint64_t)1 << 46, "1TiB",
	  false, "Address space for the journal: the most that it can ever hold." },
	{ "load_definitions", TEXT, FIELD(definitions), 0, 0, "", true,
	  "JSON file with definitions, as RabbitMQ exports them (docs/definitions.md): imported at "
	  "the start and with SIGHUP." },
	{ "management.enabled", FLAG, FIELD(has_management), 0, 0, "true", false,
	  "The management over HTTP (docs/management.md)." },
	{ "management.tcp.ip", TEXT, FIELD(management_ip), 0, 0, "127.0.0.1", false,
	  "Address that it listens on." },
	{ "management.tcp.port", NUMBER, FIELD(management_port), 0, 65535, "15672", false,
	  "Its port; 0: none without TLS. If the default is taken by somebody else, the broker "
	  "goes "
	  "on without." },
	{ "management.ssl.ip", TEXT, FIELD(management_tls_ip), 0, 0, "127.0.0.1", false,
	  "The same under TLS." },
	{ "management.ssl.port", NUMBER, FIELD(management_tls_port), 0, 65535, "0", false,
	  "Its port; 0: none." },
	{ "management.ssl.certfile", TEXT, FIELD(management_certificate), 0, 0, "", true,
	  "PEM file with its certificate and chain; empty: that of `ssl_options`." },
	{ "management.ssl.keyfile", TEXT, FIELD(management_key), 0, 0, "", true,
	  "PEM file with its private key; empty: that of `ssl_options`." },
	{ "prometheus.enabled", FLAG, FIELD(has_metrics), 0, 0, "true", false,
	  "Metrics for Prometheus (docs/management.md); with `management.enabled` only." },
	{ "prometheus.tcp.ip", TEXT, FIELD(metrics_ip), 0, 0, "127.0.0.1", false,
	  "Address that they are served on." },
	{ "prometheus.tcp.port", NUMBER, FIELD(metrics_port), 1, 65535, "15692", false,
	  "Their port, without login. If the default is taken by somebody else, the broker goes on "
	  "without." },
	{ "nodename", TEXT, FIELD(node_name), 0, 0, "rabbit@localhost", false,
	  "Name of this broker, as the management tells it. Some tools want it to begin with "
	  "`rabbit`." },
	{ "log.file", TEXT, FIELD(log_file), 0, 0, "", true,
	  "File to append the log to; empty: standard error. SIGHUP reopens it." },
	{ "log.format", FORMAT, FIELD(log_format), 0, 0, "logfmt", true,
	  "`logfmt` (`key=value`) or `json`: what a line of the log is." },
	{ "log.level", LEVEL, FIELD(log_level), 0, 0, "info", true,
	  "`debug`, `info`, `warning`, `error` or `none`." },
};

enum { KEYS = sizeof keys / sizeof *keys };
static_assert((int)KEYS <= (int)CONFIG_KEYS_MAX, "room for their origins");

/* --- values --- */

static bool complain(char *why, size_t why_size, const char *key, const char *value,
		     const char *expected)
{
	snprintf(why, why_size, "%s = %s: expected %s", key, value, expected);
	return false;
}

static bool parse_number(const char *value, uint64_t *out, const char **end)
{
	char *stop;
	errno = 0;
	if (!isdigit((unsigned char)value[0]))
		return false;
	*out = strtoull(value, &stop, 10);
	*end = stop;
	return errno == 0;
}

static bool multiply(uint64_t *bytes, const char *unit)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {
		{ "", 1 },
		{ "k", 1 << 10 },
		{ "M", 1 << 20 },
		{ "G", 1 << 30 },
		{ "kiB", 1 << 10 },
		{ "KiB", 1 << 10 },
		{ "MiB", 1 << 20 },
		{ "GiB", 1 << 30 },
		{ "TiB", (uint64_t)1 << 40 },
		{ "kB", 1000 },
		{ "KB", 1000 },
		{ "MB", 1000000 },
		{ "GB", 1000000000 },
		{ "TB", 1000000000000 },
	};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(unit, units[i].name) == 0)
			return !__builtin_mul_overflow(*bytes, units[i].factor, bytes);
	return false;
}

static bool set_number(const struct key *k, uint64_t *field, const char *value, char *why,
		       size_t why_size)
{
	char expected[128];
	uint64_t n;
	const char *end = "";
	bool is_bytes = k->kind == BYTES;
	bool is_parsed =
		parse_number(value, &n, &end) && (is_bytes ? multiply(&n, end) : *end == '\0');
	if (is_parsed && n >= k->min && n <= k->max) {
		*field = n;
		return true;
	}
	snprintf(expected, sizeof expected, "a whole number%s from %" PRIu64 " to %" PRIu64,
		 is_bytes ? " (with a unit like MB or MiB, if you like)" : "", k->min, k->max);
	return complain(why, why_size, k->name, value, expected);
}

static bool set_flag(const struct key *k, bool *field, const char *value, char *why,
		     size_t why_size)
{
	bool is_true = strcmp(value, "true") == 0;
	if (!is_true && strcmp(value, "false") != 0)
		return complain(why, why_size, k->name, value, "true or false");
	*field = is_true;
	return true;
}

static bool set_fraction(const struct key *k, double *field, const char *value, char *why,
			 size_t why_size)
{
	char *end;
	double d = strtod(value, &end);
	if (end == value || *end != '\0' || !(d > 0 && d <= 1))
		return complain(why, why_size, k->name, value, "a number above 0 and at most 1");
	*field = d;
	return true;
}

static bool set_text(const struct key *k, char *field, const char *value, char *why,
		     size_t why_size)
{
	if (strlen(value) >= CONFIG_TEXT_MAX)
		return complain(why, why_size, k->name, value, "fewer than 512 characters");
	strcpy(field, value);
	return true;
}

static bool is_address(const char *host)
{
	unsigned char scratch[sizeof(struct in6_addr)];
	return host[0] == '\0' || inet_pton(AF_INET, host, scratch) == 1 ||
	       inet_pton(AF_INET6, host, scratch) == 1;
}

/* port, address:port or [address]:port. */
static bool parse_address(const char *value, struct listen_address *a)
{
	const char *colon = strrchr(value, ':'), *port = colon == NULL ? value : colon + 1, *end;
	size_t host_len = colon == NULL ? 0 : (size_t)(colon - value);
	uint64_t n;
	if (host_len >= 2 && value[0] == '[' && value[host_len - 1] == ']') {
		value++;
		host_len -= 2;
	}
	if (host_len >= sizeof a->host || !parse_number(port, &n, &end) || *end != '\0' || n == 0 ||
	    n > 65535)
		return false;
	memcpy(a->host, value, host_len);
	a->host[host_len] = '\0';
	a->port = (uint16_t)n;
	return is_address(a->host);
}

static struct listen_address *listener_named(struct listen_addresses *all, const char *name)
{
	for (size_t i = 0; i < all->len; i++)
		if (strcmp(all->items[i].name, name) == 0)
			return &all->items[i];
	if (all->len == LISTENERS_MAX || strlen(name) >= sizeof all->items[0].name)
		return NULL;
	struct listen_address *a = &all->items[all->len++];
	*a = (struct listen_address){ 0 };
	strcpy(a->name, name);
	return a;
}

/* name NULL: the key without a name, which takes "none" only. */
static bool set_listener(struct listen_addresses *all, const struct config_origin *origin,
			 const char *key, const char *name, const char *value, char *why,
			 size_t why_size)
{
	struct listen_address parsed = { 0 };
	if (!all->is_set)
		all->len = 0;
	all->is_set = true;
	if (name == NULL) {
		all->len = 0;
		return strcmp(value, "none") == 0 || complain(why, why_size, key, value, "none");
	}
	if (!parse_address(value, &parsed))
		return complain(why, why_size, key, value,
				"a port from 1 to 65535, or a numeric address and a port");
	struct listen_address *a = listener_named(all, name);
	bool is_twice = a != NULL && a->port != 0 && origin->from == FROM_FILE &&
			a->origin.from == FROM_FILE;
	if (is_twice)
		return complain(why, why_size, key, value, "each listener once; choose a name");
	if (a == NULL)
		return complain(why, why_size, key, value,
				"at most 8 listeners with names of at most 31 characters");
	memcpy(a->host, parsed.host, sizeof a->host);
	a->port = parsed.port;
	a->origin = *origin;
	return true;
}

static bool set_format(const struct key *k, enum log_format *field, const char *value, char *why,
		       size_t why_size)
{
	bool is_json = strcmp(value, "json") == 0;
	if (!is_json && strcmp(value, "logfmt") != 0)
		return complain(why, why_size, k->name, value, "logfmt or json");
	*field = is_json ? LOG_JSON : LOG_LOGFMT;
	return true;
}

static bool set_value(struct config *config, const struct key *k, const char *key,
		      const char *value, char *why, size_t why_size)
{
	void *field = (char *)config + k->offset;
	size_t prefix = strlen(k->name) - 2;
	switch (k->kind) {
	case TEXT: return set_text(k, field, value, why, why_size);
	case NUMBER:
	case BYTES: return set_number(k, field, value, why, why_size);
	case FLAG: return set_flag(k, field, value, why, why_size);
	case FRACTION: return set_fraction(k, field, value, why, why_size);
	case LISTEN:
		return set_listener(field, &config->reading, key,
				    key[prefix] == '.' ? key + prefix + 1 : NULL, value, why,
				    why_size);
	case LEVEL:
		return log_level_find(value, field) ||
		       complain(why, why_size, key, value, "debug, info, warning, error or none");
	case FORMAT: return set_format(k, field, value, why, why_size);
	case NAME_OF:
		*(bool *)field = strcmp(value, "common_name") == 0;
		return *(bool *)field || strcmp(value, "distinguished_name") == 0 ||
		       complain(why, why_size, key, value, "distinguished_name or common_name");
	case VERIFY:
		*(bool *)field = strcmp(value, "verify_peer") == 0;
		return *(bool *)field || strcmp(value, "verify_none") == 0 ||
		       complain(why, why_size, key, value, "verify_peer or verify_none");
	}
	return false;
}

static bool key_matches(const struct key *k, const char *name)
{
	if (k->kind != LISTEN)
		return strcmp(k->name, name) == 0;
	size_t prefix = strlen(k->name) - 2;
	return strncmp(k->name, name, prefix) == 0 &&
	       (name[prefix] == '\0' || (name[prefix] == '.' && name[prefix + 1] != '\0'));
}

bool config_set(struct config *config, const char *key, const char *value, char *why,
		size_t why_size)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (!key_matches(&keys[i], key))
			continue;
		config->origins[i] = config->reading;
		config->origins[i].is_bad = !set_value(config, &keys[i], key, value, why, why_size);
		return !config->origins[i].is_bad;
	}
	snprintf(why, why_size, "unknown key '%s'", key);
	return false;
}

void config_init(struct config *config)
{
	char why[256];
	memset(config, 0, sizeof *config);
	for (size_t i = 0; i < KEYS; i++) {
		const char *name = keys[i].name;
		if (keys[i].kind == LISTEN)
			name = strcmp(name, "listeners.tcp.*") == 0 ? "listeners.tcp.default"
								    : "listeners.ssl";
		const char *value = strcmp(name, "listeners.ssl") == 0 ? "none" : keys[i].initial;
		if (!config_set(config, name, value, why, sizeof why)) {
			fprintf(stderr, "leveretd: bad default: %s\n", why);
			abort();
		}
	}
	config->tcp.is_set = config->ssl.is_set = false;
}

/* --- sources --- */

enum { LINE_LEN_MAX = 199 }; /* inih cuts what is longer, so it is refused before it sees it. */

struct file {
	struct config *config;
	char why[700];
};

static int on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct file *f = user;
	(void)section;
	return config_set(f->config, name, value, f->why, sizeof f->why);
}

/* inih is given a line at a time: it tells nobody which one it is at, and would take an indented
 * one for more of the value before it. */
static void read_line(struct file *f, char *line, size_t len, struct mistakes *mistakes)
{
	bool has_nul = strlen(line) < len;
	f->why[0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (has_nul)
		snprintf(f->why, sizeof f->why, "NUL byte");
	else if (strlen(line) > LINE_LEN_MAX)
		snprintf(f->why, sizeof f->why, "line is longer than %d characters", LINE_LEN_MAX);
	else if (line[strspn(line, " \t")] == '[')
		snprintf(f->why, sizeof f->why, "sections are not used here ('%s')", line);
	else if (ini_parse_string(line, on_pair, f) == 0)
		return;
	mistakes_add(mistakes, "%s:%d: %s", f->config->file, f->config->reading.line,
		     f->why[0] == '\0' ? "expected key = value" : f->why);
}

bool config_read_file(struct config *config, const char *path, struct mistakes *mistakes)
{
	struct file f = { .config = config };
	size_t before = mistakes->len, size = 0;
	char *line = NULL;
	FILE *in = fopen(path, "re");
	if (in == NULL) {
		mistakes_add(mistakes, "%s: %s", path, strerror(errno));
		return false;
	}
	config->file = path;
	config->reading = (struct config_origin){ .from = FROM_FILE };
	for (ssize_t len; (len = getline(&line, &size, in)) != -1;) {
		config->reading.line++;
		read_line(&f, line, (size_t)len, mistakes);
	}
	if (ferror(in)) /* A directory, say. */
		mistakes_add(mistakes, "%s: %s", path, strerror(errno));
	free(line);
	fclose(in);
	return mistakes->len == before;
}

/* LEVERET_HEARTBEAT for heartbeat, LEVERET_LOG_LEVEL for log.level. */
static bool variable_matches(const char *variable, const char *key, size_t len)
{
	if (strlen(key) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int wanted = key[i] == '.' ? '_' : toupper((unsigned char)key[i]);
		if (variable[i] != wanted)
			return false;
	}
	return true;
}

static void read_variable(struct config *config, const char *name, size_t len, const char *value,
			  struct mistakes *mistakes)
{
	char reason[700], address[128];
	const char *key = len == 4 && memcmp(name, "PORT", 4) == 0 ? "listeners.tcp.default" : NULL;
	bool is_port = key != NULL;
	for (size_t i = 0; key == NULL && i < KEYS; i++)
		if (variable_matches(name, keys[i].name, len))
			key = keys[i].name;
	if (key == NULL) /* LEVERET_CONFIG, and whatever else others may use the prefix for. */
		return;
	snprintf(address, sizeof address, "127.0.0.1:%s", value);
	if (!config_set(config, key, is_port ? address : value, reason, sizeof reason))
		mistakes_add(mistakes, "LEVERET_%.*s: %s", (int)len, name, reason);
}

bool config_read_environment(struct config *config, char *const *environment,
			     struct mistakes *mistakes)
{
	static const char prefix[] = "LEVERET_";
	size_t before = mistakes->len;
	config->reading = (struct config_origin){ .from = FROM_ENVIRONMENT };
	for (; *environment != NULL; environment++) {
		const char *name = *environment + sizeof prefix - 1,
			   *equals = strchr(*environment, '=');
		if (strncmp(*environment, prefix, sizeof prefix - 1) == 0 && equals != NULL)
			read_variable(config, name, (size_t)(equals - name), equals + 1, mistakes);
	}
	return mistakes->len == before;
}

/* --- where a key was set --- */

static size_t size_of(const struct key *k)
{
	switch (k->kind) {
	case TEXT: return CONFIG_TEXT_MAX;
	case NUMBER:
	case BYTES: return sizeof(uint64_t);
	case FLAG:
	case NAME_OF:
	case VERIFY: return sizeof(bool);
	case FRACTION: return sizeof(double);
	case LISTEN: return sizeof(struct listen_addresses);
	case LEVEL: return sizeof(enum log_level);
	case FORMAT: return sizeof(enum log_format);
	}
	return 0;
}

/* Also what its name is, where that is not the key's. */
static const struct config_origin *origin_of(const struct config *c, size_t at, size_t offset,
					     const char **name)
{
	const char *all = (const char *)c + keys[at].offset;
	const struct listen_addresses *listeners = (const void *)all;
	*name = NULL;
	if (keys[at].kind != LISTEN)
		return &c->origins[at];
	size_t item = (offset - keys[at].offset) / sizeof listeners->items[0];
	if (item >= listeners->len)
		return &c->origins[at];
	*name = listeners->items[item].name;
	return &listeners->items[item].origin;
}

static void put_origin(const struct config *c, const struct config_origin *o, const char *key,
		       char *out, size_t size)
{
	bool is_port = strcmp(key, "listeners.tcp.*") == 0;
	out[0] = '\0';
	switch (o->from) {
	case FROM_DEFAULT: return;
	case FROM_FILE: snprintf(out, size, "%s:%d: ", c->file, o->line); return;
	case FROM_COMMAND_LINE:
		snprintf(out, size, "%s: ", is_port ? "--port" : "--data-dir");
		return;
	case FROM_ENVIRONMENT: break;
	}
	snprintf(out, size, "LEVERET_%s: ", is_port ? "PORT" : key);
	for (char *p = out; *p != ':'; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
}

static size_t key_at(const struct config *c, const void *field, size_t *offset)
{
	size_t at = 0;
	*offset = (size_t)((const char *)field - (const char *)c);
	while (at < KEYS &&
	       !(*offset >= keys[at].offset && *offset < keys[at].offset + size_of(&keys[at])))
		at++;
	assert(at < KEYS);
	return at;
}

bool config_is_default(const struct config *c, const void *field)
{
	const char *name;
	size_t offset, at = key_at(c, field, &offset);
	return origin_of(c, at, offset, &name)->from == FROM_DEFAULT;
}

void config_blame(const struct config *c, const void *field, struct mistakes *mistakes,
		  const char *format, ...)
{
	char where[CONFIG_TEXT_MAX], text[1200];
	size_t offset = (size_t)((const char *)field - (const char *)c), at = 0;
	const char *name;
	while (at < KEYS &&
	       !(offset >= keys[at].offset && offset < keys[at].offset + size_of(&keys[at])))
		at++;
	assert(at < KEYS);
	const struct config_origin *origin = origin_of(c, at, offset, &name);
	if (origin->is_bad)
		return;
	put_origin(c, origin, keys[at].name, where, sizeof where);
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	int len = (int)strlen(keys[at].name) - (name == NULL ? 0 : 1);
	mistakes_add(mistakes, "%s%.*s%s: %s", where, len, keys[at].name, name == NULL ? "" : name,
		     text);
}

/* --- the whole --- */

static bool is_any(const char *host)
{
	return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0;
}

/* Where something is to listen. */
struct place {
	char name[64];
	const char *host;
	uint64_t port;
	const void *field; /* To blame. */
};

struct places {
	struct place items[2 * LISTENERS_MAX + 2];
	size_t len;
};

/* Whether the kernel refuses the second: [::] takes the addresses of version 4, too. */
static bool are_at_odds(const struct place *a, const struct place *b)
{
	bool are_v4 = strchr(a->host, ':') == NULL && strchr(b->host, ':') == NULL;
	return a->port == b->port &&
	       (strcmp(a->host, b->host) == 0 || strcmp(a->host, "::") == 0 ||
		strcmp(b->host, "::") == 0 || (are_v4 && (is_any(a->host) || is_any(b->host))));
}

static void add_place(struct places *all, const char *prefix, const char *name, const char *host,
		      const uint64_t port, const void *field)
{
	struct place *p = &all->items[all->len++];
	snprintf(p->name, sizeof p->name, "%s%s", prefix, name);
	p->host = host;
	p->port = port;
	p->field = field;
}

static void add_listeners(struct places *all, const char *prefix, const struct listen_addresses *l)
{
	for (size_t i = 0; i < l->len; i++)
		add_place(all, prefix, l->items[i].name, l->items[i].host, l->items[i].port,
			  &l->items[i]);
}

/* Each pair once; the later one is blamed. */
static void check_listeners(const struct config *c, struct mistakes *mistakes)
{
	struct places all = { .len = 0 };
	add_listeners(&all, "listeners.tcp.", &c->tcp);
	add_listeners(&all, "listeners.ssl.", &c->ssl);
	if (c->has_management && c->management_port != 0)
		add_place(&all, "management.", "tcp", c->management_ip, c->management_port,
			  &c->management_port);
	if (c->has_management && c->management_tls_port != 0)
		add_place(&all, "management.", "ssl", c->management_tls_ip, c->management_tls_port,
			  &c->management_tls_port);
	for (size_t b = 1; b < all.len; b++)
		for (size_t a = 0; a < b; a++)
			if (are_at_odds(&all.items[a], &all.items[b]))
				config_blame(c, all.items[b].field, mistakes,
					     "port %u is that of %s", (unsigned)all.items[b].port,
					     all.items[a].name);
}

static void check_filled(const struct config *c, const char *field, struct mistakes *mistakes)
{
	if (field[0] == '\0')
		config_blame(c, field, mistakes, "must not be empty");
}

static void check_address(const struct config *c, const char *host, struct mistakes *mistakes)
{
	if (!is_address(host))
		config_blame(c, host, mistakes, "expected a numeric address");
}

bool config_check(const struct config *c, struct mistakes *mistakes)
{
	size_t before = mistakes->len;
	check_listeners(c, mistakes);
	if (c->ssl.len > 0 && (c->tls_certificate[0] == '\0' || c->tls_key[0] == '\0'))
		config_blame(c, &c->ssl, mistakes,
			     "needs ssl_options.certfile and ssl_options.keyfile");
	if (c->tls_verify_peer && c->tls_ca[0] == '\0')
		config_blame(c, &c->tls_verify_peer, mistakes,
			     "verify_peer needs ssl_options.cacertfile");
	if (c->takes_certificates && !c->tls_verify_peer)
		config_blame(c, &c->takes_certificates, mistakes,
			     "needs ssl_options.verify = verify_peer");
	if (c->has_management && c->management_tls_port != 0 &&
	    ((c->management_certificate[0] == '\0' && c->tls_certificate[0] == '\0') ||
	     (c->management_key[0] == '\0' && c->tls_key[0] == '\0')))
		config_blame(c, &c->management_tls_port, mistakes,
			     "needs management.ssl.certfile and management.ssl.keyfile, or those "
			     "of ssl_options");
	check_address(c, c->management_ip, mistakes);
	check_address(c, c->management_tls_ip, mistakes);
	check_filled(c, c->data_dir, mistakes);
	check_filled(c, c->default_vhost, mistakes);
	check_filled(c, c->default_user, mistakes);
	check_filled(c, c->default_pass, mistakes);
	return mistakes->len == before;
}

static void set_from_command_line(struct config *config, const struct config_source *source,
				  struct mistakes *mistakes)
{
	char address[64], reason[700];
	config->reading = (struct config_origin){ .from = FROM_COMMAND_LINE };
	if (source->data_dir != NULL &&
	    !config_set(config, "data_dir", source->data_dir, reason, sizeof reason))
		mistakes_add(mistakes, "--data-dir: %s", reason);
	if (source->port == NULL)
		return;
	snprintf(address, sizeof address, "127.0.0.1:%.32s", source->port);
	if (strspn(source->port, "0123456789") != strlen(source->port) ||
	    !config_set(config, "listeners.tcp.default", address, reason, sizeof reason))
		mistakes_add(mistakes, "--port %s: expected a port from 1 to 65535", source->port);
}

bool config_load(struct config *config, const struct config_source *source,
		 struct mistakes *mistakes)
{
	size_t before = mistakes->len;
	config_init(config);
	if (source->file != NULL)
		config_read_file(config, source->file, mistakes);
	config_read_environment(config, environ, mistakes);
	set_from_command_line(config, source, mistakes);
	config_check(config, mistakes);
	return mistakes->len == before;
}

/* Where a listener was set does not matter, nor what is left in places that are not used. */
static bool is_same(const struct key *k, const void *a, const void *b)
{
	const struct listen_addresses *x = a, *y = b;
	if (k->kind == TEXT)
		return strcmp(a, b) == 0;
	if (k->kind != LISTEN)
		return memcmp(a, b, size_of(k)) == 0;
	bool is_same = x->len == y->len;
	for (size_t i = 0; is_same && i < x->len; i++)
		is_same = strcmp(x->items[i].host, y->items[i].host) == 0 &&
			  x->items[i].port == y->items[i].port;
	return is_same;
}

size_t config_reload(struct config *config, const struct config *from, char *names, size_t size)
{
	size_t differ = 0, len = 0;
	names[0] = '\0';
	for (size_t i = 0; i < KEYS; i++) {
		char *to = (char *)config + keys[i].offset;
		const char *new = (const char *)from + keys[i].offset;
		if (keys[i].can_reload) {
			memcpy(to, new, size_of(&keys[i]));
		} else if (!is_same(&keys[i], to, new)) {
			int n = snprintf(names + len, size - len, "%s%s", differ++ == 0 ? "" : ", ",
					 keys[i].name);
			if (n > 0 && (size_t)n < size - len)
				len += (size_t)n;
			else
				names[len] = '\0'; /* The names do not fit: whole ones. */
		}
	}
	return differ;
}

const char *config_key(size_t i, const char **kind)
{
	static const char *const kinds[] = {
		[TEXT] = "text",
		[NUMBER] = "number",
		[BYTES] = "bytes",
		[FLAG] = "flag",
		[FRACTION] = "fraction",
		[LISTEN] = "address",
		[FORMAT] = "logfmt|json",
		[LEVEL] = "debug|info|warning|error|none",
		[VERIFY] = "verify_peer|verify_none",
		[NAME_OF] = "distinguished_name|common_name",
	};
	if (i >= KEYS)
		return NULL;
	*kind = kinds[keys[i].kind];
	return keys[i].name;
}

static void write_addresses(const struct listen_addresses *l, char *text, size_t size)
{
	size_t at = 0;
	snprintf(text, size, "none");
	for (size_t i = 0; i < l->len && at < size; i++) {
		bool is_v6 = strchr(l->items[i].host, ':') != NULL;
		at += (size_t)snprintf(text + at, size - at, "%s%s%s%s:%u", i > 0 ? ", " : "",
				       is_v6 ? "[" : "", l->items[i].host, is_v6 ? "]" : "",
				       (unsigned)l->items[i].port);
	}
}

bool config_value(const struct config *c, size_t i, char *text, size_t size)
{
	static const char *const levels[] = { "debug", "info", "warning", "error", "none" };
	const void *at;
	if (i >= KEYS)
		return false;
	at = (const char *)c + keys[i].offset;
	bool is_set = (keys[i].kind == FLAG || keys[i].kind == VERIFY || keys[i].kind == NAME_OF) &&
		      *(const bool *)at;
	const char *word = NULL;
	switch (keys[i].kind) {
	case TEXT: word = keys[i].offset == FIELD(default_pass) ? "***" : at; break;
	case FLAG: word = is_set ? "true" : "false"; break;
	case VERIFY: word = is_set ? "verify_peer" : "verify_none"; break;
	case NAME_OF: word = is_set ? "common_name" : "distinguished_name"; break;
	case LEVEL: word = levels[*(const enum log_level *)at]; break;
	case FORMAT: word = *(const enum log_format *)at == LOG_JSON ? "json" : "logfmt"; break;
	case NUMBER:
	case BYTES: snprintf(text, size, "%" PRIu64, *(const uint64_t *)at); break;
	case FRACTION: snprintf(text, size, "%g", *(const double *)at); break;
	case LISTEN: write_addresses(at, text, size); break;
	}
	if (word != NULL)
		snprintf(text, size, "%s", word);
	return true;
}

void config_document(FILE *out)
{
	fputs("| key | default | meaning | SIGHUP |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < KEYS; i++)
		fprintf(out, "| `%s` | %s%s%s | %s | %s |\n", keys[i].name,
			keys[i].initial[0] == '\0' ? "" : "`", keys[i].initial,
			keys[i].initial[0] == '\0' ? "" : "`", keys[i].meaning,
			keys[i].can_reload ? "yes" : "no");
}
