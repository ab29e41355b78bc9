#!/usr/bin/python3
"""A disk whose sectors have 4 KiB, which refuses direct writes of less: messages are kept, over a kill and a stop. Needs the right to make
loop devices and to mount them; without it there is nothing to see.

    sectors.py LEVERETD"""
import os
import subprocess

import pika
import pika.spec as spec

from leveretd import Leveretd, run
from wire import Wire

DURABLE = pika.BasicProperties(delivery_mode=2)
BODY = b"x" * 300
MESSAGES = 20000


def publish(broker, first):
    w = Wire(broker.port, timeout=20).open()
    w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
    w.queue("q", durable=True)
    for n in range(first, first + MESSAGES):
        w.publish(1, "", "q", b"%d " % n + BODY, DURABLE)
    while w.expect(spec.Basic.Ack).delivery_tag < MESSAGES:
        pass
    w.close()


def check(broker):
    publish(broker, 0)
    broker.kill()
    broker.start()
    publish(broker, MESSAGES)
    assert broker.stop() == 0
    broker.start()
    w = Wire(broker.port, timeout=20).open()
    w.call(spec.Basic.Consume(queue="q", consumer_tag="c", no_ack=True), spec.Basic.ConsumeOk)
    for n in range(2 * MESSAGES):
        w.expect(spec.Basic.Deliver)
        w.next()
        assert w.next()[1] == b"%d " % n + BODY, n
    assert "damaged" not in broker.log(), broker.log()
    assert broker.stop() == 0


def with_loop_device(broker, image):
    made = subprocess.run(["losetup", "--sector-size", "4096", "--find", "--show", image], capture_output=True, text=True)
    if made.returncode:
        print("SKIPPED: no loop device can be made here: " + made.stderr.strip())
        return
    device = made.stdout.strip()
    try:
        subprocess.run(["mkfs.ext4", "-q", device], check=True)
        if subprocess.run(["mount", device, broker.data]).returncode:
            print("SKIPPED: not allowed to mount")
            return
        with broker:
            try:
                check(broker)
            finally:
                if broker.process.poll() is None:
                    broker.kill()
                subprocess.run(["umount", "-l", broker.data], check=False)
    finally:
        subprocess.run(["losetup", "--detach", device], check=False)


def messages_are_kept_on_a_disk_with_large_sectors():
    broker = Leveretd()
    os.mkdir(broker.data)
    image = os.path.join(broker.directory, "image")
    with open(image, "wb") as f:
        f.truncate(300 << 20)
    with_loop_device(broker, image)


run([messages_are_kept_on_a_disk_with_large_sectors])
