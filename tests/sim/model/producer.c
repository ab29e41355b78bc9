#include "producer.h"

#include <string.h>

bool model_is_fenced(const struct model *m, const struct model_publish *p)
{
	const struct model_producer *r = &m->producers[p->producer - 1];
	if (!r->has_any || p->epoch > r->epoch)
		return false;
	return p->epoch < r->epoch || p->number + MODEL_PRODUCER_WINDOW <= r->highest;
}

bool model_producer_has_sent(const struct model *m, const struct model_publish *p, uint64_t *needs)
{
	const struct model_producer *r = &m->producers[p->producer - 1];
	*needs = 0;
	if (model_is_fenced(m, p)) /* Meanwhile: its transaction was begun before. */
		return true;
	if (!r->has_any || p->epoch > r->epoch || r->numbers[p->number].state == NUMBER_NEW)
		return false;
	MODEL_CHECK(m, r->numbers[p->number].state == NUMBER_SEEN);
	*needs = r->numbers[p->number].is_journaled ? r->numbers[p->number].sequence : 0;
	return true;
}

void model_producer_remember(struct model *m, const struct model_publish *p, bool is_journaled,
			     uint64_t sequence)
{
	struct model_producer *r = &m->producers[p->producer - 1];
	if (p->epoch > r->epoch || !r->has_any) {
		memset(r, 0, sizeof *r);
		r->epoch = p->epoch;
		r->has_any = true;
	}
	r->numbers[p->number].state = NUMBER_SEEN;
	r->numbers[p->number].is_journaled = is_journaled;
	r->numbers[p->number].sequence = sequence;
	if (p->number > r->highest)
		r->highest = p->number;
}

void model_producer_crashed(struct model_producer *r, uint64_t durable)
{
	bool is_sure = false, has_high = false;
	if (!r->has_any)
		return;
	for (unsigned i = MODEL_NUMBERS; i-- > 0;) {
		enum model_number *state = &r->numbers[i].state;
		if (*state == NUMBER_SEEN && r->numbers[i].is_journaled)
			*state = r->numbers[i].sequence <= durable ? NUMBER_SEEN : NUMBER_NEW;
		else if (*state == NUMBER_SEEN)
			*state = NUMBER_UNSURE;
		is_sure |= *state == NUMBER_SEEN;
		if (*state != NUMBER_NEW && !has_high) {
			has_high = true;
			r->highest = i;
		}
	}
	r->must_renew |= !is_sure;
}
