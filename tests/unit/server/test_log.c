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
	const struct log_about p = { .peer = "p" };
	for (uint64_t i = 0; i < 100; i++)
		log_stranger(LOG_INFO, one, &p, "first", 1000 + i);
	log_stranger(LOG_INFO, other, &p, "second", 1050);
	log_stranger(LOG_INFO, one, &p, "third", 2000);
	const char *log = written();
	cr_assert(strstr(log, "msg=\"first\""), "%s", log);
	cr_assert_eq(strstr(strstr(log, "first") + 1, "first"), NULL);
	cr_assert(strstr(log, "msg=\"second\""), "%s", log);
	cr_assert(strstr(log, "third (and 99 of its kind before, not logged)"), "%s", log);
	finish();
}

/* Whatever peers send, in each place: a line is a line, and nothing in it drives a terminal. */
Test(log, hostile_names_stay_in_their_fields_in_both_formats)
{
	static const char hostile[] =
		"a\nlevel=error msg=\"forged\"\r\x1b[2J\\\"},{\"msg\":\"forged\"\x7f\t";
	const struct log_about about = { .peer = "127.0.0.1:1",
					 .name = bytes_str(hostile),
					 .user = bytes_of("a\0\xff\xc3", 4),
					 .action = bytes_str("set_policy") };
	begin();
	log_about(LOG_WARNING, &about, hostile);
	log_set_format(LOG_JSON);
	log_about(LOG_WARNING, &about, hostile);
	log_about(LOG_INFO, &(struct log_about){ .user = bytes_str("m\xc3\xbcller\xe2\x80\xae") },
		  "\xc2\x9b");
	log_set_format(LOG_LOGFMT);
	const char *log = written();
	size_t lines = 0;
	for (const char *p = log; *p != '\0'; p++) {
		lines += *p == '\n';
		cr_assert(*p == '\n' || ((unsigned char)*p >= ' ' && *p != 127), "%s", log);
	}
	cr_assert_eq(lines, 3);
	cr_assert(strstr(log, " level=warning peer=127.0.0.1:1 name=\"a\\x0alevel=error "
			      "msg=\\\"forged\\\"\\x0d\\x1b[2J\\\\\\\"},") != NULL,
		  "%s", log);
	cr_assert(strstr(log, " user=\"a\\x00\\xff\\xc3\" action=\"set_policy\" msg=\"a\\x0alevel") !=
			  NULL,
		  "%s", log);
	cr_assert(strstr(log,
			 ",\"level\":\"warning\",\"peer\":\"127.0.0.1:1\",\"name\":\"a\\u000alevel="
			 "error msg=\\\"forged\\\"\\u000d\\u001b[2J\\\\\\\"},{\\\"msg") != NULL,
		  "%s", log);
	cr_assert(strstr(log, "\"user\":\"a\\u0000\\ufffd\\ufffd\",\"action\":\"set_policy\","
			      "\"msg\":\"") != NULL,
		  "%s", log);
	cr_assert(strstr(log, "\"user\":\"m\xc3\xbcller\\u202e\",\"msg\":\"\\u009b\"}\n") != NULL,
		  "%s", log);
	finish();
}

/* The longest values of all fields leave room for the message, and the line's end. */
Test(log, long_values_are_cut_each_and_lines_end_whole)
{
	static char name[5000];
	memset(name, '\x01', sizeof name - 1);
	const struct log_about about = { .peer = "127.0.0.1:1",
					 .name = bytes_str(name),
					 .user = bytes_str(name) };
	for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
		begin();
		log_set_format((enum log_format)format);
		log_about(LOG_INFO, &about, name);
		log_set_format(LOG_LOGFMT);
		const char *log = written();
		size_t len = strlen(log);
		cr_assert_leq(len, 4096);
		cr_assert_geq(len, 4080);
		cr_assert_str_eq(log + len - (format == LOG_JSON ? 3 : 2),
				 format == LOG_JSON ? "\"}\n" : "\"\n");
		cr_assert_eq(strchr(log, '\n'), log + len - 1);
		finish();
	}
}

Test(log, its_last_lines_can_be_read_again)
{
	struct log_entry e;
	uint64_t others = log_tail(LOG_DEBUG, 0); /* Of tests in the same process. */
	begin();
	log_line(LOG_DEBUG, "not said");
	log_line(LOG_INFO, "one");
	log_line(LOG_ERROR, "two");
	cr_assert(log_next(others, LOG_DEBUG, &e));
	cr_assert_eq(e.level, LOG_INFO);
	cr_assert(memmem(e.line, e.len, " level=info msg=\"one\"", 21) != NULL);
	cr_assert_eq(e.line[e.len - 1], '"');
	cr_assert(log_next(e.sequence, LOG_DEBUG, &e));
	cr_assert_eq(e.level, LOG_ERROR);
	cr_assert_not(log_next(e.sequence, LOG_DEBUG, &e));
	cr_assert_eq(log_tail(LOG_DEBUG, 1), e.sequence - 1);
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
