#include "recorder.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 2, SECTOR = 512 };
enum { LOG, STORE };
static const char *const names[FILES] = { [LOG] = "journal.log", [STORE] = "data.mdb" };

enum kind { RECORD_WRITE, RECORD_SYNC };

struct record {
	enum kind kind;
	int file;
	bool is_synced_at_once; /* O_DSYNC. */
	size_t began;           /* Of a sync: what had been written before it began is covered. */
	uint64_t offset;
	uint8_t *data;
	size_t len;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct record *records;
static size_t records_len, records_cap;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER; /* Of the log. */
static uint64_t log_writes;
static unsigned lingering; /* Writes of the log for which a sync of the store waits, */
static unsigned lingered;  /* and the syncs that have been asked to. */
static char watched[300];
static atomic_bool is_on;
static unsigned fail_in[CALLS];
static int fail_with[CALLS];

void recorder_start(const char *dir)
{
	snprintf(watched, sizeof watched, "%s/", dir);
	is_on = true;
}

void recorder_stop(void)
{
	pthread_mutex_lock(&mutex);
	is_on = false;
	lingering = 0;
	pthread_cond_broadcast(&progress);
	pthread_mutex_unlock(&mutex);
}

void recorder_linger(unsigned writes)
{
	pthread_mutex_lock(&mutex);
	lingering = writes;
	pthread_mutex_unlock(&mutex);
}

void recorder_forget(void)
{
	for (size_t i = 0; i < records_len; i++)
		free(records[i].data);
	records_len = 0;
}

size_t recorder_now(void)
{
	pthread_mutex_lock(&mutex);
	size_t now = records_len;
	pthread_mutex_unlock(&mutex);
	return now;
}

void recorder_fail(enum recorder_call call, unsigned nth, int error)
{
	pthread_mutex_lock(&mutex);
	fail_in[call] = error == 0 ? 0 : nth;
	fail_with[call] = error;
	pthread_mutex_unlock(&mutex);
}

/* Which file of the watched directory this is; -1: none. */
static int file_of(int fd)
{
	char link[64], path[300];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = is_on ? readlink(link, path, sizeof path - 1) : -1;
	if (len <= 0)
		return -1;
	path[len] = '\0';
	for (int i = 0; i < FILES; i++)
		if (strncmp(path, watched, strlen(watched)) == 0 &&
		    strcmp(path + strlen(watched), names[i]) == 0)
			return i;
	return -1;
}

static struct record *add(enum kind kind, int file)
{
	records = alloc_grow(records, &records_cap, records_len + 1, sizeof *records);
	records[records_len] = (struct record){ .kind = kind, .file = file };
	return &records[records_len++];
}

/* The error that this call is to have, 0: none. */
static int failure(enum recorder_call call)
{
	if (fail_in[call] == 0)
		return 0;
	if (fail_in[call] > 1) {
		fail_in[call]--;
		return 0;
	}
	int error = fail_with[call];
	if (error == -1)
		fail_in[call] = 0;
	return error;
}

static ssize_t do_write(int fd, const struct iovec *iov, int iov_len, off_t offset)
{
	int file = file_of(fd);
	struct iovec half;
	pthread_mutex_lock(&mutex);
	int error = file == -1 ? 0 : failure(CALL_WRITE);
	if (error == -1) {
		half = (struct iovec){ iov[0].iov_base, iov[0].iov_len / 2 / SECTOR * SECTOR };
		iov = &half;
		iov_len = 1;
	} else if (error > 0) {
		pthread_mutex_unlock(&mutex);
		errno = error;
		return -1;
	}
	ssize_t n = syscall(SYS_pwritev, fd, iov, iov_len, offset, 0);
	if (file != -1 && n > 0) {
		if (file == LOG) {
			log_writes++;
			pthread_cond_broadcast(&progress);
		}
		struct record *r = add(RECORD_WRITE, file);
		r->is_synced_at_once = fcntl(fd, F_GETFL) & O_DSYNC;
		r->offset = (uint64_t)offset;
		r->data = alloc_resize(NULL, (size_t)n);
		for (int i = 0; i < iov_len && r->len < (size_t)n; i++) {
			size_t part = iov[i].iov_len < (size_t)n - r->len ? iov[i].iov_len
									  : (size_t)n - r->len;
			memcpy(r->data + r->len, iov[i].iov_base, part);
			r->len += part;
		}
	}
	pthread_mutex_unlock(&mutex);
	return n;
}

/* With the mutex. */
static void linger(void)
{
	uint64_t until = log_writes + lingering;
	if (lingering == 0 || lingered++ % 2 != 0)
		return;
	while (is_on && lingering > 0 && log_writes < until)
		pthread_cond_wait(&progress, &mutex);
}

static int do_sync(int fd, long number)
{
	int file = file_of(fd);
	pthread_mutex_lock(&mutex);
	if (file == STORE)
		linger();
	size_t began = records_len;
	int error = file == -1 ? 0 : failure(CALL_SYNC);
	pthread_mutex_unlock(&mutex);
	if (error > 0) {
		errno = error;
		return -1;
	}
	int rc = file == -1 ? (int)syscall(number, fd)
			    : 0; /* Nobody cuts the power of this machine. */
	pthread_mutex_lock(&mutex);
	if (file != -1)
		add(RECORD_SYNC, file)->began = began;
	pthread_mutex_unlock(&mutex);
	return rc;
}

/* --- in the C library's place --- */

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return do_write(fd, iov, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return do_write(fd, iov, n, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	struct iovec one = { (void *)data, len };
	return do_write(fd, &one, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	struct iovec one = { (void *)data, len };
	return do_write(fd, &one, 1, offset);
}

/* LMDB writes runs of pages with it, after a seek. */
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (file_of(fd) == -1)
		return syscall(SYS_writev, fd, iov, n);
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t written = do_write(fd, iov, n, at);
	if (written > 0)
		lseek(fd, at + written, SEEK_SET);
	return written;
}

int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	bool is_there = lseek(fd, offset, SEEK_HOLE) >= offset + len; /* Then no space is needed. */
	pthread_mutex_lock(&mutex);
	int error = is_there ? 0 : failure(CALL_ALLOCATE);
	pthread_mutex_unlock(&mutex);
	if (error > 0) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/* A file that gets its name when it is whole. */
int rename(const char *from, const char *to)
{
	uint8_t *data = alloc_resize(NULL, 1 << 20);
	int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	int fd = rc == -1 ? -1 : (int)syscall(SYS_openat, AT_FDCWD, to, O_RDONLY, 0);
	int file = fd == -1 ? -1 : file_of(fd);
	if (file != -1) {
		pthread_mutex_lock(&mutex);
		struct record *r = add(RECORD_WRITE, file);
		r->is_synced_at_once = true;
		r->data = data;
		r->len = (size_t)syscall(SYS_pread64, fd, data, 1 << 20, 0);
		pthread_mutex_unlock(&mutex);
	} else {
		free(data);
	}
	if (fd != -1)
		syscall(SYS_close, fd);
	return rc;
}

/* --- what is left --- */

/* How what was not synced comes out. */
enum fate { FATE_LOST, FATE_KEPT, FATE_PREFIX, FATE_WRITES, FATE_SECTORS, FATES };

static void put(int fd, const struct record *r, size_t at, size_t len)
{
	if (syscall(SYS_pwrite64, fd, r->data + at, len, r->offset + at) != (long)len)
		abort();
}

/* Sectors come out each for itself. */
static void put_some(int fd, const struct record *r, struct prng *prng)
{
	for (size_t at = 0; at < r->len; at += SECTOR)
		if (prng_below(prng, 2))
			put(fd, r, at, r->len - at < SECTOR ? r->len - at : SECTOR);
}

static bool is_synced(size_t i, size_t moment)
{
	if (records[i].is_synced_at_once)
		return true;
	for (size_t k = i + 1; k < moment; k++)
		if (records[k].kind == RECORD_SYNC && records[k].file == records[i].file &&
		    records[k].began > i)
			return true;
	return false;
}

void recorder_replay(size_t moment, struct prng *prng, const char *dir)
{
	enum fate fate = prng_below(prng, FATES);
	size_t prefix = fate == FATE_PREFIX ? prng_below(prng, 8) : 0;
	int fds[FILES];
	bool *synced = alloc_zeroed(moment + 1);
	for (int i = 0; i < FILES; i++) {
		char path[300];
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		fds[i] = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	}
	for (size_t i = 0; i < moment; i++)
		synced[i] = records[i].kind == RECORD_WRITE && is_synced(i, moment);
	for (size_t i = 0; i < moment; i++) {
		const struct record *r = &records[i];
		if (r->kind != RECORD_WRITE)
			continue;
		bool is_kept = synced[i] || fate == FATE_KEPT ||
			       (fate == FATE_PREFIX && prefix > 0) ||
			       (fate == FATE_WRITES && prng_below(prng, 2));
		if (!synced[i] && fate == FATE_PREFIX && prefix > 0)
			prefix--;
		if (is_kept)
			put(fds[r->file], r, 0, r->len);
		else if (fate == FATE_SECTORS)
			put_some(fds[r->file], r, prng);
	}
	for (int i = 0; i < FILES; i++)
		syscall(SYS_close, fds[i]);
	free(synced);
}
