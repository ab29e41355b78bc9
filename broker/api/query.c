/* A request is judged in RabbitMQ's order: path, method, login, rights, virtual host, and only then
 * what it says. A body is read (on the api's thread) when it has been admitted: a stranger's costs
 * nothing but its bytes. Parameters are read before; a refusal of them waits until it is known
 * whether anything else stands in the way. */
#include "api/query.h"

#include "core/admin.h"
#include "core/inputs.h"

#include "api/json_text.h"
#include "api/sessions.h"
#include "api/sheet.h"
#include "api/stats.h"
#include "auth/users.h"
#include "base/alloc.h"
#include "http/server.h"
#include "manage/audit.h"
#include "manage/manage.h"
#include "manage/table_json.h"
#include "net/clock.h"
#include "page/page.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_VALUES_MAX = 1 << 16 };

/* --- refusals --- */

bool query_refuse(struct query *c, unsigned status, const char *error, const char *format, ...)
{
	va_list args;
	if (c->status >= 400)
		return false;
	va_start(args, format);
	vsnprintf(c->reason, sizeof c->reason, format, args);
	va_end(args);
	c->status = status;
	c->error = error;
	return false;
}

bool query_bad(struct query *c, const char *format, ...)
{
	va_list args;
	char text[QUERY_REASON_MAX];
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return query_refuse(c, 400, "bad_request", "%s", text);
}

bool query_not_found(struct query *c)
{
	return query_refuse(c, 404, "Object Not Found", "Not Found");
}

bool query_unauthorised(struct query *c, const char *why)
{
	return query_refuse(c, 401, "not_authorised", "%s", why);
}

/* What stands in the way of everything comes before what the request says. */
static bool overrule(struct query *c)
{
	c->status = 0;
	c->error = NULL;
	return true;
}

/* --- admission, on the loop's thread --- */

static bool has_tag(const struct query *c, const char *tag)
{
	return user_has_tag(c->user, "administrator") || user_has_tag(c->user, tag);
}

static bool is_manager(const struct query *c)
{
	return has_tag(c, "monitoring") || user_has_tag(c->user, "policymaker") ||
	       user_has_tag(c->user, "management");
}

static bool admit_user(struct query *c)
{
	overrule(c);
	if (!is_manager(c))
		return query_unauthorised(c, "Not management user");
	switch (c->route->right) {
	case RIGHT_NONE:
	case RIGHT_MANAGEMENT: break;
	case RIGHT_MONITORING:
		if (!has_tag(c, "monitoring"))
			return query_unauthorised(c, "Not monitor user");
		break;
	case RIGHT_POLICY:
		if (!has_tag(c, "policymaker"))
			return query_unauthorised(c, "User not authorised to access object");
		break;
	case RIGHT_ADMIN:
		if (!user_has_tag(c->user, "administrator"))
			return query_unauthorised(c, "Not administrator user");
		break;
	}
	return true;
}

static bool admit_vhost(struct query *c)
{
	bool is_admin = user_has_tag(c->user, "administrator");
	bool is_monitor = is_admin || user_has_tag(c->user, "monitoring");
	bool is_permitted = user_grant(c->user, c->names[0]) != NULL;
	bool is_there = core_vhost(c->api->options.core, c->names[0]) != NULL;
	bool is_policy = c->route->right == RIGHT_POLICY;
	const char *why = is_policy ? "User not authorised to access object"
				    : "User not authorised to access virtual host";
	enum http_method method = c->route->method;
	if (c->route->vhost == VHOST_NAMED)
		return true;
	if (c->route->vhost == VHOST_LISTED ? !is_permitted && !is_monitor
					    : !is_permitted && !is_admin)
		return query_unauthorised(c, why);
	bool is_messaged = c->route->vhost == VHOST_MESSAGED;
	if (is_messaged && !is_there)
		return query_unauthorised(c, "Access refused.");
	if (!is_there)
		return method == HTTP_PUT || method == HTTP_POST
			       ? query_refuse(c, 404, "not_found", "vhost_not_found")
			       : query_not_found(c);
	if ((c->route->vhost == VHOST_USED || is_messaged) && !is_permitted)
		return query_unauthorised(c, "Access refused.");
	return true;
}

