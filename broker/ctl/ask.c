#include "ctl/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 60 };

bool ask_address(struct sockaddr_un *address, const char *data_dir, const char *name)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int len = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", data_dir, name);
	return len > 0 && (size_t)len < sizeof address->sun_path;
}

FILE *ask_connect(const char *data_dir, const char *name, long patience_s)
{
	struct sockaddr_un address;
	struct timeval patience = { .tv_sec = patience_s };
	if (!ask_address(&address, data_dir, name)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1) {
		int error = errno;
		close(fd);
		errno = error;
		return NULL;
	}
	return fdopen(fd, "r+");
}

json_t *ask_broker(const char *data_dir, const json_t *question)
{
	char *reply = NULL, *line = json_dumps(question, JSON_COMPACT);
	size_t size = 0;
	FILE *f = line == NULL ? NULL : ask_connect(data_dir, ASK_CONTROL, PATIENCE_S);
	bool is_answered = f != NULL && fprintf(f, "%s\n", line) > 0 && fflush(f) == 0 &&
			   getline(&reply, &size, f) > 0;
	int error = errno;
	json_t *answer = is_answered ? json_loads(reply, 0, NULL) : NULL;
	if (f != NULL)
		fclose(f);
	free(line);
	free(reply);
	errno = is_answered ? EPROTO : error;
	return answer;
}

/* NULL: an argument is not NAME=VALUE. */
static json_t *make_question(int argc, char *const *argv)
{
	json_t *question = json_pack("{s:s}", "command", argc > 0 ? argv[0] : "");
	bool is_good = question != NULL;
	for (int i = 1; i < argc && is_good; i++) {
		const char *equals = strchr(argv[i], '=');
		is_good = equals != NULL;
		if (!is_good)
			break;
		char *name = strndup(argv[i], (size_t)(equals - argv[i]));
		is_good = name != NULL &&
			  json_object_set_new(question, name, json_string(equals + 1)) == 0;
		free(name);
	}
	if (is_good)
		return question;
	json_decref(question);
	return NULL;
}

int ask_main(const char *data_dir, int argc, char *const *argv)
{
	json_t *question = make_question(argc, argv);
	if (question == NULL) {
		fputs("leveretd: arguments of a question are NAME=VALUE\n", stderr);
		return 2;
	}
	json_t *answer = ask_broker(data_dir, question);
	json_decref(question);
	if (answer == NULL) {
		fprintf(stderr, "leveretd: no broker answers in %s: %s\n", data_dir,
			strerror(errno));
		return 2;
	}
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	int status = json_object_get(answer, "error") != NULL          ? 2
		     : json_is_false(json_object_get(answer, "found")) ? 1
								       : 0;
	json_decref(answer);
	return status;
}
