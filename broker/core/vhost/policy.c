/* Policies: settings for all queues and exchanges whose names match a pattern. Of the ordinary
 * policies that match, the one with the highest priority holds, and of the operator's likewise; how
 * the two go together with arguments, settings.c knows. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "core/vhost/policy.h"
#include "core/admin.h"
#include "core/vhost/vhost.h"

#include "base/alloc.h"
#include "table.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MATCH_STEPS = 20000,
	MATCH_DEPTH = 1000
}; /* About a millisecond: then the name does not match. */

static pcre2_code *compile(struct bytes pattern, char *why, size_t why_size)
{
	int error;
	PCRE2_SIZE at;
	PCRE2_UCHAR text[200];
	if (pattern.len == 0)
		pattern = bytes_str(""); /* Which matches all names. */
	pcre2_code *code = pcre2_compile(pattern.data, pattern.len, PCRE2_UTF, &error, &at, NULL);
	if (code == NULL) {
		pcre2_get_error_message(error, text, sizeof text);
		snprintf(why, why_size, "'%.*s' is no regular expression: %s at %zu",
			 BYTES_ARG(pattern), (const char *)text, (size_t)at);
	}
	return code;
}

bool core_pattern_check(struct bytes pattern, char *why, size_t why_size)
{
	pcre2_code *code = compile(pattern, why, why_size);
	pcre2_code_free(code);
	return code != NULL;
}

static bool matches(const pcre2_code *pattern, struct bytes name)
{
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern, NULL);
	if (limits == NULL || data == NULL)
		abort(); /* Out of memory. */
	pcre2_set_match_limit(limits, MATCH_STEPS);
	pcre2_set_depth_limit(limits, MATCH_DEPTH);
	int result = pcre2_match(pattern, name.data, name.len, 0, 0, data, limits);
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	return result >= 0;
}

/* --- which one holds --- */

static bool applies(const struct policy *p, enum policy_object object, struct bytes arguments)
{
	struct bytes type;
	bool is_quorum = table_find_string(arguments, "x-queue-type", &type) &&
			 bytes_equal_str(type, "quorum");
	switch (p->applies) {
	case POLICY_TO_ALL: return true;
	case POLICY_TO_QUEUES: return object == POLICY_QUEUES;
	case POLICY_TO_EXCHANGES: return object == POLICY_EXCHANGES;
	case POLICY_TO_CLASSIC_QUEUES: return object == POLICY_QUEUES && !is_quorum;
	case POLICY_TO_QUORUM_QUEUES: return object == POLICY_QUEUES && is_quorum;
	}
	return false;
}

static const struct policy *find_best(const struct vhost *vhost, enum policy_object object,
				      struct bytes arguments, struct bytes name, bool is_operator)
{
	const struct policy *best = NULL;
	for (size_t i = 0; i < vhost->policies.len; i++) {
		const struct policy *p = &vhost->policies.items[i];
		if (p->is_operator == is_operator &&
		    (best == NULL || p->priority > best->priority) &&
		    applies(p, object, arguments) && matches(vhost->policies.patterns[i], name))
			best = p;
	}
	return best;
}

static struct bytes definition_of(const struct policy *p)
{
	return p == NULL ? bytes_of(NULL, 0) : p->definition;
}

void policy_find(const struct vhost *vhost, enum policy_object object, struct bytes arguments,
		 struct bytes name, struct bytes *policy, struct bytes *operator_policy)
{
	*policy = definition_of(find_best(vhost, object, arguments, name, false));
	*operator_policy = definition_of(find_best(vhost, object, arguments, name, true));
}

void policy_holding(const struct vhost *vhost, enum policy_object object, struct bytes arguments,
		    struct bytes name, const struct policy **policy,
		    const struct policy **operator_policy)
{
	*policy = find_best(vhost, object, arguments, name, false);
	*operator_policy = find_best(vhost, object, arguments, name, true);
}

/* --- setting them --- */

void policies_fini(struct policies *policies)
{
	for (size_t i = 0; i < policies->len; i++) {
		free((void *)policies->items[i].name.data);
		free((void *)policies->items[i].pattern.data);
		free((void *)policies->items[i].definition.data);
		pcre2_code_free(policies->patterns[i]);
	}
	free(policies->items);
	free(policies->patterns);
	*policies = (struct policies){ 0 };
}

/* Copies them all; false at the first pattern that is none. */
bool policies_copy(struct policies *to, const struct policy *policies, size_t len, char *why,
		   size_t why_size)
{
	*to = (struct policies){ alloc_zeroed((len + 1) * sizeof *policies),
				 alloc_zeroed((len + 1) * sizeof(void *)), 0 };
	for (; to->len < len; to->len++) {
		struct policy *p = &to->items[to->len];
		void *code = compile(policies[to->len].pattern, why, why_size);
		if (code == NULL)
			return false;
		*p = policies[to->len];
		p->name = alloc_copy(p->name);
		p->pattern = alloc_copy(p->pattern);
		p->definition = alloc_copy(p->definition);
		to->patterns[to->len] = code;
	}
	return true;
}
