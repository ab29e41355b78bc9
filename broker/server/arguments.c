#include "core/vhost/argument.h"

#include "server/arguments.h"

static const char *value_text(const struct argument *a)
{
	static const char *const texts[] = {
		[VALUE_COUNT] = "integer, 0 or more",
		[VALUE_COUNT_POSITIVE] = "integer, 1 or more",
		[VALUE_TIME] = "milliseconds, up to ten years",
		[VALUE_TIME_POSITIVE] = "milliseconds, 1 up to ten years",
		[VALUE_PRIORITY] = "integer, 0 to 255",
		[VALUE_VERSION] = "1 or 2",
		[VALUE_NUMBER] = "number",
		[VALUE_SCHEDULE] = "array of integers",
		[VALUE_FLAG] = "boolean",
		[VALUE_TEXT] = "text",
		[VALUE_EXCHANGE_NAME] = "name of an exchange",
		[VALUE_OVERFLOW] = "one of its words",
		[VALUE_QUEUE_TYPE] = "one of its words",
		[VALUE_LOCATOR] = "text",
		[VALUE_STRATEGY] = "at-most-once or at-least-once",
		[VALUE_IDEMPOTENCY] = "one of its words",
		[VALUE_CONFLICT] = "one of its words",
		[VALUE_MODE] = "default or lazy",
	};
	return texts[a->value];
}

void arguments_document(FILE *out)
{
	static const char *const of[] = { "", "queues", "exchanges", "both" };
	static const char *const merges[] = { "the lowest", "the first", "-" };
	fputs("| argument | key in policies | of | value | which holds | meaning "
	      "|\n|---|---|---|---|---|---|\n",
	      out);
	for (size_t i = 0; i < ARGUMENTS; i++) {
		const struct argument *a = &argument_table[i];
		fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", a->name == NULL ? "-" : a->name,
			a->policy == NULL ? "-" : a->policy, of[a->of], value_text(a),
			merges[a->merge], a->meaning);
	}
}