/* Whatever the request says was wrong is told only if nothing of this is. */
static bool admit(struct query *c)
{
	unsigned status = c->status;
	const char *error = c->error;
	if (!admit_user(c) || (c->route->vhost != VHOST_NONE && !admit_vhost(c)))
		return false;
	c->status = status;
	c->error = error;
	c->sees_all = has_tag(c, "monitoring");
	return status < 400;
}

static bool refuse_login(struct query *c)
{
	overrule(c);
	c->asks_for_login = true;
	return query_refuse(c, 401, "not_authorized", "Login failed");
}

static void on_login(void *asker, struct user *user)
{
	struct query *c = asker;
	c->is_later = false;
	c->user = user == NULL ? NULL : user_hold(user);
	if (user == NULL)
		refuse_login(c);
	desk_wake(c->api->desk, &c->job);
}

static void find_address(const struct query *c, struct api_asked *asked)
{
	const union http_peer *peer = &c->request->peer;
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	if (peer->any.sa_family == AF_INET6) {
		memcpy(asked->address, &peer->v6.sin6_addr, 16);
		asked->is_loopback = IN6_IS_ADDR_LOOPBACK(&peer->v6.sin6_addr);
	} else {
		memcpy(asked->address, mapped, sizeof mapped);
		memcpy(asked->address + sizeof mapped, &peer->v4.sin_addr, 4);
		asked->is_loopback = asked->address[sizeof mapped] == 127;
	}
}

/* Whoever could open the socket in the data directory is the operator. */
static bool is_operator(const struct query *c)
{
	return c->request->peer.any.sa_family == AF_UNIX;
}

/* False: the user has changed or gone since, and with it the session. */
static bool resume_session(struct query *c)
{
	struct user *user = users_find(c->api->options.users, c->session_user);
	overrule(c);
	if (user == NULL || user->version != c->session_version)
		return query_refuse(c, 401, "not_authorized", "the session is over");
	c->user = user_hold(user);
	return true;
}

static enum desk_step log_in(struct query *c)
{
	struct api_asked asked = {
		.user = c->login.user, .password = c->login.password, .told = on_login, .asker = c
	};
	struct user *user = NULL;
	if (is_operator(c)) {
		c->user = user_hold(users_operator(c->api->options.users));
		return DESK_AGAIN;
	}
	find_address(c, &asked);
	enum api_login what = c->api->options.login(c->api->options.arg, &asked, &user);
	if (what == API_LOGIN_LATER) {
		c->is_later = true;
		return DESK_LATER;
	}
	if (what == API_LOGIN_TAKEN)
		c->user = user_hold(user);
	else
		refuse_login(c);
	return DESK_AGAIN;
}

static enum desk_step end(struct query *c)
{
	if (c->end_waiting != NULL)
		c->end_waiting(c);
	c->end_waiting = NULL;
	if (c->end_state != NULL)
		c->end_state(c);
	c->end_state = NULL;
	user_release(c->user);
	c->user = NULL;
	c->is_ended = true;
	return DESK_DONE;
}

static enum desk_step work(struct query *c)
{
	enum desk_step step = c->route->step == NULL ? DESK_DONE : c->route->step(c);
	return step == DESK_DONE ? end(c) : step;
}

