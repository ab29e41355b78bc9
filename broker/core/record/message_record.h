/* Message record: a message as the journal has it. */
#ifndef LEV_CORE_RECORD_MESSAGE_RECORD_H
#define LEV_CORE_RECORD_MESSAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct message;
struct place;

/* Writes a message to the batch; returns its location. */
uint64_t message_write(struct core *core, const struct message *message, const struct place *places,
		       uint32_t places_len, bool is_volatile);

#endif
