/* Headers: of what is published, in any order and with others among them; and of what is delivered,
 * which must be the same and tell the story that the model knows. */
#ifndef LEV_TESTS_SIM_HEADERS_H
#define LEV_TESTS_SIM_HEADERS_H

#include "sim.h"

/* The values that headers exchanges look at, by number of the header (ROUTING_HEADERS). type: any
 * number, which chooses the types that they are written in. */
void headers_write_values(struct writer *w, const uint8_t *values, uint64_t type);
/* others: what must come out as it went in. */
void headers_write(struct sim *s, struct writer *w, struct writer *others,
		   const struct model_publish *p, const struct routing_message *route);
/* Notes the story for the model (told). */
void headers_check(struct sim *s, const struct message *m);
/* Of a copy: of its own, that of its body is its original's. */
uint64_t message_id(const struct message *m);
uint64_t headers_id(struct bytes properties, struct bytes body);
void headers_write_id(struct writer *w, uint64_t id); /* Of a copy. */
bool headers_is_id(struct bytes name);

#endif
