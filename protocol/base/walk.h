/* Walk: places in lists that change while somebody goes through them, a little in each turn. What
 * leaves a list moves the walks that stand at it; while there is none, that costs a look.
 *
 * A walk has two levels: the objects of an outer list, and of each of them an inner one. */
#ifndef LEV_BASE_WALK_H
#define LEV_BASE_WALK_H

#include "base/list.h"

struct walk {
	struct list in_walks;
	struct list *outer; /* The next one to be looked at. */
	struct list *inner; /* Likewise, of the outer one; NULL: it has not been begun. */
};

/* What stands at node, which is about to leave its list, goes on behind it. */
static inline void walks_leave(const struct list *walks, const struct list *node)
{
	list_each (it, walks) {
		struct walk *w = list_entry(it, struct walk, in_walks);
		if (w->outer == node) {
			w->outer = node->next;
			w->inner = NULL;
		} else if (w->inner == node) {
			w->inner = node->next;
		}
	}
}

#endif
