/* Arguments: what declarations may say beyond the protocol, checked and compared. */
#ifndef LEV_CORE_VHOST_ARGUMENTS_H
#define LEV_CORE_VHOST_ARGUMENTS_H

#include "base/bytes.h"

#include <stdbool.h>

struct exchange;
struct queue;
struct queue_declare;
struct refusal;

bool queue_arguments_check(const struct queue_declare *d, struct bytes vhost,
			   struct refusal *refusal);
bool queue_arguments_equivalent(const struct queue *queue, struct bytes arguments,
				struct refusal *refusal);
/* what: "exchange 'x' in vhost '/'". */
bool exchange_arguments_check(struct bytes arguments, const char *what, struct refusal *refusal);
bool exchange_arguments_equivalent(const struct exchange *exchange, struct bytes arguments,
				   const char *what, struct refusal *refusal);
/* Compares one argument of a declaration; what is "queue 'x' in vhost '/'". */
bool argument_equivalent(const char *name, struct bytes current, struct bytes received,
			 const char *what, struct refusal *refusal);

#endif
