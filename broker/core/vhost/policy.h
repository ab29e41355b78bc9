/* Policy: definitions that hold for all objects whose names match a pattern. */
#ifndef LEV_CORE_VHOST_POLICY_H
#define LEV_CORE_VHOST_POLICY_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct vhost;
struct policy;

/* Owned copies, as they were set. */
struct policies {
	struct policy *items;
	void **patterns; /* Of each, compiled (policy.c). */
	size_t len;
};

enum policy_object { POLICY_QUEUES, POLICY_EXCHANGES };

/* The definitions that hold for an object; empty tables if none does. */
void policy_find(const struct vhost *vhost, enum policy_object object, struct bytes arguments,
		 struct bytes name, struct bytes *policy, struct bytes *operator_policy);
/* Those that hold; NULL: none does. Valid until policies are set again. */
void policy_holding(const struct vhost *vhost, enum policy_object object, struct bytes arguments,
		    struct bytes name, const struct policy **policy,
		    const struct policy **operator_policy);
void policies_fini(struct policies *policies);
/* Copies them all; false at the first pattern that is none: to->len is which, why says what is
 * wrong with it. Either way they are to be given up with policies_fini(). */
bool policies_copy(struct policies *to, const struct policy *policies, size_t len, char *why,
		   size_t why_size);

#endif
