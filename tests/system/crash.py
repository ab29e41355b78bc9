#!/usr/bin/python3
"""kill -9 under load, again and again: every confirmed persistent message is there afterwards, in order, once; what was delivered
is redelivered; definitions stand; what was acked before a barrier stays away.

    crash.py LEVERETD [CYCLES [SEED]]"""
import base64
import glob
import json
import os
import random
import subprocess
import sys
import threading
import time

import pika
import pika.spec as spec

from leveretd import Leveretd, run
from wire import Closed, Wire

CYCLES = int(sys.argv[2]) if len(sys.argv) > 2 else 12
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
DURABLE = pika.BasicProperties(delivery_mode=2)
random.seed(SEED)


class Publisher(threading.Thread):
    """Publishes numbers to the fan-out until the broker dies; knows which were confirmed."""

    def __init__(self, port, first):
        super().__init__()
        self.wire = Wire(port, timeout=5).open()
        self.first = self.next = first
        self.confirmed = first - 1

    def run(self):
        w = self.wire
        try:
            w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
            while True:
                for _ in range(random.randint(1, 200)):
                    w.publish(1, "events", "", b"%d" % self.next, DURABLE)
                    self.next += 1
                ack = w.next(0.01)
                while ack is not None:
                    self.confirmed = max(self.confirmed, self.first - 1 + ack[1].delivery_tag)
                    ack = w.next(0)
        except Closed:
            pass


class Consumer(threading.Thread):
    """Consumes, acks most, leaves some; now and then a barrier proves its acks durable."""

    def __init__(self, port, queue):
        super().__init__()
        self.queue = queue
        self.seen = []      # (number, redelivered), as delivered
        self.acked = set()  # asked for
        self.proven = set()  # before a confirmed barrier
        self.wire = Wire(port, timeout=5).open()

    def run(self):
        w, tags, barrier, barriers = self.wire, {}, None, 0
        try:
            w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
            w.call(spec.Basic.Qos(prefetch_count=300), spec.Basic.QosOk)
            w.call(spec.Basic.Consume(queue=self.queue, consumer_tag="c"), spec.Basic.ConsumeOk)
            while True:
                got = w.next(10)
                if got is None:
                    continue
                if isinstance(got[1], spec.Basic.Ack):
                    self.proven |= barrier
                    barrier = None
                    continue
                deliver = got[1]
                w.next(5)
                number = int(w.next(5)[1])
                self.seen.append((number, deliver.redelivered))
                if random.random() < 0.97:
                    w.method(1, spec.Basic.Ack(delivery_tag=deliver.delivery_tag))
                    self.acked.add(number)
                else:
                    tags[deliver.delivery_tag] = number
                    if len(tags) > 100:
                        for tag, old in tags.items():
                            w.method(1, spec.Basic.Ack(delivery_tag=tag))
                            self.acked.add(old)
                        tags = {}
                if barrier is None and random.random() < 0.02:
                    barrier = set(self.acked)
                    w.publish(1, "", "barriers", b"x", DURABLE)
        except Closed:
            pass


def drain(port, queue):
    """Everything in the queue, in order: (number, redelivered)."""
    w = Wire(port, timeout=5).open()
    out = []
    count = w.call(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk).message_count
    w.call(spec.Basic.Consume(queue=queue, consumer_tag="d", no_ack=False), spec.Basic.ConsumeOk)
    for _ in range(count):
        deliver = w.expect(spec.Basic.Deliver)
        w.next()
        out.append((int(w.next()[1]), deliver.redelivered))
    w.close()  # Nothing acked: it all goes back.
    return out


def check(queue, held, publishers, consumers):
    numbers = [n for n, _ in held]
    published = set()
    for p in publishers:
        published |= set(range(p.first, p.next))
    acked = {n for c in consumers for n in c.acked}
    proven = {n for c in consumers for n in c.proven}
    seen = {n for c in consumers for n, _ in c.seen}
    unmarked = [n for n, again in held if n in seen and not again]
    assert not unmarked, "%s: delivered before, not marked as redelivered: %r" % (queue, unmarked[:5])
    assert len(set(numbers)) == len(numbers), "%s: twice in the queue" % queue
    assert numbers == sorted(numbers), "%s: out of order" % queue
    assert set(numbers) <= published, "%s: never published" % queue
    assert not set(numbers) & proven, "%s: back after a barrier: %r" % (queue, sorted(set(numbers) & proven)[:5])
    for p in publishers:
        missing = set(range(p.first, p.confirmed + 1)) - set(numbers) - acked
        assert not missing, "%s: confirmed and lost: %r" % (queue, sorted(missing)[:5])
        alive = [n for n in numbers if n >= p.first and n < p.next]
        if alive:  # No holes in what survives, but for what was acked.
            holes = set(range(p.first, max(alive) + 1)) - set(alive) - acked
            assert not holes, "%s: holes: %r" % (queue, sorted(holes)[:5])


