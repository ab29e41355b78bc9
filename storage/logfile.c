#include "logfile.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 4096,
	EXTENTS_MAX = 64,
	PREPARE_PAGES = 256,
};

/* Pieces of memory that go to one stretch of the file. */
struct stretch {
	struct iovec pieces[EXTENTS_MAX];
	int pieces_len;
	uint64_t offset;
	uint64_t end;
};

struct logfile {
	int fd;
	int prepare_fd; /* For the thread that prepares slots: the kernel tells each of them once
			   that writing failed, and this one must not hear it in the other's stead.
			   -1: opened to be read only. */
	int direct_fd; /* Past the page cache; -1 if the file system cannot. Open until the end:
			  another thread may be writing to it. */
	atomic_bool is_direct; /* False from the first write on that the device refused. */
	char error[256];
};

static const _Alignas(PAGE_BYTES) uint8_t zeros[PAGE_BYTES];

static int fail(struct logfile *log, const char *doing, int error)
{
	snprintf(log->error, sizeof log->error, "cannot %s journal.log: %s", doing,
		 strerror(error));
	return error == ENOSPC || error == EDQUOT ? LOGFILE_FULL : LOGFILE_FAILED;
}

static int sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	int rc = fsync(fd);
	close(fd);
	return rc;
}

/* The journal is written once and hardly ever read: in the page cache it would cost a copy and the
 * memory. */
static void open_direct(struct logfile *log, const char *path)
{
	log->direct_fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	log->is_direct = log->direct_fd != -1;
}

/* The descriptor to write through. */
static int write_fd(const struct logfile *log, int otherwise)
{
	return log->is_direct ? log->direct_fd : otherwise;
}

static int open_for_writing(struct logfile *log, const char *path)
{
	log->prepare_fd = open(path, O_WRONLY | O_CLOEXEC);
	if (log->prepare_fd == -1)
		return -1;
	open_direct(log, path);
	return fsync(log->fd);
}

int logfile_open(struct logfile **out, const char *dir, bool is_read_only, char *why,
		 size_t why_size)
{
	struct logfile *log = alloc_zeroed(sizeof *log);
	char path[4096];
	snprintf(path, sizeof path, "%s/journal.log", dir);
	log->fd = open(path, is_read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC,
		       0600);
	log->prepare_fd = log->direct_fd = -1;
	/* The file itself must survive a power cut. */
	if (log->fd == -1 || (!is_read_only && (open_for_writing(log, path) == -1 ||
						sync_directory(dir) == -1))) {
		snprintf(why, why_size, "cannot open the journal: %s: %s", path, strerror(errno));
		logfile_close(log);
		return LOGFILE_FAILED;
	}
	*out = log;
	return LOGFILE_OK;
}

void logfile_close(struct logfile *log)
{
	if (log == NULL)
		return;
	if (log->direct_fd != -1)
		close(log->direct_fd);
	if (log->prepare_fd != -1)
		close(log->prepare_fd);
	if (log->fd != -1)
		close(log->fd);
	free(log);
}

const char *logfile_error(const struct logfile *log)
{
	return log->error;
}

uint32_t logfile_slots(const struct logfile *log)
{
	struct stat st;
	return fstat(log->fd, &st) == 0
		       ? (uint32_t)(align_up((uint64_t)st.st_size, LOG_SLOT_BYTES) / LOG_SLOT_BYTES)
		       : 0;
}

/* --- writing --- */

/* The device wants another alignment than that of a sector: the page cache takes any. True if that
 * may have been the reason. */
static bool give_up_direct(struct logfile *log, int fd)
{
	log->is_direct = false;
	return fd == log->direct_fd;
}

/* A short write says why only when it is tried again. */
static int write_stretch(struct logfile *log, struct stretch *s)
{
	struct iovec *piece = s->pieces;
	while (s->pieces_len > 0) {
		int fd = write_fd(log, log->fd);
		ssize_t n = pwritev(fd, piece, s->pieces_len, (off_t)s->offset);
		if (n == -1 && (errno == EINTR || (errno == EINVAL && give_up_direct(log, fd))))
			continue;
		if (n <= 0)
			return fail(log, "write", n == 0 ? EIO : errno);
		s->offset += (uint64_t)n;
		for (; s->pieces_len > 0 && (size_t)n >= piece->iov_len; s->pieces_len--)
			n -= (ssize_t)piece++->iov_len;
		if (s->pieces_len > 0) {
			piece->iov_base = (uint8_t *)piece->iov_base + n;
			piece->iov_len -= (size_t)n;
		}
	}
	return LOGFILE_OK;
}

/* Adds a piece; what does not go on where the stretch ends is written first. */
static int add_piece(struct logfile *log, struct stretch *s, uint64_t offset, const uint8_t *data,
		     size_t len)
{
	if (s->pieces_len > 0 && (s->end != offset || s->pieces_len == EXTENTS_MAX - 1)) {
		int rc = write_stretch(log, s);
		if (rc != LOGFILE_OK)
			return rc;
	}
	if (s->pieces_len == 0)
		s->offset = offset;
	s->pieces[s->pieces_len++] = (struct iovec){ (void *)data, len };
	s->end = offset + len;
	return LOGFILE_OK;
}

