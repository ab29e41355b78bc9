/* Policy: settings for queues and exchanges that operators choose, and what follows from them. */
#ifndef LEV_TESTS_SIM_MODEL_POLICY_H
#define LEV_TESTS_SIM_MODEL_POLICY_H

#include "model.h"
#include "routing.h"

enum { POLICIES_MAX = 5 };

struct model_policy {
	bool is_operator;
	unsigned priority;  /* Of no other one. */
	unsigned queues;    /* Whose names it matches, a set of bits; */
	unsigned exchanges; /* and exchanges; */
	enum { FOR_ALL, FOR_QUEUES, FOR_EXCHANGES } applies;
	/* What it says; 0: nothing. */
	uint64_t ttl_ms;
	unsigned length_max;
	unsigned limit;
	uint64_t lease_ms;
	int overflow; /* 1: the head leaves, 2: publishes are rejected. */
	int dead_to;  /* -1: nothing. */
	enum routing_exchange alternate;
};

/* They hold at once, and no others. */
void model_set_policies(struct model *m, struct routing *r, const struct model_policy *policies,
			size_t len);

#endif
