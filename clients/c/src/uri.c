#include "uri.h"

#include <stdio.h>
#include <stdlib.h>

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

/* Percent-decodes `in`. False if it is malformed, holds a NUL or is too long. */
static bool decode(struct bytes in, char *out, size_t size)
{
	size_t len = 0;
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		if (c == '%') {
			int high = in.len - i > 2 ? hex(in.data[i + 1]) : -1;
			int low = high < 0 ? -1 : hex(in.data[i + 2]);
			if (low < 0)
				return false;
			c = (uint8_t)(high * 16 + low);
			i += 2;
		}
		if (c == 0 || len + 1 >= size)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

/* Cuts `*rest` at the first of these characters: returns what is before it, and *rest is what comes
 * after. Without one: all, and nothing. */
static struct bytes cut(struct bytes *rest, const char *at, char *found)
{
	struct bytes all = *rest;
	for (size_t i = 0; i < all.len; i++)
		if (strchr(at, all.data[i]) != NULL && all.data[i] != '\0') {
			*rest = bytes_of(all.data + i + 1, all.len - i - 1);
			*found = (char)all.data[i];
			return bytes_of(all.data, i);
		}
	*rest = bytes_of(all.data + all.len, 0);
	*found = '\0';
	return all;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out <= max;
}

static int bad(const char *what, struct bytes value)
{
	return lev_fail(LEV_INVALID, "URI: %s: '%.*s'", what, BYTES_ARG(value));
}

static int parameter(struct uri *u, struct bytes name, struct bytes value)
{
	static const struct {
		const char *name;
		size_t at;
		size_t size;
	} files[] = {
		{ "cacertfile", offsetof(struct uri, ca_file), sizeof u->ca_file },
		{ "certfile", offsetof(struct uri, certificate_file), sizeof u->certificate_file },
		{ "keyfile", offsetof(struct uri, key_file), sizeof u->key_file },
		{ "server_name_indication", offsetof(struct uri, server_name),
		  sizeof u->server_name },
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (bytes_equal_str(name, files[i].name))
			return decode(value, (char *)u + files[i].at, files[i].size)
				       ? LEV_OK
				       : bad(files[i].name, value);
	char text[64];
	uint64_t n = 0;
	if (!decode(value, text, sizeof text))
		return bad("value of a parameter", value);
	if (bytes_equal_str(name, "heartbeat") && number(text, UINT16_MAX, &n)) {
		u->heartbeat_s = (uint16_t)n;
		u->has_heartbeat = true;
	} else if (bytes_equal_str(name, "connection_timeout") && number(text, UINT32_MAX, &n)) {
		u->timeout_ms = (uint32_t)n;
	} else if (bytes_equal_str(name, "channel_max") && number(text, UINT16_MAX, &n)) {
		u->channel_max = (uint16_t)n;
	} else if (bytes_equal_str(name, "verify") &&
		   (strcmp(text, "verify_none") == 0 || strcmp(text, "verify_peer") == 0)) {
		u->is_unverified = strcmp(text, "verify_none") == 0;
	} else if (bytes_equal_str(name, "auth_mechanism") &&
		   (strcmp(text, "external") == 0 || strcmp(text, "plain") == 0)) {
		u->is_external = strcmp(text, "external") == 0;
	} else {
		return bad("unknown parameter, or a value that it cannot have", name);
	}
	return LEV_OK;
}

static int parameters(struct uri *u, struct bytes query)
{
	char found;
	while (query.len > 0) {
		struct bytes value = cut(&query, "&", &found), name = cut(&value, "=", &found);
		int rc = name.len == 0 ? LEV_OK : parameter(u, name, value);
		if (rc != LEV_OK)
			return rc;
	}
	return LEV_OK;
}

static int login(struct uri *u, struct bytes text)
{
	char found;
	struct bytes user = cut(&text, ":", &found);
	if (!decode(user, u->user, sizeof u->user))
		return bad("user", user);
	if (found == ':' && !decode(text, u->password, sizeof u->password))
		return lev_fail(LEV_INVALID, "URI: password is malformed or too long");
	return LEV_OK;
}

static int address(struct uri *u, struct bytes text)
{
	struct bytes host = text, port;
	char found = '\0';
	uint64_t n;
	if (text.len > 0 && text.data[0] == '[') {
		port = bytes_of(text.data + 1, text.len - 1);
		host = cut(&port, "]", &found);
		if (found != ']' || (port.len > 0 && port.data[0] != ':'))
			return bad("host", text);
		found = port.len > 0 ? ':' : '\0';
		if (port.len > 0)
			port = bytes_of(port.data + 1, port.len - 1);
	} else {
		port = text;
		host = cut(&port, ":", &found);
	}
	if (host.len > 0 && !decode(host, u->host, sizeof u->host))
		return bad("host", host);
	if (found == ':' && port.len > 0 &&
	    (!decode(port, u->port, sizeof u->port) || !number(u->port, UINT16_MAX, &n) || n == 0))
		return bad("port", port);
	return LEV_OK;
}

int uri_parse(struct uri *out, struct bytes text)
{
	static const char plain[] = "amqp://", tls[] = "amqps://";
	struct uri u = { .user = "guest", .password = "guest", .host = "localhost", .vhost = "/" };
	char found;
	u.is_tls = bytes_has_prefix(text, tls);
	if (!u.is_tls && !bytes_has_prefix(text, plain))
		return bad("does not begin with amqp:// or amqps://", text);
	size_t scheme = u.is_tls ? sizeof tls - 1 : sizeof plain - 1;
	snprintf(u.port, sizeof u.port, "%s", u.is_tls ? "5671" : "5672");
	struct bytes query = bytes_of(text.data + scheme, text.len - scheme);
	struct bytes path = cut(&query, "?", &found), authority = cut(&path, "/", &found);
	bool has_vhost = found == '/';
	for (size_t i = authority.len; i-- > 0;)
		if (authority.data[i] == '@') {
			int rc = login(&u, bytes_of(authority.data, i));
			if (rc != LEV_OK)
				return rc;
			authority = bytes_of(authority.data + i + 1, authority.len - i - 1);
			break;
		}
	int rc = address(&u, authority);
	if (rc != LEV_OK)
		return rc;
	if (has_vhost && path.len > 0 && !decode(path, u.vhost, sizeof u.vhost))
		return bad("vhost", path);
	rc = parameters(&u, query);
	if (rc == LEV_OK)
		*out = u;
	return rc;
}

bool uri_next(struct bytes *rest, struct bytes *uri)
{
	char found;
	do
		*uri = cut(rest, ", \t\n", &found);
	while (uri->len == 0 && rest->len > 0);
	return uri->len > 0;
}
