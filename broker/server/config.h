/* Config: what the operator can set. One table in config.c names every key, its kind, range,
 * default and meaning; it drives the file, the environment, the checks and the documentation
 * (docs/configuration.md).
 *
 * A later source wins: defaults, file, environment, command line. RabbitMQ's key names where they
 * exist. */
#ifndef LEV_SERVER_CONFIG_H
#define LEV_SERVER_CONFIG_H

#include "server/log.h"
#include "server/mistakes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LISTENERS_MAX = 8, CONFIG_TEXT_MAX = 512, CONFIG_KEYS_MAX = 128 };

/* Who has set a key. */
struct config_origin {
	enum config_from { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE } from;
	int line;    /* FROM_FILE. */
	bool is_bad; /* What was set was refused: the field says something else. */
};

struct listen_address {
	char name[32]; /* Of the key: "default" in listeners.tcp.default. */
	char host[64]; /* Numeric address; empty: all. */
	uint16_t port;
	struct config_origin origin;
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
	bool has_metrics;
	char metrics_ip[CONFIG_TEXT_MAX];
	uint64_t metrics_port;
	char node_name[CONFIG_TEXT_MAX];
	char log_file[CONFIG_TEXT_MAX];
	enum log_format log_format;
	enum log_level log_level;
	/* Not settings: where they came from. */
	const char *file;                              /* Borrowed; NULL: none. */
	struct config_origin origins[CONFIG_KEYS_MAX]; /* In the order of the keys. */
	struct config_origin reading;                  /* What is being set. */
};

/* Where settings come from besides defaults and environment. */
struct config_source {
	const char *file;     /* NULL: none. */
	const char *data_dir; /* From the command line; NULL: not given. */
	const char *port;
};

void config_init(struct config *config);

/* Defaults, then file, environment and command line, then config_check(). Like those below, false
 * if something is wrong: then mistakes has a line for each, which names file and line, or the
 * variable, or the option; what is right has been taken. source->file must outlive the config. */
bool config_load(struct config *config, const struct config_source *source,
		 struct mistakes *mistakes);
bool config_read_file(struct config *config, const char *path, struct mistakes *mistakes);
bool config_read_environment(struct config *config, char *const *environment,
			     struct mistakes *mistakes);

/* What no single key can tell: that the keys fit together. */
bool config_check(const struct config *config, struct mistakes *mistakes);

/* One key. False, and why, in one line: nothing has been set. */
bool config_set(struct config *config, const char *key, const char *value, char *why,
		size_t why_size);

/* A mistake in the key whose value is at field, somewhere within config: `FILE:LINE: KEY: ...`. If
 * that value has been refused already, this is not said in addition. */
__attribute__((format(printf, 4, 5))) void config_blame(const struct config *config,
							const void *field,
							struct mistakes *mistakes,
							const char *format, ...);

/* Whether nobody has set the key whose value is at field. */
bool config_is_default(const struct config *config, const void *field);

/* Takes over from `from` every key that may change while the broker runs. Returns how many differ
 * that may not, and writes their names to names, with commas between. */
size_t config_reload(struct config *config, const struct config *from, char *names, size_t size);

/* The keys, from 0; NULL: there are no more. *kind is what it takes: "text", "number", "bytes",
 * "flag", "fraction", "address", or a list of words with bars between. */
const char *config_key(size_t i, const char **kind);

/* The value of key i (config_key()), as a file would say it; what is secret is "***". False: there are
 * no more. */
bool config_value(const struct config *config, size_t i, char *text, size_t size);

/* Writes the table of all keys as Markdown. */
void config_document(FILE *out);

#endif
