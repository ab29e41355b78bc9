#!/usr/bin/python3
"""Failures are parked, looked at, and replayed: orders.process -> dlx -> orders.process.dlq, where they are kept for 24 hours.

    python3 dead_letters.py [PORT]              the whole story: declare, fail, inspect, replay
    python3 dead_letters.py PORT inspect        says what is parked, and leaves it there
    python3 dead_letters.py PORT replay         publishes what is parked once more, and removes it"""
import sys

import pika

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5672
DAY_MS = 24 * 60 * 60 * 1000


def declare(channel):
    """An order that is rejected, or comes back more than four times, waits in the dead-letter queue. Between two tries it rests: 1 s, 2 s,
    4 s, 8 s. (The x-retry arguments are Leveret's own; without them it comes back at once.)"""
    channel.exchange_declare("dlx", exchange_type="direct", durable=True)
    channel.queue_declare("orders.process.dlq", durable=True, arguments={"x-message-ttl": DAY_MS})
    channel.queue_bind("orders.process.dlq", "dlx", routing_key="orders.process")
    channel.queue_declare("orders.process", durable=True, arguments={
        "x-dead-letter-exchange": "dlx",
        "x-dead-letter-routing-key": "orders.process",
        "x-delivery-limit": 4,
        "x-retry-initial-ms": 1000,
        "x-retry-max-ms": 8000,
    })


def parked(channel):
    """All that is parked now. What is not acked goes back to its place when the channel closes."""
    while True:
        method, properties, body = channel.basic_get("orders.process.dlq")
        if method is None:
            return
        yield method, properties, body


def inspect(connection):
    channel = connection.channel()
    for _, properties, body in parked(channel):
        death = properties.headers["x-death"][0]
        print("%s: %s in %s, %d time(s), last at %s" % (body.decode(), death["reason"], death["queue"], death["count"], death["time"]))
    channel.close()


def replay(connection):
    """A copy of a delivered message is a new message, whatever keys are in its headers: published, confirmed, and only then acked. Should
    this program die in between, the next replay publishes the same copy again, and the broker takes it for that if the order had a key."""
    channel = connection.channel()
    channel.confirm_delivery()
    for method, properties, body in parked(channel):
        headers = {key: value for key, value in properties.headers.items() if not key.startswith(("x-death", "x-first-", "x-last-"))}
        properties.headers = headers
        channel.basic_publish("", "orders.process", body, properties, mandatory=True)
        channel.basic_ack(method.delivery_tag)
        print("%s: replayed" % body.decode())
    channel.close()


def story(connection):
    channel = connection.channel()
    declare(channel)
    channel.queue_purge("orders.process")
    channel.queue_purge("orders.process.dlq")
    channel.confirm_delivery()
    for order in ("order 1", "order 2", "order 3"):
        channel.basic_publish("", "orders.process", order.encode(), pika.BasicProperties(delivery_mode=2))
    for _ in range(3):
        method, _, body = channel.basic_get("orders.process")
        if body == b"order 2":
            channel.basic_reject(method.delivery_tag, requeue=False)  # Nobody can handle it now.
        else:
            channel.basic_ack(method.delivery_tag)
    inspect(connection)
    replay(connection)
    method, properties, body = channel.basic_get("orders.process", auto_ack=True)
    print("%s: handled, %s" % (body.decode(), "as if it were new" if "x-death" not in (properties.headers or {}) else "with its history"))
    print("parked: %d" % channel.queue_declare("orders.process.dlq", passive=True).method.message_count)


def main():
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))
    {"inspect": inspect, "replay": replay}.get(sys.argv[2] if len(sys.argv) > 2 else "", story)(connection)
    connection.close()


main()
