#!/usr/bin/python3
"""The C examples do what they say.

    examples.py LEVERETD DIRECTORY"""
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pika

from leveretd import Leveretd, free_port, run

EXAMPLES = os.path.abspath(sys.argv[2])
broker = None


def uri():
    return "amqp://127.0.0.1:%d" % broker.port


def example(name, *arguments):
    done = subprocess.run([os.path.join(EXAMPLES, name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, (name, done)
    return done.stdout.decode()


def hello():
    assert example("hello", uri()) == "Hello, world\n"


def work_queue():
    lines = example("work_queue", uri()).splitlines()
    assert lines[-1] == "1 in images.resize.dlq", lines
    assert sorted(lines[:-1]) == sorted("resized image-%d.png" % i for i in range(20) if i != 7), lines


def topic():
    assert example("topic", uri()).splitlines() == [
        "email: notification.email.welcome: for ada", "email: notification.email.receipt: for ada",
        "audit: notification.email.welcome: for ada", "audit: notification.sms.code: for ada", "audit: notification.email.receipt: for ada"]


def rpc():
    assert example("rpc", uri()) == "7: 49\n12: 144\n13: nobody is there to answer\n"


def outbox():
    with tempfile.TemporaryDirectory() as directory:
        lines = example("outbox", os.path.join(directory, "shop.db"), uri()).splitlines()
    assert lines == ['order.paid {"order":%d,"total":%d}' % (i, i * 10) for i in range(1, 11)], lines


def post(port, amount):
    request = urllib.request.Request("http://127.0.0.1:%d/payments" % port, data=amount, method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read().decode().strip()


class Payments(threading.Thread):
    """Answers three requests."""
    def run(self):
        self.connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))
        channel = self.connection.channel()
        channel.queue_declare("payments", auto_delete=True)
        for method, properties, body in channel.consume("payments", inactivity_timeout=0.1):
            if method is None:
                if self.is_over:
                    break
                continue
            channel.basic_publish("", properties.reply_to, b"paid " + body, pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)
        self.connection.close()


def rest():
    port = free_port()
    payments = Payments()
    payments.is_over = False
    payments.start()
    shop = subprocess.Popen([os.path.join(EXAMPLES, "rest"), str(port), uri()], stdout=subprocess.PIPE)
    try:
        assert shop.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 30
        while post(port, b"42") != (200, "paid 42"):  # The service may be still coming.
            assert time.monotonic() < deadline
        payments.is_over = True
        payments.join()
        for i in range(6):  # After three that nobody answers the breaker is open.
            assert post(port, b"%d" % i) == (202, "accepted, will be paid later")
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        assert channel.queue_declare("payments.later", passive=True).method.message_count >= 6
    finally:
        payments.is_over = True
        shop.terminate()
    assert shop.wait(30) == 0


if __name__ == "__main__":
    with Leveretd() as broker:
        run([hello, work_queue, topic, rpc, outbox, rest])
