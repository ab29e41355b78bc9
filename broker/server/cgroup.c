#include "server/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group {
	const char *root;
	bool is_v2;
	char path[PATH_MAX]; /* As /proc/self/cgroup has it; empty: of no such group. */
};

/* "max", a missing file, a group that is not to be seen: no limit. */
static uint64_t read_limit(const char *root, const char *dir, bool is_v2)
{
	char path[3 * PATH_MAX];
	unsigned long long limit = UINT64_MAX;
	snprintf(path, sizeof path, "%s%s/%s", root, dir,
		 is_v2 ? "memory.max" : "memory.limit_in_bytes");
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return UINT64_MAX;
	if (fscanf(f, "%llu", &limit) != 1)
		limit = UINT64_MAX;
	fclose(f);
	return limit;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* A line is "number:controllers:path"; version 2 has number 0 and no controllers. */
static void find_path(struct group *group)
{
	char file[PATH_MAX], *line = NULL;
	size_t cap = 0;
	snprintf(file, sizeof file, "%s/proc/self/cgroup", group->root);
	FILE *f = fopen(file, "re");
	if (f == NULL)
		return;
	while (getline(&line, &cap, f) != -1) {
		line[strcspn(line, "\n")] = '\0';
		char *controllers = strchr(line, ':');
		char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
		if (path == NULL)
			continue;
		*controllers++ = '\0';
		*path++ = '\0';
		bool is_it = group->is_v2 ? strcmp(line, "0") == 0 && *controllers == '\0'
					  : has_word(controllers, "memory");
		if (is_it)
			snprintf(group->path, sizeof group->path, "%s", path);
	}
	free(line);
	fclose(f);
}

/* The kernel writes spaces and the like as three octal digits. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; to++) {
		unsigned c;
		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1 && c < 256 &&
		    strnlen(from, 4) == 4) {
			*to = (char)c;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* What of the group's path is below the mount; all of it can lie elsewhere (a namespace's "/../x"):
 * then the mount itself is what can be seen. */
static const char *below(const char *path, const char *mounted)
{
	size_t len = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
	if (strncmp(path, mounted, len) != 0 || (path[len] != '/' && path[len] != '\0') ||
	    strstr(path, "/..") != NULL)
		return "";
	return path + len;
}

/* From the group up to the mount. */
static uint64_t least_limit(const struct group *group, const char *mounted, const char *at)
{
	char dir[2 * PATH_MAX];
	size_t top = strlen(at);
	uint64_t least = UINT64_MAX;
	snprintf(dir, sizeof dir, "%s%s", at, below(group->path, mounted));
	for (;;) {
		uint64_t limit = read_limit(group->root, dir, group->is_v2);
		least = limit < least ? limit : least;
		char *slash = strrchr(dir + top, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

/* "id parent major:minor ROOT MOUNTPOINT options ... - TYPE source SUPEROPTIONS" */
static uint64_t limit_of_mount(const struct group *group, char *line)
{
	char mounted[PATH_MAX], at[PATH_MAX], type[32], options[1024];
	const char *rest = strstr(line, " - ");
	if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", mounted, at) != 2 ||
	    sscanf(rest, " - %31s %*s %1023s", type, options) != 2)
		return UINT64_MAX;
	bool is_it = group->is_v2 ? strcmp(type, "cgroup2") == 0
				  : strcmp(type, "cgroup") == 0 && has_word(options, "memory");
	if (!is_it)
		return UINT64_MAX;
	unescape(mounted);
	unescape(at);
	return least_limit(group, mounted, at);
}

static uint64_t limit_of(struct group *group)
{
	char file[PATH_MAX], *line = NULL;
	size_t cap = 0;
	uint64_t least = UINT64_MAX;
	find_path(group);
	snprintf(file, sizeof file, "%s/proc/self/mountinfo", group->root);
	FILE *f = group->path[0] == '\0' ? NULL : fopen(file, "re");
	if (f == NULL)
		return UINT64_MAX;
	while (getline(&line, &cap, f) != -1) {
		uint64_t limit = limit_of_mount(group, line);
		least = limit < least ? limit : least;
	}
	free(line);
	fclose(f);
	return least;
}

uint64_t cgroup_memory_limit(const char *root)
{
	struct group v1 = { .root = root }, v2 = { .root = root, .is_v2 = true };
	uint64_t first = limit_of(&v1), second = limit_of(&v2);
	return first < second ? first : second;
}
