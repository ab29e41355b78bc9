/* The log on a device whose sectors have 4 KiB, made up: no loop device is needed. */
#include "journal_dir.h"
#include "logfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { SECTOR_BYTES = 4096 };

static bool has_large_sectors;
static bool is_refused; /* A direct write was. */
static void (*meanwhile)(void); /* What another thread does during the next write of zeros. */

static bool is_aligned(const struct iovec *iov, int iov_len, off_t offset)
{
	bool is_good = offset % SECTOR_BYTES == 0;
	for (int i = 0; i < iov_len; i++)
		is_good &= iov[i].iov_len % SECTOR_BYTES == 0 &&
			   (uintptr_t)iov[i].iov_base % SECTOR_BYTES == 0;
	return is_good;
}

/* In place of the C library's. */
ssize_t pwritev(int fd, const struct iovec *iov, int iov_len, off_t offset)
{
	if (has_large_sectors && (fcntl(fd, F_GETFL) & O_DIRECT) != 0 &&
	    !is_aligned(iov, iov_len, offset)) {
		is_refused = true;
		errno = EINVAL;
		return -1;
	}
	ssize_t n = syscall(SYS_pwritev, fd, iov, iov_len, offset, 0L);
	void (*run)(void) = iov_len > 100 ? meanwhile : NULL;
	if (run != NULL) {
		meanwhile = NULL;
		run();
	}
	return n;
}

static struct logfile *logfile;
static int victim = -1;
static char dir[100];

/* A segment at the front of the first slot, whose length no large sector divides. */
static void write_small_batch(void)
{
	static _Alignas(4096) uint8_t data[LOG_SLOT_BYTES];
	struct batch_segment s = { .offset = 0, .data = data, .len = SEGMENT_ALIGN, .at = 512 };
	struct batch batch = { .segments = &s, .segments_len = 1 };
	memset(data, 'x', s.len);
	s.data = data + SEGMENT_ALIGN;
	cr_assert_eq(logfile_write(logfile, &batch), LOGFILE_OK);
	cr_assert_eq(logfile_sync(logfile), LOGFILE_OK);
}

/* The number of a descriptor that was closed is taken by the next file that is opened. */
static void write_and_open_another_file(void)
{
	write_small_batch();
	char path[120];
	snprintf(path, sizeof path, "%s/ballast", dir);
	victim = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_neq(victim, -1);
}

Test(logfile, no_descriptor_is_closed_while_another_thread_fills_a_slot_through_it)
{
	char why[200], byte;
	journal_dir_create(dir, sizeof dir);
	cr_assert_eq(logfile_open(&logfile, dir, false, why, sizeof why), LOGFILE_OK, "%s", why);
	has_large_sectors = true;
	meanwhile = write_and_open_another_file;
	cr_assert_eq(logfile_prepare(logfile, 1, true), LOGFILE_OK);
	cr_assert_null(meanwhile);
	if (!is_refused)
		puts("SKIPPED in part: the file system of /tmp knows no direct writes");
	cr_assert_eq(lseek(victim, 0, SEEK_END), 0, "somebody else's file has been written to");
	cr_assert_eq(logfile_slots(logfile), 2);
	cr_assert_eq(logfile_read(logfile, 10, (uint8_t *)&byte, 1), 1);
	has_large_sectors = false;
	logfile_close(logfile);
	close(victim);
	journal_dir_remove(dir);
}

Test(logfile, a_slot_can_be_filled_where_no_direct_write_is_taken)
{
	char why[200];
	uint8_t first[SEGMENT_ALIGN];
	journal_dir_create(dir, sizeof dir);
	cr_assert_eq(logfile_open(&logfile, dir, false, why, sizeof why), LOGFILE_OK, "%s", why);
	has_large_sectors = true;
	write_small_batch();
	cr_assert_eq(logfile_prepare(logfile, 1, true), LOGFILE_OK);
	cr_assert_eq(logfile_read(logfile, 0, first, sizeof first), sizeof first);
	has_large_sectors = false;
	logfile_close(logfile);
	journal_dir_remove(dir);
}
