#include "ctl/secrets.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void secrets_blank(char *text)
{
	for (char *at = text; (at = strstr(at, "://")) != NULL;) {
		at += 3;
		size_t len = strcspn(at, "/@ \t\n\"'<>");
		/* A password may have any of those but the last @ of the host's part. */
		const char *end = at + strcspn(at, " \t\n\"'<>");
		for (const char *c = at; c < end; c++)
			if (*c == '@')
				len = (size_t)(c - at);
		if (at[len] == '@')
			memset(at, '*', len);
	}
}

static bool is_secret(const char *name)
{
	static const char *const words[] = { "password", "passphrase", "secret", "token",
					     "credential", "default_pass" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasestr(name, words[i]) != NULL)
			return true;
	return false;
}

/* What the value becomes; a new reference, NULL: as it is. */
static json_t *replacement(const char *name, const json_t *v)
{
	if (name != NULL && is_secret(name) && !json_is_object(v) && !json_is_array(v))
		return json_string("***");
	if (!json_is_string(v) || strstr(json_string_value(v), "://") == NULL)
		return NULL;
	char *text = strdup(json_string_value(v));
	if (text == NULL)
		return json_string("***");
	secrets_blank(text);
	json_t *blanked = json_string(text);
	free(text);
	return blanked;
}

void secrets_take_out(json_t *value)
{
	const char *name;
	json_t *v, *instead;
	size_t i;
	json_object_foreach(value, name, v)
	{
		instead = replacement(name, v);
		if (instead != NULL)
			json_object_set_new(value, name, instead);
		else
			secrets_take_out(v);
	}
	json_array_foreach(value, i, v)
	{
		instead = replacement(NULL, v);
		if (instead != NULL)
			json_array_set_new(value, i, instead);
		else
			secrets_take_out(v);
	}
}
