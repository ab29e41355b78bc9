#include "server/log.h"

#include "base/bytes.h"
#include "net/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert((int)LOG_LINE_BYTES == (int)LOG_TEXT_MAX, "the ring takes whole lines");
static_assert((int)LOG_RING_LEVELS == (int)LOG_NONE, "each level has its part");

enum {
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

/* All but the ring under the mutex. */
static struct {
	pthread_mutex_t mutex;
	int fd;
	bool is_own;  /* To be closed. */
	bool is_torn; /* The last line was not written to its end. */
	uint64_t lost;
	enum log_level level;
	enum log_format format;
	struct kind kinds[KINDS_MAX];
	size_t kinds_len;
} out = { .mutex = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .level = LOG_INFO };

static struct log_ring ring = LOG_RING_EMPTY;

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
	pthread_mutex_lock(&out.mutex);
	if (out.is_own)
		close(out.fd);
	out.is_own = fd != -1;
	out.fd = fd != -1 ? fd : STDERR_FILENO;
	out.is_torn = false;
	pthread_mutex_unlock(&out.mutex);
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

static void put_time(struct log_text *l, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;
	char stamp[32], text[64];
	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03uZ", stamp, (unsigned)(unix_ms % 1000));
	log_text_field(l, "time", bytes_str(text), true);
}

static void put_line(enum log_level level, const struct log_about *about, const char *text)
{
	struct log_text l;
	log_text_begin(&l, out.format);
	put_time(&l, clock_unix_ms());
	log_text_field(&l, "level", bytes_str(level_names[level]), true);
	if (about->peer != NULL && about->peer[0] != '\0')
		log_text_field(&l, "peer", bytes_str(about->peer), true);
	if (about->name.len > 0)
		log_text_field(&l, "name", about->name, false);
	if (about->user.len > 0)
		log_text_field(&l, "user", about->user, false);
	if (about->action.len > 0)
		log_text_field(&l, "action", about->action, false);
	log_text_end(&l, "msg", bytes_str(text));
	out.lost += !write_line(l.text, l.len);
	log_ring_put(&ring, level, l.text, l.len - 1);
}

static const struct log_about nothing;

/* What was lost is said with the first line that can be written again. */
static void tell_lost(void)
{
	char text[80];
	uint64_t lost = out.lost;
	if (lost == 0)
		return;
	snprintf(text, sizeof text, "%llu lines before this could not be written",
		 (unsigned long long)lost);
	put_line(LOG_WARNING, &nothing, text);
	if (out.lost == lost)
		out.lost = 0;
	else
		out.lost = lost; /* That one was not asked for. */
}

/* --- the interface --- */

void log_set_level(enum log_level level)
{
	pthread_mutex_lock(&out.mutex);
	out.level = level;
	pthread_mutex_unlock(&out.mutex);
}

void log_set_format(enum log_format format)
{
	pthread_mutex_lock(&out.mutex);
	out.format = format;
	pthread_mutex_unlock(&out.mutex);
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

void log_about(enum log_level level, const struct log_about *about, const char *text)
{
	pthread_mutex_lock(&out.mutex);
	if (level >= out.level) {
		tell_lost();
		put_line(level, about, text);
	}
	pthread_mutex_unlock(&out.mutex);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[3000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_about(level, &nothing, text);
}

void log_peer(enum log_level level, const char *peer, const char *text)
{
	const struct log_about about = { .peer = peer };
	log_about(level, &about, text);
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

/* Whether one of that kind may be said now, and how many were held back before. */
static bool is_its_turn(enum log_level level, const char *kind, uint64_t now_ms,
			uint64_t *held_back)
{
	struct kind *k = find_kind(kind);
	*held_back = 0;
	if (level < out.level)
		return false;
	if (k == NULL)
		return true;
	if (k->logged_ms != 0 && now_ms - k->logged_ms < KIND_MS) {
		k->held_back++;
		return false;
	}
	*held_back = k->held_back;
	*k = (struct kind){ .name = kind, .logged_ms = now_ms };
	return true;
}

void log_stranger(enum log_level level, const char *kind, const struct log_about *about,
		  const char *text, uint64_t now_ms)
{
	char more[1024];
	uint64_t held_back;
	pthread_mutex_lock(&out.mutex);
	bool is_said = is_its_turn(level, kind, now_ms, &held_back);
	pthread_mutex_unlock(&out.mutex);
	if (!is_said)
		return;
	snprintf(more, sizeof more, "%s (and %llu of its kind before, not logged)", text,
		 (unsigned long long)held_back);
	log_about(level, about, held_back == 0 ? text : more);
}

bool log_next(uint64_t after, enum log_level level, struct log_entry *entry)
{
	return log_ring_next(&ring, after, level, entry);
}

uint64_t log_tail(enum log_level level, size_t lines)
{
	return log_ring_tail(&ring, level, lines);
}
