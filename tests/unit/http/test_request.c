#include "http/request.h"

#include <criterion/criterion.h>

static void add(struct http_request *r, const char *name, const char *value)
{
	r->headers[r->headers_len++] = (struct http_pair){ bytes_str(name), bytes_str(value) };
}

static int encoding(const char *value, const char *offered)
{
	struct http_request r = { 0 };
	add(&r, "x", "gzip");
	add(&r, "accept-encoding", value);
	return http_quality(&r, "accept-encoding", offered);
}

static int type(const char *value)
{
	struct http_request r = { 0 };
	add(&r, "accept", value);
	return http_quality(&r, "accept", "application/json");
}

Test(http_request, finds_the_first_of_a_name)
{
	struct http_request r = { 0 };
	struct bytes value = bytes_str("untouched");
	add(&r, "a", "1");
	add(&r, "b", "2");
	add(&r, "b", "3");
	cr_assert(http_header(&r, "b", &value));
	cr_assert(bytes_equal_str(value, "2"));
	cr_assert_not(http_header(&r, "c", &value));
	cr_assert(bytes_equal_str(value, "2"));
	cr_assert_not(http_parameter(&r, "a", &value));
	r.parameters[r.parameters_len++] = (struct http_pair){ bytes_str("a"), bytes_str("4") };
	cr_assert(http_parameter(&r, "a", &value));
	cr_assert(bytes_equal_str(value, "4"));
}

Test(http_request, looks_for_words_in_all_headers_of_a_name)
{
	struct http_request r = { 0 };
	add(&r, "connection", " a ,B,, ");
	add(&r, "connection", "c");
	add(&r, "other", "d");
	cr_assert(http_header_has(&r, "connection", "a"));
	cr_assert(http_header_has(&r, "connection", "b"));
	cr_assert(http_header_has(&r, "connection", "c"));
	cr_assert_not(http_header_has(&r, "connection", "d"));
	cr_assert_not(http_header_has(&r, "connection", "a ,b"));
}

Test(http_request, weighs_codings)
{
	struct http_request none = { 0 };
	cr_assert_eq(http_quality(&none, "accept-encoding", "gzip"), -1);
	cr_assert_eq(encoding("", "gzip"), 0);
	cr_assert_eq(encoding("gzip, deflate, br", "gzip"), 1000);
	cr_assert_eq(encoding("GZIP;q=0.5", "gzip"), 500);
	cr_assert_eq(encoding("deflate", "gzip"), 0);
	cr_assert_eq(encoding("*", "gzip"), 1000);
	cr_assert_eq(encoding("*;q=0.1, gzip ; q=0", "gzip"), 0);
	cr_assert_eq(encoding("gzip;q=0, *", "gzip"), 0);
	cr_assert_eq(encoding("gzip;q=0.25,gzip;q=1", "gzip"), 250);
	cr_assert_eq(encoding("gzipped", "gzip"), 0);
}

Test(http_request, takes_odd_qualities_for_none)
{
	static const char *const odd[] = { "gzip;q=",       "gzip;q=2",    "gzip;q=1.001",
					   "gzip;q=0.1234", "gzip;q=-1",   "gzip;q=.5",
					   "gzip;q=0,5",    "gzip;q=0.0x", "gzip;q=1e3" };
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		cr_assert_eq(encoding(odd[i], "gzip"), 0, "%s", odd[i]);
	cr_assert_eq(encoding("gzip;q=1.000", "gzip"), 1000);
	cr_assert_eq(encoding("gzip;q=0.001", "gzip"), 1);
}

Test(http_request, weighs_media_types_by_the_most_specific_entry)
{
	cr_assert_eq(type("*/*"), 1000);
	cr_assert_eq(type("application/*"), 1000);
	cr_assert_eq(type("application/bert, application/json;q=0.1"), 100);
	cr_assert_eq(type("text/html, */*;q=0.8"), 800);
	cr_assert_eq(type("application/json;q=0, */*"), 0);
	cr_assert_eq(type("*/*;q=0.1, application/*;q=0.3"), 300);
	cr_assert_eq(type("application/*;q=0.3, */*;q=0.9"), 300);
	cr_assert_eq(type("text/html"), 0);
	cr_assert_eq(type("text/*"), 0);
	cr_assert_eq(type("application/jsonp"), 0);
	cr_assert_eq(type("Application/JSON;charset=utf-8; Q=0.7"), 700);
	cr_assert_eq(type("*"), 0);
}
