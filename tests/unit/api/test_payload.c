#include "api/payload.h"

#include "api/json_text.h"
#include "api/query.h"
#include "chance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool take(json_t *body, struct bytes key, struct query *q, struct payload *p)
{
	*q = (struct query){ .body = body };
	*p = (struct payload){ 0 };
	return payload_read(q, key, p);
}

static json_t *body_of(const char *properties, const char *payload, const char *encoding)
{
	json_t *o = json_loads(properties, 0, NULL);
	cr_assert_not_null(o, "%s", properties);
	return json_pack("{s:o, s:s, s:s, s:s}", "properties", o, "routing_key", "k", "payload",
			 payload, "payload_encoding", encoding);
}

static void drop(struct query *q, struct payload *p)
{
	payload_fini(p);
	json_decref(q->body);
	json_decref(q->details);
}

static void check_kept(const char *properties)
{
	struct query q;
	struct payload p;
	cr_assert(take(body_of(properties, "", "string"), bytes_of("", 0), &q, &p), "%s: %s",
		  properties, q.reason);
	json_t *back = payload_properties(p.properties), *want = json_loads(properties, 0, NULL);
	cr_assert(json_equal(back, want), "%s is not %s", json_dumps(back, 0), properties);
	json_decref(back);
	json_decref(want);
	drop(&q, &p);
}

Test(payload, properties_come_back_as_they_went)
{
	check_kept("{}");
	check_kept("{\"content_type\":\"text/plain\",\"content_encoding\":\"gzip\",\"priority\":9,"
		   "\"delivery_mode\":2,\"correlation_id\":\"c\",\"reply_to\":\"r\","
		   "\"expiration\":\"100\",\"message_id\":\"m\",\"timestamp\":1700000000,"
		   "\"type\":\"t\",\"user_id\":\"guest\",\"app_id\":\"a\",\"cluster_id\":\"\"}");
	check_kept("{\"headers\":{\"a\":[1,{\"b\":[true,false,\"\",[]]},2.5],\"\":-1,"
		   "\"\\u00e9\":{},\"big\":9223372036854775807}}");
}

static void check_refused(const char *properties, const char *payload, const char *encoding)
{
	struct query q;
	struct payload p;
	cr_assert_not(take(body_of(properties, payload, encoding), bytes_of("", 0), &q, &p), "%s",
		      properties);
	cr_assert_eq(q.status, 400);
	drop(&q, &p);
}

Test(payload, refuses_what_no_message_can_have)
{
	char deep[400] = "{\"headers\":{\"a\":", long_text[400] = "{\"type\":\"";
	for (int i = 0; i < 40; i++)
		strcat(deep, "[");
	for (int i = 0; i < 40; i++)
		strcat(deep, "]");
	strcat(deep, "}}");
	memset(long_text + strlen(long_text), 'x', 256);
	strcat(long_text, "\"}");
	check_refused(deep, "", "string");
	check_refused(long_text, "", "string");
	check_refused("[]", "", "string");
	check_refused("{\"headers\":{\"a\":null}}", "", "string");
	check_refused("{\"headers\":{\"a\":[{\"b\":null}]}}", "", "string");
	check_refused("{\"headers\":[1]}", "", "string");
	check_refused("{\"type\":1}", "", "string");
	check_refused("{\"priority\":\"1\"}", "", "string");
	check_refused("{\"timestamp\":1.5}", "", "string");
	check_refused("{\"delivery_mode\":256}", "", "string");
	check_refused("{}", "", "utf8");
	check_refused("{}", "*", "base64");
	check_refused("{}", "QUI", "base64");
}

Test(payload, headers_that_fit_in_no_frame_are_refused)
{
	enum { LEN = 130 * 1024 };
	char *text = calloc(1, LEN + 40);
	strcpy(text, "{\"headers\":{\"a\":\"");
	memset(text + strlen(text), 'x', LEN);
	strcat(text, "\"}}");
	check_refused(text, "", "string");
	free(text);
}

Test(payload, an_idempotency_key_becomes_a_header)
{
	struct query q;
	struct payload p;
	cr_assert(take(body_of("{\"headers\":{\"a\":1}}", "", "string"), bytes_str("order-1"), &q, &p));
	json_t *back = payload_properties(p.properties);
	json_t *want = json_pack("{s:{s:i, s:s}}", "headers", "a", 1, "x-idempotency-key", "order-1");
	cr_assert(json_equal(back, want));
	json_decref(back);
	json_decref(want);
	drop(&q, &p);
}

/* Bytes of any kind; of every second try a text. */
static void fill(struct chance *c, uint8_t *data, size_t len, bool is_text)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)chance(c, is_text ? 128 : 256);
}

Test(payload, bodies_come_back_as_they_went)
{
	struct chance c = chance_of_today();
	uint8_t data[300];
	for (int i = 0; i < 2000; i++) {
		size_t len = chance(&c, sizeof data);
		bool is_text = chance(&c, 2), is_auto = chance(&c, 2);
		struct query q;
		struct payload p;
		fill(&c, data, len, is_text);
		json_t *object = json_pack("{s:{}, s:s}", "properties", "routing_key", "k");
		payload_put(object, bytes_of(data, len), is_auto);
		const char *encoding =
			json_string_value(json_object_get(object, "payload_encoding"));
		cr_assert(!is_text || !is_auto || strcmp(encoding, "string") == 0);
		cr_assert(is_auto || strcmp(encoding, "base64") == 0);
		cr_assert(take(object, bytes_of("", 0), &q, &p));
		cr_assert(bytes_equal(p.body, bytes_of(data, len)));
		cr_assert(bytes_equal_str(p.routing_key, "k"));
		drop(&q, &p);
	}
}

static bool loads(const char *text, size_t values_max)
{
	json_t *json = json_text_load(bytes_str(text), values_max);
	bool is_fine = json != NULL;
	json_decref(json);
	return is_fine;
}

Test(json_text, has_so_many_values_and_no_more)
{
	static const struct {
		const char *text;
		size_t values;
	} all[] = { { "1", 1 },
		    { "\",[{,\\\\\"", 1 },
		    { "\"\\\",,,\"", 1 },
		    { "[1,2,3]", 4 },
		    { "{\"a,b\":[{},{}],\"c\":\"[[[\"}", 7 } };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		cr_assert(loads(all[i].text, all[i].values), "%s", all[i].text);
		cr_assert_not(loads(all[i].text, all[i].values - 1), "%s", all[i].text);
	}
	cr_assert_not(loads("", 10));
	cr_assert_not(loads("[1", 10));
	cr_assert_not(loads("\"\\", 10));
}
