#!/usr/bin/python3
"""Publishes that are retried at random while the broker is killed, again and again: nothing is enqueued twice, nothing that was confirmed
is missing, and no retry of what was not confirmed is swallowed. Keys to one queue, keys through a fanout, and a producer's sequences.

    idempotency.py LEVERETD [MESSAGES [KILLS [SEED]]]     1000000 1000 takes some ten minutes"""
import collections
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import pika
import pika.spec as spec

from leveretd import Leveretd, run
from wire import Closed, Wire

MESSAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 12
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else int(time.time())
WINDOW = 400  # Retries of what was confirmed long ago, and a producer's sequences, stay within this many.
random.seed(SEED)


def template(exchange, routing_key, headers, body):
    """A whole publish as bytes."""
    class Recorder(Wire):
        def __init__(self):
            self.frame_max, self.sent = 131072, b""

        def send_raw(self, data):
            self.sent += data
    wire = Recorder()
    wire.publish(1, exchange, routing_key, body, pika.BasicProperties(delivery_mode=2, headers=headers))
    return wire.sent


NUMBER, SEQUENCE = b"#########", 0x1122334455667788
KEYED = template("", "orders", {"x-idempotency-key": NUMBER.decode()}, NUMBER)
FANNED = template("events", "", {"x-idempotency-key": NUMBER.decode()}, NUMBER)
NUMBERED = template("", "numbered", {"x-producer-id": "relay", "x-producer-seq": SEQUENCE}, NUMBER)


class Message:
    def __init__(self, number, sequence=None):
        self.number = number
        self.sequence = sequence
        self.is_confirmed = False
        text = b"%09d" % number
        if sequence is not None:
            self.queues = ("numbered",)
            self.wire = NUMBERED.replace(struct.pack(">q", SEQUENCE), struct.pack(">q", sequence)).replace(NUMBER, text)
        elif number % 3 == 0:
            self.queues = ("a", "b")
            self.wire = FANNED.replace(NUMBER, text)
        else:
            self.queues = ("orders",)
            self.wire = KEYED.replace(NUMBER, text)


def take_acks(wire, sent, confirmed):
    """Marks what the frames that have come confirm; returns up to which tag all is."""
    while len(wire.data) >= 7:
        kind, _, size = struct.unpack(">BHI", wire.data[:7])
        if len(wire.data) < size + 8:
            break
        payload, wire.data = wire.data[7:7 + size], wire.data[size + 8:]
        if kind == 8:
            continue
        assert payload[:4] == b"\x00\x3c\x00\x50", "not an ack: %r" % payload
        tag, multiple = struct.unpack(">QB", payload[4:13])
        for i in range(confirmed if multiple else tag - 1, tag):
            sent[i].is_confirmed = True
        assert multiple or tag == confirmed + 1, "ack %d after %d" % (tag, confirmed)
        confirmed = tag
    return confirmed


def publish(port, messages):
    """Publishes them all, in bursts, until the broker dies."""
    confirmed, at = 0, 0
    try:
        wire = Wire(port, timeout=10).open()
        wire.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        while confirmed < len(messages):
            burst = messages[at:at + random.randint(1, 300)]
            at += len(burst)
            wire.sock.settimeout(20)
            wire.sock.sendall(b"".join(m.wire for m in burst))
            wait = 20 if at == len(messages) else 0.002
            wire.sock.settimeout(wait)
            try:
                got = wire.sock.recv(1 << 20)
            except TimeoutError:
                assert wait < 1, "%d of %d confirmed, and nothing more comes" % (confirmed, len(messages))
                continue
            if not got:
                return
            wire.data += got
            confirmed = take_acks(wire, messages, confirmed)
    except (OSError, Closed):
        pass


def declare(port):
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)).channel()
    channel.exchange_declare("events", "fanout", durable=True)
    for queue in ("orders", "a", "b", "numbered"):
        channel.queue_declare(queue, durable=True)
    for queue in ("a", "b"):
        channel.queue_bind(queue, "events")


def count(port, queue):
    """How often each number is in the queue."""
    wire = Wire(port, timeout=10).open()
    messages = wire.call(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk).message_count
    wire.call(spec.Basic.Consume(queue=queue, no_ack=True), spec.Basic.ConsumeOk)
    seen, data, left = collections.Counter(), wire.data, messages
    wire.sock.settimeout(30)
    while left > 0:
        at = 0
        while len(data) - at >= 7:
            kind, _, size = struct.unpack_from(">BHI", data, at)
            if len(data) - at < size + 8:
                break
            if kind == 3:
                seen[int(data[at + 7:at + 7 + size])] += 1
                left -= 1
            at += size + 8
        data = data[at:]
        if left > 0:
            data += wire.sock.recv(1 << 20)
    return seen


