/* What arguments and properties may be, and which of them are the same. */
#include "broker.h"

#include "table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct broker *b;
static struct client *c;
static uint8_t memory[1024];
static struct writer w;

static void set_up(void)
{
	b = broker_create();
	c = client_open(b);
	w = writer_of(memory, sizeof memory);
}

static void tear_down(void)
{
	broker_destroy(b);
}

TestSuite(values, .init = set_up, .fini = tear_down);

/* The next method; a channel that was closed with it is open again. */
static struct method answer(void)
{
	static uint8_t kept[512];
	struct frame f;
	struct method m, again = { .id = METHOD_channel_close_ok };
	cr_assert(client_frame(c, &f));
	cr_assert_leq(f.payload.len, sizeof kept);
	memcpy(kept, f.payload.data, f.payload.len);
	cr_assert_eq(method_decode(&m, bytes_of(kept, f.payload.len)), METHOD_OK);
	if (m.id != METHOD_channel_close)
		return m;
	client_method(c, 1, &again);
	again = (struct method){ .id = METHOD_channel_open };
	client_method(c, 1, &again);
	client_expect(c, METHOD_channel_open_ok);
	return m;
}

/* --- expirations --- */

static struct method answer_to_expiration(struct bytes text)
{
	struct properties p = { .flags = HAS_expiration, .expiration = text };
	client_confirms(c);
	client_publish_with(c, "", "q", "m", &p);
	return answer();
}

Test(values, an_expiration_is_a_number_of_milliseconds_up_to_ten_years)
{
	static const char *const good[] = { "0",
					    "00010",
					    "+5",
					    "-0",
					    "4294967296",
					    "315360000000",
					    "000000000000000000000000000001" };
	static const struct {
		const char *text;
		size_t len;
		const char *answer;
		size_t answer_len;
	} bad[] = {
#define BAD(text, why)                                                                        \
	{ text, sizeof text - 1, "PRECONDITION_FAILED - invalid expiration '" text "': " why, \
	  sizeof "PRECONDITION_FAILED - invalid expiration '" text "': " why - 1 }
		BAD("", "no_integer"),
		BAD(" 5", "no_integer"),
		BAD("--1", "no_integer"),
		BAD("5 ", "{leftover_string,\" \"}"),
		BAD("5\0", "{leftover_string,[0]}"),
		BAD("5\"", "{leftover_string,\"\\\"\"}"),
		BAD("-17", "{value_negative,-17}"),
		BAD("315360000001", "{value_too_large,315360000001}"),
		BAD("18446744073709551616", "{value_too_large,\n"
					    "                                            "
					    "18446744073709551616}"),
#undef BAD
	};
	client_declare(c, "q", false);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_expect_eq(answer_to_expiration(bytes_str(good[i])).id, METHOD_basic_ack, "%s",
			     good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct method m = answer_to_expiration(bytes_of(bad[i].text, bad[i].len));
		cr_assert_eq(m.id, METHOD_channel_close, "%s", bad[i].text);
		cr_expect(bytes_equal(m.channel_close.reply_text,
				      bytes_of(bad[i].answer, bad[i].answer_len)),
			  "%.*s", BYTES_ARG(m.channel_close.reply_text));
	}
}

Test(values, an_expiration_of_years_is_waited_for)
{
	struct properties p = { .flags = HAS_expiration, .expiration = bytes_str("315360000000") };
	client_declare(c, "q", false);
	client_publish_with(c, "", "q", "m", &p);
	client_disconnect(c); /* Nobody is there while years pass. */
	broker_advance(b, UINT64_C(315359999999));
	c = client_open(b);
	cr_assert_eq(client_count(c, "q"), 1);
	broker_advance(b, 2);
	cr_assert_eq(client_count(c, "q"), 0);
}

/* --- declaring again --- */

/* One argument whose value is as on the wire, type included; NULL: none. */
static struct bytes one_argument(const char *name, const char *wire, size_t len)
{
	w = writer_of(memory, sizeof memory);
	if (wire != NULL) {
		write_shortstr(&w, bytes_str(name));
		write_bytes(&w, bytes_of(wire, len));
	}
	return bytes_of(memory, (size_t)(w.at - memory));
}

static struct method declare(const char *queue, bool is_durable, struct bytes table)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(queue);
	m.queue_declare.durable = is_durable;
	m.queue_declare.arguments = table;
	client_method(c, 1, &m);
	broker_sync(b);
	return answer();
}

