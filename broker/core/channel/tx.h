/* Tx: publishes and settlements that wait for their commit. */
#ifndef LEV_CORE_CHANNEL_TX_H
#define LEV_CORE_CHANNEL_TX_H

#include <stdbool.h>

struct channel;
struct claim;
struct message;

struct pending_publish {
	struct message *message;
	struct claim *claim; /* Owned; NULL: none. */
	bool is_mandatory;
};

void channel_drop_tx(struct channel *channel);

#endif
