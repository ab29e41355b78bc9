#include "server/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct mistakes mistakes;

/* Also where all tests share a process. */
static void forget_mistakes(void)
{
	mistakes_fini(&mistakes);
}

TestSuite(config, .init = forget_mistakes, .fini = forget_mistakes);

static bool read_text(const char *text)
{
	static char path[40]; /* The configuration keeps a view of it. */
	snprintf(path, sizeof path, "/tmp/leveret-config.XXXXXX");
	int fd = mkstemp(path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	mistakes_fini(&mistakes);
	config_init(&config);
	bool is_good = config_read_file(&config, path, &mistakes);
	unlink(path);
	return is_good;
}

static const char *first(void)
{
	return mistakes.kept == 0 ? "" : mistakes.lines[0];
}

static bool is_told(const char *what)
{
	for (size_t i = 0; i < mistakes.kept; i++)
		if (strstr(mistakes.lines[i], what) != NULL)
			return true;
	return false;
}

Test(config, defaults_are_safe)
{
	config_init(&config);
	cr_assert_eq(config.tcp.len, 1);
	cr_assert_str_eq(config.tcp.items[0].host, "127.0.0.1");
	cr_assert_eq(config.tcp.items[0].port, 5672);
	cr_assert_eq(config.ssl.len, 0);
	cr_assert(config.guest_loopback_only);
	cr_assert(config_check(&config, &mistakes));
}

Test(config, rabbitmqs_keys_and_units_are_understood)
{
	cr_assert(read_text("# comment\nlisteners.tcp.default = 5673\nlisteners.tcp.v6 = "
			    "[::1]:5674\nheartbeat = 30\n"
			    "max_message_size = 16MiB\nvm_memory_high_watermark.relative = "
			    "0.4\ndisk_free_limit.absolute = 2GB\n"
			    "loopback_users.guest = false\nlog.level = debug\n"),
		  "%s", first());
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
		cr_assert(strstr(first(), bad[i].says) != NULL, "%s -> %s", bad[i].text, first());
	}
}

Test(config, a_line_too_long_for_its_reader_is_refused_not_cut)
{
	char text[400];
	snprintf(text, sizeof text, "heartbeat = 1\ndata_dir = %0300d\n", 0);
	cr_assert_not(read_text(text));
	cr_assert(strstr(first(), ":2: line is longer") != NULL, "%s", first());
}

Test(config, environment_wins_over_the_file)
{
	char *environment[] = { "HOME=/", "LEVERET_PORT=5999", "LEVERET_LOG_LEVEL=error",
				"LEVERET_CONFIG=x", NULL };
	char *bad[] = { "LEVERET_HEARTBEAT=soon", NULL };
	cr_assert(read_text("log.level = debug\n"));
	cr_assert(config_read_environment(&config, environment, &mistakes));
	cr_assert_eq(config.log_level, LOG_ERROR);
	cr_assert_eq(config.tcp.items[0].port, 5999);
	cr_assert_not(config_read_environment(&config, bad, &mistakes));
	cr_assert(strstr(first(), "LEVERET_HEARTBEAT: heartbeat = soon: expected") != NULL, "%s",
		  first());
}

Test(config, tls_needs_its_files)
{
	cr_assert(read_text("listeners.ssl.default = 5671\n"));
	cr_assert_not(config_check(&config, &mistakes));
	cr_assert(strstr(first(), "ssl_options.certfile") != NULL);
}

static void add(char *text, size_t size, const char *format, const char *key, const char *value)
{
	size_t len = strlen(text);
	snprintf(text + len, size - len, format, key, value);
}

/* Values that a key of this kind must not take; the last one is NULL. */
static const char *const *wrong_values(const char *kind)
{
	static const char *const numbers[] = { "",    "x",    "-1",   "1.5",
					       "1 2", "0x10", "true", "99999999999999999999999",
					       NULL };
	static const char *const words[] = { "", "x", "1", "TRUE", "yes", "true false", NULL };
	static const char *const fractions[] = {
		"", "x", "0", "-0.5", "1.01", "0.5x", "nan", NULL
	};
	static const char *const addresses[] = {
		"", "x", "0", "65536", "localhost:1", "1.2.3:1", "[::1]", "::1:x", "1.2.3.4:", NULL
	};
	static const char *const none[] = { NULL };
	return strcmp(kind, "text") == 0       ? none
	       : strcmp(kind, "number") == 0   ? numbers
	       : strcmp(kind, "bytes") == 0    ? numbers
	       : strcmp(kind, "fraction") == 0 ? fractions
	       : strcmp(kind, "address") == 0  ? addresses
					       : words;
}