static void expect_refused(struct method m, const char *text)
{
	cr_assert_eq(m.id, METHOD_channel_close);
	cr_expect(bytes_equal_str(m.channel_close.reply_text, text), "%.*s",
		  BYTES_ARG(m.channel_close.reply_text));
}

Test(values, a_number_is_the_same_in_every_type_of_integer)
{
	static const struct {
		const char *wire;
		size_t len;
	} nine[] = {
		{ "b\11", 2 },
		{ "B\11", 2 },
		{ "s\0\11", 3 },
		{ "u\0\11", 3 },
		{ "I\0\0\0\11", 5 },
		{ "i\0\0\0\11", 5 },
		{ "l\0\0\0\0\0\0\0\11", 9 },
		{ "L\0\0\0\0\0\0\0\11", 9 },
		{ "T\0\0\0\0\0\0\0\11", 9 },
	};
	enum { NINES = sizeof nine / sizeof *nine, TIMESTAMP = NINES - 1 };
	for (size_t i = 0; i < TIMESTAMP; i++) {
		char queue[] = { (char)('a' + i), '\0' };
		for (size_t k = 0; k < NINES; k++) {
			size_t at = k == 0 ? i : k - 1 < i ? k - 1 : k;
			struct bytes table =
				one_argument("x-max-length", nine[at].wire, nine[at].len);
			cr_expect_eq(declare(queue, false, table).id, METHOD_queue_declare_ok,
				     "%c after %c", *nine[at].wire, *nine[i].wire);
		}
	}
}

Test(values, a_number_with_a_point_is_another_one)
{
	static const struct {
		double real;
		const char *text;
	} cases[] = {
		{ 9, "9.0" },
		{ 0.1, "0.1" },
		{ 1000, "1.0e3" },
		{ 12345.678, "12345.678" },
		{ 1e10, "1.0e10" },
		{ 1.5e-5, "1.5e-5" },
		{ -0.001, "-0.001" },
		{ 1e300, "1.0e300" },
		{ 123456789, "123456789.0" },
		{ 0.0001, "0.0001" },
		{ 0.00012, "1.2e-4" },
		{ 100, "100.0" },
		{ -0.0, "-0.0" },
	};
	declare("q", false, one_argument("x-max-length", "I\0\0\0\11", 5));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t wire[9] = { 'd' };
		uint64_t bits;
		char text[200];
		memcpy(&bits, &cases[i].real, sizeof bits);
		store_u64(wire + 1, bits);
		snprintf(text, sizeof text,
			 "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in "
			 "vhost '/': received '%s' but current is '9'",
			 cases[i].text);
		expect_refused(declare("q", false,
				       one_argument("x-max-length", (char *)wire, sizeof wire)),
			       text);
	}
}

Test(values, a_byte_array_is_the_same_as_the_string)
{
	static const char key[] = "x-dead-letter-exchange";
	declare("q", false, one_argument(key, "S\0\0\0\1d", 6));
	cr_assert_eq(declare("q", false, one_argument(key, "x\0\0\0\1d", 6)).id,
		     METHOD_queue_declare_ok);
	expect_refused(declare("q", false, one_argument(key, "x\0\0\0\1e", 6)),
		       "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue "
		       "'q' in vhost '/': received 'e' but current is 'd'");
}

Test(values, a_queue_without_a_type_is_a_classic_one)
{
	static const char classic[] = "S\0\0\0\7classic", quorum[] = "S\0\0\0\6quorum";
	struct bytes none = one_argument("", NULL, 0);
	declare("none", true, none);
	declare("classic", true, one_argument("x-queue-type", classic, sizeof classic - 1));
	cr_assert_eq(
		declare("none", true, one_argument("x-queue-type", classic, sizeof classic - 1)).id,
		METHOD_queue_declare_ok);
	cr_assert_eq(declare("classic", true, none).id, METHOD_queue_declare_ok);
	expect_refused(
		declare("none", true, one_argument("x-queue-type", quorum, sizeof quorum - 1)),
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'none' in "
		"vhost '/': received the value 'quorum' of type 'longstr' but current is "
		"none");
	expect_refused(
		declare("classic", true, one_argument("x-queue-type", quorum, sizeof quorum - 1)),
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'classic' "
		"in vhost '/': received 'quorum' but current is 'classic'");
	expect_refused(declare("", true, one_argument("x-queue-type", quorum, sizeof quorum - 1)),
		       "PRECONDITION_FAILED - Cannot declare a server-named queue for type "
		       "rabbit_quorum_queue");
}