def confirmed_messages_survive_kill_9():
    print("seed %d" % SEED)
    broker = Leveretd("message_memory_budget = 200kB\n")
    with broker:
        w = Wire(broker.port).open()
        w.exchange("events", "fanout", durable=True)
        for queue in ("one", "two"):
            w.queue(queue, durable=True)
            w.call(spec.Queue.Bind(queue=queue, exchange="events", routing_key=""), spec.Queue.BindOk)
        w.queue("barriers", durable=True)
        publishers, consumers = [], {"one": [], "two": []}
        for _ in range(CYCLES):
            first = publishers[-1].next if publishers else 0
            publisher = Publisher(broker.port, first)
            working = [Consumer(broker.port, "one")]
            publishers.append(publisher)
            consumers["one"] += working
            for thread in working + [publisher]:
                thread.start()
            time.sleep(random.uniform(0.1, 0.8))
            broker.kill()
            for thread in working + [publisher]:
                thread.join()
            if random.random() < 0.3:  # Killed while it recovers.
                broker.start(wait=False)
                time.sleep(random.uniform(0, 0.05))
                broker.kill()
            broker.start()
            for queue in ("one", "two"):
                check(queue, drain(broker.port, queue), publishers, consumers[queue])
        total = publishers[-1].next
        confirmed = sum(p.confirmed - p.first + 1 for p in publishers)
        print("%d cycles: %d published, %d confirmed, %d deliveries" % (CYCLES, total, confirmed, sum(len(c.seen) for c in consumers["one"])))
        assert broker.stop() == 0
        broker.start()
        check("two", drain(broker.port, "two"), publishers, [])


def delivered_messages_are_redelivered_after_kill_9():
    with Leveretd() as broker:
        w = Wire(broker.port).open()
        q = w.queue("q", durable=True)
        w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        for i in range(20):
            w.publish(1, "", q, b"%d" % i, DURABLE)
        while w.expect(spec.Basic.Ack).delivery_tag < 20:
            pass
        c = Wire(broker.port).open()
        c.call(spec.Basic.Qos(prefetch_count=5), spec.Basic.QosOk)
        c.call(spec.Basic.Consume(queue=q, consumer_tag="c"), spec.Basic.ConsumeOk)
        for _ in range(5):
            deliver = c.expect(spec.Basic.Deliver)
            c.next(), c.next()
        c.method(1, spec.Basic.Ack(delivery_tag=3))
        w.publish(1, "", q, b"20", DURABLE)  # A barrier: its confirm proves what came before it in the journal.
        time.sleep(0.3)  # Quiet for long enough: what was not delivered is not marked either.
        w.expect(spec.Basic.Ack)
        broker.kill()
        broker.start()
        held = drain(broker.port, q)
        assert [n for n, _ in held] == [n for n in range(21) if n != 2], held
        assert [n for n, again in held if again] == [0, 1, 3, 4, 5], held


def a_deep_queue_restarts_and_drains():
    with Leveretd() as broker:
        w = Wire(broker.port, timeout=60).open()
        q = w.queue("million", durable=True)
        w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        publish = [b""]
        sock = w.sock

        class Recorder:
            def sendall(self, data):
                publish[0] += data
        w.sock = Recorder()
        w.publish(1, "", q, b"x" * 16, DURABLE)
        w.sock = sock
        total, sent, confirmed = 100_000, 0, 0
        while confirmed < total:
            if sent < total and sent - confirmed < 20_000:
                w.send_raw(publish[0] * 1000)
                sent += 1000
            else:
                confirmed = max(confirmed, w.expect(spec.Basic.Ack).delivery_tag)
        broker.kill()
        began = time.monotonic()
        broker.start()
        took = time.monotonic() - began
        w = Wire(broker.port, timeout=60).open()
        assert w.call(spec.Queue.Declare(queue=q, passive=True), spec.Queue.DeclareOk).message_count == total
        print("restarted with %d messages in %.2f s" % (total, took))
        w.call(spec.Basic.Consume(queue=q, consumer_tag="c", no_ack=True), spec.Basic.ConsumeOk)
        for _ in range(total):
            w.expect(spec.Basic.Deliver)
            w.next(), w.next()


