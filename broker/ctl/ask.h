/* Ask: a question to a broker that runs, through the socket in its data directory. */
#ifndef LEV_CTL_ASK_H
#define LEV_CTL_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

/* The sockets in a data directory: of questions, a line each; and of management over HTTP, for the
 * operator, without a login. */
#define ASK_CONTROL "control"
#define ASK_HTTP    "http"

/* Of one of them. False: the path is too long for one. */
bool ask_address(struct sockaddr_un *address, const char *data_dir, const char *name);
/* A stream to it; NULL, and errno: nobody listens. patience_s: 0: waits as long as it takes. */
FILE *ask_connect(const char *data_dir, const char *name, long patience_s);

/* The answer, which is the caller's. NULL: nobody answers, errno says why. */
json_t *ask_broker(const char *data_dir, const json_t *question);

/* For `leveretd --ask`: a command and its arguments, NAME=VALUE each. Prints the answer. Returns an
 * exit status: 0; 1: the answer is that there is none; 2: the question was wrong, or could not be
 * asked. */
int ask_main(const char *data_dir, int argc, char *const *argv);

#endif
