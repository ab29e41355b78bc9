#include "server/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static char why[700];

static bool read_text(const char *text)
{
	char path[] = "/tmp/leveret-config.XXXXXX";
	int fd = mkstemp(path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	why[0] = '\0';
	config_init(&config);
	bool is_good = config_read_file(&config, path, why, sizeof why);
	unlink(path);
	return is_good;
}

Test(config, defaults_are_safe)
{
	config_init(&config);
	cr_assert_eq(config.tcp.len, 1);
	cr_assert_str_eq(config.tcp.items[0].host, "127.0.0.1");
	cr_assert_eq(config.tcp.items[0].port, 5672);
	cr_assert_eq(config.ssl.len, 0);
	cr_assert(config.guest_loopback_only);
	cr_assert(config_check(&config, why, sizeof why));
}

Test(config, rabbitmqs_keys_and_units_are_understood)
{
	cr_assert(read_text("# comment\nlisteners.tcp.default = 5673\nlisteners.tcp.v6 = "
			    "[::1]:5674\nheartbeat = 30\n"
			    "max_message_size = 16MiB\nvm_memory_high_watermark.relative = "
			    "0.4\ndisk_free_limit.absolute = 2GB\n"
			    "loopback_users.guest = false\nlog.level = debug\n"),
		  "%s", why);
	cr_assert_eq(config.tcp.len, 2);
	cr_assert_str_eq(config.tcp.items[0].host, "");
	cr_assert_str_eq(config.tcp.items[1].host, "::1");
	cr_assert_eq(config.message_max_bytes, 16 << 20);
	cr_assert_eq(config.disk_free_bytes, 2000000000);
	cr_assert_not(config.guest_loopback_only);
	cr_assert_eq(config.log_level, LOG_DEBUG);
}

Test(config, mistakes_name_file_and_line)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "heartbeat = 30\nhartbeat = 3\n", ":2: unknown key 'hartbeat'" },
		{ "frame_max = 12\n", ":1: frame_max = 12: expected a whole number" },
		{ "heartbeat = -1\n", "expected a whole number from 0 to 65535" },
		{ "heartbeat = 5s\n", "expected a whole number" },
		{ "listeners.tcp.default = localhost:5672\n", "expected a port" },
		{ "listeners.tcp.default = 70000\n", "expected a port" },
		{ "ssl_options.verify = yes\n", "expected verify_peer or verify_none" },
		{ "loopback_users.guest = maybe\n", "expected true or false" },
		{ "vm_memory_high_watermark.relative = 1.5\n", "above 0 and at most 1" },
		{ "disk_free_limit.absolute = 99999999999TB\n", "expected a whole number" },
		{ "[section]\nheartbeat = 1\n", "sections are not used here" },
		{ "just words\n", ":1: expected key = value" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_not(read_text(bad[i].text), "%s", bad[i].text);
		cr_assert(strstr(why, bad[i].says) != NULL, "%s -> %s", bad[i].text, why);
	}
}

Test(config, a_line_too_long_for_its_reader_is_refused_not_cut)
{
	char text[400];
	snprintf(text, sizeof text, "heartbeat = 1\ndata_dir = %0300d\n", 0);
	cr_assert_not(read_text(text));
	cr_assert(strstr(why, ":2: line is longer") != NULL, "%s", why);
}

Test(config, environment_wins_over_the_file)
{
	char *environment[] = { "HOME=/", "LEVERET_PORT=5999", "LEVERET_LOG_LEVEL=error",
				"LEVERET_CONFIG=x", NULL };
	char *bad[] = { "LEVERET_HEARTBEAT=soon", NULL };
	cr_assert(read_text("log.level = debug\n"));
	cr_assert(config_read_environment(&config, environment, why, sizeof why));
	cr_assert_eq(config.log_level, LOG_ERROR);
	cr_assert_eq(config.tcp.items[0].port, 5999);
	cr_assert_not(config_read_environment(&config, bad, why, sizeof why));
	cr_assert(strstr(why, "LEVERET_HEARTBEAT: heartbeat = soon: expected") != NULL, "%s", why);
}

Test(config, tls_needs_its_files)
{
	cr_assert(read_text("listeners.ssl.default = 5671\n"));
	cr_assert_not(config_check(&config, why, sizeof why));
	cr_assert(strstr(why, "ssl_options.certfile") != NULL);
}

Test(config, reload_takes_what_it_may_and_names_what_it_may_not)
{
	static struct config fresh;
	config_init(&config);
	config_init(&fresh);
	fresh.heartbeat_s = 7;
	cr_assert_null(config_reload(&config, &fresh));
	cr_assert_eq(config.heartbeat_s, 7);
	fresh.queue_max = 5;
	cr_assert_str_eq(config_reload(&config, &fresh), "queue_max");
	cr_assert_neq(config.queue_max, 5);
}
