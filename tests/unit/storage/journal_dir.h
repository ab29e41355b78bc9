/* A directory for one test's journal, removed afterwards. */
#ifndef LEV_TESTS_JOURNAL_DIR_H
#define LEV_TESTS_JOURNAL_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void journal_dir_create(char *dir, size_t size)
{
	snprintf(dir, size, "/tmp/leveret-test.XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
}

static inline void journal_dir_remove(const char *dir)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "journal.log", "ballast" };
	char path[4200];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

#endif
