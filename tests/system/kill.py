#!/usr/bin/python3
"""kill -9 at the nth system call of each kind that touches the data, during a start, a load and a stop: what was confirmed and not
acked is there afterwards, in order, once, and what a barrier had proven stays away. strace does the killing.

    kill.py LEVERETD [KILLS]        how many moments of each system call"""
import random
import subprocess
import sys
import time

import pika
import pika.spec as spec

from leveretd import Leveretd, run
from wire import Closed, Wire

KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
# The log is written with pwritev, the store with pwritev, pwrite64 and writev.
CALLS = ["pwritev", "fdatasync", "pwrite64", "write"]
RARE = ["fallocate", "rename", "fsync", "mkdir"]  # Once or twice in a life.
DURABLE = pika.BasicProperties(delivery_mode=2)


class Life:
    """What was promised, over all the deaths of one broker."""

    def __init__(self):
        self.next = 0
        self.confirmed = set()
        self.proven = set()  # Acked, before a confirmed publish on the same channel.
        self.acked = set()

    def work(self, port):
        """Publishes, consumes some, until the broker dies or all is done."""
        try:
            w = Wire(port, timeout=5).open()
            w.queue("q", durable=True)
            w.queue("barrier", durable=True)
            w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
            for _ in range(6):
                tags = []
                for _ in range(40):
                    w.publish(1, "", "q", b"%d" % self.next + b" " * random.choice((10, 5000)), DURABLE)
                    tags.append(self.next)
                    self.next += 1
                acked = set()
                for _ in range(20):
                    w.method(1, spec.Basic.Get(queue="q", no_ack=False))
                self.read(w, tags, acked)
                w.publish(1, "", "barrier", b"x", DURABLE)
                while not isinstance(w.next(5)[1], spec.Basic.Ack):
                    pass
                self.proven |= acked
                time.sleep(0.25)
        except (Closed, OSError, AssertionError, TypeError):
            pass

    def read(self, w, tags, acked):
        answers = confirms = 0
        while answers < 20 or confirms < len(tags):
            got = w.next(5)
            if got is None:
                raise Closed()
            method = got[1]
            if isinstance(method, spec.Basic.Ack):
                last = method.delivery_tag
                while confirms < len(tags) and (self.base(w) + confirms < last):
                    self.confirmed.add(tags[confirms])
                    confirms += 1
            elif isinstance(method, spec.Basic.GetEmpty):
                answers += 1
            elif isinstance(method, spec.Basic.GetOk):
                answers += 1
                w.next(5)
                number = int(w.next(5)[1].split()[0])
                w.method(1, spec.Basic.Ack(delivery_tag=method.delivery_tag))
                acked.add(number)
                self.acked.add(number)
        w.tags_before = self.base(w) + len(tags) + 1  # The barrier has one, too.

    def base(self, w):
        return getattr(w, "tags_before", 0)

    def check(self, port, where):
        w = Wire(port, timeout=5).open()
        count = w.queue("q", durable=True) and w.call(spec.Queue.Declare(queue="q", passive=True), spec.Queue.DeclareOk).message_count
        w.call(spec.Basic.Consume(queue="q", consumer_tag="c"), spec.Basic.ConsumeOk)
        held = []
        for _ in range(count):
            w.expect(spec.Basic.Deliver)
            w.next()
            held.append(int(w.next()[1].split()[0]))
        w.close()
        assert held == sorted(set(held)), "%s: out of order or twice: %r" % (where, held)
        lost = self.confirmed - self.acked - set(held)
        assert not lost, "%s: confirmed and lost: %r" % (where, sorted(lost)[:5])
        back = self.proven & set(held)
        assert not back, "%s: back after a barrier: %r" % (where, sorted(back)[:5])


def killed_at_every_system_call():
    deaths = moments = 0
    for call in CALLS + RARE:
        broker = Leveretd()
        life = Life()
        try:
            when = 0
            for _ in range(1 if call in RARE else KILLS):
                when += 1 if call in RARE else random.randint(1, max(1, 24 // KILLS))
                broker.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
                                  "-e", "inject=%s:signal=SIGKILL:when=%d" % (call, when)]
                broker.start(wait=False)
                deadline = time.monotonic() + 20
                while broker.process.poll() is None and 'msg="ready"' not in broker.log() and time.monotonic() < deadline:
                    time.sleep(0.02)
                if broker.process.poll() is None:
                    life.work(broker.port)
                if broker.process.poll() is None:
                    try:
                        pid = int(open(broker.data + "/leveretd.lock").read())
                        subprocess.run(["kill", "-TERM", str(pid)], check=False, stderr=subprocess.DEVNULL)
                        broker.process.wait(20)
                    except subprocess.TimeoutExpired:
                        raise AssertionError("%s %d: does not stop" % (call, when))
                deaths += broker.process.returncode != 0
                moments += 1
                broker.wrapper = []
                broker.start()
                life.check(broker.port, "%s %d" % (call, when))
                assert broker.stop() == 0
        finally:
            broker.__exit__()
    print("killed %d times in %d lives" % (deaths, moments))
    assert deaths > moments / 4, "too few deaths to tell anything"


run([killed_at_every_system_call])
