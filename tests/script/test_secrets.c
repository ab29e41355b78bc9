/* What peers are shown says nothing of what they are not. */
#include "broker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* The address that a service sees when a client of this broker asks it. */
static void reply_address(struct broker *b, char *address, size_t size)
{
	struct properties p = { .flags = HAS_reply_to,
				.reply_to = bytes_str("amq.rabbitmq.reply-to") };
	struct client *asks = client_open(b), *answers = client_open(b);
	client_declare(answers, "q", false);
	client_consume(answers, "q", "t", true, 0);
	client_consume(asks, "amq.rabbitmq.reply-to", "t", true, 0);
	client_publish_with(asks, "", "q", "question", &p);
	client_expect_message(answers, "question", false, &p);
	snprintf(address, size, "%.*s", BYTES_ARG(p.reply_to));
	client_disconnect(asks);
	client_disconnect(answers);
}

Test(secrets, reply_addresses_come_from_the_secret_and_not_from_the_tables_seed)
{
	char addresses[3][256];
	struct broker *brokers[] = { broker_create_keyed(1, 1), broker_create_keyed(2, 1),
				     broker_create_keyed(1, 2) };
	for (size_t i = 0; i < 3; i++)
		reply_address(brokers[i], addresses[i], sizeof addresses[i]);
	cr_assert_str_eq(addresses[0], addresses[1]);
	cr_assert_str_neq(addresses[0], addresses[2]);
	for (size_t i = 0; i < 3; i++)
		broker_destroy(brokers[i]);
}

static uint64_t unshift(uint64_t n)
{
	return n ^ n >> 32;
}

/* The mixing of a uid is no secret: whoever has one gets back what went into it. */
static uint64_t unmixed(uint64_t n)
{
	const uint64_t factor = 0xd6e8feb86659fd93;
	uint64_t inverse = factor;
	for (int i = 0; i < 6; i++)
		inverse *= 2 - factor * inverse;
	n = unshift(n) * inverse;
	n = unshift(n) * inverse;
	return unshift(n);
}

static uint64_t uid_of(struct broker *b)
{
	struct properties p = { 0 };
	struct bytes text;
	char digits[17] = "";
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof buffer);
	struct client *c = client_open(b);
	client_declare(c, "q", false);
	client_consume(c, "q", "t", true, 0);
	table_write_str(&w, "x-idempotency-key", bytes_str("k"));
	p.flags = HAS_headers;
	p.headers = bytes_of(buffer, (size_t)(w.at - buffer));
	client_publish_with(c, "", "q", "body", &p);
	client_expect_message(c, "body", false, &p);
	cr_assert(table_find_string(p.headers, "x-message-uid", &text));
	cr_assert_eq(text.len, 16);
	memcpy(digits, text.data, text.len);
	return strtoull(digits, NULL, 16);
}

Test(secrets, uids_tell_neither_the_seed_of_tables_nor_that_of_keys)
{
	enum { SEED = 0x5eed, COUNTERS = 100 };
	struct broker *b = broker_create_keyed(SEED, 1);
	uint64_t n = unmixed(uid_of(b));
	for (uint64_t generation = 0; generation < COUNTERS; generation++)
		for (uint64_t i = 0; i < COUNTERS; i++)
			cr_assert_neq(n ^ (generation << 40 | i), SEED);
	broker_destroy(b);
}