/* In one turn, if the login is known: a user that goes in between is asked for anew. */
static enum desk_step take_step(struct desk_job *job)
{
	struct query *c = list_entry(job, struct query, job);
	c->api->options.begin_turn(c->api->options.arg);
	if (c->route->right == RIGHT_NONE)
		return work(c);
	if (c->user == NULL && c->has_session) {
		unsigned status = c->status;
		const char *error = c->error;
		if (!resume_session(c))
			return end(c);
		c->status = status;
		c->error = error;
	}
	if (c->user == NULL && !c->asks_for_login && log_in(c) == DESK_LATER)
		return DESK_LATER;
	if (c->user == NULL)
		return end(c);
	if (c->user->is_deleted) {
		refuse_login(c);
		return end(c);
	}
	if (!admit(c))
		return end(c);
	return c->is_read ? work(c) : DESK_DONE;
}

struct vhost *query_vhost(struct query *c)
{
	struct vhost *vhost = core_vhost(c->api->options.core, c->names[0]);
	if (vhost == NULL)
		query_not_found(c);
	return vhost;
}

bool query_may_see(const struct query *c, struct bytes vhost)
{
	return c->sees_all || user_grant(c->user, vhost) != NULL;
}

/* --- questions to manage --- */

/* "PRECONDITION_FAILED - inequivalent ..." -> "inequivalent ..." */
static const char *without_name(const char *text)
{
	const char *at = strstr(text, " - ");
	return at == NULL ? text : at + 3;
}

static void refuse_with(struct query *c, int code, const char *text)
{
	if (code == REPLY_ACCESS_REFUSED)
		query_unauthorised(c, "Access refused.");
	else if (code == REPLY_NOT_FOUND)
		query_refuse(c, 404, "not_found", "%s", without_name(text));
	else
		query_bad(c, "%s", code == 0 ? text : without_name(text));
}

void query_refuse_by(struct query *c, const struct refusal *refusal)
{
	refuse_with(c, refusal->code, refusal->text);
}

void query_await(struct query *c, uint64_t sequence)
{
	if (sequence > c->job.awaited)
		c->job.awaited = sequence;
}

json_t *query_question(const struct query *c, const char *command)
{
	json_t *question =
		json_pack("{s:s, s:o}", "command", command, "vhost", json_of_text(c->names[0]));
	if (!c->user->is_operator)
		json_object_set_new(question, "as", json_of_text(c->user->name));
	return question;
}

static void tell_audit(const struct query *c, const json_t *question, const json_t *answer)
{
	const struct api_options *o = &c->api->options;
	char peer[64], text[AUDIT_TEXT_MAX];
	if (o->audit == NULL || !audit_is_change(question))
		return;
	http_peer_text(&c->request->peer, peer, sizeof peer);
	audit_text(question, answer, text);
	o->audit(o->arg, peer, c->user->name,
		 json_string_value(json_object_get(question, "command")), text);
}

void query_audit(struct query *c, json_t *question, const char *error)
{
	json_t *answer = error == NULL ? json_object() : json_pack("{s:s}", "error", error);
	if (answer == NULL) /* The text is no UTF-8. */
		answer = json_pack("{s:s}", "error", "");
	tell_audit(c, question, answer);
	json_decref(answer);
	json_decref(question);
}

