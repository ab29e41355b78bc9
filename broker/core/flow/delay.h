/* Delay: messages that are kept for a while before they are routed. */
#ifndef LEV_CORE_FLOW_DELAY_H
#define LEV_CORE_FLOW_DELAY_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct headers;
struct message;
struct queue;
struct taken;
struct vhost;

/* How long the message is to be kept before it is routed; 0: not at all. */
uint64_t delay_wanted_ms(const struct headers *headers);
/* Keeps it. Takes the reference. True if the journal has it. */
bool delay_begin(struct vhost *vhost, struct message *message, uint64_t delay_ms);
/* Its time has come: it is routed now. Takes the reference. */
void delay_is_over(struct queue *queue, const struct taken *taken);
extern const char delay_queue[];

#endif
