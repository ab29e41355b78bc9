/* Stories of deaths that others have begun: an x-death of any shape comes with a message, and the
 * broker goes on with it. */
#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct broker *b;
static struct client *c;
static struct client *d;
static uint8_t memory[4096];
static struct writer w; /* Of the headers of what is published next. */
static uint8_t *array;

static void set_up(void)
{
	uint8_t room[100];
	struct writer arguments = writer_of(room, sizeof room);
	b = broker_create();
	c = client_open(b);
	d = client_open(b);
	w = writer_of(memory, sizeof memory);
	table_write_int(&arguments, "x-max-length", 0);
	table_write_str(&arguments, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&arguments, "x-dead-letter-routing-key", bytes_str("dead"));
	client_declare_with(c, "q", false, bytes_of(room, (size_t)(arguments.at - room)));
	client_declare(c, "dead", false);
	client_consume(d, "dead", "t", true, 0);
	write_shortstr(&w, bytes_str("x-death"));
	write_u8(&w, 'A');
	array = write_room(&w, 4);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(deaths, .init = set_up, .fini = tear_down);

/* An entry of x-death; NULL or a negative count: it has none. */
static void tell(const char *queue, const char *reason, int64_t count)
{
	write_u8(&w, 'F');
	uint8_t *entry = write_room(&w, 4);
	if (queue != NULL)
		table_write_str(&w, "queue", bytes_str(queue));
	if (reason != NULL)
		table_write_str(&w, "reason", bytes_str(reason));
	if (count >= 0)
		table_write_long(&w, "count", count);
	table_end(&w, entry);
}

/* It dies in q, being too much. The x-death with which it arrives. */
static struct bytes die(void)
{
	struct properties p = { .flags = HAS_headers };
	struct bytes deaths;
	table_end(&w, array);
	cr_assert_not(w.failed);
	p.headers = bytes_of(memory, (size_t)(w.at - memory));
	client_publish_with(c, "", "q", "m", &p);
	client_expect_message(d, "m", false, &p);
	cr_assert(table_find_array(p.headers, "x-death", &deaths));
	return deaths;
}

/* The next entry is this one. */
static void expect(struct bytes *deaths, const char *queue, const char *reason, int64_t count)
{
	struct table_value v;
	struct bytes entry, text;
	int64_t found = -1;
	cr_assert(array_next(deaths, &v) && table_value_table(&v, &entry));
	if (queue != NULL)
		cr_assert(has_text(entry, "queue", queue), "%s", queue);
	else
		cr_assert_not(table_find_string(entry, "queue", &text));
	if (reason != NULL)
		cr_assert(has_text(entry, "reason", reason), "%s", reason);
	cr_assert(table_find_integer(entry, "count", &found) || count < 0);
	cr_assert_eq(found, count, "%s, %s: %ld", queue, reason, (long)found);
}

Test(deaths, entries_without_a_count_are_merged)
{
	tell("q", "maxlen", -1);
	tell("other", "expired", -1);
	tell("q", "maxlen", -1);
	tell("other", "rejected", 5);
	tell("other", "expired", -1);
	tell("q", "maxlen", -1);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 4);
	expect(&deaths, "other", "expired", 2);
	expect(&deaths, "other", "rejected", 5);
	cr_assert_eq(deaths.len, 0);
}

Test(deaths, of_entries_alike_the_first_count_holds)
{
	tell("q", "maxlen", 7);
	tell("q", "maxlen", 3);
	tell("other", "expired", 2);
	tell("other", "expired", 9);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 8);
	expect(&deaths, "other", "expired", 2);
	cr_assert_eq(deaths.len, 0);
}

Test(deaths, one_entry_alone_without_a_count_begins_to_count)
{
	tell("q", "maxlen", -1);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 1);
	cr_assert_eq(deaths.len, 0);
}

Test(deaths, a_count_stays_at_its_end)
{
	tell("q", "maxlen", INT64_MAX);
	tell("other", "expired", INT64_MAX);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", INT64_MAX);
	expect(&deaths, "other", "expired", INT64_MAX);
}

Test(deaths, what_lacks_its_kind_is_a_kind_of_its_own)
{
	tell(NULL, "maxlen", 1);
	tell("q", NULL, 1);
	tell(NULL, NULL, 1);
	tell(NULL, "maxlen", 1);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 1);
	expect(&deaths, NULL, "maxlen", 1);
	expect(&deaths, "q", NULL, 1);
	expect(&deaths, NULL, NULL, 1);
	cr_assert_eq(deaths.len, 0);
}

Test(deaths, what_is_no_table_is_passed_over)
{
	write_u8(&w, 'I');
	write_u32(&w, 1);
	tell("q", "maxlen", 1);
	write_u8(&w, 'S');
	write_longstr(&w, bytes_str("queue"));
	write_u8(&w, 'V');
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 2);
	cr_assert_eq(deaths.len, 0);
}

Test(deaths, a_count_that_is_no_number_is_none)
{
	write_u8(&w, 'F');
	uint8_t *entry = write_room(&w, 4);
	table_write_str(&w, "count", bytes_str("many"));
	table_write_str(&w, "queue", bytes_str("q"));
	table_write_bool(&w, "count", true);
	table_write_str(&w, "reason", bytes_str("maxlen"));
	table_end(&w, entry);
	tell("other", "expired", 1);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 2);
	expect(&deaths, "other", "expired", 1);
	cr_assert_eq(deaths.len, 0);
}

/* Comparing each with each would take the square of what a peer sends. */
Test(deaths, a_long_story_is_passed_on_as_it_is)
{
	for (int i = 0; i < 70; i++)
		tell(i % 2 == 0 ? "other" : "q", "maxlen", -1);
	struct bytes deaths = die();
	expect(&deaths, "q", "maxlen", 36);
	for (int i = 0; i < 35; i++)
		expect(&deaths, "other", "maxlen", -1);
	cr_assert_eq(deaths.len, 0);
}

/* With RabbitMQ a reason that is no text is none of a rejection, so it does not end the search. */
Test(deaths, a_cycle_is_seen_behind_entries_of_others)
{
	uint8_t room[100];
	struct writer arguments = writer_of(room, sizeof room);
	struct properties p = { .flags = HAS_headers };
	table_write_int(&arguments, "x-max-length", 0);
	table_write_str(&arguments, "x-dead-letter-exchange", bytes_str(""));
	table_write_str(&arguments, "x-dead-letter-routing-key", bytes_str("back"));
	client_declare_with(c, "there", false, bytes_of(room, (size_t)(arguments.at - room)));
	client_declare(c, "back", false);
	tell("elsewhere", NULL, 1);
	tell("back", "expired", 1);
	table_end(&w, array);
	p.headers = bytes_of(memory, (size_t)(w.at - memory));
	client_publish_with(c, "", "there", "m", &p);
	cr_assert_eq(client_count(c, "back"), 0);
}
