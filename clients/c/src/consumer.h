/* Consumer: what a worker needs of one besides lev_next(). The lock of its handle is held. */
#ifndef LEV_CLIENT_CONSUMER_H
#define LEV_CLIENT_CONSUMER_H

#include "leveret/leveret.h"

/* Nothing more comes; what has come goes back. lev_next() answers LEV_CLOSED. */
void consumer_unsubscribe(struct lev_consumer *consumer);

/* What is held goes back, too. */
void consumer_give_up(struct lev_consumer *consumer);

/* LEV_CLOSED with a reason when it is no more. */
int consumer_check(struct lev_consumer *consumer);

#endif
