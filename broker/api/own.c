/* What RabbitMQ has not: under /api/leveret. */
#include "api/list.h"

#include "core/admin.h"

#include "manage/table_json.h"

const struct route own_routes[] = {
	{ HTTP_GET, NULL, RIGHT_NONE, VHOST_NONE, false, NULL, NULL, NULL },
};
