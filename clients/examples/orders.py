#!/usr/bin/python3
"""An order is created, and three services hear of it: a fanout exchange with a queue for each.

    python3 orders.py [PORT]"""
import sys

import pika

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5672
SERVICES = ["billing", "shipping", "email"]

connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))
channel = connection.channel()
channel.exchange_declare("order.created", "fanout", durable=True)
for service in SERVICES:
    channel.queue_declare("orders." + service, durable=True)
    channel.queue_bind("orders." + service, "order.created")

channel.confirm_delivery()  # basic_publish returns when the event is on disk, once for all three queues.
channel.basic_publish("order.created", "", b'{"order": 4711}', pika.BasicProperties(delivery_mode=2, content_type="application/json"))
print("order.created is published and on disk")

for service in SERVICES:
    method, properties, body = channel.basic_get("orders." + service)
    print("%s received %s" % (service, body.decode()))
    channel.basic_ack(method.delivery_tag)
connection.close()
