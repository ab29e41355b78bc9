/* Lists of what is in a virtual host. */
#include "manage/state.h"

static json_t *list_queues(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	struct queue_info i;
	if (vhost == NULL)
		return NULL;
	json_t *rows = json_array();
	for (size_t at = 0; core_next_queue(vhost, &at, &i);)
		json_array_append_new(
			rows,
			json_pack("{s:o, s:b, s:b, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
				  "name", json_of_text(i.name), "durable", i.is_durable,
				  "auto_delete", i.is_auto_delete, "exclusive", i.is_exclusive,
				  "arguments", table_json(i.arguments), "policy",
				  json_of_text(i.policy.name), "messages_ready",
				  (json_int_t)i.ready, "messages_unacknowledged",
				  (json_int_t)i.unacked, "messages",
				  (json_int_t)(i.ready + i.unacked), "messages_delayed",
				  (json_int_t)i.waiting, "message_bytes_ready",
				  (json_int_t)i.ready_bytes, "consumers", (json_int_t)i.consumers));
	return json_pack("{s:o}", "rows", rows);
}

static json_t *list_exchanges(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	struct exchange_info i;
	if (vhost == NULL)
		return NULL;
	json_t *rows = json_array();
	for (size_t at = 0; core_next_exchange(vhost, &at, &i);)
		json_array_append_new(rows, json_pack("{s:o, s:s, s:b, s:b, s:b, s:o, s:o}", "name",
						      json_of_text(i.name), "type", i.type,
						      "durable", i.is_durable, "auto_delete",
						      i.is_auto_delete, "internal", i.is_internal,
						      "arguments", table_json(i.arguments),
						      "policy", json_of_text(i.policy.name)));
	return json_pack("{s:o}", "rows", rows);
}

static json_t *list_bindings(struct manage *m, const json_t *q, struct trouble *t)
{
	struct vhost *vhost = field_vhost(m, q, t);
	struct queue_info queue;
	struct binding_info i;
	if (vhost == NULL)
		return NULL;
	json_t *rows = json_array();
	/* The default exchange has one for each queue, which nobody made. */
	for (size_t at = 0; core_next_queue(vhost, &at, &queue);)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:s, s:o, s:{}}",
						      "source_name", "", "source_kind", "exchange",
						      "destination_name", json_of_text(queue.name),
						      "destination_kind", "queue", "routing_key",
						      json_of_text(queue.name), "arguments"));
	for (struct binding_cursor at = { 0 }; core_next_binding(vhost, &at, &i);)
		json_array_append_new(
			rows, json_pack("{s:o, s:s, s:o, s:s, s:o, s:o}", "source_name",
					json_of_text(i.source), "source_kind", "exchange",
					"destination_name", json_of_text(i.destination),
					"destination_kind", i.is_to_exchange ? "exchange" : "queue",
					"routing_key", json_of_text(i.routing_key), "arguments",
					table_json(i.arguments)));
	return json_pack("{s:o}", "rows", rows);
}

const struct command list_commands[] = {
	{ "list_queues", list_queues },
	{ "list_exchanges", list_exchanges },
	{ "list_bindings", list_bindings },
	{ NULL, NULL },
};
