/* User fields: tags and limits as JSON, as definitions, lists and the management show them. The
 * loop's thread. */
#ifndef LEV_MANAGE_USER_FIELDS_H
#define LEV_MANAGE_USER_FIELDS_H

#include <jansson.h>
#include <stdint.h>

struct user;

/* A list of texts. The caller's, as all here. */
json_t *user_tags_json(const struct user *user);
json_t *user_limits_json(const struct user *user);
/* An object of two limits, also of a virtual host's; a negative one is none, and left out. */
json_t *limits_json(const char *const names[2], int64_t first, int64_t second);

#endif
