/* Arguments of declarations: which values they may have, and when two declarations mean the same
 * queue. The texts are RabbitMQ's (measured), Erlang terms and all: clients' tests look for them.
 */
#include "core/vhost/arguments.h"
#include "core/exchange/exchange.h"
#include "core/inputs.h"
#include "core/queue/queue.h"
#include "core/vhost/argument.h"
#include "core/vhost/settings.h"
#include "core/vhost/vhost.h"

#include "table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool may_be_of(const struct argument *a, enum argument_of of)
{
	return a->name != NULL && (a->of & of) != 0;
}

static const struct argument *argument_find(struct bytes name, enum argument_of of)
{
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (may_be_of(&argument_table[i], of) &&
		    bytes_equal_str(name, argument_table[i].name))
			return &argument_table[i];
	return NULL;
}

/* --- values --- */

/* Why a value is not allowed, as RabbitMQ prints it; or nothing. */
struct complaint {
	char text[300];
};

static void check_integer(const struct argument *a, const struct table_value *v,
			  struct complaint *c)
{
	int64_t n;
	if (!table_value_integer(v, &n))
		snprintf(c->text, sizeof c->text, "\"expected integer, got %s\"",
			 table_type_name(v->type));
	else if (n < 0)
		snprintf(c->text, sizeof c->text, "{value_negative,%" PRId64 "}", n);
	else if (n == 0 && (a->value == VALUE_COUNT_POSITIVE || a->value == VALUE_TIME_POSITIVE))
		snprintf(c->text, sizeof c->text, "{value_zero,0}");
	else if ((uint64_t)n > TIME_MAX_MS &&
		 (a->value == VALUE_TIME || a->value == VALUE_TIME_POSITIVE))
		snprintf(c->text, sizeof c->text, "{value_too_large,%" PRId64 "}", n);
	else if (n > UINT8_MAX && a->value == VALUE_PRIORITY)
		snprintf(c->text, sizeof c->text, "{max_value_exceeded,%" PRId64 "}", n);
	else if (a->value == VALUE_VERSION && n != 1 && n != 2)
		snprintf(c->text, sizeof c->text, "\"unsupported queue version '%" PRId64 "'\"", n);
}

static bool is_one_of(struct bytes text, const char *const *choices)
{
	for (; *choices != NULL; choices++)
		if (bytes_equal_str(text, *choices))
			return true;
	return false;
}

static void check_text(const struct argument *a, const struct table_value *v, struct complaint *c)
{
	static const char *const overflows[] = { "drop-head", "reject-publish",
						 "reject-publish-dlx", "drop-lowest-priority",
						 NULL };
	static const char *const modes[] = { "default", "lazy", NULL };
	static const char *const types[] = { "classic", "quorum", NULL };
	static const char *const locators[] = { "client-local", "balanced", "random",
						"least-leaders", NULL };
	static const char *const strategies[] = { "at-most-once", "at-least-once", NULL };
	static const char *const idempotencies[] = { "window", "sliding", "while-queued", NULL };
	static const char *const conflicts[] = { "flag", "reject", NULL };
	struct bytes text;
	if (!table_value_string(v, &text))
		snprintf(c->text, sizeof c->text, "{unacceptable_type,%s}",
			 table_type_name(v->type));
	else if (a->value == VALUE_IDEMPOTENCY && !is_one_of(text, idempotencies))
		snprintf(c->text, sizeof c->text,
			 "\"expected window, sliding or while-queued, got '%.*s'\"",
			 BYTES_ARG(text));
	else if (a->value == VALUE_CONFLICT && !is_one_of(text, conflicts))
		snprintf(c->text, sizeof c->text, "\"expected flag or reject, got '%.*s'\"",
			 BYTES_ARG(text));
	else if (a->value == VALUE_OVERFLOW && !is_one_of(text, overflows))
		snprintf(c->text, sizeof c->text, "invalid_overflow");
	else if (a->value == VALUE_LOCATOR && !is_one_of(text, locators))
		snprintf(c->text, sizeof c->text, "invalid_queue_locator_arg");
	else if (a->value == VALUE_STRATEGY && !is_one_of(text, strategies))
		snprintf(c->text, sizeof c->text, "invalid_dlx_strategy");
	else if (a->value == VALUE_MODE && !is_one_of(text, modes))
		snprintf(c->text, sizeof c->text, "\"unsupported queue mode '%.*s'\"",
			 BYTES_ARG(text));
	else if (a->value == VALUE_QUEUE_TYPE && !is_one_of(text, types))
		snprintf(c->text, sizeof c->text, "\"unsupported queue type '%.*s'\"",
			 BYTES_ARG(text));
}

static void check_number(const struct argument *a, const struct table_value *v, struct complaint *c)
{
	bool is_jitter = a == &argument_table[ARGUMENT_RETRY_JITTER];
	double n;
	if (!table_value_number(v, &n))
		n = -1;
	if (is_jitter && !(n >= 0 && n <= 1))
		snprintf(c->text, sizeof c->text, "\"expected a number from 0 to 1\"");
	else if (!is_jitter && !(n >= 1 && n <= 1000))
		snprintf(c->text, sizeof c->text, "\"expected a number from 1 to 1000\"");
}

