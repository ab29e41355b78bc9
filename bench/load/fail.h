/* Fail: how the tool ends when it cannot go on. */
#ifndef LEV_BENCH_FAIL_H
#define LEV_BENCH_FAIL_H

enum {
	EXIT_UNVERIFIED = 1, /* Messages were lost, doubled or out of order. */
	EXIT_USAGE = 2,
	EXIT_BROKER = 3, /* The broker, or the way to it, failed. */
};

/* Prints "leveret-bench: ..." and exits with this status. Safe from any thread. */
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
