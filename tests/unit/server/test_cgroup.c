#include "server/cgroup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A made-up tree of files. */
static char root[64];

static void put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *f = fopen(full, "w");
	cr_assert_not_null(f, "%s", full);
	fputs(text, f);
	fclose(f);
}

static void set_up(void)
{
	snprintf(root, sizeof root, "/tmp/leveret-cgroup.XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static void tear_down(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	cr_assert_eq(system(command), 0);
}

static const char v2_mount[] = "25 1 0:22 / /proc rw shared:1 - proc proc rw\n"
			       "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 "
			       "rw,nsdelegate\n";
static const char v1_mount[] =
	"34 30 0:29 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	"35 30 0:30 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";

TestSuite(cgroup, .init = set_up, .fini = tear_down);

Test(cgroup, knows_no_limit_where_there_is_none)
{
	cr_assert_eq(cgroup_memory_limit(root), UINT64_MAX);
	put("/proc/self/cgroup", "0::/user.slice\n");
	put("/proc/self/mountinfo", v2_mount);
	put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
	cr_assert_eq(cgroup_memory_limit(root), UINT64_MAX);
}

/* As systemd's MemoryMax= makes it. */
Test(cgroup, finds_the_limit_of_a_service)
{
	put("/proc/self/cgroup", "0::/system.slice/leveret.service\n");
	put("/proc/self/mountinfo", v2_mount);
	put("/sys/fs/cgroup/system.slice/leveret.service/memory.max", "314572800\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
	cr_assert_eq(cgroup_memory_limit(root), 314572800);
}

Test(cgroup, takes_the_least_of_its_own_and_those_above)
{
	put("/proc/self/cgroup", "0::/a/b/c\n");
	put("/proc/self/mountinfo", v2_mount);
	put("/sys/fs/cgroup/a/b/c/memory.max", "3000\n");
	put("/sys/fs/cgroup/a/memory.max", "2000\n");
	put("/sys/fs/cgroup/a/b/other/memory.max", "1\n");
	cr_assert_eq(cgroup_memory_limit(root), 2000);
	put("/sys/fs/cgroup/memory.max", "1000\n");
	cr_assert_eq(cgroup_memory_limit(root), 1000);
}

Test(cgroup, finds_the_memory_controller_of_version_1)
{
	put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outer/inner\n0::/y\n");
	put("/proc/self/mountinfo", v1_mount);
	put("/sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/outer/memory.limit_in_bytes", "500\n");
	put("/sys/fs/cgroup/cpu/x/memory.limit_in_bytes", "1\n");
	cr_assert_eq(cgroup_memory_limit(root), 500);
}

/* In a container the path may be the host's while the mount shows the container's own group. */
Test(cgroup, looks_at_the_mount_when_its_path_lies_outside)
{
	put("/proc/self/cgroup", "4:memory:/docker/abc\n0::/../../elsewhere\n");
	put("/proc/self/mountinfo",
	    "35 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	    "36 30 0:31 /. /unified\\040two ro - cgroup2 none rw\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700\n");
	cr_assert_eq(cgroup_memory_limit(root), 700);
	put("/unified two/memory.max", "600\n");
	cr_assert_eq(cgroup_memory_limit(root), 600);
}

Test(cgroup, is_not_led_astray_by_what_it_does_not_understand)
{
	put("/proc/self/cgroup", "rubbish\n::\n0::\n4:memory:/m\n");
	put("/proc/self/mountinfo", "rubbish\n - \n1 2 3 / /x - cgroup\n");
	cr_assert_eq(cgroup_memory_limit(root), UINT64_MAX);
}
