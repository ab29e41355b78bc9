/* Exchange: what takes publishes and, by its type, chooses where they go. It owns the bindings that
 * leave it. */
#ifndef LEV_CORE_EXCHANGE_EXCHANGE_H
#define LEV_CORE_EXCHANGE_EXCHANGE_H

#include "core/dedup/dedup.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct topic;
struct wants;
struct vhost;

enum exchange_type {
	EXCHANGE_DIRECT,
	EXCHANGE_FANOUT,
	EXCHANGE_TOPIC,
	EXCHANGE_HEADERS,
	EXCHANGE_CONSISTENT_HASH,
	EXCHANGE_MODULUS_HASH,
};

enum { EXCHANGE_TYPES = EXCHANGE_MODULUS_HASH + 1 };

/* Types of RabbitMQ's plugins that route as another type does. */
enum exchange_guise {
	GUISE_NONE,
	GUISE_DELAYED,       /* x-delayed-message: as its x-delayed-type says. */
	GUISE_DEDUPLICATING, /* x-message-deduplication: a fanout that takes x-deduplication-header
				as a key. */
};

struct exchange {
	struct vhost *vhost;
	struct bytes name; /* Owned. */
	enum exchange_type type;
	bool is_default; /* The one named "": routes by queue name. */
	bool is_durable;
	bool is_auto_delete;
	bool is_internal;
	bool is_predeclared;
	uint64_t duplicates;  /* Publishes that it dropped. */
	uint64_t publish_in;  /* Publishes that came to it, */
	uint64_t publish_out; /* and copies that went from there to queues. */
	struct dedup dedup;
	enum exchange_guise guise;
	struct bytes arguments; /* Owned. */
	uint64_t policies;      /* The version of them that it has been set to. */
	struct list in_core;
	struct bytes alternate; /* View into arguments or a policy; empty: none. */
	struct list bindings;   /* That leave it, by binding.in_source. */
	struct list inbound;    /* Bindings whose destination it is. */
	struct map identities;  /* identity -> struct binding */
	struct map keys;        /* direct: routing key -> first struct binding of the chain */
	struct wants *wants;    /* headers */
	struct topic *topic;    /* topic: values are struct binding. */
	struct map memo;        /* routing key -> struct route */
	uint64_t memo_version;  /* The vhost's topology when the memo was begun. */
	uint64_t defined;       /* The sequence of the journal that has it as it is. */
	uint64_t seen;          /* Routing step that last came by. */
};

struct exchange *exchange_create(struct vhost *vhost, struct bytes name, enum exchange_type type);
void exchange_destroy(struct exchange *exchange); /* Its bindings must be gone. */
const char *exchange_type_name(enum exchange_type type);
/* It is set to what its arguments and the policies say: after a change of the arguments. */
void exchange_apply_settings(struct exchange *exchange);
/* The same if there are newer policies than it knows: before it is used. True: there were. */
bool exchange_catch_up(struct exchange *exchange);
bool exchange_type_find(struct bytes name, enum exchange_type *type);

#endif