/* Each alone, and all of them in one file: each is told, and what is beside them is taken. */
Test(config, every_key_refuses_every_wrong_value_and_all_are_told)
{
	static char all[65536];
	const char *kind, *name;
	size_t lines = 0, texts = 0;
	for (size_t i = 0; (name = config_key(i, &kind)) != NULL; i++) {
		const char *const *wrong = wrong_values(kind);
		char key[80];
		size_t len = strlen(name);
		snprintf(key, sizeof key, "%.*s%s", (int)len - (name[len - 1] == '*'), name,
			 name[len - 1] == '*' ? "x" : "");
		texts += wrong[0] == NULL;
		for (; *wrong != NULL; wrong++, lines++) {
			char one[200] = "";
			add(one, sizeof one, "%s = %s\n", key, *wrong);
			cr_assert_not(read_text(one), "%s", one);
			cr_assert_eq(mistakes.len, 1, "%s", one);
			cr_assert(strstr(first(), ":1: ") != NULL, "%s", first());
			cr_assert(strstr(first(), key) != NULL, "%s", first());
			cr_assert(strstr(first(), "expected ") != NULL, "%s", first());
			add(all, sizeof all, "%s = %s\n", key, *wrong);
		}
	}
	cr_assert_gt(lines, 200);
	cr_assert_gt(texts, 5);
	add(all, sizeof all, "%s = %s\n", "cluster_name", "good");
	cr_assert_not(read_text(all));
	cr_assert_eq(mistakes.len, lines, "%zu of %zu", mistakes.len, lines);
	for (size_t i = 0; i < lines; i++) {
		char line[32];
		snprintf(line, sizeof line, ":%zu: ", i + 1);
		cr_assert(strstr(mistakes.lines[i], line) != NULL, "%s", mistakes.lines[i]);
	}
	cr_assert_str_eq(config.cluster_name, "good");
}

/* In a file lines are short; a variable is not. */
Test(config, a_text_has_its_length)
{
	static char variable[700] = "LEVERET_DEFAULT_USER=", *environment[] = { variable, NULL };
	memset(variable + strlen(variable), 'x', CONFIG_TEXT_MAX - 1);
	config_init(&config);
	cr_assert(config_read_environment(&config, environment, &mistakes));
	strcat(variable, "x");
	cr_assert_not(config_read_environment(&config, environment, &mistakes));
	cr_assert(strstr(first(), "LEVERET_DEFAULT_USER: default_user") != NULL, "%s", first());
	cr_assert(strstr(first(), "expected fewer than 512 characters") != NULL, "%s", first());
}

Test(config, what_does_not_fit_together_is_told_with_the_line_that_said_it)
{
	static char variable[] = "LEVERET_DEFAULT_PASS=", *environment[] = { variable, NULL };
	cr_assert(read_text("listeners.tcp.a = 5673\n"
			    "listeners.tcp.b = 127.0.0.1:5673\n"
			    "listeners.tcp.c = [::1]:5673\n" /* Fits. */
			    "listeners.ssl.a = [::1]:5673\n"
			    "listeners.ssl.b = [::]:5674\n"
			    "listeners.ssl.c = 10.0.0.1:5674\n"
			    "\n"
			    "ssl_options.verify = verify_peer\n"
			    "data_dir =\n"
			    "default_vhost =\n"
			    "default_user =\n"),
		  "%s", first());
	cr_assert(config_read_environment(&config, environment, &mistakes));
	cr_assert_not(config_check(&config, &mistakes));
	cr_assert(is_told(":2: listeners.tcp.b: port 5673 is that of listeners.tcp.a"));
	cr_assert(is_told(":4: listeners.ssl.a: port 5673 is that of listeners.tcp.c"));
	cr_assert(is_told(":6: listeners.ssl.c: port 5674 is that of listeners.ssl.b"));
	cr_assert(is_told(":4: listeners.ssl.a: needs ssl_options.certfile and"));
	cr_assert(is_told(":8: ssl_options.verify: verify_peer needs ssl_options.cacertfile"));
	cr_assert(is_told(":9: data_dir: must not be empty"));
	cr_assert(is_told(":10: default_vhost: must not be empty"));
	cr_assert(is_told(":11: default_user: must not be empty"));
	cr_assert(is_told("LEVERET_DEFAULT_PASS: default_pass: must not be empty"));
	cr_assert_eq(mistakes.len, 9);
	cr_assert(read_text("auth_mechanisms.external = true\n"));
	cr_assert_not(config_check(&config, &mistakes));
	cr_assert(is_told(":1: auth_mechanisms.external: needs ssl_options.verify"));
}

