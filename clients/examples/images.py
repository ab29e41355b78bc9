#!/usr/bin/python3
"""Image jobs on a work queue: two workers with prefetch 5, one of which is killed in the middle of a job. No job is lost.

    python3 images.py [PORT]             the whole story
    python3 images.py PORT worker NAME   one worker, for as long as it runs"""
import subprocess
import sys
import time

import pika

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5672
JOBS = 30


def connect():
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))


def worker(name):
    channel = connect().channel()
    channel.basic_qos(prefetch_count=5)

    def resize(ch, method, properties, body):
        print("%s begins %s%s" % (name, body.decode(), " (again)" if method.redelivered else ""), flush=True)
        time.sleep(0.05)
        ch.basic_publish("", "thumbnails.done", body, pika.BasicProperties(delivery_mode=2))
        ch.basic_ack(method.delivery_tag)  # Only now: a job that is not acked comes back when its worker is gone.

    channel.basic_consume("thumbnails.make", resize)
    channel.start_consuming()


def story():
    channel = connect().channel()
    for queue in ("thumbnails.make", "thumbnails.done"):
        channel.queue_declare(queue, durable=True)
        channel.queue_purge(queue)
    channel.confirm_delivery()
    for i in range(JOBS):
        channel.basic_publish("", "thumbnails.make", b"image %d" % i, pika.BasicProperties(delivery_mode=2))
    workers = [subprocess.Popen([sys.executable, __file__, str(PORT), "worker", name]) for name in ("first", "second")]
    time.sleep(0.6)
    workers[0].kill()
    print("--- the first worker was killed", flush=True)
    done = set()
    for method, _, body in channel.consume("thumbnails.done", inactivity_timeout=5):
        if method is None:
            break
        done.add(body)
        channel.basic_ack(method.delivery_tag)
        if len(done) == JOBS:
            break
    workers[1].kill()
    print("%d of %d jobs are done" % (len(done), JOBS))
    return 0 if len(done) == JOBS else 1


if len(sys.argv) > 2:
    worker(sys.argv[3])
else:
    sys.exit(story())
