/* What programs declare, look at and take away. */
#include "handle.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

static int check_names(const char *first, const char *second, const char *third)
{
	const char *names[] = { first, second, third };
	for (size_t i = 0; i < 3; i++) {
		int rc = content_check_name("name", names[i]);
		if (rc != LEV_OK)
			return rc;
	}
	return LEV_OK;
}

static int ask(struct lev *lev, const struct method *m, uint32_t reply, struct call *call,
	       uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	*call = (struct call){ .request = m, .reply = reply };
	handle_lock(lev);
	int rc = control_call(&lev->control, call, deadline);
	handle_unlock(lev);
	return rc;
}

static int ask_plainly(struct lev *lev, const struct method *m, uint32_t reply, uint64_t deadline)
{
	struct call call;
	return ask(lev, m, reply, &call, deadline);
}

/* --- queues --- */

static struct method declaration(const char *name, const struct lev_queue *q)
{
	struct method m = { .id = METHOD_queue_declare };
	m.queue_declare.queue = bytes_str(name);
	m.queue_declare.durable = !q->is_transient;
	m.queue_declare.exclusive = q->is_exclusive;
	m.queue_declare.auto_delete = q->is_auto_delete;
	m.queue_declare.passive = q->is_passive;
	m.queue_declare.arguments = table_bytes(q->arguments);
	return m;
}

static int record(struct lev *lev, const struct method *m, const char *queue)
{
	handle_lock(lev);
	int rc = control_record(&lev->control, m, queue);
	handle_unlock(lev);
	return rc;
}

int lev_declare_queue(struct lev *lev, const char *name, const struct lev_queue *queue,
		      uint64_t deadline)
{
	const struct lev_queue durable = { 0 }, *q = queue == NULL ? &durable : queue;
	if (name == NULL || name[0] == '\0')
		return lev_fail(LEV_INVALID, "a queue needs a name");
	int rc = check_names(name, NULL, NULL);
	if (rc == LEV_OK)
		rc = table_is_sound(q->arguments);
	if (rc != LEV_OK)
		return rc;
	struct method m = declaration(name, q);
	rc = ask_plainly(lev, &m, METHOD_queue_declare_ok, deadline);
	if (rc == LEV_OK && (q->is_exclusive || q->is_auto_delete) && !q->is_passive)
		rc = record(lev, &m, name);
	return rc;
}

int lev_queue_info(struct lev *lev, const char *name, struct lev_queue_info *info,
		   uint64_t deadline)
{
	struct method m = declaration(name, &(struct lev_queue){ .is_passive = true });
	struct call call;
	int rc = check_names(name, NULL, NULL);
	if (rc == LEV_OK)
		rc = ask(lev, &m, METHOD_queue_declare_ok, &call, deadline);
	if (rc == LEV_OK)
		*info = (struct lev_queue_info){ call.messages, call.consumers };
	return rc;
}

/* The queue's own arguments, and where it dead-letters to. */
static int declare_leading(struct lev *lev, const char *name, const struct lev_queue *q,
			   const char *exchange, const char *dead, uint64_t deadline)
{
	struct bytes given = table_bytes(q->arguments);
	size_t need = given.len + strlen(exchange) + strlen(dead) + 128;
	struct lev_table arguments = { .data = malloc(need) };
	if (arguments.data == NULL)
		return fail_plainly(LEV_NO_MEMORY);
	struct writer w = writer_of(arguments.data, need);
	write_bytes(&w, given);
	table_write_str(&w, "x-dead-letter-exchange", bytes_str(exchange));
	table_write_str(&w, "x-dead-letter-routing-key", bytes_str(dead));
	arguments.len = (size_t)(w.at - arguments.data);
	struct lev_queue leading = *q;
	leading.arguments = &arguments;
	int rc = lev_declare_queue(lev, name, &leading, deadline);
	free(arguments.data);
	return rc;
}