def inspect(broker):
    done = subprocess.run([sys.argv[1], "--inspect", broker.data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def a_slot_held_by_few_is_cleared():
    """Of 200 MB that go through, little stays: so does the file, and what stays is whole after a crash."""
    body = b" " * 20000
    with Leveretd() as broker:
        w = Wire(broker.port, timeout=30).open()
        w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        few, many = w.queue("few", durable=True), w.queue("many", durable=True)
        w.call(spec.Basic.Consume(queue=many, consumer_tag="c", no_ack=False), spec.Basic.ConsumeOk)
        sizes = []
        for round in range(40):
            for i in range(250):
                w.publish(1, "", few if i == 0 else many, b"%d " % round + body, DURABLE)
            confirmed = delivered = 0
            while confirmed < 250 * (round + 1) or delivered < 249:
                got = w.next(20)
                if isinstance(got[1], spec.Basic.Ack):
                    confirmed = max(confirmed, got[1].delivery_tag)
                elif isinstance(got[1], spec.Basic.Deliver):
                    delivered += 1
                    tag = got[1].delivery_tag
            w.method(1, spec.Basic.Ack(delivery_tag=tag, multiple=True))
            time.sleep(0.1)
            sizes.append(os.stat(broker.data + "/journal.log").st_size >> 20)
        time.sleep(2.5)
        broker.kill()
        status, report = inspect(broker)
        assert status == 0 and "queue 'few': 40 ready" in report, report
        used = int(report.split("log: ")[1].split(" of")[0])
        cleared = int(report.split("in use, ")[1].split(" cleared")[0])
        print("slots in use %d, cleared %d, file %s MiB" % (used, cleared, sizes[::8]))
        broker.start()
        held = drain(broker.port, few)
        assert [n for n, _ in held] == list(range(40)), held
        assert cleared > 0 and used < 16, report


def a_damaged_message_is_reported_and_the_rest_is_served():
    with Leveretd() as broker:
        w = Wire(broker.port).open()
        q = w.queue("q", durable=True)
        w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        for i in range(100):
            w.publish(1, "", q, b"%d" % i + b" body of a message " * 20, DURABLE)
        while w.expect(spec.Basic.Ack).delivery_tag < 100:
            pass
        assert broker.stop() == 0
        status, report = inspect(broker)
        assert status == 0 and "queue 'q': 100 ready" in report and "0 places are damaged" in report, report
        with open(broker.data + "/journal.log", "r+b") as f:
            at = f.read().find(b"42 body of")
            f.seek(at + 5)
            f.write(b"X")
        status, report = inspect(broker)
        assert status == 1 and "damaged: queue 'q' position 42" in report, report
        exported = subprocess.run([sys.argv[1], "--export", broker.data], capture_output=True, text=True)
        lines = [json.loads(line) for line in exported.stdout.splitlines()]
        assert [int(base64.b64decode(m["body"]).split()[0]) for m in lines] == [n for n in range(100) if n != 42]
        assert {m["routing_key"] for m in lines} == {"q"}
        broker.start()
        status, report = inspect(broker)
        assert status == 1 and "in use" in report, report
        w = Wire(broker.port).open()
        w.call(spec.Basic.Consume(queue=q, consumer_tag="c", no_ack=True), spec.Basic.ConsumeOk)
        numbers = []
        for _ in range(99):
            w.expect(spec.Basic.Deliver)
            w.next()
            numbers.append(int(w.next()[1].split()[0]))
        assert numbers == [n for n in range(100) if n != 42], numbers
        assert "damaged" in broker.log(), broker.log()
        kept = glob.glob(broker.data + "/quarantine-*")
        assert len(kept) == 1 and b"42 bo" in open(kept[0], "rb").read(), kept


run([a_slot_held_by_few_is_cleared, a_damaged_message_is_reported_and_the_rest_is_served, confirmed_messages_survive_kill_9, delivered_messages_are_redelivered_after_kill_9, a_deep_queue_restarts_and_drains])