static void check_schedule(const struct table_value *v, struct complaint *c)
{
	struct table_value step;
	struct bytes rest;
	int64_t ms;
	size_t steps = 0;
	bool is_good = table_value_array(v, &rest);
	for (; is_good && array_next(&rest, &step); steps++)
		is_good = table_value_integer(&step, &ms) && ms >= 0;
	if (!is_good || steps == 0 || steps > RETRY_STEPS_MAX)
		snprintf(c->text, sizeof c->text, "\"expected an array of 1 to %d milliseconds\"",
			 RETRY_STEPS_MAX);
}

static void check_value(const struct argument *a, const struct table_value *v, struct complaint *c)
{
	c->text[0] = '\0';
	switch (a->value) {
	case VALUE_COUNT:
	case VALUE_COUNT_POSITIVE:
	case VALUE_TIME:
	case VALUE_TIME_POSITIVE:
	case VALUE_PRIORITY:
	case VALUE_VERSION: check_integer(a, v, c); break;
	case VALUE_TEXT:
	case VALUE_OVERFLOW:
	case VALUE_MODE:
	case VALUE_LOCATOR:
	case VALUE_STRATEGY:
	case VALUE_IDEMPOTENCY:
	case VALUE_CONFLICT:
	case VALUE_QUEUE_TYPE: check_text(a, v, c); break;
	case VALUE_FLAG:
		if (!table_value_bool(v, &(bool){ false }))
			snprintf(c->text, sizeof c->text, "{unacceptable_type,%s}",
				 table_type_name(v->type));
		break;
	case VALUE_NUMBER: check_number(a, v, c); break;
	case VALUE_SCHEDULE: check_schedule(v, c); break;
	case VALUE_EXCHANGE_NAME: /* Its type has been looked at already. */ break;
	}
}

static bool is_quorum(struct bytes table)
{
	struct bytes type;
	return table_find_string(table, "x-queue-type", &type) && bytes_equal_str(type, "quorum");
}

static bool check_one(const struct argument *a, const struct table_value *v, bool for_quorum,
		      const char *what, struct refusal *refusal)
{
	struct complaint complaint;
	check_value(a, v, &complaint);
	if (complaint.text[0] != '\0')
		return refuse(refusal, REPLY_PRECONDITION_FAILED, "invalid arg '%s' for %s: %s",
			      a->name, what, complaint.text);
	if (!(for_quorum ? a->types & TYPES_QUORUM : a->types & TYPES_CLASSIC))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid arg '%s' for %s of queue type rabbit_%s_queue", a->name,
			      what, for_quorum ? "quorum" : "classic");
	return true;
}

static bool check_quorum_flags(const struct queue_declare *d, const char *what,
			       struct refusal *refusal)
{
	const char *property = !d->is_durable      ? "non-durable"
			       : d->is_auto_delete ? "auto-delete"
			       : d->is_exclusive   ? "exclusive-owner"
						   : NULL;
	return property == NULL || refuse(refusal, REPLY_PRECONDITION_FAILED,
					  "invalid property '%s' for %s", property, what);
}

bool queue_arguments_check(const struct queue_declare *d, struct bytes vhost,
			   struct refusal *refusal)
{
	char what[600];
	struct table_value v;
	struct bytes rest = d->arguments, name;
	snprintf(what, sizeof what, "queue '%.*s' in vhost '%.*s'", BYTES_ARG(d->name),
		 BYTES_ARG(vhost));

	if (d->is_generated && is_quorum(d->arguments))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "Cannot declare a server-named queue for type rabbit_quorum_queue");
	bool has_dlx = table_find(d->arguments, "x-dead-letter-exchange", &v);
	if (has_dlx && v.type != 'S')
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid type '%s' for arg '%s' in %s", table_type_name(v.type),
			      "x-dead-letter-exchange", what);
	while (table_next(&rest, &name, &v)) {
		const struct argument *a = argument_find(name, OF_QUEUES);
		if (a != NULL && !check_one(a, &v, is_quorum(d->arguments), what, refusal))
			return false;
	}
	if (!has_dlx && table_find(d->arguments, "x-dead-letter-routing-key", &v))
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "invalid arg 'x-dead-letter-routing-key' for %s: "
			      "routing_key_but_no_dlx_defined",
			      what);
	return !is_quorum(d->arguments) || check_quorum_flags(d, what, refusal);
}

/* --- equivalence --- */

