/* Confirm: answers to publishers, each as soon as the journal has what it promises. */
#include "core/channel/confirm.h"
#include "core/channel/channel.h"
#include "core/check/check.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/inputs.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

void core_confirm_select(struct channel *ch)
{
	CHECKED_INPUT(ch->core);
	assert(ch->mode != CHANNEL_TX);
	ch->mode = CHANNEL_CONFIRM;
}

bool channel_is_confirm(const struct channel *ch)
{
	return ch->mode == CHANNEL_CONFIRM;
}

static struct pending_confirm *confirm_at(struct channel *ch, size_t i)
{
	return &ch->confirms[(ch->confirms_first + i) & (ch->confirms_cap - 1)];
}

static void confirms_grow(struct channel *ch)
{
	size_t cap = ch->confirms_cap == 0 ? 8 : ch->confirms_cap * 2;
	struct pending_confirm *confirms = alloc_resize(NULL, cap * sizeof *confirms);
	for (size_t i = 0; i < ch->confirms_len; i++)
		confirms[i] = *confirm_at(ch, i);
	free(ch->confirms);
	ch->confirms = confirms;
	ch->confirms_cap = cap;
	ch->confirms_first = 0;
}

/* Confirms go out in order of tag, so a publish that needs no journal joins the one before it. That
 * makes the ring as long as there are batches on their way, however many publishes are in them. */
void channel_confirm(struct channel *ch, uint64_t sequence, bool is_nack)
{
	assert(ch->mode == CHANNEL_CONFIRM);
	uint64_t tag = ++ch->published;
	ch->core->batch->is_awaited |= sequence == ch->core->batch->sequence;
	struct pending_confirm *last =
		ch->confirms_len == 0 ? NULL : confirm_at(ch, ch->confirms_len - 1);
	if (last != NULL && last->sequence >= sequence) {
		if (last->is_nack == is_nack) {
			last->tag = tag;
			return;
		}
		sequence = last->sequence;
	}
	if (ch->confirms_len == ch->confirms_cap)
		confirms_grow(ch);
	*confirm_at(ch, ch->confirms_len++) = (struct pending_confirm){ tag, sequence, is_nack };
	if (list_is_empty(&ch->in_confirming))
		list_push_tail(&ch->core->confirmable, &ch->in_confirming);
}

/* The next confirm of the channel that may go out: of all publishes that fare alike. */
static bool next_confirm(struct channel *ch, struct effect *effect)
{
	uint64_t tag = 0;
	bool is_nack = false;
	while (ch->confirms_len > 0 && confirm_at(ch, 0)->sequence <= ch->core->durable) {
		if (tag != 0 && confirm_at(ch, 0)->is_nack != is_nack)
			break;
		tag = confirm_at(ch, 0)->tag;
		is_nack = confirm_at(ch, 0)->is_nack;
		ch->confirms_first = (ch->confirms_first + 1) & (ch->confirms_cap - 1);
		ch->confirms_len--;
	}
	if (tag == 0)
		return false;
	*effect = (struct effect){ .kind = EFFECT_CONFIRM, .owner = ch->owner };
	effect->confirm.delivery_tag = tag;
	effect->confirm.is_nack = is_nack;
	effect->confirm.is_multiple = tag - ch->confirmed > 1;
	ch->core->figures.confirmed += tag - ch->confirmed;
	ch->confirmed = tag;
	return true;
}

/* Takes channels off `confirmable`; those that still wait go to `confirming`, where core_durable()
 * finds them. */
bool confirm_next(struct core *core, struct effect *effect)
{
	while (!list_is_empty(&core->confirmable)) {
		struct channel *ch =
			list_entry(core->confirmable.next, struct channel, in_confirming);
		list_remove(&ch->in_confirming);
		bool is_any = next_confirm(ch, effect);
		if (ch->confirms_len > 0)
			list_push_tail(confirm_at(ch, 0)->sequence <= core->durable
					       ? &core->confirmable
					       : &core->confirming,
				       &ch->in_confirming);
		if (is_any)
			return true;
	}
	return false;
}

void channel_confirm_now(struct channel *ch)
{
	struct effect effect;
	while (next_confirm(ch, &effect))
		*effect_push(ch->core, EFFECT_CONFIRM, ch->owner) = effect;
}
