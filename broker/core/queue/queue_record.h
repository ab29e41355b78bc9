/* Queue record: what lives in a queue, as a checkpoint writes it. */
#ifndef LEV_CORE_QUEUE_QUEUE_RECORD_H
#define LEV_CORE_QUEUE_QUEUE_RECORD_H

struct core;
struct queue;

/* Puts the record of a durable queue among the changes of the running checkpoint. */
void queue_write_record(struct core *core, struct queue *queue);

#endif
