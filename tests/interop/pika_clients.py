#!/usr/bin/python3
"""pika, unchanged: the three things that users do first. Events by fanout, notifications by topic, jobs by work queue with a worker
that is killed in the middle of one."""
import os
import signal
import subprocess
import sys
import textwrap
import time

import pika

PORT = int(sys.argv[1])
DURABLE = pika.BasicProperties(delivery_mode=2)


def connect(**more):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT, **more))


def take(channel, queue, count, timeout=5):
    bodies = []
    for method, _, body in channel.consume(queue, inactivity_timeout=timeout):
        if method is None:
            break
        channel.basic_ack(method.delivery_tag)
        bodies.append(body)
        if len(bodies) == count:
            break
    channel.cancel()
    return bodies


def events_reach_every_service():
    channel = connect().channel()
    channel.exchange_declare("order.created", "fanout", durable=True)
    services = ["billing", "shipping", "email"]
    for service in services:
        channel.queue_declare(service, durable=True)
        channel.queue_bind(service, "order.created")
    channel.confirm_delivery()
    for i in range(10):
        channel.basic_publish("order.created", "", b"order %d" % i, DURABLE)
    for service in services:
        assert take(channel, service, 10) == [b"order %d" % i for i in range(10)], service


def notifications_go_where_their_topic_says():
    channel = connect().channel()
    channel.exchange_declare("notifications", "topic", durable=True)
    queues = {"notification.email.*": [], "notification.#": [], "*.sms.urgent": []}
    for pattern in queues:
        queues[pattern] = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queues[pattern], "notifications", pattern)
    channel.confirm_delivery()
    for key in ("notification.email.order", "notification.email.order.confirmed", "notification.sms.urgent"):
        channel.basic_publish("notifications", key, key.encode())
    assert take(channel, queues["notification.email.*"], 9, 0.5) == [b"notification.email.order"]
    assert len(take(channel, queues["notification.#"], 9, 0.5)) == 3
    assert take(channel, queues["*.sms.urgent"], 9, 0.5) == [b"notification.sms.urgent"]


WORKER = textwrap.dedent("""
    import sys, time, pika
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]))).channel()
    channel.basic_qos(prefetch_count=5)
    def work(ch, method, properties, body):
        print(body.decode(), method.redelivered, flush=True)
        if sys.argv[2] == "hang":
            time.sleep(1000)
        ch.basic_ack(method.delivery_tag)
    channel.basic_consume("images.resize", work)
    channel.start_consuming()
""")


def a_killed_worker_loses_no_job():
    channel = connect().channel()
    channel.queue_declare("images.resize", durable=True)
    channel.confirm_delivery()
    hanging = subprocess.Popen([sys.executable, "-c", WORKER, str(PORT), "hang"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.7)
    for i in range(20):
        channel.basic_publish("", "images.resize", b"%d" % i, DURABLE)
    assert hanging.stdout.readline() == "0 False\n"
    working = subprocess.Popen([sys.executable, "-c", WORKER, str(PORT), "work"], stdout=subprocess.PIPE, text=True)
    done = [working.stdout.readline().split() for _ in range(15)]
    assert [int(n) for n, _ in done] == list(range(5, 20)), done
    hanging.send_signal(signal.SIGKILL)
    back = [working.stdout.readline().split() for _ in range(5)]
    assert back == [[str(n), "True"] for n in range(5)], back
    working.kill()
    for worker in (hanging, working):
        worker.wait()
        worker.stdout.close()


def a_transaction_is_all_or_nothing():
    channel = connect().channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.tx_select()
    channel.basic_publish("", queue, b"one")
    channel.basic_publish("", queue, b"two")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"three")
    assert channel.queue_declare(queue, passive=True).method.message_count == 0
    channel.tx_commit()
    assert channel.queue_declare(queue, passive=True).method.message_count == 1


def large_messages_and_small_frames_fit_together():
    body = os.urandom(3_000_000)
    channel = connect(frame_max=4096).channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.confirm_delivery()
    channel.basic_publish("", queue, body, DURABLE)
    assert channel.basic_get(queue, auto_ack=True)[2] == body
    channel.basic_publish("", queue, b"")
    assert channel.basic_get(queue, auto_ack=True)[2] == b""


def unroutable_messages_come_back():
    channel = connect().channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", "nosuch", b"x", mandatory=True)
    except pika.exceptions.UnroutableError as error:
        assert error.messages[0].method.reply_code == 312
    else:
        raise AssertionError("it was not returned")


TESTS = [events_reach_every_service, notifications_go_where_their_topic_says, a_killed_worker_loses_no_job,
         a_transaction_is_all_or_nothing, large_messages_and_small_frames_fit_together, unroutable_messages_come_back]
failed = 0
for test in TESTS:
    try:
        test()
    except Exception as error:  # The next one goes on.
        failed += 1
        print("%s: %s: %s" % (test.__name__, type(error).__name__, error))
print("%d passed, %d failed" % (len(TESTS) - failed, failed))
sys.exit(1 if failed else 0)