/* The shortest digits that mean this positive number, which is 0.DIGITS times ten to the place. */
static int shortest_digits(double real, char digits[20])
{
	char text[40];
	int precision = 0;
	do
		snprintf(text, sizeof text, "%.*e", precision, real);
	while (strtod(text, NULL) != real && ++precision < 17);
	snprintf(digits, 20, "%c%.*s", text[0], precision, precision > 0 ? text + 2 : "");
	return (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
}

/* As Erlang does: always with a point, and with an exponent if that is shorter. */
static void print_real(char *out, size_t size, double real)
{
	static const char zeros[] = "00000000";
	char digits[20], exponent[8];
	const char *sign = signbit(real) ? "-" : "";
	if (real == 0 || !isfinite(real)) {
		snprintf(out, size, "%s%s", sign, real == 0 ? "0.0" : isnan(real) ? "nan" : "inf");
		return;
	}
	int place = shortest_digits(fabs(real), digits), len = (int)strlen(digits);
	int cost = snprintf(exponent, sizeof exponent, "%d", place - 1) + (len == 1 ? 3 : 2);
	if (place > 0 && place < len)
		snprintf(out, size, "%s%.*s.%s", sign, place, digits, digits + place);
	else if (place > 0 && place - len + 2 <= cost)
		snprintf(out, size, "%s%s%.*s.0", sign, digits, place - len, zeros);
	else if (place == 0 || (place < 0 && 2 - place <= cost))
		snprintf(out, size, "%s0.%.*s%s", sign, -place, zeros, digits);
	else
		snprintf(out, size, "%s%c.%se%s", sign, digits[0], len > 1 ? digits + 1 : "0",
			 exponent);
}

static void print_value(char *out, size_t size, const struct table_value *v)
{
	int64_t integer;
	struct bytes text;
	bool flag;
	double real;
	if (table_value_integer(v, &integer) || table_value_time(v, &integer))
		snprintf(out, size, "%" PRId64, integer);
	else if (table_value_string(v, &text) || table_value_binary(v, &text))
		snprintf(out, size, "%.*s", BYTES_ARG(text));
	else if (table_value_bool(v, &flag))
		snprintf(out, size, "%s", flag ? "true" : "false");
	else if (table_value_real(v, &real))
		print_real(out, size, real);
	else if (v->type == 'V')
		snprintf(out, size, "undefined");
	else
		snprintf(out, size, "(%s)", table_type_name(v->type));
}

/* "the value '1000' of type 'signedint'", or "none". */
static void describe(char *out, size_t size, bool is_there, const struct table_value *v)
{
	char value[300];
	if (!is_there) {
		snprintf(out, size, "none");
		return;
	}
	print_value(value, sizeof value, v);
	snprintf(out, size, "the value '%s' of type '%s'", value, table_type_name(v->type));
}

/* A queue whose type nobody gave is a classic one. */
static bool is_default(const char *name, const struct table_value *v)
{
	return strcmp(name, "x-queue-type") == 0 && table_value_is_text(v, "classic");
}

bool argument_equivalent(const char *name, struct bytes current, struct bytes received,
			 const char *what, struct refusal *refusal)
{
	struct table_value now, new;
	bool has_now = table_find(current, name, &now), has_new = table_find(received, name, &new);
	char now_text[400], new_text[400];
	if (has_now == has_new && (!has_now || table_value_equivalent(&now, &new)))
		return true;
	if (has_now != has_new && is_default(name, has_now ? &now : &new))
		return true;
	if (has_now && has_new) {
		print_value(now_text, sizeof now_text, &now);
		print_value(new_text, sizeof new_text, &new);
		return refuse(refusal, REPLY_PRECONDITION_FAILED,
			      "inequivalent arg '%s' for %s: received '%s' but current is '%s'",
			      name, what, new_text, now_text);
	}
	describe(now_text, sizeof now_text, has_now, &now);
	describe(new_text, sizeof new_text, has_new, &new);
	return refuse(refusal, REPLY_PRECONDITION_FAILED,
		      "inequivalent arg '%s' for %s: received %s but current is %s", name, what,
		      new_text, now_text);
}

bool queue_arguments_equivalent(const struct queue *q, struct bytes received,
				struct refusal *refusal)
{
	char what[600];
	snprintf(what, sizeof what, "queue '%.*s' in vhost '%.*s'", BYTES_ARG(q->name),
		 BYTES_ARG(q->vhost->name));
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (may_be_of(&argument_table[i], OF_QUEUES) &&
		    !argument_equivalent(argument_table[i].name, q->arguments, received, what,
					 refusal))
			return false;
	return true;
}

/* --- of exchanges --- */

bool exchange_arguments_check(struct bytes table, const char *what, struct refusal *refusal)
{
	struct table_value v;
	struct bytes name;
	while (table_next(&table, &name, &v)) {
		const struct argument *a = argument_find(name, OF_EXCHANGES);
		if (a != NULL && !check_one(a, &v, false, what, refusal))
			return false;
	}
	return true;
}

bool exchange_arguments_equivalent(const struct exchange *x, struct bytes received,
				   const char *what, struct refusal *refusal)
{
	for (size_t i = 0; i < ARGUMENTS; i++)
		if (may_be_of(&argument_table[i], OF_EXCHANGES) &&
		    !argument_equivalent(argument_table[i].name, x->arguments, received, what,
					 refusal))
			return false;
	return true;
}
