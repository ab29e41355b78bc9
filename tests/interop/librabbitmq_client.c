/* librabbitmq, unchanged: declares, publishes 1000 messages with confirms, consumes and acks them
 * in order.
 *
 *   librabbitmq_client PORT */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 1000 };

static void check(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "failed: %s\n", what);
	exit(1);
}

static void check_reply(amqp_rpc_reply_t reply, const char *what)
{
	check(reply.reply_type == AMQP_RESPONSE_NORMAL, what);
}

int main(int argc, char **argv)
{
	check(argc == 2, "usage: librabbitmq_client PORT");
	amqp_connection_state_t c = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(c);
	check(amqp_socket_open(socket, "127.0.0.1", atoi(argv[1])) == AMQP_STATUS_OK, "connect");
	check_reply(amqp_login(c, "/", 0, 131072, 10, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
		    "login");
	amqp_channel_open(c, 1);
	check_reply(amqp_get_rpc_reply(c), "channel.open");
	amqp_bytes_t queue = amqp_cstring_bytes("librabbitmq");
	amqp_queue_declare(c, 1, queue, 0, 1, 0, 0, amqp_empty_table);
	check_reply(amqp_get_rpc_reply(c), "queue.declare");
	amqp_confirm_select(c, 1);
	check_reply(amqp_get_rpc_reply(c), "confirm.select");
	amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
					       .delivery_mode = 2 };
	for (int i = 0; i < MESSAGES; i++) {
		char body[32];
		snprintf(body, sizeof body, "message %d", i);
		check(amqp_basic_publish(c, 1, amqp_empty_bytes, queue, 0, 0, &properties,
					 amqp_cstring_bytes(body)) == AMQP_STATUS_OK,
		      "publish");
	}
	for (uint64_t confirmed = 0; confirmed < MESSAGES;) {
		amqp_frame_t frame;
		check(amqp_simple_wait_frame(c, &frame) == AMQP_STATUS_OK, "wait for confirms");
		check(frame.frame_type == AMQP_FRAME_METHOD &&
			      frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
		      "basic.ack");
		confirmed = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
	}
	amqp_basic_qos(c, 1, 0, 10, 0);
	amqp_basic_consume(c, 1, queue, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
	check_reply(amqp_get_rpc_reply(c), "basic.consume");
	for (int i = 0; i < MESSAGES; i++) {
		char body[32];
		amqp_envelope_t e;
		snprintf(body, sizeof body, "message %d", i);
		amqp_maybe_release_buffers(c);
		check_reply(amqp_consume_message(c, &e, NULL, 0), "deliver");
		check(e.message.body.len == strlen(body) &&
			      memcmp(e.message.body.bytes, body, strlen(body)) == 0,
		      "order");
		amqp_basic_ack(c, 1, e.delivery_tag, 0);
		amqp_destroy_envelope(&e);
	}
	amqp_queue_delete(c, 1, queue, 0, 0);
	check_reply(amqp_get_rpc_reply(c), "queue.delete");
	check_reply(amqp_connection_close(c, AMQP_REPLY_SUCCESS), "close");
	amqp_destroy_connection(c);
	puts("1 passed, 0 failed");
	return 0;
}
