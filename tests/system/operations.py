#!/usr/bin/python3
"""What an operator does at three in the morning: lists queues, looks into the dead-letter queue, puts back what lies there; and what
Prometheus sees of it. operations.py LEVERETD LEVERETCTL"""
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pika  # noqa: E402
from leveretd import Leveretd, free_port  # noqa: E402

LEVERETCTL = sys.argv[2]
HEADERS = {"customer": "ada", "attempt": 1, "tags": ["a", "b"], "deep": {"x": True}}


class Operations(unittest.TestCase):
    def setUp(self):
        self.http, self.metrics = free_port(), free_port()
        self.broker = Leveretd("management.tcp.port = %d\nprometheus.tcp.port = %d\n" % (self.http, self.metrics)).start()
        self.connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.broker.port))
        self.channel = self.connection.channel()

    def tearDown(self):
        try:
            self.connection.close()
        except pika.exceptions.AMQPError:
            pass
        if self.broker.process.poll() is None:
            self.assertEqual(self.broker.stop(), 0)

    def ask(self, method, path, body=None, user="guest:guest", headers=None, status=None):
        request = urllib.request.Request("http://127.0.0.1:%d/api/%s" % (self.http, path), method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                code, text = reply.status, reply.read()
        except urllib.error.HTTPError as e:
            code, text = e.code, e.read()
        if status is not None:
            self.assertEqual(code, status, text)
        return json.loads(text) if text else None

    def scrape(self, path="/metrics"):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.metrics, path), timeout=30) as reply:
            return reply.read().decode()

    def value(self, name, text=None):
        for line in (text or self.scrape()).splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
        self.fail("no " + name)

    def order_queues(self):
        """As the documents have it: a work queue, its dead-letter exchange and queue, a day to live."""
        self.channel.exchange_declare("orders.dlx", "direct", durable=True)
        self.channel.queue_declare("orders.process.dlq", durable=True, arguments={"x-message-ttl": 86400000})
        self.channel.queue_bind("orders.process.dlq", "orders.dlx", "orders.process")
        self.channel.queue_declare("orders.process", durable=True, arguments={
            "x-dead-letter-exchange": "orders.dlx", "x-dead-letter-routing-key": "orders.process"})

    def publish(self, body, **properties):
        self.channel.basic_publish("", "orders.process", body, pika.BasicProperties(
            delivery_mode=2, content_type="application/json", correlation_id="c-1", message_id="m-1", type="order",
            headers=dict(HEADERS), **properties))

    def reject_all(self, count):
        for _ in range(count):
            method = None
            while method is None:
                method, _, _ = self.channel.basic_get("orders.process")
            self.channel.basic_reject(method.delivery_tag, requeue=False)

    def length(self, queue):
        return self.ask("GET", "queues/%2F/" + queue, status=200)["messages"]

    def test_the_incident(self):
        self.order_queues()
        for i in range(3):
            self.publish(b'{"n": %d}' % i)
        self.reject_all(3)
        listed = subprocess.run([LEVERETCTL, "--data-dir", self.broker.data, "list_queues"], capture_output=True, text=True)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("orders.process.dlq\t3", [line for line in listed.stdout.splitlines() if "dlq" in line])
        seen = self.ask("POST", "queues/%2F/orders.process.dlq/get",
                        {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}, status=200)
        self.assertEqual(seen[0]["payload"], '{"n": 0}')
        self.assertEqual(seen[0]["properties"]["headers"]["x-death"][0]["reason"], "rejected")
        dry = self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move", {"dry_run": True}, status=200)
        self.assertEqual((dry["would_move"], dry["refused"], dry["passed_over"]), (3, 0, 0))
        self.assertEqual(self.length("orders.process.dlq"), 3)
        moved = self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move", {}, status=200)
        self.assertEqual((moved["moved"], moved["refused"], moved["passed_over"]), (3, 0, 0))
        self.broker.kill()  # What was answered is on disk.
        self.broker.start()
        self.assertEqual((self.length("orders.process"), self.length("orders.process.dlq")), (3, 0))
        self.setup_again()
        for i in range(3):
            method, properties, body = self.channel.basic_get("orders.process", auto_ack=True)
            self.assertEqual(body, b'{"n": %d}' % i)
            self.assertEqual((properties.content_type, properties.correlation_id, properties.message_id, properties.type,
                              properties.delivery_mode), ("application/json", "c-1", "m-1", "order", 2))
            for name, value in HEADERS.items():
                self.assertEqual(properties.headers[name], value)

    def setup_again(self):
        self.connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.broker.port))
        self.channel = self.connection.channel()

    def test_what_nobody_takes_stays(self):
        self.order_queues()
        self.publish(b"lost?")
        self.reject_all(1)
        self.channel.queue_delete("orders.process")
        for dry in (True, False):
            said = self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move", {"dry_run": dry}, status=200)
            self.assertEqual(said["refused"], 1)
        self.assertEqual(self.length("orders.process.dlq"), 1)
        full = {"x-max-length": 0, "x-overflow": "reject-publish"}
        self.channel.queue_declare("full", durable=True, arguments=full)
        said = self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move", {"to": {"queue": "full"}}, status=200)
        self.assertEqual((said["moved"], said["refused"]), (0, 1))
        self.assertEqual(self.length("orders.process.dlq"), 1)

    def test_a_keyed_message_is_moved_and_not_swallowed(self):
        self.order_queues()
        self.channel.basic_publish("", "orders.process", b"pay", pika.BasicProperties(
            delivery_mode=2, headers={"x-idempotency-key": "order-1/pay"}))
        self.reject_all(1)
        self.assertEqual(self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move", {}, status=200)["moved"], 1)
        self.assertEqual(self.length("orders.process"), 1)
        found = self.ask("GET", "leveret/keys/%2F?exchange=amq.default&routing_key=orders.process&key=order-1/pay", status=200)
        self.assertFalse(found["transient"])
        self.ask("DELETE", "leveret/keys/%2F?routing_key=orders.process&key=order-1/pay", status=204)
        self.ask("GET", "leveret/keys/%2F?routing_key=orders.process&key=order-1/pay", status=404)

    def test_only_some_are_moved(self):
        self.order_queues()
        self.channel.queue_declare("short", arguments={"x-message-ttl": 1, "x-dead-letter-exchange": "orders.dlx",
                                                       "x-dead-letter-routing-key": "orders.process"})
        self.publish(b"rejected")
        self.reject_all(1)
        self.channel.basic_publish("", "short", b"expired")
        self.wait(lambda: self.length("orders.process.dlq") == 2)
        said = self.ask("POST", "leveret/queues/%2F/orders.process.dlq/move",
                        {"reason": "expired", "to": {"queue": "orders.process"}}, status=200)
        self.assertEqual((said["seen"], said["moved"], said["passed_over"]), (2, 1, 1))
        self.assertEqual(self.channel.basic_get("orders.process", auto_ack=True)[2], b"expired")
        self.assertEqual(self.length("orders.process.dlq"), 1)

    def test_a_queue_is_moved_into_itself_once(self):
        self.order_queues()
        for i in range(70):
            self.publish(b"%d" % i)
        said = self.ask("POST", "leveret/queues/%2F/orders.process/move", {"to": {"queue": "orders.process"}}, status=200)
        self.assertEqual((said["seen"], said["moved"]), (70, 70))
        self.assertEqual(self.length("orders.process"), 70)
        self.assertEqual(self.channel.basic_get("orders.process", auto_ack=True)[2], b"0")

    def wait(self, is_there):
        for _ in range(1000):
            if is_there():
                return
            time.sleep(0.02)
        self.fail("it did not come")

    def test_peeking_changes_nothing(self):
        self.order_queues()
        for i in range(100):
            self.publish(b"%d" % i)
        method, _, _ = self.channel.basic_get("orders.process")
        page, bodies = {"next": 0}, []
        while page["next"] is not None:
            page = self.ask("GET", "leveret/queues/%%2F/orders.process/messages?from=%d&count=30" % page["next"], status=200)
            bodies += [m["payload"] for m in page["messages"]]
        self.assertEqual(bodies, [str(i) for i in range(100)])
        unacked = self.ask("GET", "leveret/queues/%2F/orders.process/messages?state=unacked", status=200)["messages"]
        self.assertEqual([m["payload"] for m in unacked], ["0"])
        self.assertIn("(1)", unacked[0]["channel"])
        self.channel.basic_reject(method.delivery_tag, requeue=True)
        for i in range(100):  # Nobody is redelivered but the one that was.
            method, _, body = self.channel.basic_get("orders.process", auto_ack=True)
            self.assertEqual((body, method.redelivered), (b"%d" % i, i == 0))

    def test_peeking_at_what_left_memory(self):
        self.channel.queue_declare("deep", durable=True)
        for i in range(2000):
            self.channel.basic_publish("", "deep", b"%06d" % i + b"x" * 30000, pika.BasicProperties(delivery_mode=2))
        page = self.ask("GET", "leveret/queues/%2F/deep/messages?count=200&truncate=6", status=200)
        self.assertEqual([m["payload"] for m in page["messages"]], ["%06d" % i for i in range(len(page["messages"]))])
        self.assertGreater(len(page["messages"]), 100)
        self.assertEqual(page["messages"][0]["payload_bytes"], 30006)

    def test_peeking_at_delayed_messages(self):
        self.channel.queue_declare("later", durable=True)
        self.channel.basic_publish("", "later", b"x", pika.BasicProperties(delivery_mode=2, headers={"x-delay": 3600000}))
        self.wait(lambda: self.ask("GET", "leveret/queues/%2F/amq.delayed/messages").get("messages"))
        message = self.ask("GET", "leveret/queues/%2F/amq.delayed/messages", status=200)["messages"][0]
        self.assertEqual(message["routing_key"], "later")
        self.assertEqual(message["expires_ms"] - message["published_ms"], 3600000)

    def test_where_would_this_go(self):
        self.channel.exchange_declare("notify", "topic", durable=True)
        self.channel.exchange_declare("kinds", "headers", durable=True)
        for queue in ("mail", "all"):
            self.channel.queue_declare(queue)
        self.channel.queue_bind("mail", "notify", "notification.email.*")
        self.channel.queue_bind("all", "notify", "#")
        self.channel.queue_bind("mail", "kinds", "", {"x-match": "all", "kind": "mail"})
        where = self.ask("GET", "leveret/route/%2F/notify?routing_key=notification.email.new", status=200)
        self.assertEqual(sorted(where["queues"]), ["all", "mail"])
        self.assertEqual(self.ask("GET", "leveret/route/%2F/amq.default?routing_key=none", status=200)["routed"], False)
        where = self.ask("POST", "leveret/route/%2F/kinds", {"headers": {"kind": "mail"}}, status=200)
        self.assertEqual(where["queues"], ["mail"])
        self.ask("GET", "leveret/route/%2F/none?routing_key=x", status=404)
        self.assertEqual(self.length("mail"), 0)

    def test_may_he(self):
        self.ask("PUT", "users/ann", {"password": "x", "tags": "management"}, status=201)
        self.ask("PUT", "permissions/%2F/ann", {"configure": "", "write": "^orders", "read": ".*"}, status=201)
        may = self.ask("GET", "leveret/may?user=ann&vhost=%2F&right=write&name=orders.process", status=200)
        self.assertEqual((may["allowed"], may["pattern"]), (True, "^orders"))
        may = self.ask("GET", "leveret/may?user=ann&vhost=%2F&right=configure&name=orders.process", status=200)
        self.assertEqual(may["allowed"], False)
        self.ask("GET", "leveret/may?user=guest&vhost=%2F&right=read&name=x", user="ann:x", status=401)

    def test_publishing_twice_with_a_key(self):
        self.channel.queue_declare("orders", durable=True)
        body = {"properties": {"delivery_mode": 2}, "routing_key": "orders", "payload": "one", "payload_encoding": "string"}
        first = self.ask("POST", "exchanges/%2F/amq.default/publish", body, headers={"Idempotency-Key": "k1"}, status=200)
        again = self.ask("POST", "exchanges/%2F/amq.default/publish", body, headers={"Idempotency-Key": "k1"}, status=200)
        self.assertEqual((first, again), ({"routed": True}, {"routed": True, "duplicate": True}))
        self.broker.kill()
        self.broker.start()
        self.assertEqual(self.length("orders"), 1)
        again = self.ask("POST", "exchanges/%2F/amq.default/publish", body, headers={"Idempotency-Key": "k1"}, status=200)
        self.assertTrue(again["duplicate"])

    def test_a_full_queue_refuses(self):
        self.channel.queue_declare("full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
        body = {"properties": {}, "routing_key": "full", "payload": "one", "payload_encoding": "string"}
        self.ask("POST", "exchanges/%2F/amq.default/publish", body, status=503)

    def test_a_request_and_its_reply(self):
        self.channel.queue_declare("rpc")
        body = {"properties": {"correlation_id": "7"}, "routing_key": "rpc", "payload": "21", "payload_encoding": "string"}
        self.ask("POST", "leveret/request/%2F/amq.default?timeout=200", dict(body, routing_key="nobody"), status=503)
        self.ask("POST", "leveret/request/%2F/amq.default?timeout=200", body, status=504)
        self.channel.queue_purge("rpc")

        def serve(channel, method, properties, payload):
            channel.basic_publish("", properties.reply_to, str(2 * int(payload)).encode(),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)
            channel.stop_consuming()

        said = {}
        asking = threading.Thread(target=lambda: said.update(self.ask("POST", "leveret/request/%2F/amq.default?timeout=20000", body)))
        asking.start()
        self.channel.basic_consume("rpc", serve)
        self.channel.start_consuming()
        asking.join(30)
        self.assertEqual((said["payload"], said["properties"]["correlation_id"]), ("42", "7"))
        self.assertEqual(self.ask("GET", "channels", status=200)[0]["user"], "guest")
        self.assertEqual(len(self.ask("GET", "channels")), 1)  # The request's own is nobody's business.

    def test_a_page_of_another_site(self):
        body = {"properties": {}, "routing_key": "x", "payload": "", "payload_encoding": "string"}
        self.ask("POST", "exchanges/%2F/amq.default/publish", body, headers={"Origin": "http://evil.example"}, status=403)
        self.ask("DELETE", "vhosts/%2F", headers={"Sec-Fetch-Site": "cross-site"}, status=403)
        self.ask("GET", "whoami", headers={"Origin": "http://evil.example"}, status=200)

    def test_metrics(self):
        self.order_queues()
        for i in range(5):
            self.publish(b"x" * 500)
        self.reject_all(2)
        self.channel.basic_get("orders.process", auto_ack=True)
        text = self.scrape()
        for name, value in (("rabbitmq_queues", 2), ("rabbitmq_connections", 1), ("rabbitmq_channels", 1),
                            ("rabbitmq_global_messages_received_total", 5), ("rabbitmq_channel_messages_published_total", 5),
                            ("rabbitmq_global_messages_dead_lettered_rejected_total", 2), ("rabbitmq_queue_messages_ready", 4),
                            ("rabbitmq_global_messages_delivered_get_auto_ack_total", 1), ("rabbitmq_queues_created_total", 2),
                            ('rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="100.0"}', 0),
                            ('rabbitmq_message_size_bytes_bucket{protocol="amqp091",le="1000.0"}', 5),
                            ("rabbitmq_identity_info", 1), ("rabbitmq_alarms_memory_used_watermark", 0)):
            self.assertEqual(self.value(name, text), value, name)
        text = self.scrape("/metrics/per-object")
        self.assertIn('rabbitmq_queue_messages_ready{vhost="/",queue="orders.process.dlq"} 2\n', text)
        text = self.scrape("/metrics/detailed?family=queue_coarse_metrics&vhost=/")
        self.assertIn('rabbitmq_detailed_queue_messages{vhost="/",queue="orders.process"} 2\n', text)
        self.assertNotIn("rabbitmq_detailed_queue_consumers", text)
        text = self.scrape("/metrics/detailed?family=queue_coarse_metrics&vhost=none")
        self.assertNotIn("queue=", text)
        names = [line.split()[2] for line in self.scrape().splitlines() if line.startswith("# TYPE")]
        self.assertEqual(len(names), len(set(names)))

    def test_stopping_while_somebody_waits(self):
        self.channel.queue_declare("rpc")
        body = {"properties": {}, "routing_key": "rpc", "payload": "", "payload_encoding": "string"}
        with socket.create_connection(("127.0.0.1", self.http), 30) as s:
            text = json.dumps(body)
            s.sendall(("POST /api/leveret/request/%%2F/amq.default?timeout=60000 HTTP/1.1\r\nhost: x\r\nauthorization: Basic %s\r\n"
                       "content-length: %d\r\n\r\n%s" % (base64.b64encode(b"guest:guest").decode(), len(text), text)).encode())
            self.wait(lambda: self.length("rpc") == 1)
            self.assertEqual(self.broker.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
