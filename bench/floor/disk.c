#include "disk.h"

#include "histogram.h"
#include "now.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 64 << 20, SECTOR_BYTES = 512, ALIGNMENT = 4096 };

/* Past the page cache, as a journal would; where the file system has no such thing, through it. */
static int open_written(const char *path)
{
	static char zeros[1 << 20];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t at = 0; fd != -1 && at < FILE_BYTES; at += sizeof zeros)
		if (write(fd, zeros, sizeof zeros) != sizeof zeros)
			return -1;
	if (fd == -1 || fsync(fd) == -1)
		return -1;
	close(fd);
	fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	return fd != -1 ? fd : open(path, O_WRONLY | O_CLOEXEC);
}

int disk_measure(const struct disk_options *o)
{
	char path[4096];
	size_t bytes = (o->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES, at = 0;
	snprintf(path, sizeof path, "%s/floor-disk", o->dir);
	int fd = open_written(path);
	if (fd == -1) {
		perror(path);
		return 1;
	}
	char *data = alloc_aligned(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
	struct histogram *h = alloc_zeroed(sizeof *h);
	struct histogram_view *view = alloc_zeroed(sizeof *view);
	memset(data, 'x', bytes);
	uint64_t began = now_ns(), until = began + (uint64_t)(o->seconds * 1e9), last = began;
	int status = 0;
	while (last < until && status == 0) {
		if (at + bytes > FILE_BYTES)
			at = 0;
		status = pwrite(fd, data, bytes, (off_t)at) == (ssize_t)bytes && fdatasync(fd) == 0
				 ? 0
				 : 1;
		at += bytes;
		uint64_t now = now_ns();
		histogram_add(h, now - last, 1);
		last = now;
	}
	histogram_look(h, view);
	if (status != 0)
		perror(path);
	else
		printf("{\"bytes\": %zu, \"syncs_per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": "
		       "%.1f, \"p99.9_us\": %.1f}\n",
		       bytes, (double)view->total / ((double)(last - began) * 1e-9),
		       (double)histogram_percentile(view, 50) / 1e3,
		       (double)histogram_percentile(view, 99) / 1e3,
		       (double)histogram_percentile(view, 99.9) / 1e3);
	close(fd);
	unlink(path);
	free(data);
	free(h);
	free(view);
	return status;
}
