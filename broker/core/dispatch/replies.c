/* Replies: direct reply-to. A consumer of no queue, to whose address others publish. */
#include "core/dispatch/replies.h"
#include "core/channel/channel.h"
#include "core/channel/connection.h"
#include "core/effect.h"
#include "core/inputs.h"
#include "core/state.h"

#include "base/alloc.h"

#include <stdlib.h>

/* amq.rabbitmq.reply-to is no queue, but clients may ask whether it is there. */
bool reply_is_queue(const struct vhost *vhost, struct bytes name)
{
	const struct channel *to;
	if (!bytes_has_prefix(name, REPLY_QUEUE))
		return false;
	size_t prefix = sizeof REPLY_QUEUE; /* With the dot that follows. */
	if (name.len <= prefix)
		return name.len == prefix - 1;
	to = map_get(&vhost->core->replies, bytes_of(name.data + prefix, name.len - prefix));
	return to != NULL && to->connection->vhost == vhost;
}

static void write_base64(struct writer *w, struct bytes b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < b.len; i += 3) {
		size_t len = b.len - i < 3 ? b.len - i : 3;
		uint32_t bits = (uint32_t)b.data[i] << 16;
		bits |= len > 1 ? (uint32_t)b.data[i + 1] << 8 : 0;
		bits |= len > 2 ? b.data[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			write_u8(w, k <= len ? (uint8_t)digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}

/* Looks like RabbitMQ's, where it is a process and a key: some clients' tests ask. The counter
 * makes it unique in the broker, and who has some of them cannot make others from them. */
static struct bytes reply_token(struct core *core)
{
	uint8_t text[64];
	struct writer w = writer_of(text, sizeof text);
	uint64_t numbers[] = { ++core->reply_last, 0 }, key[2];
	for (size_t i = 0; i < 2; i++) {
		numbers[1] = i;
		key[i] = siphash(&core->secret, bytes_of(numbers, sizeof numbers));
	}
	write_base64(&w, bytes_of(numbers, sizeof numbers[0]));
	write_u8(&w, '.');
	write_base64(&w, bytes_of(key, sizeof key));
	assert(!w.failed);
	return alloc_copy(bytes_of(text, (size_t)(w.at - text)));
}

bool reply_begin(struct channel *ch, const struct consume *c, struct refusal *refusal)
{
	if (!c->is_no_ack)
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "reply consumer cannot acknowledge");
	if (ch->reply_token.len > 0)
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "reply consumer already set");
	ch->reply_token = reply_token(ch->core);
	ch->reply_tag = alloc_copy(c->tag);
	map_put(&ch->core->replies, ch->reply_token, ch);
	return true;
}

void reply_end(struct channel *ch)
{
	if (ch->reply_token.len == 0)
		return;
	effects_drop(ch->core, ch->owner, true); /* They refer to the tag. */
	map_remove(&ch->core->replies, ch->reply_token);
	free((void *)ch->reply_token.data);
	free((void *)ch->reply_tag.data);
	ch->reply_token = ch->reply_tag = (struct bytes){ NULL, 0 };
}

bool reply_is_wanted(const struct properties *p)
{
	return (p->flags & HAS_reply_to) && bytes_equal_str(p->reply_to, REPLY_QUEUE);
}
