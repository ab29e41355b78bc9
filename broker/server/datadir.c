#include "server/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static int fail(char *why, size_t why_size, const char *doing, const char *what)
{
	snprintf(why, why_size, "%s %s: %s", doing, what, strerror(errno));
	return -1;
}

static int make_directory(const char *path, char *why, size_t why_size)
{
	char copy[PATH_BYTES];
	snprintf(copy, sizeof copy, "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			return fail(why, why_size, "cannot create", copy);
		*slash = '/';
	}
	if (mkdir(copy, 0700) == -1 && errno != EEXIST)
		return fail(why, why_size, "cannot create", copy);
	return 0;
}

int datadir_lock(const char *dir, char *why, size_t why_size)
{
	char path[PATH_BYTES + 16], pid[32];
	if (make_directory(dir, why, why_size) == -1)
		return -1;
	snprintf(path, sizeof path, "%s/leveretd.lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail(why, why_size, "cannot open", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		snprintf(why, why_size, "%s is in use by another leveretd", dir);
		close(fd);
		return -1;
	}
	int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, pid, (size_t)len, 0) != len) {
		fail(why, why_size, "cannot write", path);
		close(fd);
		return -1;
	}
	return fd;
}

bool datadir_is_exposed(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && !S_ISCHR(st.st_mode) && (st.st_mode & 0027) != 0;
}

uint64_t datadir_written_ms(const char *dir)
{
	static const char *const files[] = { "journal.log", "data.mdb" };
	char path[PATH_BYTES + 16];
	uint64_t last_ms = 0;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		if (stat(path, &st) == -1 || st.st_mtim.tv_sec < 0)
			continue;
		uint64_t ms =
			(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
		last_ms = ms > last_ms ? ms : last_ms;
	}
	return last_ms;
}
