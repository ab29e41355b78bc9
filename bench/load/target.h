/* Target: where a broker is, from an AMQP URI: amqp://user:password@host:port/vhost, amqps:// for
 * TLS. */
#ifndef LEV_BENCH_TARGET_H
#define LEV_BENCH_TARGET_H

#include <stdbool.h>
#include <stddef.h>

enum { TARGET_TEXT_MAX = 256 };

struct target {
	char host[TARGET_TEXT_MAX];
	char port[8];
	char user[TARGET_TEXT_MAX];
	char password[TARGET_TEXT_MAX];
	char vhost[TARGET_TEXT_MAX];
	bool is_tls; /* The broker's certificate is not checked: this is a load tool. */
};

/* What the URI leaves out is guest, guest, 127.0.0.1, 5672 (5671 with TLS) and "/". False with the
 * reason in why. */
bool target_parse(struct target *target, const char *uri, char *why, size_t why_size);

#endif
