#!/usr/bin/python3
"""A disk that is really full: publishers are blocked before it is, consumers and acks go on, nothing confirmed is lost, and when they
have made room publishers go on, too. Needs the right to mount a small file system; without it there is nothing to see.

    full.py LEVERETD"""
import os
import subprocess
import sys
import time

import pika
import pika.spec as spec

from leveretd import Leveretd, run
from wire import Wire

DURABLE = pika.BasicProperties(delivery_mode=2)


def connect(broker):
    w = Wire(broker.port, timeout=20).open()
    w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
    return w


def check(broker):
    w = connect(broker)
    w.queue("q", durable=True)
    published = confirmed = 0
    while "publishers are blocked" not in broker.log():
        assert published < 20000, "100 MB hold 200 MB"
        for _ in range(50):
            w.publish(1, "", "q", b"%d" % published + b" " * 10000, DURABLE)
            published += 1
        got = w.next(0.05)
        while got is not None:
            if isinstance(got[1], spec.Basic.Ack):
                confirmed = max(confirmed, got[1].delivery_tag)
            got = w.next(0)
    c = Wire(broker.port, timeout=20).open()
    c.call(spec.Basic.Qos(prefetch_count=100), spec.Basic.QosOk)
    c.call(spec.Basic.Consume(queue="q", consumer_tag="c"), spec.Basic.ConsumeOk)
    for n in range(confirmed):
        tag = c.expect(spec.Basic.Deliver).delivery_tag
        c.next()
        assert int(c.next()[1].split()[0]) == n
        c.method(1, spec.Basic.Ack(delivery_tag=tag))
    deadline = time.monotonic() + 20
    while "publishers are unblocked" not in broker.log():
        assert time.monotonic() < deadline, broker.log()
        time.sleep(0.05)
    assert broker.process.poll() is None, broker.log()
    print("%d published, %d confirmed and consumed" % (published, confirmed))
    assert broker.stop() == 0


def a_full_disk_blocks_publishers_only():
    broker = Leveretd("disk_free_limit.absolute = 0\n")
    os.mkdir(broker.data)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", broker.data], stderr=subprocess.DEVNULL).returncode:
        print("not allowed to mount: skipped")
        return
    with broker:
        try:
            check(broker)
        finally:
            if broker.process.poll() is None:
                broker.kill()
            subprocess.run(["umount", "-l", broker.data], check=False)


run([a_full_disk_blocks_publishers_only])
