#include "server/mistakes.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mistakes_fini(struct mistakes *m)
{
	for (size_t i = 0; i < m->kept; i++)
		free(m->lines[i]);
	free(m->lines);
	*m = (struct mistakes){ 0 };
}

void mistakes_add(struct mistakes *m, const char *format, ...)
{
	char *line;
	va_list args;
	m->len++;
	if (m->kept == MISTAKES_MAX)
		return;
	va_start(args, format);
	int len = vasprintf(&line, format, args);
	va_end(args);
	if (len == -1)
		abort(); /* As all that asks for memory here. */
	m->lines = alloc_resize(m->lines, (m->kept + 1) * sizeof *m->lines);
	m->lines[m->kept++] = line;
}
