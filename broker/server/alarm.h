/* Alarm: whether memory or disk run short, so that publishers must wait. Looked at twice a second,
 * and memory each turn. */
#ifndef LEV_SERVER_ALARM_H
#define LEV_SERVER_ALARM_H

#include "server/config.h"

struct alarm {
	uint64_t memory_limit_bytes;
	bool is_memory_short;
	bool is_disk_short;
};

/* Works out the memory limit from the configuration and the machine's or cgroup's memory. */
void alarm_init(struct alarm *alarm, const struct config *config);

void alarm_look_at_disk(struct alarm *alarm, const struct config *config);
void alarm_look_at_memory(struct alarm *alarm, uint64_t message_bytes);

/* What publishers are told, as RabbitMQ puts it; NULL: nothing is short. */
const char *alarm_reason(const struct alarm *alarm);

#endif
