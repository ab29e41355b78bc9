#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies [from, until) to a field, percent-decoded. */
static bool take(char *field, size_t size, const char *from, const char *until)
{
	size_t len = 0;
	while (from < until) {
		char c = *from++;
		if (c == '%') {
			char hex[3] = { 0 };
			char *end;
			if (until - from < 2)
				return false;
			memcpy(hex, from, 2);
			c = (char)strtol(hex, &end, 16);
			if (end != hex + 2)
				return false;
			from += 2;
		}
		if (len + 1 >= size)
			return false;
		field[len++] = c;
	}
	field[len] = '\0';
	return true;
}

static const char *find(const char *from, const char *until, char wanted)
{
	const char *at = memchr(from, wanted, (size_t)(until - from));
	return at == NULL ? until : at;
}

static bool take_login(struct target *t, const char *from, const char *until)
{
	const char *colon = find(from, until, ':');
	return take(t->user, sizeof t->user, from, colon) &&
	       (colon == until || take(t->password, sizeof t->password, colon + 1, until));
}

/* host, host:port or [v6]:port */
static bool take_address(struct target *t, const char *from, const char *until)
{
	const char *end = until;
	if (from < until && *from == '[') {
		end = find(from, until, ']');
		if (end == until || !take(t->host, sizeof t->host, from + 1, end++))
			return false;
	} else {
		end = find(from, until, ':');
		if (end > from && !take(t->host, sizeof t->host, from, end))
			return false;
	}
	if (end == until)
		return true;
	char *rest;
	long port = strtol(end + 1, &rest, 10);
	return *end == ':' && rest == until && port > 0 && port < 65536 &&
	       take(t->port, sizeof t->port, end + 1, until);
}

bool target_parse(struct target *t, const char *uri, char *why, size_t why_size)
{
	*t = (struct target){ .host = "127.0.0.1",
			      .port = "5672",
			      .user = "guest",
			      .password = "guest",
			      .vhost = "/" };
	const char *at = uri;
	if (strncmp(at, "amqps://", 8) == 0) {
		t->is_tls = true;
		strcpy(t->port, "5671");
		at += 8;
	} else if (strncmp(at, "amqp://", 7) == 0) {
		at += 7;
	} else {
		snprintf(why, why_size, "'%s' does not begin with amqp:// or amqps://", uri);
		return false;
	}
	const char *until = at + strcspn(at, "?#");
	const char *slash = find(at, until, '/');
	const char *sign = find(at, slash, '@');
	bool is_good = (sign == slash || take_login(t, at, sign)) &&
		       take_address(t, sign == slash ? at : sign + 1, slash) &&
		       (slash == until || take(t->vhost, sizeof t->vhost, slash + 1, until));
	if (!is_good)
		snprintf(why, why_size, "'%s' is no AMQP URI: amqp://user:password@host:port/vhost",
			 uri);
	return is_good;
}
