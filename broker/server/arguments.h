/* Arguments: what queues and exchanges may be declared with, for people. */
#ifndef LEV_SERVER_ARGUMENTS_H
#define LEV_SERVER_ARGUMENTS_H

#include <stdio.h>

/* The table of all arguments and policy keys, as docs/arguments.md has it. */
void arguments_document(FILE *out);

#endif
