/* Uri: where a broker is and how to log in (the AMQP URI specification, with RabbitMQ's query
 * parameters). */
#ifndef LEV_CLIENT_URI_H
#define LEV_CLIENT_URI_H

#include "base/bytes.h"
#include "reason.h"

enum { URI_PART_BYTES = 256, URI_PATH_BYTES = 1024 };

struct uri {
	bool is_tls;
	bool is_unverified;   /* verify=verify_none */
	bool is_external;     /* auth_mechanism=external */
	bool has_heartbeat;   /* It was given: */
	uint16_t heartbeat_s; /* 0: none. */
	uint16_t channel_max; /* 0: as the broker has it. */
	uint32_t timeout_ms;  /* connection_timeout; 0: not given. */
	char user[URI_PART_BYTES];
	char password[URI_PART_BYTES];
	char host[URI_PART_BYTES];
	char port[6];
	char vhost[URI_PART_BYTES];
	char ca_file[URI_PATH_BYTES]; /* Empty: not given. */
	char certificate_file[URI_PATH_BYTES];
	char key_file[URI_PATH_BYTES];
	char server_name[URI_PART_BYTES];
};

/* Of one URI. LEV_INVALID with the thread's reason. */
int uri_parse(struct uri *out, struct bytes text);

/* The next of several, separated by commas or white space; false at the end. */
bool uri_next(struct bytes *rest, struct bytes *uri);

#endif
