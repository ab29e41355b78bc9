/* Process: what a process, the broker's, has used. From /proc. */
#ifndef LEV_BENCH_PROCESS_H
#define LEV_BENCH_PROCESS_H

#include <stdint.h>

enum { PROCESS_THREADS_MAX = 64 };

struct process_thread {
	int id;
	char name[20];
	double cpu_s;
};

struct process_use {
	double cpu_s; /* User and system, all threads, also those that have ended. */
	struct process_thread threads[PROCESS_THREADS_MAX];
	unsigned threads_len;
};

struct process_memory {
	uint64_t resident_bytes;
	uint64_t private_bytes; /* Of it, what no other process or file shares. */
	uint64_t peak_bytes;    /* Resident, ever. */
};

/* Ends the tool if there is no such process. */
void process_use(long pid, struct process_use *use);
void process_memory(long pid, struct process_memory *memory);

/* What was used between two looks; threads are those of b. */
void process_since(const struct process_use *a, const struct process_use *b,
		   struct process_use *difference);

#endif
