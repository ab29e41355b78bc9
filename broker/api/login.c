/* Login on the page: a session begins, is asked for, and ends. */
#include "api/query.h"

#include "api/sessions.h"
#include "auth/users.h"
#include "base/alloc.h"
#include "manage/table_json.h"
#include "manage/user_fields.h"
#include "net/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be known of the user on the other thread. */
struct login {
	struct bytes user; /* Owned. */
	uint64_t version;
	json_t *tags; /* Owned. */
};

static void free_login(void *arg)
{
	struct login *l = arg;
	free((void *)l->user.data);
	json_decref(l->tags);
	free(l);
}

static enum desk_step keep_user(struct query *c)
{
	struct login *l = alloc_zeroed(sizeof *l);
	c->prepared = l;
	c->free_prepared = free_login;
	l->user = alloc_copy(c->user->name);
	l->version = c->user->version;
	l->tags = user_tags_json(c->user);
	return DESK_DONE;
}

static json_t *session_json(const struct login *l, const char *csrf)
{
	return json_pack("{s:o, s:O, s:s}", "name", json_of_text(l->user), "tags", l->tags, "csrf",
			 csrf);
}

/* The cookie of a plain connection cannot bear the prefix, which wants TLS. */
static void set_cookie(struct query *c, const char *secret, const char *more)
{
	bool is_tls = c->request->is_tls;
	snprintf(c->cookie, sizeof c->cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
		 is_tls ? "__Host-leveret" : "leveret", secret, is_tls ? "; Secure" : "", more);
}

static void tell_begun(struct query *c)
{
	const struct login *l = c->prepared;
	char secret[SESSION_SECRET_CHARS + 1];
	struct page_session s;
	char cookie[SESSION_SECRET_CHARS + 20];
	sessions_begin(c->api->sessions, l->user, l->version, clock_steady_ms(), secret);
	snprintf(cookie, sizeof cookie, "leveret=%s", secret);
	if (!sessions_find(c->api->sessions, bytes_str(cookie), clock_steady_ms(), &s))
		abort(); /* It has just been made. */
	set_cookie(c, secret, "");
	c->answer = session_json(l, s.csrf);
	query_reply(c);
}

static void tell_session(struct query *c)
{
	struct bytes cookies = bytes_of("", 0);
	struct page_session s;
	http_header(c->request, "cookie", &cookies);
	if (sessions_find(c->api->sessions, cookies, clock_steady_ms(), &s))
		c->answer = session_json(c->prepared, s.csrf);
	else
		query_not_found(c);
	query_reply(c);
}

static void tell_ended(struct query *c)
{
	struct bytes cookies = bytes_of("", 0);
	http_header(c->request, "cookie", &cookies);
	sessions_end(c->api->sessions, cookies);
	set_cookie(c, "", "; Max-Age=0");
	c->status = 204;
	query_reply(c);
}

void login_read_body(struct query *c)
{
	struct bytes body = c->request->body;
	json_t *said = json_loadb((const char *)body.data, body.len, 0, NULL);
	const json_t *user = json_object_get(said, "user");
	const json_t *password = json_object_get(said, "password");
	size_t user_len = json_string_length(user), password_len = json_string_length(password);
	c->has_login = true;
	c->login.user = c->login.password = bytes_of("", 0);
	if (json_is_string(user) && json_is_string(password) &&
	    user_len + password_len <= HTTP_BASIC_MAX) {
		memcpy(c->login.text, json_string_value(user), user_len);
		memcpy(c->login.text + user_len, json_string_value(password), password_len);
		c->login.user = bytes_of(c->login.text, user_len);
		c->login.password = bytes_of(c->login.text + user_len, password_len);
	}
	json_decref(said);
}

const struct route login_routes[] = {
	{ HTTP_POST, "leveret/session", RIGHT_MANAGEMENT, VHOST_NONE, true, NULL, keep_user,
	  tell_begun },
	{ HTTP_GET, "leveret/session", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, keep_user,
	  tell_session },
	{ HTTP_DELETE, "leveret/session", RIGHT_MANAGEMENT, VHOST_NONE, false, NULL, keep_user,
	  tell_ended },
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
