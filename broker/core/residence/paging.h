/* Paging: which messages' bodies are in memory. */
#ifndef LEV_CORE_RESIDENCE_PAGING_H
#define LEV_CORE_RESIDENCE_PAGING_H

struct core;
struct queue;

/* How paging stands at the end of a turn. */
enum paging {
	PAGING_DONE,     /* The budget holds, or nothing more can be done. */
	PAGING_WAITS,    /* For what is on its way to the disk. */
	PAGING_HAS_MORE, /* Its share of this turn is used up. */
};

/* Lets bodies that the journal has leave memory, until the budget holds or this turn's share of
 * work is done. */
void paging_evict(struct core *core);
/* Gives up copies in the log that were not needed after all. */
void paging_drop_spills(struct queue *queue);

#endif
