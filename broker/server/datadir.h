/* Data directory: made if it is not there, and held by one process at a time. */
#ifndef LEV_SERVER_DATADIR_H
#define LEV_SERVER_DATADIR_H

#include <stddef.h>

/* The lock's descriptor: the lock is the kernel's and goes with the process, however that ends. On
 * failure returns -1 and writes the reason to why. */
int datadir_lock(const char *dir, char *why, size_t why_size);

#endif
