/* Inspect: says what a data directory holds, without a broker and without changing it. */
#ifndef LEV_SERVER_INSPECT_H
#define LEV_SERVER_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

/* Prints definitions, queues and the use of the log to out, and reads every message to verify it.
 * is_export: prints one JSON object a message instead, with properties (flags and properties, as on
 * the wire) and body in base64, and says the rest on stderr. Returns an exit status: 0 if all is
 * good, 1 if something is damaged or cannot be read. */
int inspect_run(const char *dir, bool is_export, FILE *out);

#endif
