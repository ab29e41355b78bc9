#!/usr/bin/python3
"""Notifications find their senders by topic: * stands for one word, # for any number of them.

    python3 notifications.py [PORT]"""
import sys

import pika

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5672
SENDERS = {"email": "notification.email.*", "sms": "notification.sms.*", "audit": "notification.#"}

connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))
channel = connection.channel()
channel.exchange_declare("notifications", "topic", durable=True)
queues = {}
for sender, pattern in SENDERS.items():
    queues[sender] = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queues[sender], "notifications", pattern)

channel.confirm_delivery()
for key in ["notification.email.welcome", "notification.sms.code", "notification.email.order.confirmed"]:
    channel.basic_publish("notifications", key, b"to somebody", mandatory=True)

for sender, queue in queues.items():
    received = []
    while True:
        method, _, _ = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        received.append(method.routing_key)
    print("%-5s (%s) received %s" % (sender, SENDERS[sender], ", ".join(received)))
connection.close()