Test(values, times_end_after_ten_years)
{
	static const char *const names[] = { "x-message-ttl", "x-expires" };
	for (size_t i = 0; i < 2; i++) {
		char text[200];
		snprintf(text, sizeof text,
			 "PRECONDITION_FAILED - invalid arg '%s' for queue 'q' in vhost '/': "
			 "{value_too_large,315360000001}",
			 names[i]);
		expect_refused(
			declare("q", false, one_argument(names[i], "l\0\0\0\x49\x6c\xeb\xb8\1", 9)),
			text);
		cr_assert_eq(declare(names[i], false,
				     one_argument(names[i], "l\0\0\0\x49\x6c\xeb\xb8\0", 9))
				     .id,
			     METHOD_queue_declare_ok);
	}
}

Test(values, reply_queues_can_be_declared_as_if_they_were_there)
{
	struct bytes none = one_argument("", NULL, 0);
	struct method m = declare("amq.rabbitmq.reply-to", false, none);
	cr_assert_eq(m.id, METHOD_queue_declare_ok);
	cr_assert(bytes_equal_str(m.queue_declare_ok.queue, "amq.rabbitmq.reply-to"));
	cr_assert_eq(m.queue_declare_ok.consumer_count, 1);
	expect_refused(declare("amq.rabbitmq.reply-to.garbage", false, none),
		       "NOT_FOUND - no queue 'amq.rabbitmq.reply-to.garbage' in vhost '/'");
}

/* --- headers --- */

static struct method answer_to_headers(struct bytes table)
{
	struct properties p = { .flags = HAS_headers, .headers = table };
	client_confirms(c);
	client_publish_with(c, "", "q", "m", &p);
	return answer();
}

static struct bytes array_of(size_t len)
{
	static uint8_t large[32768];
	w = writer_of(large, sizeof large);
	write_shortstr(&w, bytes_str("a"));
	write_u8(&w, 'A');
	uint8_t *began = write_room(&w, 4);
	for (size_t i = 0; i < len; i++)
		write_u8(&w, 'V');
	table_end(&w, began);
	cr_assert_not(w.failed);
	return bytes_of(large, (size_t)(w.at - large));
}

static struct bytes nested(unsigned depth)
{
	static uint8_t deep[4096];
	uint8_t *began[256];
	w = writer_of(deep, sizeof deep);
	for (unsigned i = 1; i < depth; i++)
		began[i] = table_begin(&w, "t");
	for (unsigned i = depth - 1; i >= 1; i--)
		table_end(&w, began[i]);
	cr_assert_not(w.failed);
	return bytes_of(deep, (size_t)(w.at - deep));
}

Test(values, headers_are_as_large_and_deep_as_the_limits_say)
{
	struct bytes none = one_argument("", NULL, 0);
	declare("q", false, none);
	cr_assert_eq(answer_to_headers(array_of(8191)).id, METHOD_basic_ack);
	cr_assert_eq(answer_to_headers(nested(128)).id, METHOD_basic_ack);
	expect_refused(answer_to_headers(array_of(8192)),
		       "PRECONDITION_FAILED - headers have 8193 fields, more than "
		       "table_fields_max (8192)");
	expect_refused(answer_to_headers(nested(129)),
		       "PRECONDITION_FAILED - headers are 129 levels deep, more than "
		       "table_depth_max (128)");
	expect_refused(declare("r", false, nested(129)),
		       "PRECONDITION_FAILED - arguments are 129 levels deep, more than "
		       "table_depth_max (128)");
	cr_assert_eq(declare("r", false, nested(128)).id, METHOD_queue_declare_ok);
	cr_assert_eq(client_count(c, "q"), 2);
}

