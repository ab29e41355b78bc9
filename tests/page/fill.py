#!/usr/bin/python3
"""Fills a broker with what the page is to show, hostile names among it.  fill.py PORT"""
import sys

import pika

HOSTILE = '<img src=x onerror="window.hacked=1">'

connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), client_properties={"connection_name": HOSTILE}))
channel = connection.channel()
channel.exchange_declare("orders.dlx", "direct", durable=True)
channel.exchange_declare("notify", "topic", durable=True)
channel.queue_declare("orders.process.dlq", durable=True, arguments={"x-message-ttl": 86400000})
channel.queue_bind("orders.process.dlq", "orders.dlx", "orders.process")
channel.queue_declare("orders.process", durable=True, arguments={"x-dead-letter-exchange": "orders.dlx", "x-dead-letter-routing-key": "orders.process"})
for queue in ("mail", HOSTILE, "bidi \u202e name"):
    channel.queue_declare(queue)
channel.queue_bind("mail", "notify", "notification.email.*")
channel.queue_bind(HOSTILE, "notify", HOSTILE, {HOSTILE: HOSTILE})
for i in range(40):
    channel.basic_publish("", "orders.process", b'{"order": %d}' % i, pika.BasicProperties(delivery_mode=2, headers={HOSTILE: HOSTILE}))
channel.basic_publish("", HOSTILE, HOSTILE.encode(), pika.BasicProperties(content_type=HOSTILE))
for i in range(5):
    method, _, _ = channel.basic_get("orders.process")
    channel.basic_reject(method.delivery_tag, requeue=False)
connection.close()
