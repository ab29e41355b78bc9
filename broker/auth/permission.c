#define PCRE2_CODE_UNIT_WIDTH 8

#include "auth/permission.h"

#include "base/alloc.h"

#include <assert.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { MATCH_STEPS = 20000, MATCH_DEPTH = 1000 }; /* About a millisecond. */

struct permission {
	struct bytes patterns[PERMISSION_KINDS]; /* Owned. */
	pcre2_code *codes[PERMISSION_KINDS];     /* Owned. */
};

static pcre2_code *compile(enum permission_kind kind, struct bytes pattern, char *why,
			   size_t why_size)
{
	static const char *const names[] = { "configure", "write", "read" };
	if (pattern.len > PERMISSION_PATTERN_MAX) {
		snprintf(why, why_size, "%s: longer than %d bytes", names[kind],
			 PERMISSION_PATTERN_MAX);
		return NULL;
	}
	if (pattern.len == 0)
		pattern = bytes_str("^$");
	int error;
	PCRE2_SIZE at;
	/* \C would match half a character. */
	pcre2_code *code = pcre2_compile(pattern.data, pattern.len,
					 PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
	if (code == NULL) {
		PCRE2_UCHAR text[200];
		pcre2_get_error_message(error, text, sizeof text);
		snprintf(why, why_size, "%s: no regular expression: %s at %zu", names[kind],
			 (const char *)text, (size_t)at);
	}
	return code;
}

static bool are_good(const struct bytes patterns[PERMISSION_KINDS], char *why, size_t why_size)
{
	for (enum permission_kind kind = 0; kind < PERMISSION_KINDS; kind++) {
		pcre2_code *code = compile(kind, patterns[kind], why, why_size);
		if (code == NULL)
			return false;
		pcre2_code_free(code);
	}
	return true;
}

struct permission *permission_create(const struct bytes patterns[PERMISSION_KINDS],
				     bool is_trusted, char *why, size_t why_size)
{
	if (!is_trusted && !are_good(patterns, why, why_size))
		return NULL;
	struct permission *permission = alloc_zeroed(sizeof *permission);
	for (enum permission_kind kind = 0; kind < PERMISSION_KINDS; kind++)
		permission->patterns[kind] = alloc_copy(patterns[kind]);
	return permission;
}

void permission_destroy(struct permission *permission)
{
	if (permission == NULL)
		return;
	for (enum permission_kind kind = 0; kind < PERMISSION_KINDS; kind++) {
		pcre2_code_free(permission->codes[kind]);
		free((void *)permission->patterns[kind].data);
	}
	free(permission);
}

struct bytes permission_pattern(const struct permission *permission, enum permission_kind kind)
{
	assert(kind < PERMISSION_KINDS);
	return permission->patterns[kind];
}

bool permission_allows(struct permission *permission, enum permission_kind kind,
		       struct bytes name)
{
	assert(kind < PERMISSION_KINDS);
	if (permission == NULL)
		return false;
	char why[200];
	if (permission->codes[kind] == NULL)
		permission->codes[kind] =
			compile(kind, permission->patterns[kind], why, sizeof why);
	const pcre2_code *code = permission->codes[kind];
	if (code == NULL)
		return false; /* Trusted, and still none. */
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
	if (limits == NULL || data == NULL)
		abort(); /* Out of memory. */
	pcre2_set_match_limit(limits, MATCH_STEPS);
	pcre2_set_depth_limit(limits, MATCH_DEPTH);
	const uint8_t *at = name.data == NULL ? (const uint8_t *)"" : name.data;
	int result = pcre2_match(code, at, name.len, 0, 0, data, limits);
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	return result >= 0;
}