def check(port, messages):
    expected = collections.defaultdict(set)
    for m in messages:
        for queue in m.queues:
            expected[queue].add(m.number)
    for queue, numbers in sorted(expected.items()):
        seen = count(port, queue)
        doubled = [n for n, times in seen.items() if times > 1]
        assert not doubled, "%s: twice: %s" % (queue, doubled[:10])
        lost = numbers - set(seen)
        assert not lost, "%s: %d lost: %s" % (queue, len(lost), sorted(lost)[:10])
        assert set(seen) == numbers, "%s: unknown messages" % queue


class Publisher:
    """Knows what has been published, and what of it is confirmed."""

    def __init__(self):
        self.messages = []
        self.unconfirmed = []
        self.sequences = 0
        self.retries = 0

    def new(self):
        oldest = min((m.sequence for m in self.unconfirmed if m.sequence), default=self.sequences)
        sequence = None
        if random.random() < 0.2 and self.sequences - oldest < WINDOW:
            sequence = self.sequences = self.sequences + 1
        self.messages.append(Message(len(self.messages), sequence))
        return self.messages[-1]

    def choose(self, fresh):
        """What is not confirmed, new ones, some that were confirmed lately, and some twice: the second may come before the first is on disk."""
        confirmed = [m for m in self.messages[-WINDOW:] if m.is_confirmed]
        again = random.sample(confirmed, min(len(confirmed), random.randint(0, 100)))
        todo = self.unconfirmed + [self.new() for _ in range(fresh)]
        twice = random.sample(todo, len(todo) // 20)
        self.retries += len(self.unconfirmed) + len(again) + len(twice)
        self.unconfirmed = list(todo)
        for m in again + twice:
            todo.insert(random.randint(0, len(todo)), m)
        return todo

    def publish(self, port, todo):
        publish(port, todo)
        self.unconfirmed = [m for m in self.unconfirmed if not m.is_confirmed]


def killed_again_and_again():
    print("seed %d" % SEED, flush=True)
    publisher = Publisher()
    with Leveretd() as broker:
        declare(broker.port)
        for life in range(KILLS):
            todo = publisher.choose(MESSAGES // KILLS)
            killer = threading.Timer(random.uniform(0.001, 0.04), broker.process.kill)
            killer.start()
            publisher.publish(broker.port, todo)
            killer.join()
            broker.process.wait()
            broker.start()
            if life % 100 == 99:
                print("%d lives, %d messages, %d retries, %d not confirmed" %
                      (life + 1, len(publisher.messages), publisher.retries, len(publisher.unconfirmed)), flush=True)
        publisher.publish(broker.port, publisher.choose(0))
        assert not publisher.unconfirmed, "%d are not confirmed" % len(publisher.unconfirmed)
        check(broker.port, publisher.messages)
    print("%d messages, %d kills, %d retries: each is there once" % (len(publisher.messages), KILLS, publisher.retries))


def ask(broker, *question):
    """The answer, and the exit status."""
    asked = subprocess.run([sys.argv[1], "--data-dir", broker.data, "--ask", *question], capture_output=True, text=True)
    return json.loads(asked.stdout), asked.returncode


def a_stock_client_needs_headers_only():
    persistent = {"delivery_mode": 2}
    with Leveretd() as broker:
        def connect():
            channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
            channel.confirm_delivery()
            return channel

        def publish(headers, body=b"m", queue="q"):
            channel.basic_publish("", queue, body, pika.BasicProperties(headers=headers, **persistent), mandatory=True)

        channel = connect()
        channel.queue_declare("q", durable=True)
        channel.queue_declare("work", durable=True, arguments={"x-idempotency": "while-queued"})
        publish({"x-idempotency-key": "order-1"})
        publish({"x-producer-id": "relay", "x-producer-epoch": 2, "x-producer-seq": 41})
        publish({"x-idempotency-key": "job"}, queue="work")
        _, properties, _ = channel.basic_get("q", auto_ack=True)
        time.sleep(1.5)  # Some of it is in the store, some in the log.
        publish({"x-idempotency-key": "order-2"})
        uid = properties.headers["x-message-uid"]
        for _ in range(2):
            broker.kill()
            broker.start()
            channel = connect()
            publish({"x-idempotency-key": "order-1"})
            publish({"x-idempotency-key": "order-2"})
            publish({"x-idempotency-key": "job"}, queue="work")
            publish({"x-producer-id": "relay", "x-producer-epoch": 2, "x-producer-seq": 41})
            assert channel.queue_declare("q", passive=True).method.message_count == 2  # 41, order-2
            assert channel.queue_declare("work", passive=True).method.message_count == 1
        got, properties, _ = channel.basic_get("q")
        assert properties.headers["x-message-uid"] not in (None, uid)
        first = properties.headers["x-message-uid"]
        channel.basic_reject(got.delivery_tag, requeue=True)
        got, properties, _ = channel.basic_get("q", auto_ack=True)
        assert got.redelivered and properties.headers["x-message-uid"] == first
        channel.basic_get("work", auto_ack=True)
        publish({"x-idempotency-key": "job"}, queue="work")
        assert channel.queue_declare("work", passive=True).method.message_count == 1
        _, properties, body = channel.basic_get("amq.producer.relay", auto_ack=True)
        assert (properties.headers["x-producer-epoch"], properties.headers["x-producer-seq"]) == (2, 41)
        publish({"x-idempotency-key": "order-1"}, b"something else")

        figures, status = ask(broker, "figures")
        assert status == 0 and figures["idempotency_keys"] == 3 and figures["idempotency_conflicts"] == 1, figures
        assert figures["idempotency_window_ms"] == 3600000 and figures["producers"] == 1, figures
        found, status = ask(broker, "key", "exchange=", "routing_key=q", "key=order-1")
        assert status == 0 and found["found"] and abs(found["published_ms"] / 1000 - time.time()) < 60, found
        assert ask(broker, "key", "queue=work", "key=job")[0]["while_queued"]
        assert ask(broker, "key", "routing_key=q", "key=unknown") == ({"found": False}, 1)
        assert ask(broker, "producer", "id=relay") == ({"found": True, "epoch": 2, "sequence": 41}, 0)
        assert ask(broker, "producer", "id=nobody") == ({"found": False}, 1)
        assert ask(broker, "nonsense")[1] == 2 and ask(broker, "key")[1] == 2
        before = channel.queue_declare("q", passive=True).method.message_count
        assert ask(broker, "forget-key", "routing_key=q", "key=order-1")[0]["forgotten"]
        time.sleep(0.5)  # Nobody waits for it to be written.
        broker.kill()
        broker.start()
        channel = connect()
        publish({"x-idempotency-key": "order-1"})
        assert channel.queue_declare("q", passive=True).method.message_count == before + 1


def a_deleted_queue_stays_deleted():
    """Also while keys follow the messages of queues."""
    with Leveretd() as broker:
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        channel.confirm_delivery()
        channel.queue_declare("work", durable=True, arguments={"x-idempotency": "while-queued"})
        channel.queue_declare("old", durable=True, arguments={"x-idempotency": "while-queued"})
        for queue in ("work", "old"):
            channel.basic_publish("", queue, b"m", pika.BasicProperties(delivery_mode=2, headers={"x-idempotency-key": "k"}))
        channel.queue_delete("old")
        broker.kill()
        broker.start()
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        channel.queue_declare("work", passive=True)
        try:
            channel.queue_declare("old", passive=True)
        except pika.exceptions.ChannelClosedByBroker as error:
            assert error.reply_code == 404, error
        else:
            raise AssertionError("it is back")


def bad_questions_do_no_harm():
    with Leveretd() as broker:
        for line in (b"\n", b"{}\n", b"[1]\n", b'{"command":1}\n', b"\xff\n", b"x" * 100000, b'{"command":"key","key":"' + b"k" * 300 + b'"}\n'):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(os.path.join(broker.data, "control"))
                try:
                    s.sendall(line)
                    answer = s.recv(10000)
                except OSError:
                    answer = b""
                assert answer == b"" or b"error" in answer, answer
        assert os.stat(os.path.join(broker.data, "control")).st_mode & 0o777 == 0o600
        assert ask(broker, "figures")[1] == 0


run([killed_again_and_again, a_stock_client_needs_headers_only, a_deleted_queue_stays_deleted, bad_questions_do_no_harm])
