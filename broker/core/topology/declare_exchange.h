/* Declare exchange: exchanges come and go. */
#ifndef LEV_CORE_TOPOLOGY_DECLARE_EXCHANGE_H
#define LEV_CORE_TOPOLOGY_DECLARE_EXCHANGE_H

struct exchange;

const char *exchange_declared_type(const struct exchange *exchange);
void exchange_delete(struct exchange *exchange);

#endif
