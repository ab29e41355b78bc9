/* HTTP/1.0: one request a connection, the reply ends with it. */
#include "ctl/fetch.h"

#include "ctl/ask.h"
#include "ctl/say.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 60, REPLY_BYTES_MAX = 1 << 30 };

void fetch_escape(char *path, size_t size, const char *text)
{
	size_t at = strlen(path);
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0' && at + 4 < size; c++) {
		bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				(*c >= '0' && *c <= '9') || strchr("-_.~", *c) != NULL;
		at += (size_t)snprintf(path + at, size - at, is_plain ? "%c" : "%%%02X", *c);
	}
}

/* --- connecting --- */

/* "http://HOST:PORT"; the port is 15672 if none is said. */
static bool split_url(const char *url, char host[256], char port[16])
{
	const char *at = strncmp(url, "http://", 7) == 0 ? url + 7 : url;
	size_t len = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/");
	bool is_v6 = at[0] == '[';
	if (len < (is_v6 ? 3U : 1U) || len >= 256 || strncmp(url, "https:", 6) == 0)
		return false;
	snprintf(host, 256, "%.*s", (int)(is_v6 ? len - 2 : len), at + is_v6);
	snprintf(port, 16, "%.*s", at[len] == ':' ? (int)strcspn(at + len + 1, "/") : 5,
		 at[len] == ':' ? at + len + 1 : "15672");
	return true;
}

static int connect_any(const struct addrinfo *all)
{
	int error = ENOENT;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			return fd;
		error = errno;
		if (fd != -1)
			close(fd);
	}
	errno = error;
	return -1;
}

static FILE *connect_url(const char *url, long patience_s)
{
	char host[256], port[16];
	struct addrinfo *all, hints = { .ai_socktype = SOCK_STREAM };
	struct timeval patience = { .tv_sec = patience_s };
	if (!split_url(url, host, port)) {
		errno = EINVAL;
		return NULL;
	}
	if (getaddrinfo(host, port, &hints, &all) != 0) {
		errno = ENOENT;
		return NULL;
	}
	int fd = connect_any(all);
	freeaddrinfo(all);
	if (fd == -1)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fdopen(fd, "r+");
}

/* --- request and reply --- */

static void put_base64(FILE *f, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned char)text[i] * 65536U;
		v += i + 1 < len ? (unsigned char)text[i + 1] * 256U : 0;
		v += i + 2 < len ? (unsigned char)text[i + 2] : 0;
		fprintf(f, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63],
			i + 1 < len ? digits[v >> 6 & 63] : '=', i + 2 < len ? digits[v & 63] : '=');
	}
}

static bool send_request(FILE *f, const struct options *o, const struct fetch *w)
{
	char *body = w->body == NULL ? NULL : json_dumps(w->body, JSON_COMPACT);
	fprintf(f, "%s %s HTTP/1.0\r\nHost: leveret\r\n", w->method, w->path);
	if (o->login != NULL) {
		fputs("Authorization: Basic ", f);
		put_base64(f, o->login);
		fputs("\r\n", f);
	}
	if (body != NULL || strcmp(w->method, "GET") != 0)
		fprintf(f, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			body == NULL ? 0 : strlen(body));
	fprintf(f, "\r\n%s", body == NULL ? "" : body);
	free(body);
	return fflush(f) == 0;
}

/* All that comes, ended by NUL. NULL: none, or too much. */
static char *read_all(FILE *f, size_t *len)
{
	size_t room = 65536;
	char *text = malloc(room);
	*len = 0;
	for (size_t n; text != NULL && (n = fread(text + *len, 1, room - *len - 1, f)) > 0;) {
		*len += n;
		if (*len + 1 < room)
			continue;
		char *more = room < REPLY_BYTES_MAX ? realloc(text, room * 2) : NULL;
		if (more == NULL)
			free(text);
		text = more;
		room *= 2;
	}
	if (text != NULL && *len == 0) {
		free(text);
		return NULL;
	}
	if (text != NULL)
		text[*len] = '\0';
	return text;
}

json_t *fetch(const struct options *o, const struct fetch *w, int *status)
{
	long patience_s = o->timeout_s == 0 ? PATIENCE_S : o->timeout_s;
	size_t len;
	json_t *answer = NULL;
	FILE *f = o->url == NULL ? ask_connect(o->data_dir, ASK_HTTP, patience_s)
				 : connect_url(o->url, patience_s);
	*status = 0;
	if (f == NULL)
		return NULL;
	char *text = send_request(f, o, w) ? read_all(f, &len) : NULL;
	int error = errno;
	fclose(f);
	errno = error;
	if (text == NULL)
		return NULL;
	const char *end = strstr(text, "\r\n\r\n");
	if (sscanf(text, "HTTP/1.%*c %d", status) != 1 || end == NULL) {
		*status = 0;
		errno = EPROTO;
	} else if (end[4] != '\0') {
		answer = json_loads(end + 4, JSON_DECODE_ANY, NULL);
	}
	free(text);
	return answer;
}

static int tell_refused(const struct options *o, const json_t *answer, int http)
{
	const json_t *why = json_object_get(answer, "reason");
	char *text = json_is_string(why) || why == NULL ? NULL : json_dumps(why, JSON_COMPACT);
	if (http == 401)
		say_error(STATUS_REFUSED, "%s (--login USER:PASSWORD)",
			  json_is_string(why) ? json_string_value(why) : "a login is needed");
	else
		say_error(STATUS_REFUSED, "%s",
			  text != NULL            ? text
			  : json_is_string(why) ? json_string_value(why)
						  : "it was refused");
	free(text);
	(void)o;
	return http == 400 ? STATUS_DATA : STATUS_REFUSED;
}

json_t *fetch_told(const struct options *o, const struct fetch *w, int *status)
{
	int http;
	json_t *answer = fetch(o, w, &http);
	*status = 0;
	if (http == 0) {
		*status = errno == EAGAIN ? STATUS_TIMEOUT : STATUS_REFUSED;
		if (errno == EAGAIN)
			say_error(0, "no answer in time");
		else
			say_error(0, "no broker answers in %s: %s",
				  o->url == NULL ? o->data_dir : o->url, strerror(errno));
	} else if (http >= 300) {
		*status = tell_refused(o, answer, http);
	}
	if (*status == 0)
		return answer != NULL ? answer : json_object();
	json_decref(answer);
	return NULL;
}

json_t *fetch_or_tell(const struct options *o, const char *path, int *status)
{
	const struct fetch wanted = { .method = "GET", .path = path };
	return fetch_told(o, &wanted, status);
}
