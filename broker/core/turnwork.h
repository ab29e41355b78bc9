/* Turnwork: what is unfinished or due. Whoever changes a queue puts it on one of the lists here, or
 * arms a timer; later steps of the turn, or of one to come, walk them. */
#ifndef LEV_CORE_TURNWORK_H
#define LEV_CORE_TURNWORK_H

#include <stdint.h>

struct queue;

/* It may have something to deliver, or something of it may be to leave by itself. */
void queue_mark_dirty(struct queue *queue);
/* The queue has something to write at the end of the turn, */
void queue_mark_changed(struct queue *queue);
/* or at the next checkpoint only. */
void queue_mark_stale(struct queue *queue);
/* The queue's first message is on disk and somebody wants it. */
void queue_want_load(struct queue *queue);
/* The next messages of the queue are in the middle of its fifo, and wanted. */
void queue_want_index(struct queue *queue);
/* Something of the queue is due at that time. */
void queue_arm(struct queue *queue, uint64_t due_ms);
/* Somebody uses the queue: x-expires begins anew. */
void queue_used(struct queue *queue);

#endif
