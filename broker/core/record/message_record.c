/* Message record: a message as the journal has it. */
#include "core/record/message_record.h"
#include "core/message/message.h"
#include "core/state.h"

uint64_t message_write(struct core *core, const struct message *m, const struct place *places,
		       uint32_t places_len, bool is_volatile)
{
	struct message_record record = {
		.is_volatile = is_volatile,
		.is_keyed = m->is_keyed,
		.time_ms = m->time_ms,
		.expiry_ms = m->expires_ms,
		.places = places,
		.places_len = places_len,
		.exchange = message_exchange(m),
		.routing_key = message_routing_key(m),
		.properties = message_properties(m),
		.body = message_body(m),
	};
	return batch_message(core->batch, &record);
}
