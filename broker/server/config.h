/* Config: what the operator can set. One table in config.c names every key, its kind, range,
 * default and meaning; it drives the file, the environment, the checks and the documentation
 * (docs/configuration.md).
 *
 * A later source wins: defaults, file, environment, command line. RabbitMQ's key names where they
 * exist. */
#ifndef LEV_SERVER_CONFIG_H
#define LEV_SERVER_CONFIG_H

#include "server/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LISTENERS_MAX = 8, CONFIG_TEXT_MAX = 512 };

struct listen_address {
	char name[32]; /* Of the key: "default" in listeners.tcp.default. */
	char host[64]; /* Numeric address; empty: all. */
	uint16_t port;
};

struct listen_addresses {
	struct listen_address items[LISTENERS_MAX];
	size_t len;
	bool is_set; /* Not the default any more. */
};

struct config {
	char data_dir[CONFIG_TEXT_MAX];
	struct listen_addresses tcp;
	struct listen_addresses ssl;
	char tls_ca[CONFIG_TEXT_MAX];
	char tls_certificate[CONFIG_TEXT_MAX];
	char tls_key[CONFIG_TEXT_MAX];
	bool tls_verify_peer;
	bool tls_require_peer;
	char default_vhost[CONFIG_TEXT_MAX];
	char default_user[CONFIG_TEXT_MAX];
	char default_user_tags[CONFIG_TEXT_MAX];
	char default_configure[CONFIG_TEXT_MAX];
	char default_write[CONFIG_TEXT_MAX];
	char default_read[CONFIG_TEXT_MAX];
	char default_pass[CONFIG_TEXT_MAX];
	bool guest_loopback_only;
	bool takes_certificates;
	bool is_common_name;                  /* Of those certificates. */
	char anonymous_user[CONFIG_TEXT_MAX]; /* Empty: none. */
	char product[CONFIG_TEXT_MAX];
	char product_version[CONFIG_TEXT_MAX];
	char cluster_name[CONFIG_TEXT_MAX];
	uint64_t heartbeat_s;
	uint64_t frame_max_bytes;
	uint64_t channel_max;
	uint64_t connection_max;
	uint64_t io_threads;
	uint64_t handshake_timeout_ms;
	uint64_t send_timeout_ms;
	uint64_t message_max_bytes;
	uint64_t table_fields_max;
	uint64_t table_depth_max;
	uint64_t queue_max;
	uint64_t exchange_max;
	uint64_t binding_max;
	uint64_t consumer_max;
	uint64_t key_window_ms;
	uint64_t keys_max;
	uint64_t producers_max;
	bool gives_uids;
	double memory_relative;
	uint64_t memory_absolute_bytes; /* 0: by memory_relative. */
	uint64_t memory_budget_bytes;
	uint64_t disk_free_bytes;
	uint64_t journal_map_bytes;
	char definitions[CONFIG_TEXT_MAX];
	bool has_management;
	char management_ip[CONFIG_TEXT_MAX];
	uint64_t management_port;
	char management_tls_ip[CONFIG_TEXT_MAX];
	uint64_t management_tls_port; /* 0: none. */
	char management_certificate[CONFIG_TEXT_MAX];
	char management_key[CONFIG_TEXT_MAX];
	char node_name[CONFIG_TEXT_MAX];
	char log_file[CONFIG_TEXT_MAX];
	enum log_level log_level;
};

/* Where settings come from besides defaults and environment. */
struct config_source {
	const char *file;     /* NULL: none. */
	const char *data_dir; /* From the command line; NULL: not given. */
	const char *port;
};

void config_init(struct config *config);

/* Defaults, then file, environment and command line, then config_check(). */
bool config_load(struct config *config, const struct config_source *source, char *why,
		 size_t why_size);

/* Each returns false and writes one line to why, naming file and line or the variable, when
 * something is wrong. */
bool config_read_file(struct config *config, const char *path, char *why, size_t why_size);
bool config_read_environment(struct config *config, char *const *environment, char *why,
			     size_t why_size);
bool config_set(struct config *config, const char *key, const char *value, char *why,
		size_t why_size);

/* What no single key can tell: that the keys fit together. */
bool config_check(const struct config *config, char *why, size_t why_size);

/* Takes over from `from` every key that may change while the broker runs. Returns the first key
 * that differs and may not, or NULL. */
const char *config_reload(struct config *config, const struct config *from);

/* Writes the table of all keys as Markdown. */
void config_document(FILE *out);

#endif
