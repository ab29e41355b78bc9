#include "process.h"

#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* User and system time in clock ticks, from a stat file. -1: no such file. */
static double ticks_of(const char *path)
{
	char line[1024];
	unsigned long long user, system;
	FILE *f = fopen(path, "re");
	char *got = f == NULL ? NULL : fgets(line, sizeof line, f);
	if (f != NULL)
		fclose(f);
	const char *after_name = got == NULL ? NULL : strrchr(line, ')');
	if (after_name == NULL ||
	    sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		   &system) != 2)
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void read_name(const char *path, char *name, size_t size)
{
	FILE *f = fopen(path, "re");
	name[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(name, (int)size, f) != NULL)
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

/* The scheduler counts nanoseconds, for threads only. */
static double thread_cpu(const char *path)
{
	unsigned long long ns;
	FILE *f = fopen(path, "re");
	int got = f == NULL ? 0 : fscanf(f, "%llu", &ns);
	if (f != NULL)
		fclose(f);
	return got == 1 ? (double)ns * 1e-9 : -1;
}

static void read_threads(long pid, struct process_use *use)
{
	char path[96];
	snprintf(path, sizeof path, "/proc/%ld/task", pid);
	DIR *dir = opendir(path);
	for (struct dirent *d;
	     dir != NULL && (d = readdir(dir)) != NULL && use->threads_len < PROCESS_THREADS_MAX;) {
		struct process_thread *t = &use->threads[use->threads_len];
		t->id = atoi(d->d_name);
		if (t->id == 0)
			continue;
		snprintf(path, sizeof path, "/proc/%ld/task/%d/comm", pid, t->id);
		read_name(path, t->name, sizeof t->name);
		snprintf(path, sizeof path, "/proc/%ld/task/%d/schedstat", pid, t->id);
		t->cpu_s = thread_cpu(path);
		use->threads_len += t->cpu_s >= 0;
	}
	if (dir != NULL)
		closedir(dir);
}

void process_use(long pid, struct process_use *use)
{
	char path[64];
	*use = (struct process_use){ 0 };
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	use->cpu_s = ticks_of(path);
	if (use->cpu_s < 0)
		fail(EXIT_BROKER, "--pid: no process %ld", pid);
	read_threads(pid, use);
}

static double before(const struct process_use *use, int id)
{
	for (unsigned i = 0; i < use->threads_len; i++)
		if (use->threads[i].id == id)
			return use->threads[i].cpu_s;
	return 0;
}

/* The threads' own sum is finer than the process's ticks; that one is right when threads have ended
 * meanwhile. */
void process_since(const struct process_use *a, const struct process_use *b,
		   struct process_use *difference)
{
	double sum = 0, ticks = b->cpu_s - a->cpu_s;
	*difference = *b;
	for (unsigned i = 0; i < b->threads_len; i++) {
		difference->threads[i].cpu_s -= before(a, b->threads[i].id);
		sum += difference->threads[i].cpu_s;
	}
	double off = ticks > sum ? ticks - sum : sum - ticks;
	difference->cpu_s =
		b->threads_len < PROCESS_THREADS_MAX && off < 0.05 + ticks * 0.02 ? sum : ticks;
}

static uint64_t field(const char *line, const char *name)
{
	size_t len = strlen(name);
	return strncmp(line, name, len) == 0 ? strtoull(line + len, NULL, 10) * 1024 : 0;
}

void process_memory(long pid, struct process_memory *memory)
{
	char path[64], line[256];
	*memory = (struct process_memory){ 0 };
	snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		memory->resident_bytes += field(line, "Rss:");
		memory->private_bytes +=
			field(line, "Private_Clean:") + field(line, "Private_Dirty:");
	}
	if (f != NULL)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%ld/status", pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		memory->peak_bytes += field(line, "VmHWM:");
	if (f != NULL)
		fclose(f);
}