int lev_declare_with_dlq(struct lev *lev, const char *name, const struct lev_queue *queue,
			 uint64_t deadline)
{
	const struct lev_queue durable = { 0 }, *q = queue == NULL ? &durable : queue;
	char dead[UINT8_MAX + 8], exchange[UINT8_MAX + 8];
	if (name == NULL || strlen(name) > UINT8_MAX - 4)
		return lev_fail(LEV_INVALID,
				"a queue's name, and that with .dlq, has at most 255 bytes");
	int rc = table_is_sound(q->arguments);
	if (rc != LEV_OK)
		return rc;
	snprintf(dead, sizeof dead, "%s.dlq", name);
	snprintf(exchange, sizeof exchange, "%s.dlx", name);
	rc = lev_declare_queue(lev, dead, NULL, deadline);
	if (rc == LEV_OK)
		rc = lev_declare_exchange(lev, exchange, "direct", NULL, deadline);
	if (rc == LEV_OK)
		rc = lev_bind(lev, dead, exchange, dead, NULL, deadline);
	if (rc == LEV_OK)
		rc = declare_leading(lev, name, q, exchange, dead, deadline);
	return rc;
}

/* What is answered with the number of messages that there were. */
static int ask_count(struct lev *lev, const char *name, const struct method *m, uint32_t reply,
		     uint32_t *messages, uint64_t deadline)
{
	struct call call;
	int rc = check_names(name, NULL, NULL);
	if (rc == LEV_OK)
		rc = ask(lev, m, reply, &call, deadline);
	if (rc == LEV_OK && messages != NULL)
		*messages = call.messages;
	return rc;
}

int lev_delete_queue(struct lev *lev, const char *name, uint32_t *messages, uint64_t deadline)
{
	struct method m = { .id = METHOD_queue_delete };
	m.queue_delete.queue = bytes_str(name);
	int rc = ask_count(lev, name, &m, METHOD_queue_delete_ok, messages, deadline);
	if (rc != LEV_OK)
		return rc;
	handle_lock(lev);
	control_forget(&lev->control, name);
	handle_unlock(lev);
	return LEV_OK;
}

int lev_purge(struct lev *lev, const char *queue, uint32_t *messages, uint64_t deadline)
{
	struct method m = { .id = METHOD_queue_purge };
	m.queue_purge.queue = bytes_str(queue);
	return ask_count(lev, queue, &m, METHOD_queue_purge_ok, messages, deadline);
}

static int get(struct lev *lev, const char *queue, bool is_no_ack, struct lev_message **out,
	       uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	struct method m = { .id = METHOD_basic_get };
	struct call call = { .request = &m, .reply = METHOD_basic_get_ok };
	int rc = check_names(queue, NULL, NULL);
	if (rc != LEV_OK)
		return rc;
	m.basic_get.queue = bytes_str(queue);
	m.basic_get.no_ack = is_no_ack;
	handle_lock(lev);
	rc = control_call(&lev->getter, &call, deadline);
	handle_unlock(lev);
	if (rc == LEV_OK && call.message == NULL)
		return lev_fail(LEV_EMPTY, "queue '%s' is empty", queue);
	if (rc == LEV_OK)
		*out = &call.message->of;
	return rc;
}

int lev_get(struct lev *lev, const char *queue, struct lev_message **out, uint64_t deadline)
{
	return get(lev, queue, false, out, deadline);
}

int lev_producer_info(struct lev *lev, const char *producer_id, uint64_t *epoch, uint64_t *sequence,
		      uint64_t deadline)
{
	if (lev == NULL)
		return handle_missing();
	char queue[UINT8_MAX + 16];
	struct lev_message *m;
	if (lev_is_connected(lev) && !lev_broker_can(lev, "idempotency"))
		return lev_fail(LEV_UNSUPPORTED, "this broker knows no producers");
	snprintf(queue, sizeof queue, "amq.producer.%s", producer_id);
	int rc = get(lev, queue, true, &m, deadline);
	if (rc != LEV_OK)
		return rc;
	*epoch = (uint64_t)lev_table_int(m->properties.headers, "x-producer-epoch", 0);
	*sequence = (uint64_t)lev_table_int(m->properties.headers, "x-producer-seq", 0);
	lev_message_free(m);
	return LEV_OK;
}

