/* Cgroup: how much memory this process may take, as the kernel was told: by systemd's MemoryMax, a
 * container, or by hand. Versions 1 and 2, mounted wherever; the least of the limits of its own
 * group and all above it that can be seen. */
#ifndef LEV_SERVER_CGROUP_H
#define LEV_SERVER_CGROUP_H

#include <stdint.h>

/* root: put before every path, "" but for tests. In bytes; UINT64_MAX: no limit is known. */
uint64_t cgroup_memory_limit(const char *root);

#endif
