/* Bind: bindings that go, with what goes with them. */
#ifndef LEV_CORE_TOPOLOGY_BIND_H
#define LEV_CORE_TOPOLOGY_BIND_H

struct binding;
struct list;

/* Drops a binding; an auto-delete source goes with the last one that leaves it. */
void binding_drop(struct binding *binding);
/* All those of a list of in_destination. */
void bindings_drop_to(struct list *inbound);

#endif