/* Where the next whole pages begin that a skip leaves out, from `at` on; s->len if there are none.
 */
static uint32_t next_hole(const struct batch_segment *s, uint32_t *at, uint32_t *end)
{
	while (*at < s->len && s->voids > 0) {
		struct entry e;
		uint32_t start = *at;
		if (entry_read(bytes_of(s->data, s->len), s->at, start, &e, at) != ENTRY_OK)
			break;
		if (e.kind != ENTRY_SKIP)
			continue;
		uint64_t from = align_up(s->offset + start + SKIP_BYTES, PAGE_BYTES);
		uint64_t to = (s->offset + *at) & ~(uint64_t)(PAGE_BYTES - 1);
		if (from < to) {
			*end = (uint32_t)(to - s->offset);
			return (uint32_t)(from - s->offset);
		}
	}
	return s->len;
}

static int add_segment(struct logfile *log, struct stretch *out, const struct batch_segment *s)
{
	uint32_t len = (uint32_t)align_up(s->len, SEGMENT_ALIGN);
	uint32_t at = SEGMENT_HEAD_BYTES, from = 0, hole_end = 0;
	for (uint32_t hole; (hole = next_hole(s, &at, &hole_end)) < s->len; from = hole_end) {
		int rc = add_piece(log, out, s->offset + from, s->data + from, hole - from);
		if (rc != LOGFILE_OK)
			return rc;
	}
	return from == len ? LOGFILE_OK
			   : add_piece(log, out, s->offset + from, s->data + from, len - from);
}

/* A slot that is begun has all of its space from then on: a full disk shows here, and nowhere
 * later. */
static int begin_slots(struct logfile *log, const struct batch_segment *s)
{
	uint64_t len = align_up(s->len, LOG_SLOT_BYTES);
	if (s->at % LOG_SLOT_BYTES != 0)
		return LOGFILE_OK;
	if (fallocate(log->fd, 0, (off_t)s->offset, (off_t)len) == 0 || errno == EOPNOTSUPP)
		return LOGFILE_OK;
	return fail(log, "extend", errno);
}

/* The last page is written to its end: the kernel need not read what was there before. */
int logfile_write(struct logfile *log, const struct batch *batch)
{
	struct stretch out = { .pieces_len = 0 };
	for (size_t i = 0; i < batch->segments_len; i++) {
		int rc = begin_slots(log, &batch->segments[i]);
		if (rc == LOGFILE_OK)
			rc = add_segment(log, &out, &batch->segments[i]);
		if (rc != LOGFILE_OK)
			return rc;
	}
	if (out.pieces_len > 0 && out.end % PAGE_BYTES != 0)
		out.pieces[out.pieces_len++] =
			(struct iovec){ (void *)zeros, PAGE_BYTES - out.end % PAGE_BYTES };
	return write_stretch(log, &out);
}

/* Never tried again: after a failure the kernel may have forgotten what was not written. */
int logfile_sync(struct logfile *log)
{
	if (fdatasync(log->fd) == 0)
		return LOGFILE_OK;
	fail(log, "sync", errno);
	return LOGFILE_FAILED;
}

/* The same page of zeros over and over. */
static ssize_t write_zeros(int fd, uint64_t offset, uint64_t len)
{
	struct iovec pages[PREPARE_PAGES];
	int pages_len = 0;
	for (; len > 0 && pages_len < PREPARE_PAGES; len -= pages[pages_len++].iov_len)
		pages[pages_len] = (struct iovec){ (void *)zeros,
						   len < PAGE_BYTES ? (size_t)len : PAGE_BYTES };
	return pwritev(fd, pages, pages_len, (off_t)offset);
}

int logfile_prepare(struct logfile *log, uint32_t slot, bool is_filled)
{
	uint64_t offset = (uint64_t)slot * LOG_SLOT_BYTES, end = offset + LOG_SLOT_BYTES;
	if (fallocate(log->fd, 0, (off_t)offset, LOG_SLOT_BYTES) == -1 && errno != EOPNOTSUPP)
		return errno == ENOSPC || errno == EDQUOT ? LOGFILE_FULL : LOGFILE_FAILED;
	while (is_filled && offset < end) {
		int fd = write_fd(log, log->prepare_fd);
		ssize_t n = write_zeros(fd, offset, end - offset);
		if (n == -1 && (errno == EINTR || (errno == EINVAL && give_up_direct(log, fd))))
			continue;
		else if (n <= 0)
			return errno == ENOSPC || errno == EDQUOT ? LOGFILE_FULL : LOGFILE_FAILED;
		else
			offset += (uint64_t)n;
	}
	return fdatasync(log->prepare_fd) == 0 ? LOGFILE_OK : LOGFILE_FAILED;
}

void logfile_release(struct logfile *log, uint32_t slot, uint32_t len)
{
	fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)slot * LOG_SLOT_BYTES,
		  (off_t)len * LOG_SLOT_BYTES);
}

/* --- reading --- */

size_t logfile_read(const struct logfile *log, uint64_t offset, uint8_t *buffer, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(log->fd, buffer + done, len - done, (off_t)(offset + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

void logfile_will_need(const struct logfile *log, uint64_t offset, size_t len)
{
	posix_fadvise(log->fd, (off_t)offset, (off_t)len, POSIX_FADV_WILLNEED);
}
