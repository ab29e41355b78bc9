#include "server/log.h"

#include "net/clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARNING] = "warning",
	[LOG_ERROR] = "error", [LOG_NONE] = "none",
};

static struct {
	FILE *file; /* NULL: standard error. */
	enum log_level level;
} out = { .level = LOG_INFO };

int log_open(const char *path)
{
	FILE *file = NULL;
	if (path != NULL && path[0] != '\0') {
		file = fopen(path, "ae");
		if (file == NULL)
			return -1;
		setvbuf(file, NULL, _IOLBF, 0);
	}
	if (out.file != NULL)
		fclose(out.file);
	out.file = file;
	return 0;
}

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

/* A quoted value: control characters, quotes and bytes beyond ASCII that are not letters of a
 * terminal stay out of it. */
static void put_quoted(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < ' ' || *p == 127)
			fprintf(f, "\\x%02x", *p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

static void put_line(enum log_level level, const char *peer, const char *text)
{
	FILE *f = out.file != NULL ? out.file : stderr;
	uint64_t now = clock_unix_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	char stamp[32];
	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(f, "time=%s.%03uZ level=%s", stamp, (unsigned)(now % 1000), level_names[level]);
	if (peer != NULL)
		fprintf(f, " peer=%s", peer);
	fputs(" msg=", f);
	put_quoted(f, text);
	fputc('\n', f);
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
	put_line(level, NULL, text);
}

void log_peer(enum log_level level, const char *peer, const char *text)
{
	if (level >= out.level)
		put_line(level, peer, text);
}