/* --- exchanges and bindings --- */

int lev_declare_exchange(struct lev *lev, const char *name, const char *type,
			 const struct lev_table *arguments, uint64_t deadline)
{
	struct method m = { .id = METHOD_exchange_declare };
	int rc = check_names(name, type, NULL);
	if (rc == LEV_OK)
		rc = table_is_sound(arguments);
	if (rc != LEV_OK)
		return rc;
	m.exchange_declare.exchange = bytes_str(name);
	m.exchange_declare.type = bytes_str(type);
	m.exchange_declare.durable = true;
	m.exchange_declare.arguments = table_bytes(arguments);
	return ask_plainly(lev, &m, METHOD_exchange_declare_ok, deadline);
}

int lev_delete_exchange(struct lev *lev, const char *name, uint64_t deadline)
{
	struct method m = { .id = METHOD_exchange_delete };
	int rc = check_names(name, NULL, NULL);
	m.exchange_delete.exchange = bytes_str(name);
	return rc == LEV_OK ? ask_plainly(lev, &m, METHOD_exchange_delete_ok, deadline) : rc;
}

static int make_binding(struct method *m, const char *queue, const char *exchange,
			const char *routing_key, const struct lev_table *arguments)
{
	int rc = check_names(queue, exchange, routing_key);
	if (rc == LEV_OK)
		rc = table_is_sound(arguments);
	if (rc != LEV_OK)
		return rc;
	*m = (struct method){ .id = METHOD_queue_bind };
	m->queue_bind.queue = bytes_str(queue);
	m->queue_bind.exchange = bytes_str(exchange);
	m->queue_bind.routing_key = bytes_str(routing_key);
	m->queue_bind.arguments = table_bytes(arguments);
	return LEV_OK;
}

int lev_bind(struct lev *lev, const char *queue, const char *exchange, const char *routing_key,
	     const struct lev_table *arguments, uint64_t deadline)
{
	struct method m;
	int rc = make_binding(&m, queue, exchange, routing_key, arguments);
	if (rc == LEV_OK)
		rc = ask_plainly(lev, &m, METHOD_queue_bind_ok, deadline);
	if (rc != LEV_OK)
		return rc;
	handle_lock(lev);
	if (control_has_records(&lev->control, queue))
		rc = control_record(&lev->control, &m, queue);
	handle_unlock(lev);
	return rc;
}

int lev_unbind(struct lev *lev, const char *queue, const char *exchange, const char *routing_key,
	       const struct lev_table *arguments, uint64_t deadline)
{
	struct method bound, m = { .id = METHOD_queue_unbind };
	int rc = make_binding(&bound, queue, exchange, routing_key, arguments);
	if (rc != LEV_OK)
		return rc;
	m.queue_unbind.queue = bound.queue_bind.queue;
	m.queue_unbind.exchange = bound.queue_bind.exchange;
	m.queue_unbind.routing_key = bound.queue_bind.routing_key;
	m.queue_unbind.arguments = bound.queue_bind.arguments;
	rc = ask_plainly(lev, &m, METHOD_queue_unbind_ok, deadline);
	if (rc != LEV_OK)
		return rc;
	handle_lock(lev);
	control_unrecord(&lev->control, &bound);
	handle_unlock(lev);
	return LEV_OK;
}

int lev_bind_exchange(struct lev *lev, const char *destination, const char *source,
		      const char *routing_key, uint64_t deadline)
{
	struct method m = { .id = METHOD_exchange_bind };
	int rc = check_names(destination, source, routing_key);
	m.exchange_bind.destination = bytes_str(destination);
	m.exchange_bind.source = bytes_str(source);
	m.exchange_bind.routing_key = bytes_str(routing_key);
	return rc == LEV_OK ? ask_plainly(lev, &m, METHOD_exchange_bind_ok, deadline) : rc;
}
