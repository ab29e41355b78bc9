#include "server/alarm.h"

#include "server/cgroup.h"

#include <sys/statvfs.h>
#include <unistd.h>

static uint64_t memory_of_machine(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t limit = cgroup_memory_limit("");
	return limit < bytes ? limit : bytes;
}

void alarm_init(struct alarm *alarm, const struct config *config)
{
	alarm->memory_limit_bytes = config->memory_absolute_bytes;
	if (alarm->memory_limit_bytes == 0)
		alarm->memory_limit_bytes =
			(uint64_t)((double)memory_of_machine() * config->memory_relative);
}

void alarm_look_at_disk(struct alarm *alarm, const struct config *config)
{
	struct statvfs fs;
	if (statvfs(config->data_dir, &fs) == 0)
		alarm->is_disk_short =
			(uint64_t)fs.f_bavail * fs.f_frsize < config->disk_free_bytes;
}

/* Off only when a tenth below, so that it does not flutter. */
void alarm_look_at_memory(struct alarm *alarm, uint64_t message_bytes)
{
	uint64_t limit = alarm->memory_limit_bytes;
	alarm->is_memory_short =
		message_bytes > (alarm->is_memory_short ? limit - limit / 10 : limit);
}

const char *alarm_reason(const struct alarm *alarm)
{
	if (alarm->is_memory_short && alarm->is_disk_short)
		return "low on memory & disk";
	return alarm->is_memory_short ? "low on memory"
	       : alarm->is_disk_short ? "low on disk"
				      : NULL;
}
