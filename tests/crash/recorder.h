/* Recorder: takes down every write and sync of this program to the files of one directory, by
 * standing in for the C library's functions, and builds what a power cut may leave of them:
 * everything that was synced, and of the rest any part, in any order, torn between sectors. It can
 * also make these calls fail. */
#ifndef LEV_TESTS_CRASH_RECORDER_H
#define LEV_TESTS_CRASH_RECORDER_H

#include "base/prng.h"

#include <stddef.h>
#include <stdint.h>

void recorder_start(const char *dir);
void recorder_stop(void);

/* How many records there are: a moment. */
size_t recorder_now(void);

/* Writes to another directory what a power cut at a moment leaves. */
void recorder_replay(size_t moment, struct prng *prng, const char *dir);

/* From here on, every second sync of the store waits until the log has been written this often
 * meanwhile, or the recording ends: what must not happen before the store has a checkpoint has its
 * chance, however the threads run. */
void recorder_linger(unsigned writes);

void recorder_forget(void);

/* --- failures --- */

enum recorder_call { CALL_WRITE, CALL_SYNC, CALL_ALLOCATE, CALLS };

/* From the nth call of this kind on (1: the next one), it fails with this error; 0: no more. error
 * -1: a write is cut short once. */
void recorder_fail(enum recorder_call call, unsigned nth, int error);

#endif
