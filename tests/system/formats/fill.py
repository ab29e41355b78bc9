#!/usr/bin/python3
"""Fills a broker with one of everything that a directory can hold, for tests/system/formats.py. A fixture is made so, by the
release whose format it is:

    leveretd --data-dir DIR/data --port 5997 &  python3 fill.py 5997; kill -9 %1
    rm DIR/data/control DIR/data/lock.mdb; tar -C DIR -cJf format-N.tar.xz data"""
import sys
import time

import pika

connection = pika.BlockingConnection(pika.ConnectionParameters(port=int(sys.argv[1])))
channel = connection.channel()
channel.confirm_delivery()


def publish(exchange, key, body, **properties):
    channel.basic_publish(exchange, key, body, pika.BasicProperties(delivery_mode=2, **properties))


channel.queue_declare("plain", durable=True)
channel.queue_declare("shelf", durable=True, arguments={"x-max-priority": 5, "x-dead-letter-exchange": "amq.fanout"})
channel.queue_declare("dead", durable=True)
channel.queue_bind("dead", "amq.fanout")
channel.exchange_declare("events", "topic", durable=True)
channel.exchange_declare("copies", "headers", durable=True, arguments={"alternate-exchange": "events"})
channel.queue_bind("plain", "events", "order.#")
channel.exchange_bind("events", "copies", arguments={"x-match": "any", "a": 1})
for i in range(700):
    publish("", "plain", b"plain %d" % i)
for i in range(100):
    channel.basic_ack(channel.basic_get("plain")[0].delivery_tag)
for i in range(10):
    publish("", "shelf", b"shelf %d" % i, priority=i % 5)
channel.basic_reject(channel.basic_get("shelf")[0].delivery_tag, requeue=False)
publish("", "plain", b"with a key", headers={"x-idempotency-key": "order-1"})
publish("", "plain", b"of a producer", headers={"x-producer-id": "till", "x-producer-seq": 5})
publish("events", "order.late", b"delayed", headers={"x-delay": 2000000000})
time.sleep(1.5)  # A checkpoint; what follows is in the log only.
publish("", "plain", b"after the checkpoint")
channel.queue_declare("late", durable=True)
connection.close()
