#!/usr/bin/python3
"""The examples of programs and documents do what they say, whoever published the messages.

    examples.py LEVERETD DIRECTORY"""
import os
import re
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
LEVERET = os.path.join(EXAMPLES, "..", "leveret")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
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


def payments():
    """The service that comes with it, started after the customer: what was told to be paid later is paid, too."""
    port = free_port()
    shop = subprocess.Popen([os.path.join(EXAMPLES, "rest"), str(port), uri()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    service = None
    try:
        assert b"payments" in shop.stderr.readline() and shop.stdout.readline() == b"ready\n"
        assert post(port, b"7") == (202, "accepted, will be paid later")
        service = subprocess.Popen([os.path.join(EXAMPLES, "payments"), "--later", uri()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"waiting" in service.stderr.readline()
        while service.stdout.readline() != b"paid 7\n":  # After those of rest(), if that was run before.
            pass
        assert post(port, b"8") == (200, "paid 8")
    finally:
        shop.terminate()
        if service is not None:
            service.terminate()
    assert shop.wait(30) == 0 and service.wait(30) == 0


def saga_says_whom_it_waits_for():
    with tempfile.TemporaryDirectory() as directory:
        command = [os.path.join(EXAMPLES, "saga"), "order", os.path.join(directory, "log"), "o1", "42"]
        environment = dict(os.environ, LEVERET_URI=uri())
        alone = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        assert alone.returncode == 1 and b"saga service DATABASE" in alone.stderr and alone.stdout == b"", alone
        order = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"waiting for the services" in order.stderr.readline()
        service = subprocess.Popen([command[0], "service", os.path.join(directory, "shop.db")], env=environment, stdout=subprocess.PIPE)
        out, err = order.communicate(timeout=60)
        service.terminate()
        assert (order.returncode, out, service.wait(30)) == (0, b"o1: done\n", 0) or (order.returncode == 0 and out.startswith(b"o1: ")), (order, out, err)


def without_a_broker_programs_say_so():
    nobody = "amqp://127.0.0.1:%d" % free_port()
    for name in ("hello", "work_queue", "topic", "rpc", "payments"):
        done = subprocess.run([os.path.join(EXAMPLES, name), nobody], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 1 and b"127.0.0.1" in done.stderr, (name, done)


def sanitizers():
    """What the library was built with has to be linked to, too."""
    with open(os.path.join(EXAMPLES, "../../CMakeCache.txt")) as cache:
        chosen = re.search(r"^LEV_SANITIZE:\w+=(.*)$", cache.read(), re.M).group(1)
    return ["-fsanitize=" + chosen] if chosen else []


def the_program_of_the_readme():
    readme = open(os.path.join(ROOT, "README.md")).read()
    program = re.search(r"```c\n(.*?)```", readme, re.S).group(1)
    with tempfile.TemporaryDirectory() as directory:
        for port, status, text in ((broker.port, 0, "on disk"), (free_port(), 1, "")):
            with open(os.path.join(directory, "hello.c"), "w") as f:
                f.write(program.replace("amqp://localhost", "amqp://127.0.0.1:%d" % port))
            hello = os.path.join(directory, "hello")
            subprocess.run(["cc", *sanitizers(), "-Wall", "-Werror", "-I", os.path.join(ROOT, "clients/c/include"), "-o", hello, f.name,
                            os.path.join(EXAMPLES, "../../clients/c/libleveret.a"), "-lssl", "-lcrypto", "-lpthread"], check=True)
            done = subprocess.run([hello], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == status and text in done.stdout.decode() and (status == 0) == (done.stderr == b""), done


def any_order_and_again():
    """They share one broker, and what one has left does not disturb another."""
    for _ in range(2):
        script("clients/examples/images.py")
        assert example("work_queue", uri()).splitlines()[-1].endswith(" in images.resize.dlq")
        script("clients/examples/notifications.py")
        script("clients/examples/orders.py")
        topic()
        rpc()
        hello()


def leveret(*arguments, stdin=b"", status=0):
    done = subprocess.run([LEVERET, "-u", uri(), "-q", *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == status, (arguments, done)
    return done.stdout.decode()


def publish_with_pika(queue, body, key):
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))
    channel = connection.channel()
    channel.confirm_delivery()
    headers = {"customer": "ada", "attempt": 1}
    if key is not None:
        headers["x-idempotency-key"] = key
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, headers=headers), mandatory=True)
    connection.close()


def publish_with_leveret(queue, body, key):
    options = () if key is None else ("-k", key)
    leveret("publish", "-H", "customer=ada", "-H", "attempt=1", *options, queue, stdin=body)


def script(path, *arguments):
    done = subprocess.run([sys.executable, os.path.join(ROOT, path), str(broker.port), *arguments], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, (path, done)
    return done.stdout.decode()


def dead_letters_come_back_whoever_sent_them():
    script("docs/examples/dead_letters.py")
    for n, publish in enumerate((publish_with_pika, publish_with_leveret)):
        for key in (None, "order-%d" % n):
            body = "%s %s" % (publish.__name__, key)
            publish("orders.process", body.encode(), key)
            for times in range(3):  # What fails again can be replayed again.
                leveret("consume", "-c", "1", "-e", "exit 1", "--reject", "orders.process", status=1)
                assert script("docs/examples/dead_letters.py", "inspect").startswith(body + ": rejected"), body
                assert script("docs/examples/dead_letters.py", "replay") == body + ": replayed\n", body
            assert leveret("get", "orders.process") == body + "\n", (body, times)
            leveret("get", "orders.process.dlq", status=4)


def the_first_lines_of_the_readme():
    readme = open(os.path.join(ROOT, "README.md")).read()
    snippet = re.search(r"```python\n(.*?)```", readme, re.S).group(1)
    exec(snippet.replace('"127.0.0.1"', '"127.0.0.1", %d' % broker.port), {})
    lines = re.findall(r"^    build/release/bin/(leveret .*)$", readme, re.M)
    assert len(lines) == 2, lines
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "order.json"), "w") as f:
            f.write('{"order": 4711}')
        environment = dict(os.environ, LEVERET_URI=uri(), PATH=os.path.dirname(LEVERET) + ":" + os.environ["PATH"])
        out = [subprocess.run(["sh", "-c", line], cwd=directory, env=environment, stdout=subprocess.PIPE, check=True, timeout=60).stdout for line in lines]
    assert b"1 stored" in out[0] and b"4711" in out[1], out


def the_examples_of_the_manual():
    manual = open(os.path.join(ROOT, "docs", "man", "leveret.1")).read()
    lines = re.search(r"\.SH EXAMPLES\n\.nf\n(.*?)\.fi", manual, re.S).group(1).splitlines()
    assert len(lines) == 5, lines
    environment = dict(os.environ, LEVERET_URI=uri(), PATH=os.path.dirname(LEVERET) + ":" + os.environ["PATH"])
    leveret("declare", "exchange", "events", "topic")
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "handle-order"), "w") as f:
            f.write("#!/bin/sh\ncat; echo handled\n")
        os.chmod(f.name, 0o755)
        for line, status, text in zip(lines, (0, 0, 4, 124, 124), ("declared", "1 stored", "", "handled", "")):
            done = subprocess.run(["timeout", "-k", "9", "2", "sh", "-c", "exec " + line if line.startswith("leveret") else line], cwd=directory, env=environment,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode in (status, 0) and text in done.stdout.decode(), (line, done)


if __name__ == "__main__":
    with Leveretd() as broker:
        run([hello, work_queue, topic, rpc, outbox, rest, dead_letters_come_back_whoever_sent_them, the_first_lines_of_the_readme,
             the_examples_of_the_manual, payments, saga_says_whom_it_waits_for, without_a_broker_programs_say_so,
             the_program_of_the_readme, any_order_and_again])
