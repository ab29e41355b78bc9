/* Group: messages with the same value of a header go to one consumer at a time, in order. */
#ifndef LEV_CORE_DISPATCH_GROUP_H
#define LEV_CORE_DISPATCH_GROUP_H

#include "core/time/heap.h"

#include "base/bytes.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct consumer;
struct delivery;
struct head;
struct message;
struct queue;
struct shelf_item;

/* Messages with the same value of the queue's group header: while one is unacked, all go to its
 * consumer. */
struct group {
	struct bytes value; /* Owned. */
	struct queue *queue;
	struct consumer *consumer; /* NULL: it has gone, or the message was got. */
	uint32_t unacked_len;
	bool is_released;        /* Its first held message is on its way. */
	struct heap held;        /* By position: see group_held(). */
	struct list in_consumer; /* Has held messages that its consumer did not take for want of
				    credit. */
};

/* Who may take the queue's next message: the consumer of its group, or the one whose turn it is.
 * NULL: nobody now. */
struct consumer *group_consumer(struct queue *queue, const struct head *head,
				struct consumer *next);
/* Whether anybody may have the queue's next message: nothing of its group is unacked, or aside and
 * older. */
bool group_is_free(struct queue *queue, const struct head *head);
/* Whether a message that came now would not go out, whoever has credit, but be put aside. */
bool group_would_wait(struct queue *queue, const struct message *message);
/* Puts the next message aside until its group may go on. False: too many are aside already. */
bool group_set_aside(struct queue *queue, const struct head *head);
void group_delivered(struct delivery *delivery);
void group_settled(struct delivery *delivery);
void group_consumer_ready(struct consumer *consumer);
/* Nobody takes the queue's next message: whether a held one can go out instead, which is then
 * ready. */
bool groups_go_on(struct queue *queue);
void group_consumer_gone(struct consumer *consumer);
/* A ready message of its group, or one that was aside, has left the queue otherwise. */
void group_lost(struct queue *queue, const struct message *message);
void group_lost_held(struct queue *queue, const struct message *message);
/* The item that an entry of a group's heap means; NULL: it is not aside any more. */
struct shelf_item *group_held(const struct queue *queue, const struct heap_entry *entry);
/* There are no groups any more: what was held is ready. */
void groups_dissolve(struct queue *queue);
void groups_forget_held(struct queue *queue);
void groups_fini(struct queue *queue);

#endif