json_t *query_ask(struct query *c, json_t *question)
{
	uint64_t awaited = 0;
	json_t *answer = manage_answer(c->api->options.manage, question, &awaited);
	tell_audit(c, question, answer);
	json_decref(question);
	query_await(c, awaited);
	if (answer != NULL && json_object_get(answer, "error") == NULL)
		return answer;
	if (answer == NULL)
		query_refuse(c, 501, "not_implemented", "the broker does not know this question");
	else
		refuse_with(c, (int)json_integer_value(json_object_get(answer, "code")),
			    json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
	return NULL;
}

bool query_do(struct query *c, json_t *question)
{
	json_t *answer = query_ask(c, question);
	json_decref(answer);
	return answer != NULL;
}

/* --- before: on the api's thread --- */

static bool has_no_body(const struct query *c)
{
	enum http_method method = c->request->method;
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_DELETE;
}

static bool read_body(struct query *c)
{
	struct bytes body = c->request->body;
	if (c->route->takes_bytes || has_no_body(c))
		return true;
	c->body = body.len == 0 ? json_object() : json_text_load(body, BODY_VALUES_MAX);
	if (json_is_null(c->body))
		c->body = json_object();
	return json_is_object(c->body) || query_bad(c, "not_json");
}

static bool is_same_origin(const struct http_request *r, struct bytes origin)
{
	struct bytes host;
	const uint8_t *at = memchr(origin.data, '/', origin.len);
	size_t skip = at == NULL ? origin.len : (size_t)(at - origin.data) + 2;
	return skip <= origin.len && http_header(r, "host", &host) &&
	       bytes_equal(bytes_of(origin.data + skip, origin.len - skip), host);
}

/* A page of somebody else's makes its visitor's browser ask with credentials it remembers. */
static bool is_foreign(const struct http_request *r)
{
	struct bytes origin, site;
	if (r->method == HTTP_GET || r->method == HTTP_HEAD || r->method == HTTP_OPTIONS)
		return false;
	if (http_header(r, "sec-fetch-site", &site) && !bytes_equal_str(site, "same-origin") &&
	    !bytes_equal_str(site, "none"))
		return true;
	return http_header(r, "origin", &origin) && !is_same_origin(r, origin);
}

static void reply_challenge(struct query *c, unsigned status, struct bytes body)
{
	const struct http_header challenge = { "www-authenticate",
					       bytes_str("Basic realm=\"RabbitMQ Management\"") };
	http_reply_with(c->request, status, body.len == 0 ? NULL : "application/json", body,
			&challenge, 1);
}

/* False: it has been answered. */
static bool read_basic(struct query *c, struct bytes header)
{
	c->has_login = http_basic_read(header, &c->login);
	if (!c->has_login)
		http_reply(c->request, 400, NULL, bytes_of("", 0));
	return c->has_login;
}

/* A link to a download brings its login in the URL: there, and nowhere else. */
static bool read_auth(struct query *c, struct bytes base64)
{
	char header[HTTP_BASIC_MAX * 2];
	int len = snprintf(header, sizeof header, "Basic %.*s", BYTES_ARG(base64));
	return read_basic(c, bytes_of(header, len < (int)sizeof header ? (size_t)len : 6));
}

static bool is_of_page(const struct http_request *r)
{
	struct bytes site;
	return http_header(r, "sec-fetch-site", &site) && bytes_equal_str(site, "same-origin");
}

/* A session of the page; what changes something needs its token. */
static bool read_session(struct query *c)
{
	struct bytes cookies, token = bytes_of("", 0);
	struct page_session s;
	if (!http_header(c->request, "cookie", &cookies) ||
	    !sessions_find(c->api->sessions, cookies, clock_steady_ms(), &s))
		return false;
	http_header(c->request, "x-leveret-csrf", &token);
	bool is_change = c->route->method != HTTP_GET;
	bool is_right = token.len == SESSION_SECRET_CHARS &&
			CRYPTO_memcmp(token.data, s.csrf, SESSION_SECRET_CHARS) == 0;
	c->has_session = !is_change || is_right;
	if (c->has_session) {
		c->session_user = alloc_copy(s.user);
		c->session_version = s.version;
	}
	return c->has_session;
}

/* False: it has been answered. */
static bool read_login(struct query *c)
{
	struct bytes header;
	if (c->route->takes_bytes && strcmp(c->route->path, "login") == 0)
		users_read_form_login(c);
	if (c->route->takes_bytes && strcmp(c->route->path, "leveret/session") == 0)
		login_read_body(c);
	if (c->has_login || is_operator(c))
		return true;
	bool is_download = c->route->path[0] == 'd' && c->request->method == HTTP_GET;
	if (is_download && http_parameter(c->request, "auth", &header))
		return read_auth(c, header);
	if (!http_header(c->request, "authorization", &header)) {
		if (read_session(c))
			return true;
		/* A page would have its browser ask for a login. */
		if (is_of_page(c->request))
			http_reply_error(c->request, 401, "not_authorized", "not logged in");
		else
			reply_challenge(c, 401, bytes_of("", 0));
		return false;
	}
	if (header.len >= 6 && strncasecmp((const char *)header.data, "basic ", 6) == 0)
		return read_basic(c, header);
	reply_challenge(c, 401,
			bytes_str("{\"error\":\"not_authorized\",\"reason\":\"Login failed\"}"));
	return false;
}

static void reply_allowed(struct query *c, unsigned status, unsigned allowed)
{
	static const struct {
		enum http_method method;
		const char *name;
	} all[] = { { HTTP_GET, "HEAD, GET, " },
		    { HTTP_POST, "POST, " },
		    { HTTP_PUT, "PUT, " },
		    { HTTP_DELETE, "DELETE, " } };
	char text[80] = "";
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (allowed & 1U << all[i].method)
			strcat(text, all[i].name);
	strcat(text, "OPTIONS");
	const struct http_header allow = { "allow", bytes_str(text) };
	http_reply_with(c->request, status, NULL, bytes_of("", 0), &allow, 1);
}

static unsigned all_allowed(const struct http_request *r)
{
	struct bytes names[QUERY_NAMES_MAX];
	struct http_request other = *r;
	unsigned allowed;
	other.method = HTTP_OTHER;
	route_find(&other, names, &allowed);
	return allowed;
}

/* False: it has been answered. */
static bool find_route(struct query *c)
{
	unsigned allowed;
	const struct http_request *r = c->request;
	if (r->segments_len == 1 && bytes_equal_str(r->segments[0], "api")) {
		const struct http_header to = { "location", bytes_str("/api/index.html") };
		http_reply_with(c->request, 301, NULL, bytes_of("", 0), &to, 1);
		return false;
	}
	if (r->method == HTTP_OTHER) {
		http_reply(c->request, 501, NULL, bytes_of("", 0));
		return false;
	}
	c->route = route_find(r, c->names, &allowed);
	if (c->route != NULL)
		return true;
	if (allowed == 0)
		http_reply_error(c->request, 404, "Object Not Found", "Not Found");
	else
		reply_allowed(c, r->method == HTTP_OPTIONS ? 200 : 405, all_allowed(r));
	return false;
}

static void query_free(struct query *c)
{
	OPENSSL_cleanse(&c->login, sizeof c->login);
	free((void *)c->session_user.data);
	if (c->free_prepared != NULL)
		c->free_prepared(c->prepared);
	json_decref(c->body);
	json_decref(c->answer);
	json_decref(c->details);
	sheet_free(c->sheet);
	sheet_free(c->one);
	free(c);
}

/* What it says; then the broker is asked. */
static void read_and_ask(struct query *c)
{
	c->is_read = true;
	if (c->status < 400 && read_body(c) && c->route->prepare != NULL)
		c->route->prepare(c);
	desk_put(c->api->desk, &c->job);
}

static void tell(struct desk_job *job, bool is_dropped)
{
	struct query *c = list_entry(job, struct query, job);
	if (is_dropped) {
		if (c->is_later)
			c->api->options.forget_login(c->api->options.arg, c);
		if (!c->is_ended)
			end(c);
		query_refuse(c, 503, "unavailable", "the broker is stopping");
		query_reply(c);
	} else if (!c->is_ended) {
		read_and_ask(c);
	} else if (c->status >= 400 || c->route->tell == NULL) {
		query_reply(c);
	} else {
		c->route->tell(c);
	}
}

struct query *query_create(struct api *api, struct http_request *request)
{
	struct query *c = alloc_zeroed(sizeof *c);
	c->api = api;
	c->request = request;
	c->job.step = take_step;
	c->job.done = tell;
	return c;
}

static bool accepts_json(struct query *c)
{
	return http_quality(c->request, "accept", "application/json") != 0 ||
	       query_refuse(c, 406, NULL, "%s", "");
}

void query_begin(struct query *c)
{
	if (page_reply(c->request)) {
		query_free(c);
		return;
	}
	bool is_ours = find_route(c);
	if (is_ours && is_foreign(c->request)) {
		http_reply_error(c->request, 403, "forbidden",
				 "this was asked by a page of another site");
		is_ours = false;
	}
	if (is_ours && c->route->right != RIGHT_NONE)
		is_ours = read_login(c);
	if (!is_ours) {
		query_free(c);
		return;
	}
	if (accepts_json(c))
		stats_check(c);
	if (has_no_body(c))
		read_and_ask(c);
	else
		desk_put(c->api->desk, &c->job);
}

/* --- replies --- */

/* What headers there are beside those of every reply. */
static size_t reply_headers(const struct query *c, struct http_header out[5])
{
	size_t len = 0;
	if (c->route->method == HTTP_GET)
		out[len++] = (struct http_header){ "cache-control", bytes_str("no-cache") };
	if (c->location[0] != '\0')
		out[len++] = (struct http_header){ "location", bytes_str(c->location) };
	if (c->disposition[0] != '\0')
		out[len++] =
			(struct http_header){ "content-disposition", bytes_str(c->disposition) };
	if (c->cookie[0] != '\0')
		out[len++] = (struct http_header){ "set-cookie", bytes_str(c->cookie) };
	if (c->asks_for_login && !is_of_page(c->request))
		out[len++] =
			(struct http_header){ "www-authenticate",
					      bytes_str("Basic realm=\"RabbitMQ Management\"") };
	return len;
}

void query_reply_text(struct query *c, unsigned status, const char *type, struct bytes text)
{
	struct http_header headers[5];
	http_reply_with(c->request, status, type, text, headers, reply_headers(c, headers));
	query_free(c);
}

static json_t *refusal_json(struct query *c)
{
	json_t *reason = c->details != NULL ? json_incref(c->details) : json_string(c->reason);
	return json_pack("{s:s, s:o}", "error", c->error, "reason",
			 reason != NULL ? reason : json_string("?"));
}

void query_reply(struct query *c)
{
	unsigned status = c->status == 0 ? 200 : c->status;
	bool is_bare = status == 201 || status == 204;
	bool is_refused = status >= 400 && c->error != NULL;
	json_t *json = is_refused ? refusal_json(c) : is_bare ? NULL : json_incref(c->answer);
	if (json == NULL) {
		query_reply_text(c, status, NULL, bytes_of("", 0));
		return;
	}
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(json);
	query_reply_text(c, status, "application/json", bytes_str(text));
	free(text);
}

/* --- what names, bodies and parameters say --- */

struct bytes query_exchange_name(struct bytes name)
{
	return bytes_equal_str(name, "amq.default") ? bytes_of("", 0) : name;
}

bool query_flag(struct query *c, const char *name, bool *value)
{
	const json_t *v = json_object_get(c->body, name);
	const char *text = json_string_value(v);
	if (v == NULL)
		return true;
	if (json_is_boolean(v) || (text != NULL && strcmp(text, "true") == 0) ||
	    (text != NULL && strcmp(text, "false") == 0)) {
		*value = json_is_true(v) || (text != NULL && text[0] == 't');
		return true;
	}
	c->details = json_pack("[s, O]", "not_boolean", v);
	return query_bad(c, "%s", name);
}

bool query_needs(struct query *c, const char *const *names)
{
	char text[400] = "";
	for (size_t at = 0; *names != NULL; names++)
		if (json_object_get(c->body, *names) == NULL)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s{key_missing,%s}",
					       at == 0 ? "" : ",", *names);
	return text[0] == '\0' || query_bad(c, "[%s]", text);
}

const char *query_str(const struct query *c, const char *name)
{
	return json_string_value(json_object_get(c->body, name));
}

bool query_parameter_is_true(const struct query *c, const char *name)
{
	struct bytes value;
	return http_parameter(c->request, name, &value) && bytes_equal_str(value, "true");
}
