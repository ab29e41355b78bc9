/* A log of sagas in a file. A line for each state:
 *
 *   checksum phase step id data                  checksum: XXH3-64 of what follows it, 16
 *                                                hexadecimal digits; data: hexadecimal, or "-"
 *
 * The last line of an id holds. A last line that is cut short was never promised, and is dropped;
 * any other that is damaged makes the file unfit, for what it said is not known. When the file is
 * opened what has not finished is written to a new one, which takes its place. */
#include "base/list.h"
#include "reason.h"

#include <errno.h>
#include <fcntl.h>
#include <leveret/patterns.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DATA_BYTES_MAX = 1024 * 1024, CHECKSUM_DIGITS = 16 };

struct unfinished {
	struct list node;
	struct lev_saga_state state;
	size_t data_len;
	uint8_t *data; /* Behind the id. */
	char id[];
};

struct lev_saga_file {
	int fd;
	pthread_mutex_t lock; /* Of the file. */
	struct list unfinished;
	bool is_failed; /* A write failed: what the file holds at its end is not known. */
};

static int io_error(const char *doing)
{
	char text[128];
	return lev_fail(LEV_SYSTEM, "log of sagas: %s: %s", doing,
			strerror_r(errno, text, sizeof text));
}

/* --- lines --- */

/* The line with its newline; NULL without memory. */
static char *make_line(const char *id, const struct lev_saga_state *s, const uint8_t *data,
		       size_t data_len, size_t *len)
{
	size_t size = CHECKSUM_DIGITS + strlen(id) + 2 * data_len + 40;
	char *line = malloc(size);
	if (line == NULL)
		return NULL;
	size_t at =
		CHECKSUM_DIGITS + (size_t)snprintf(line + CHECKSUM_DIGITS, size - CHECKSUM_DIGITS,
						   " %d %u %s ", (int)s->phase, s->step, id);
	for (size_t i = 0; i < data_len; i++)
		at += (size_t)snprintf(line + at, size - at, "%02x", data[i]);
	if (data_len == 0)
		line[at++] = '-';
	char digits[CHECKSUM_DIGITS + 1];
	snprintf(digits, sizeof digits, "%016llx",
		 (unsigned long long)XXH3_64bits(line + CHECKSUM_DIGITS, at - CHECKSUM_DIGITS));
	memcpy(line, digits, CHECKSUM_DIGITS);
	line[at++] = '\n';
	*len = at;
	return line;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct unfinished *find(const struct lev_saga_file *f, const char *id)
{
	list_each (node, &f->unfinished) {
		struct unfinished *u = list_entry(node, struct unfinished, node);
		if (strcmp(u->id, id) == 0)
			return u;
	}
	return NULL;
}

static int keep(struct lev_saga_file *f, const char *id, struct lev_saga_state s,
		const char *digits)
{
	struct unfinished *u = find(f, id);
	if (s.phase == LEV_SAGA_COMPLETED || s.phase == LEV_SAGA_UNDONE) {
		if (u != NULL)
			list_remove(&u->node);
		free(u);
		return LEV_OK;
	}
	if (u != NULL) {
		u->state = s;
		return LEV_OK;
	}
	size_t id_len = strlen(id), data_len = digits[0] == '-' ? 0 : strlen(digits) / 2;
	u = malloc(sizeof *u + id_len + 1 + data_len);
	if (u == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	memcpy(u->id, id, id_len + 1);
	u->state = s;
	u->data = (uint8_t *)u->id + id_len + 1;
	u->data_len = data_len;
	for (size_t i = 0; i < data_len; i++)
		u->data[i] = (uint8_t)(hex(digits[2 * i]) << 4 | hex(digits[2 * i + 1]));
	list_push_tail(&f->unfinished, &u->node);
	return LEV_OK;
}

/* A line without its newline. */
static int take_line(struct lev_saga_file *f, char *line, size_t len)
{
	char digits[CHECKSUM_DIGITS + 1], *end;
	if (len < CHECKSUM_DIGITS + 8)
		return LEV_PROTOCOL;
	snprintf(digits, sizeof digits, "%016llx",
		 (unsigned long long)XXH3_64bits(line + CHECKSUM_DIGITS, len - CHECKSUM_DIGITS));
	if (memcmp(line, digits, CHECKSUM_DIGITS) != 0)
		return LEV_PROTOCOL;
	unsigned long phase = strtoul(line + CHECKSUM_DIGITS, &end, 10),
		      step = strtoul(end, &end, 10);
	char *id = end + 1, *data = strchr(id, ' ');
	if (data == NULL || phase > LEV_SAGA_UNDONE || step > UINT32_MAX)
		return LEV_PROTOCOL;
	*data++ = '\0';
	return keep(f, id, (struct lev_saga_state){ (enum lev_saga_phase)phase, (uint32_t)step },
		    data);
}

/* --- files --- */

static int read_all(struct lev_saga_file *f, FILE *in, const char *path)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned long number = 0;
	int rc = LEV_OK;
	for (ssize_t len; rc == LEV_OK && (len = getline(&line, &cap, in)) > 0;) {
		number++;
		if (line[len - 1] != '\n')
			break;
		line[len - 1] = '\0';
		rc = take_line(f, line, (size_t)len - 1);
		if (rc == LEV_PROTOCOL)
			rc = lev_fail(LEV_SYSTEM, "%s: line %lu is damaged", path, number);
	}
	free(line);
	return rc;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int save_to(struct lev_saga_file *f, const char *id, const struct lev_saga_state *s,
		   const void *data, size_t data_len)
{
	size_t len;
	char *line = make_line(id, s, data, data_len, &len);
	if (line == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	bool is_written = write_all(f->fd, line, len);
	free(line);
	return is_written ? LEV_OK : io_error("write");
}

static bool sync_directory(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof copy, "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_CLOEXEC);
	bool is_synced = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return is_synced;
}

/* Writes what is unfinished to a new file, and puts it into the old one's place. */
static int renew(struct lev_saga_file *f, const char *path)
{
	char new[PATH_MAX];
	int rc = LEV_OK;
	snprintf(new, sizeof new, "%s.new", path);
	f->fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (f->fd == -1)
		return io_error(new);
	if (flock(f->fd, LOCK_EX | LOCK_NB) == -1)
		return io_error("lock");
	list_each (node, &f->unfinished) {
		const struct unfinished *u = list_entry(node, struct unfinished, node);
		if (rc == LEV_OK)
			rc = save_to(f, u->id, &u->state, u->data, u->data_len);
	}
	if (rc == LEV_OK &&
	    (fsync(f->fd) == -1 || rename(new, path) == -1 || !sync_directory(path)))
		rc = io_error("put into place");
	return rc;
}

static int load(struct lev_saga_file *f, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		return io_error(path);
	FILE *in = flock(fd, LOCK_EX | LOCK_NB) == 0 ? fdopen(fd, "r") : NULL;
	if (in == NULL) {
		int rc = errno == EWOULDBLOCK
				 ? lev_fail(LEV_SYSTEM, "%s is in use by another process", path)
				 : io_error(path);
		close(fd);
		return rc;
	}
	int rc = read_all(f, in, path);
	if (rc == LEV_OK)
		rc = renew(f, path);
	fclose(in);
	return rc;
}

int lev_saga_file_open(struct lev_saga_file **out, const char *path)
{
	if (path == NULL)
		return lev_fail(LEV_INVALID, "a log of sagas needs a path");
	if (strlen(path) > PATH_MAX - 8)
		return lev_fail(LEV_INVALID, "the path is too long");
	struct lev_saga_file *f = calloc(1, sizeof *f);
	if (f == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	f->fd = -1;
	list_init(&f->unfinished);
	pthread_mutex_init(&f->lock, NULL);
	int rc = load(f, path);
	if (rc == LEV_OK)
		*out = f;
	else
		lev_saga_file_close(f);
	return rc;
}

void lev_saga_file_close(struct lev_saga_file *f)
{
	if (f == NULL)
		return;
	list_each (node, &f->unfinished)
		free(list_entry(node, struct unfinished, node));
	if (f->fd >= 0)
		close(f->fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* --- as a log --- */

static int save(void *arg, const char *id, const struct lev_saga_state *s, const void *data,
		size_t data_len)
{
	if (arg == NULL)
		return lev_fail(LEV_INVALID, "no log of sagas");
	struct lev_saga_file *f = arg;
	if (data_len > DATA_BYTES_MAX)
		return lev_fail(LEV_INVALID, "a saga's data has at most 1 MiB");
	pthread_mutex_lock(&f->lock);
	int rc = f->is_failed ? lev_fail(LEV_SYSTEM,
					 "log of sagas: an earlier write has failed; open it anew")
			      : save_to(f, id, s, data, data_len);
	if (rc == LEV_OK && fdatasync(f->fd) == -1)
		rc = io_error("sync");
	f->is_failed |= rc == LEV_SYSTEM;
	pthread_mutex_unlock(&f->lock);
	return rc;
}

struct lev_saga_log lev_saga_file_log(struct lev_saga_file *f)
{
	return (struct lev_saga_log){ save, f };
}

int lev_saga_file_each(struct lev_saga_file *f,
		       int (*visit)(void *arg, const char *id, struct lev_saga_state state,
				    const void *data, size_t data_len),
		       void *arg)
{
	if (f == NULL)
		return lev_fail(LEV_INVALID, "no log of sagas");
	int rc = LEV_OK;
	list_each (node, &f->unfinished) {
		const struct unfinished *u = list_entry(node, struct unfinished, node);
		if (rc >= 0)
			rc = visit(arg, u->id, u->state, u->data, u->data_len);
	}
	return rc < 0 ? rc : LEV_OK;
}