static bool tables_match(struct bytes bound, struct bytes sent)
{
	struct method m = { .id = METHOD_queue_bind };
	m.queue_bind.queue = bytes_str("h");
	m.queue_bind.exchange = bytes_str("amq.headers");
	m.queue_bind.arguments = bound;
	client_declare(c, "h", false);
	client_method(c, 1, &m);
	client_expect(c, METHOD_queue_bind_ok);
	struct properties p = { .flags = HAS_headers, .headers = sent };
	client_publish_with(c, "amq.headers", "", "m", &p);
	bool is_there = client_count(c, "h") > 0;
	m = (struct method){ .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str("h");
	client_method(c, 1, &m);
	broker_sync(b);
	client_expect(c, METHOD_queue_delete_ok);
	return is_there;
}

static bool header_matches(const char *bound, size_t bound_len, const char *sent, size_t sent_len)
{
	uint8_t copy[64];
	struct bytes table = one_argument("k", bound, bound_len);
	memcpy(copy, table.data, table.len);
	return tables_match(bytes_of(copy, table.len), one_argument("k", sent, sent_len));
}

/* Fields of one letter each with a byte as their value: "k1j2". The fields of match go first. */
static struct bytes letters(uint8_t *room, const char *match, const char *fields)
{
	struct writer l = writer_of(room, 1024);
	if (match != NULL)
		table_write_str(&l, "x-match", bytes_str(match));
	for (; *fields != '\0'; fields += 2) {
		write_shortstr(&l, bytes_of(fields, 1));
		write_u8(&l, 'b');
		write_u8(&l, (uint8_t)fields[1]);
	}
	cr_assert_not(l.failed);
	return bytes_of(room, (size_t)(l.at - room));
}

Test(values, headers_match_in_any_order_and_however_many)
{
	static const char many[] = "z1y2x3w4v5u6t7s8r9q1p2o3n4m5l6k7j8i9h1g2f3e4d5c6b7a8";
	static const struct {
		const char *match;
		const char *bound;
		const char *sent;
		bool matches;
	} cases[] = {
		{ NULL, "a1b2", "b2a1", true },
		{ NULL, "b2a1", "a1c3b2", true },
		{ NULL, "a1b2", "a1", false },
		{ NULL, "a1b2", "a1b3", false },
		{ NULL, "a1b2", "", false },
		{ NULL, "", "a1", true },
		{ "any", "", "a1", false },
		{ "any", "b2a1", "a1b3", true },
		{ "any", "a1b2", "a2b3", false },
		{ "any", "a1b2", "c1", false },
		{ NULL, "a8m5z1", many, true },
		{ NULL, "z1m5a8", many, true },
		{ NULL, "a8m4", many, false },
		{ "any", "a7m4z1", many, true },
		/* Of a name that is there twice: the first with the first, the second with the
		 * second. */
		{ NULL, "k1k2", "k1k2", true },
		{ NULL, "k1k2", "k1", false },
		{ NULL, "k1k2", "k2k1", false },
		{ NULL, "k1", "k1k2", true },
		{ NULL, "k1", "k2k1", false },
		{ "any", "k1k2", "k3k2", true },
		{ "any", "k1k2", "k2k1", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t bound[1024], sent[1024];
		cr_expect_eq(tables_match(letters(bound, cases[i].match, cases[i].bound),
					  letters(sent, NULL, cases[i].sent)),
			     cases[i].matches, "%s and %s", cases[i].bound, cases[i].sent);
	}
}

Test(values, headers_match_by_what_they_are_worth)
{
#define MATCHES(a, b) header_matches(a, sizeof a - 1, b, sizeof b - 1)
	cr_assert(MATCHES("I\0\0\0\1", "b\1"));
	cr_assert(MATCHES("b\1", "d\x3f\xf0\0\0\0\0\0\0"));
	cr_assert(MATCHES("T\0\0\0\0\0\0\0\1", "l\0\0\0\0\0\0\0\1"));
	cr_assert(MATCHES("S\0\0\0\1"
			  "1",
			  "x\0\0\0\1"
			  "1"));
	cr_assert(MATCHES("V", "t\1"));
	cr_assert_not(MATCHES("I\0\0\0\1", "b\2"));
	cr_assert_not(MATCHES("b\1", "t\1"));
	cr_assert_not(MATCHES("b\1", "S\0\0\0\1"
				     "1"));
#undef MATCHES
}

Test(values, a_reply_address_looks_like_rabbitmqs)
{
	struct properties p = { .flags = HAS_reply_to,
				.reply_to = bytes_str("amq.rabbitmq.reply-to") };
	struct client *d = client_open(b);
	declare("q", false, one_argument("", NULL, 0));
	client_consume(c, "amq.rabbitmq.reply-to", "r", true, 0);
	client_publish_with(c, "", "q", "ask", &p);
	client_consume(d, "q", "t", true, 0);
	client_expect_message(d, "ask", false, &p);
	static const char prefix[] = "amq.rabbitmq.reply-to.";
	cr_assert(bytes_has_prefix(p.reply_to, prefix));
	size_t at = sizeof prefix - 1, end = p.reply_to.len;
	const uint8_t *dot = memchr(p.reply_to.data + at, '.', end - at);
	cr_assert(dot != NULL && dot > p.reply_to.data + at);
	cr_assert_eq(p.reply_to.data + end - dot, 1 + 24);
	cr_assert(p.reply_to.data[end - 1] == '=' && p.reply_to.data[end - 2] == '=');
}
