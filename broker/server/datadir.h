/* Data directory: made if it is not there, and held by one process at a time. */
#ifndef LEV_SERVER_DATADIR_H
#define LEV_SERVER_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The lock's descriptor: the lock is the kernel's and goes with the process, however that ends. On
 * failure returns -1 and writes the reason to why. */
int datadir_lock(const char *dir, char *why, size_t why_size);

/* Whether others than owner and group may do anything at all with the file or directory, or the
 * group may write. False, too, if it is not there. */
bool datadir_is_exposed(const char *path);

/* When the journal in the directory was last written, Unix time; 0: there is none. Before it is
 * opened. */
uint64_t datadir_written_ms(const char *dir);

#endif
