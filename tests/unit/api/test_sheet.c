#include "api/sheet.h"

#include "chance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 400 };

/* Texts that are overwritten when they have been given away. */
struct source {
	struct chance chance;
	uint8_t *room;
	size_t used;
};

enum { ROOM = 400 * 1024 };

static struct bytes text(struct source *s)
{
	size_t len = chance(&s->chance, 20) == 0 ? chance(&s->chance, 90000)
						 : chance(&s->chance, 40);
	uint8_t *to = s->room + s->used;
	s->used += len;
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)chance(&s->chance, 256);
	return bytes_of(to, len);
}

static struct bytes vhost(struct source *s)
{
	struct bytes t = text(s);
	return chance(&s->chance, 3) == 0 ? t : bytes_str("always the same");
}

static struct bytes copy(struct bytes b)
{
	uint8_t *data = malloc(b.len + 1);
	if (b.len > 0)
		memcpy(data, b.data, b.len);
	return bytes_of(data, b.len);
}

static void check(struct bytes kept, struct bytes *expected)
{
	cr_assert(bytes_equal(kept, *expected));
	free((void *)expected->data);
}

Test(sheet, keeps_what_texts_said_when_the_row_was_added)
{
	struct source s = { .chance = chance_of_today(), .room = malloc(ROOM) };
	struct sheet *sheet = sheet_create(SHEET_QUEUES);
	struct bytes(*expected)[10] = malloc(ROWS * sizeof *expected);
	for (size_t i = 0; i < ROWS; i++) {
		s.used = 0;
		struct queue_row row = { .i = { .vhost = vhost(&s), .ready = i * 7 } };
		struct bytes *texts[] = { &row.i.name,
					  &row.i.arguments,
					  &row.i.policy.name,
					  &row.i.policy.definition,
					  &row.i.policy.operator_name,
					  &row.i.policy.operator_definition,
					  &row.i.active_tag,
					  &row.owner,
					  &row.active_channel };
		expected[i][0] = copy(row.i.vhost);
		for (size_t k = 0; k < 9; k++) {
			s.used = s.used > ROOM - 90000 ? 0 : s.used;
			*texts[k] = k < 3 ? text(&s) : bytes_str("");
			expected[i][k + 1] = copy(*texts[k]);
		}
		sheet_add(sheet, &row);
		memset(s.room, 0xee, ROOM);
	}
	cr_assert_eq(sheet_len(sheet), ROWS);
	for (size_t i = 0; i < ROWS; i++) {
		const struct queue_row *row = sheet_row(sheet, i);
		cr_assert_eq(row->i.ready, i * 7);
		cr_assert(bytes_equal(sheet_row_vhost(SHEET_QUEUES, row), row->i.vhost));
		check(row->i.vhost, &expected[i][0]);
		check(row->i.name, &expected[i][1]);
		check(row->i.arguments, &expected[i][2]);
		check(row->i.policy.name, &expected[i][3]);
		for (size_t k = 4; k < 10; k++)
			free((void *)expected[i][k].data);
	}
	sheet_free(sheet);
	free(expected);
	free(s.room);
}

/* A row of a kind, all of whose texts are views of room; returns how many there are. */
static size_t fill(enum sheet_kind kind, void *row, size_t size, const char *room)
{
	const struct bytes t = bytes_of(room, 5);
	memset(row, 0, size);
	switch (kind) {
	case SHEET_QUEUES:
		*(struct queue_row *)row = (struct queue_row){
			.i = { t, t, t, { t, t, t, t }, .active_tag = t }, .owner = t, .active_channel = t
		};
		return 10;
	case SHEET_EXCHANGES:
		*(struct exchange_row *)row = (struct exchange_row){
			.i = { .vhost = t, .name = t, .arguments = t, .policy = { t, t, t, t } }
		};
		return 7;
	case SHEET_BINDINGS:
		*(struct binding_row *)row = (struct binding_row){ .i = { .vhost = t,
									  .source = t,
									  .destination = t,
									  .routing_key = t,
									  .arguments = t } };
		return 5;
	case SHEET_CHANNELS:
		*(struct channel_row *)row =
			(struct channel_row){ .i = { .vhost = t, .user = t }, .connection = t };
		return 3;
	case SHEET_CONSUMERS:
		*(struct consumer_row *)row = (struct consumer_row){
			.i = { .vhost = t, .queue = t, .tag = t, .arguments = t },
			.connection = t,
			.user = t
		};
		return 6;
	case SHEET_CONNECTIONS:
		*(struct connection_row *)row = (struct connection_row){
			.i = { .vhost = t, .user = t, .client_properties = t }, .name = t
		};
		return 4;
	case SHEET_KINDS: break;
	}
	return 0;
}

/* How many words of a row say where that is. */
static size_t count_views(const void *row, size_t size, const char *of)
{
	size_t count = 0;
	const char *word;
	for (size_t i = 0; i + sizeof word <= size; i += sizeof word) {
		memcpy(&word, (const char *)row + i, sizeof word);
		count += word == of;
	}
	return count;
}

Test(sheet, copies_every_text_of_every_kind)
{
	static const size_t sizes[SHEET_KINDS] = { sizeof(struct queue_row),
						   sizeof(struct exchange_row),
						   sizeof(struct binding_row),
						   sizeof(struct channel_row),
						   sizeof(struct consumer_row),
						   sizeof(struct connection_row) };
	static const char room[] = "views";
	for (enum sheet_kind kind = 0; kind < SHEET_KINDS; kind++) {
		struct sheet *sheet = sheet_create(kind);
		void *row = malloc(sizes[kind]);
		size_t texts = fill(kind, row, sizes[kind], room);
		cr_assert_eq(count_views(row, sizes[kind], room), texts, "kind %d: %zu views", kind,
			     count_views(row, sizes[kind], room));
		sheet_add(sheet, row);
		sheet_add(sheet, row);
		cr_assert_eq(sheet_kind(sheet), kind);
		for (size_t i = 0; i < 2; i++)
			cr_assert_eq(count_views(sheet_row(sheet, i), sizes[kind], room), 0,
				     "kind %d", kind);
		sheet_free(sheet);
		free(row);
	}
	sheet_free(NULL);
}
