#include "server/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64], text[65536];

static void begin(void)
{
	snprintf(path, sizeof path, "/tmp/leveret-log.XXXXXX");
	int fd = mkstemp(path);
	cr_assert_neq(fd, -1);
	close(fd);
	cr_assert_eq(log_open(path), 0);
	log_set_level(LOG_INFO);
}

static const char *written(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static void finish(void)
{
	log_open(NULL);
	unlink(path);
}

Test(log, escapes_what_could_forge_a_line_or_drive_a_terminal)
{
	begin();
	log_line(LOG_INFO, "a\nb\"c\\d\x1b[2J");
	log_line(LOG_INFO, "m\xc3\xbcller"); /* UTF-8. */
	log_line(LOG_INFO, "\xc2\x9b"
			   "1m \xe2\x80\xae"); /* CSI, right-to-left override. */
	log_line(LOG_INFO, "\xff\xc3\xbc");    /* Not UTF-8. */
	const char *log = written();
	cr_assert(strstr(log, "msg=\"a\\x0ab\\\"c\\\\d\\x1b[2J\"\n"), "%s", log);
	cr_assert(strstr(log, "msg=\"m\xc3\xbcller\"\n"), "%s", log);
	cr_assert(strstr(log, "msg=\"\\xc2\\x9b1m \\xe2\\x80\\xae\"\n"), "%s", log);
	cr_assert(strstr(log, "msg=\"\\xff\\xc3\\xbc\"\n"), "%s", log);
	finish();
}

Test(log, a_long_line_is_cut_and_ends)
{
	static char peer[1000];
	begin();
	memset(peer, '\x01', sizeof peer - 1);
	log_peer(LOG_INFO, "127.0.0.1:1", peer);
	const char *log = written();
	size_t len = strlen(log);
	cr_assert_leq(len, 4096);
	cr_assert_str_eq(log + len - 2, "\"\n");
	finish();
}

Test(log, strangers_get_a_line_a_second_of_each_kind)
{
	static const char one[] = "one", other[] = "other";
	begin();
	for (uint64_t i = 0; i < 100; i++)
		log_stranger(LOG_INFO, one, "p", "first", 1000 + i);
	log_stranger(LOG_INFO, other, "p", "second", 1050);
	log_stranger(LOG_INFO, one, "p", "third", 2000);
	const char *log = written();
	cr_assert(strstr(log, "msg=\"first\""), "%s", log);
	cr_assert_eq(strstr(strstr(log, "first") + 1, "first"), NULL);
	cr_assert(strstr(log, "msg=\"second\""), "%s", log);
	cr_assert(strstr(log, "third (and 99 of its kind before, not logged)"), "%s", log);
	finish();
}

Test(log, does_not_wait_for_a_pipe_that_nobody_reads)
{
	char fifo[64];
	snprintf(fifo, sizeof fifo, "/tmp/leveret-log-fifo.%d", (int)getpid());
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	int reader = open(fifo, O_RDONLY | O_NONBLOCK);
	cr_assert_eq(log_open(fifo), 0);
	for (int i = 0; i < 2000; i++)
		log_line(LOG_INFO, "a line of some length, so that the pipe is full after a while");
	size_t len = 0;
	for (ssize_t n; (n = read(reader, text, sizeof text)) > 0;)
		len += (size_t)n;
	cr_assert_gt(len, 0);
	log_line(LOG_INFO, "again");
	ssize_t n = read(reader, text, sizeof text - 1);
	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert(strstr(text, "lines before this could not be written"), "%s", text);
	cr_assert(strstr(text, "again"), "%s", text);
	log_open(NULL);
	close(reader);
	unlink(fifo);
}
