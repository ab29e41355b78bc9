#include "manage/user_fields.h"

#include "auth/users.h"
#include "manage/table_json.h"

#include <string.h>

json_t *user_tags_json(const struct user *user)
{
	json_t *tags = json_array();
	size_t at = 0;
	while (at < user->tags.len) {
		const uint8_t *from = user->tags.data + at;
		const uint8_t *comma = memchr(from, ',', user->tags.len - at);
		size_t len = comma == NULL ? user->tags.len - at : (size_t)(comma - from);
		json_array_append_new(tags, json_of_text(bytes_of(from, len)));
		at += len + 1;
	}
	return tags;
}

json_t *user_limits_json(const struct user *user)
{
	static const char *const names[] = { "max-connections", "max-channels" };
	return limits_json(names, user->connections_max, user->channels_max);
}

json_t *limits_json(const char *const names[2], int64_t first, int64_t second)
{
	json_t *limits = json_object();
	if (first >= 0)
		json_object_set_new(limits, names[0], json_integer(first));
	if (second >= 0)
		json_object_set_new(limits, names[1], json_integer(second));
	return limits;
}
