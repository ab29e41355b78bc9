/* The screen is drawn anew each second into one piece of text, as large as the terminal is at that
 * moment: lines are cut, never wrapped. Where the output is no terminal it is written once. */
#include "ctl/top.h"

#include "ctl/fetch.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { HEAD_LINES = 5, QUEUES_MAX = 500, PATH_BYTES = 2048, FALLBACK_ROWS = 24, FALLBACK_COLUMNS = 80 };

struct screen {
	char *text;
	size_t size;
	FILE *out;
	unsigned rows, columns, used;
	bool is_terminal;
};

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
	(void)number;
	is_interrupted = 1;
}

/* --- the terminal --- */

static struct termios before;

/* Letters come at once and are not shown. False: there is no keyboard. */
static bool take_keyboard(void)
{
	struct termios raw;
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void begin(struct screen *s)
{
	struct winsize size;
	bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
			size.ws_col > 0;
	*s = (struct screen){ .rows = is_known ? size.ws_row : FALLBACK_ROWS,
			      .columns = is_known ? size.ws_col : FALLBACK_COLUMNS,
			      .is_terminal = isatty(STDOUT_FILENO) };
	s->out = open_memstream(&s->text, &s->size);
	if (s->out == NULL)
		abort();
	if (s->is_terminal)
		fputs("\033[H", s->out);
}

/* One line, cut at the edge between two characters; control characters become dots. */
static void put_line(struct screen *s, const char *text)
{
	unsigned width = 0;
	if (s->is_terminal && s->used == s->rows)
		return;
	if (s->used++ > 0)
		putc('\n', s->out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c & 0xc0) != 0x80 && ++width > s->columns)
			break;
		putc(c < ' ' || c == 0x7f ? '.' : c, s->out);
	}
	if (s->is_terminal)
		fputs("\033[K", s->out);
}

__attribute__((format(printf, 2, 3))) static void put(struct screen *s, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	put_line(s, line);
}

static void show(struct screen *s)
{
	if (!s->is_terminal)
		putc('\n', s->out);
	else
		fputs("\033[J", s->out);
	fclose(s->out);
	fwrite(s->text, 1, s->size, stdout);
	fflush(stdout);
	free(s->text);
}

/* --- what is on it --- */

static json_int_t int_at(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text == NULL ? "" : text;
}

static double rate(const json_t *stats, const char *name)
{
	char details[64];
	snprintf(details, sizeof details, "%s_details", name);
	return json_number_value(json_object_get(json_object_get(stats, details), "rate"));
}

static void put_head(struct screen *s, const json_t *overview, const json_t *node)
{
	const json_t *totals = json_object_get(overview, "object_totals");
	const json_t *queues = json_object_get(overview, "queue_totals");
	const json_t *stats = json_object_get(overview, "message_stats");
	bool is_alarmed = json_is_true(json_object_get(node, "mem_alarm")) ||
			  json_is_true(json_object_get(node, "disk_free_alarm"));
	put(s, "%s  up %lld s  memory %lld of %lld MiB  disk %lld GiB free%s", text_at(overview, "node"),
	    int_at(node, "uptime") / 1000, int_at(node, "mem_used") >> 20,
	    int_at(node, "mem_limit") >> 20, int_at(node, "disk_free") >> 30,
	    is_alarmed ? "  ALARM: publishers wait" : "");
	put(s, "connections %lld  channels %lld  consumers %lld  queues %lld",
	    int_at(totals, "connections"), int_at(totals, "channels"), int_at(totals, "consumers"),
	    int_at(totals, "queues"));
	put(s, "messages %lld: %lld ready, %lld unacked", int_at(queues, "messages"),
	    int_at(queues, "messages_ready"), int_at(queues, "messages_unacknowledged"));
	put(s, "a second: %.0f published, %.0f confirmed, %.0f delivered, %.0f acked",
	    rate(stats, "publish"), rate(stats, "confirm"), rate(stats, "deliver_get"),
	    rate(stats, "ack"));
}

static void put_queue(struct screen *s, const json_t *q)
{
	const json_t *stats = json_object_get(q, "message_stats");
	put(s, "%10lld %9lld %6lld %8.0f %8.0f  %s%s%s", int_at(q, "messages_ready"),
	    int_at(q, "messages_unacknowledged"), int_at(q, "consumers"), rate(stats, "publish"),
	    rate(stats, "deliver_get"), text_at(q, "name"),
	    strcmp(text_at(q, "vhost"), "/") == 0 ? "" : "  in ",
	    strcmp(text_at(q, "vhost"), "/") == 0 ? "" : text_at(q, "vhost"));
}

static json_t *ask_queues(const struct options *o, unsigned rows, int *status)
{
	char path[PATH_BYTES] = "/api/queues";
	unsigned len = rows > HEAD_LINES ? rows - HEAD_LINES : 1;
	if (o->vhost != NULL) {
		strcat(path, "/");
		fetch_escape(path, sizeof path, o->vhost);
	}
	size_t at = strlen(path);
	snprintf(path + at, sizeof path - at,
		 "?page=1&page_size=%u&sort=messages&sort_reverse=true&columns=name,vhost,"
		 "messages_ready,messages_unacknowledged,consumers,message_stats",
		 len > QUEUES_MAX ? QUEUES_MAX : len);
	return fetch_or_tell(o, path, status);
}

static int draw(const struct options *o)
{
	struct screen s;
	int status = 0;
	size_t i;
	const json_t *q;
	char path[600] = "/api/nodes/";
	begin(&s);
	json_t *overview = fetch_or_tell(o, "/api/overview", &status);
	fetch_escape(path, sizeof path, text_at(overview, "node"));
	json_t *node = status == 0 ? fetch_or_tell(o, path, &status) : NULL;
	json_t *queues = status == 0 ? ask_queues(o, s.rows, &status) : NULL;
	if (status == 0) {
		put_head(&s, overview, node);
		put(&s, "%10s %9s %6s %8s %8s  %s", "ready", "unacked", "cons", "in/s", "out/s",
		    "queue (q ends)");
		json_array_foreach(json_object_get(queues, "items"), i, q) put_queue(&s, q);
	}
	json_decref(overview);
	json_decref(node);
	json_decref(queues);
	show(&s);
	return status;
}

/* --- life --- */

/* False: it is to end. */
static bool rest(long seconds, bool has_keyboard)
{
	struct pollfd keyboard = { .fd = STDIN_FILENO, .events = POLLIN };
	char key = 0;
	int n = poll(&keyboard, has_keyboard ? 1 : 0, (int)(seconds * 1000));
	if (is_interrupted)
		return false;
	if (n <= 0)
		return true;
	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3 && key != 4;
}

int top_run(const struct options *o, const struct verb *v)
{
	long interval_s = o->interval <= 0 ? 1 : o->interval > 3600 ? 3600 : o->interval;
	bool is_terminal = isatty(STDOUT_FILENO);
	bool has_keyboard = is_terminal && take_keyboard();
	struct sigaction action = { .sa_handler = on_signal };
	int status;
	(void)v;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (is_terminal)
		fputs("\033[?25l\033[2J", stdout);
	do {
		status = draw(o);
	} while (status == 0 && is_terminal && rest(interval_s, has_keyboard));
	if (is_terminal)
		fputs("\033[?25h\n", stdout);
	if (has_keyboard)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return status;
}