Test(config, management_wants_a_port_of_its_own_and_its_certificate)
{
	cr_assert(read_text("listeners.tcp.a = 15672\nlisteners.ssl.a = [::1]:5674\n"
			    "management.ssl.port = 5674\nmanagement.ssl.ip = ::1\n"
			    "management.tcp.ip = here\nmanagement.ssl.certfile = x\n"
			    "ssl_options.certfile = x\n"),
		  "%s", first());
	cr_assert_not(config_check(&config, &mistakes));
	cr_assert(is_told(":3: management.ssl.port: port 5674 is that of listeners.ssl.a"));
	cr_assert(is_told(":3: management.ssl.port: needs management.ssl.certfile and"));
	cr_assert(is_told(":5: management.tcp.ip: expected a numeric address"));
	cr_assert(read_text("listeners.tcp.a = 15672\n"));
	cr_assert_not(config_check(&config, &mistakes));
	cr_assert_str_eq(first(), "management.tcp.port: port 15672 is that of listeners.tcp.a");
	cr_assert(read_text("listeners.tcp.a = 15672\nmanagement.enabled = false\n"));
	cr_assert(config_check(&config, &mistakes));
}

Test(config, a_listener_is_said_once)
{
	cr_assert_not(read_text("listeners.tcp.default = 5673\nlisteners.tcp.default = 5674\n"));
	cr_assert(strstr(first(), ":2: listeners.tcp.default = 5674: expected each listener once"),
		  "%s", first());
	cr_assert_eq(config.tcp.items[0].port, 5673);
}

/* What was refused leaves the default, which is nobody's mistake. */
Test(config, a_refused_value_is_blamed_once)
{
	cr_assert_not(read_text("log.level = loud\n"));
	config_blame(&config, &config.log_level, &mistakes, "not seen");
	config_blame(&config, &config.heartbeat_s, &mistakes, "seen");
	cr_assert_eq(mistakes.len, 2);
	cr_assert_str_eq(mistakes.lines[1], "heartbeat: seen");
}

Test(config, odd_files_are_read_line_by_line)
{
	cr_assert_not(read_text("  heartbeat = 7\n\n[a]\n; comment\r\ncluster_name = x ; comment\n"
				"= 3\nheartbeat\n[b\nframe_max = 8192\r\nqueue_max = 0"));
	cr_assert_eq(mistakes.len, 5);
	cr_assert(is_told(":3: sections are not used here ('[a]')"));
	cr_assert(is_told(":6: unknown key ''"));
	cr_assert(is_told(":7: expected key = value"));
	cr_assert(is_told(":8: sections are not used here ('[b')"));
	cr_assert(is_told(":10: queue_max = 0: expected a whole number from 1 to"));
	cr_assert_eq(config.heartbeat_s, 7);
	cr_assert_eq(config.frame_max_bytes, 8192);
	cr_assert_str_eq(config.cluster_name, "x");
	mistakes_fini(&mistakes);
	cr_assert_not(config_read_file(&config, "/", &mistakes));
	cr_assert_str_eq(first(), "/: Is a directory");
}

Test(config, mistakes_without_end_are_counted)
{
	for (size_t i = 0; i < MISTAKES_MAX + 5; i++)
		mistakes_add(&mistakes, "%zu", i);
	cr_assert_eq(mistakes.kept, MISTAKES_MAX);
	cr_assert_eq(mistakes.len, MISTAKES_MAX + 5);
	mistakes_fini(&mistakes);
	cr_assert_eq(mistakes.len, 0);
}

Test(config, reload_takes_what_it_may_and_names_all_that_it_may_not)
{
	static struct config fresh;
	char names[300];
	config_init(&config);
	config_init(&fresh);
	fresh.heartbeat_s = 7;
	fresh.tcp.items[0].origin.line = 5; /* It has moved in the file, no more. */
	cr_assert_eq(config_reload(&config, &fresh, names, sizeof names), 0);
	cr_assert_str_empty(names);
	cr_assert_eq(config.heartbeat_s, 7);
	fresh.queue_max = 5;
	fresh.tcp.items[0].port++;
	strcpy(fresh.default_user, "other");
	cr_assert_eq(config_reload(&config, &fresh, names, sizeof names), 3);
	cr_assert_str_eq(names, "listeners.tcp.*, default_user, queue_max");
	cr_assert_neq(config.queue_max, 5);
	cr_assert_eq(config_reload(&config, &fresh, names, 20), 3);
	cr_assert_str_eq(names, "listeners.tcp.*");
}
