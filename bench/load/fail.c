#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* _exit(): other threads may be at work. */
void fail(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fflush(stdout);
	fputs("leveret-bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(status);
}
