/* Rpc: callers that send requests and wait for the replies (direct reply-to), and servers that
 * answer them. */
#ifndef LEV_BENCH_RPC_H
#define LEV_BENCH_RPC_H

#include "worker.h"

struct caller;
struct caller *caller_create(const struct options *options, uint32_t index);
void caller_destroy(struct caller *caller); /* After its worker, as all here. */
struct link *caller_link(struct caller *caller);

struct responder;
struct responder *responder_create(const struct options *options, uint32_t index);
void responder_destroy(struct responder *responder);
struct link *responder_link(struct responder *responder);

#endif
