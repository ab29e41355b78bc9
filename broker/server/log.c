#include "server/log.h"

#include "base/bytes.h"
#include "net/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINE_BYTES = PIPE_BUF, /* A pipe takes a line of this length whole or not at all. */
	KINDS_MAX = 32,
	KIND_MS = 1000, /* Lines of one kind of which strangers can cause many: one in this time. */
};

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARNING] = "warning",
	[LOG_ERROR] = "error", [LOG_NONE] = "none",
};

struct kind {
	const char *name; /* Compared by address. */
	uint64_t logged_ms;
	uint64_t held_back; /* Since then. */
};

static struct {
	int fd;
	bool is_own;  /* To be closed. */
	bool is_torn; /* The last line was not written to its end. */
	uint64_t lost;
	enum log_level level;
	struct kind kinds[KINDS_MAX];
	size_t kinds_len;
} out = { .fd = STDERR_FILENO, .level = LOG_INFO };

/* --- where lines go --- */

/* Standard error may be shared with others, whose description of it must not become non-blocking:
 * a pipe or terminal is opened anew. A file is not: what the C library says there (an assertion)
 * would be written over. A socket cannot be, and is asked not to wait each time. */
static int open_standard_error(void)
{
	struct stat st;
	if (fstat(STDERR_FILENO, &st) == -1 || (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)))
		return -1;
	return open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

int log_open(const char *path)
{
	bool is_file = path != NULL && path[0] != '\0';
	int fd = is_file ? open(path,
				O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
				0640)
			 : open_standard_error();
	if (is_file && fd == -1)
		return -1;
	if (out.is_own)
		close(out.fd);
	out.is_own = fd != -1;
	out.fd = fd != -1 ? fd : STDERR_FILENO;
	out.is_torn = false;
	return 0;
}

static ssize_t write_some(const char *data, size_t len)
{
	ssize_t n = send(out.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == -1 && errno == ENOTSOCK ? write(out.fd, data, len) : n;
}

/* A line goes whole, or is counted: nobody waits for who reads the log. */
static bool write_line(const char *line, size_t len)
{
	if (out.is_torn && write_some("\n", 1) != 1)
		return false;
	ssize_t n = write_some(line, len);
	out.is_torn = n > 0 && (size_t)n < len;
	return n == (ssize_t)len;
}

/* --- lines --- */

struct line {
	char text[LINE_BYTES];
	size_t len;
};

enum { TAIL_BYTES = 2 }; /* Room for the closing quote and the end of the line. */

static void put(struct line *l, const char *text, size_t len)
{
	size_t room = sizeof l->text - TAIL_BYTES - l->len;
	if (len > room)
		len = room;
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

static void put_str(struct line *l, const char *text)
{
	put(l, text, strlen(text));
}

/* How many bytes of the rest of a text make a character that may stand as it is; 0: the first byte
 * is to be escaped. Quotes would end the value. */
static size_t plain_len(const char *p, bool is_utf8)
{
	if (*p == '"' || *p == '\\' || (!is_utf8 && (*p & 0x80) != 0))
		return 0;
	return bytes_shown_len(bytes_str(p));
}

static void put_quoted(struct line *l, const char *text)
{
	bool is_utf8 = bytes_is_utf8(bytes_str(text));
	put_str(l, "\"");
	for (const char *p = text; *p != '\0';) {
		char escaped[8] = { '\\', *p };
		const char *from = p;
		size_t len = plain_len(p, is_utf8), step = len;
		if (len == 0) {
			if (*p != '"' && *p != '\\')
				snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)*p);
			from = escaped;
			len = strlen(escaped);
			step = 1;
		}
		if (l->len + len + TAIL_BYTES > sizeof l->text)
			break;
		put(l, from, len);
		p += step;
	}
	l->text[l->len++] = '"';
}

static void put_line(enum log_level level, const char *peer, const char *text)
{
	struct line l = { .len = 0 };
	uint64_t now = clock_unix_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	char stamp[32], head[96];
	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(head, sizeof head, "time=%s.%03uZ level=%s", stamp, (unsigned)(now % 1000),
		 level_names[level]);
	put_str(&l, head);
	if (peer != NULL) {
		put_str(&l, " peer=");
		put_str(&l, peer);
	}
	put_str(&l, " msg=");
	put_quoted(&l, text);
	l.text[l.len++] = '\n';
	out.lost += !write_line(l.text, l.len);
}

/* What was lost is said with the first line that can be written again. */
static void tell_lost(void)
{
	char text[80];
	uint64_t lost = out.lost;
	if (lost == 0)
		return;
	snprintf(text, sizeof text, "%llu lines before this could not be written",
		 (unsigned long long)lost);
	put_line(LOG_WARNING, NULL, text);
	if (out.lost == lost)
		out.lost = 0;
	else
		out.lost = lost; /* That one was not asked for. */
}

/* --- the interface --- */

void log_set_level(enum log_level level)
{
	out.level = level;
}

int log_level_find(const char *name, enum log_level *level)
{
	for (int i = LOG_DEBUG; i <= LOG_NONE; i++)
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[1024];
	if (level < out.level)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	tell_lost();
	put_line(level, NULL, text);
}

void log_peer(enum log_level level, const char *peer, const char *text)
{
	if (level < out.level)
		return;
	tell_lost();
	put_line(level, peer, text);
}

/* NULL: there are more kinds than places, this one is not held back. */
static struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < out.kinds_len; i++)
		if (out.kinds[i].name == name)
			return &out.kinds[i];
	if (out.kinds_len == KINDS_MAX)
		return NULL;
	out.kinds[out.kinds_len] = (struct kind){ .name = name };
	return &out.kinds[out.kinds_len++];
}

void log_stranger(enum log_level level, const char *kind, const char *peer, const char *text,
		  uint64_t now_ms)
{
	char more[1024];
	struct kind *k = find_kind(kind);
	if (level < out.level)
		return;
	if (k != NULL && k->logged_ms != 0 && now_ms - k->logged_ms < KIND_MS) {
		k->held_back++;
		return;
	}
	uint64_t held_back = k == NULL ? 0 : k->held_back;
	if (k != NULL)
		*k = (struct kind){ .name = kind, .logged_ms = now_ms };
	if (held_back == 0) {
		log_peer(level, peer, text);
		return;
	}
	snprintf(more, sizeof more, "%s (and %llu of its kind before, not logged)", text,
		 (unsigned long long)held_back);
	log_peer(level, peer, more);
}
