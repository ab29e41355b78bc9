/* List: an intrusive, circular, doubly linked list. The owner embeds a `struct list` as head and
 * each member embeds one as node; the list never allocates and never owns. A node that is on no
 * list points to itself after list_init(). */
#ifndef LEV_BASE_LIST_H
#define LEV_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev;
	struct list *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

/* Puts node before position: before the head is the tail of the list. */
static inline void list_insert_before(struct list *position, struct list *node)
{
	node->prev = position->prev;
	node->next = position;
	position->prev->next = node;
	position->prev = node;
}

static inline void list_push_tail(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void list_push_head(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

/* Leaves node pointing to itself, so removing it twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The body may remove `it`, but no other member. */
#define list_each(it, head)                                                       \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)

#endif
