#include "ballast.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BALLAST_BYTES = 16 << 20, SPARE_FACTOR = 8, PATH_BYTES = 4200 };

static void path_of(char *path, const char *dir)
{
	snprintf(path, PATH_BYTES, "%s/ballast", dir);
}

void ballast_take(const char *dir)
{
	char path[PATH_BYTES];
	struct statvfs fs;
	path_of(path, dir);
	if (access(path, F_OK) == 0 || statvfs(dir, &fs) == -1 ||
	    (uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)BALLAST_BYTES * SPARE_FACTOR)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		return;
	bool is_taken = fallocate(fd, 0, 0, BALLAST_BYTES) == 0;
	close(fd);
	if (!is_taken)
		unlink(path);
}

bool ballast_drop(const char *dir)
{
	char path[PATH_BYTES];
	path_of(path, dir);
	return unlink(path) == 0;
}
