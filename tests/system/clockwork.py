#!/usr/bin/python3
"""What happens by the clock, in the program: deadlines survive kill -9, policies are read and applied live."""
import json
import os
import random
import signal
import time

import pika

from leveretd import Leveretd, run

PERSISTENT = 2


def channel_to(broker):
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
    channel.confirm_delivery()
    return channel


def publish(channel, queue, body, **properties):
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=PERSISTENT, **properties))


def count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def wait_for(channel, queue, messages, seconds=20):
    deadline = time.monotonic() + seconds
    while count(channel, queue) != messages:
        assert time.monotonic() < deadline, "%s has %d messages, not %d" % (queue, count(channel, queue), messages)
        time.sleep(0.02)


def restarted(broker):
    broker.kill()
    broker.start()
    return channel_to(broker)


def deadlines_survive_a_kill():
    """Restarted, a broker must not begin any of them anew: each would then take another minute."""
    with Leveretd() as broker:
        channel = channel_to(broker)
        began = time.time()
        channel.queue_declare("dead", durable=True)
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        channel.queue_declare("own", durable=True, arguments=dead)
        channel.queue_declare("by queue", durable=True, arguments=dict(dead, **{"x-message-ttl": 60000}))
        channel.queue_declare("to", durable=True)
        publish(channel, "own", b"own", expiration="4000")
        publish(channel, "own", b"stays", expiration="600000")
        publish(channel, "by queue", b"by queue", expiration="5000")
        publish(channel, "to", b"delayed", headers={"x-delay": 4500})
        time.sleep(1.5)  # A checkpoint later, and one more restart for what it says.
        restarted(broker)
        channel = restarted(broker)
        wait_for(channel, "dead", 2)
        wait_for(channel, "to", 1)
        passed = time.time() - began
        assert passed >= 5, "too early: %.3f s" % passed
        assert (count(channel, "own"), count(channel, "by queue"), count(channel, "amq.delayed")) == (1, 0, 0)
        _, properties, body = channel.basic_get("to", auto_ack=True)
        assert (body, properties.headers["x-delay"]) == (b"delayed", -4500), properties


def failed_deliveries_survive_a_kill():
    with Leveretd() as broker:
        channel = channel_to(broker)
        channel.queue_declare("dead", durable=True)
        channel.queue_declare("q", durable=True, arguments={
            "x-delivery-limit": 2, "x-retry-initial-ms": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
        publish(channel, "q", b"poison")
        for _ in range(3):
            wait_for(channel, "q", 1)
            method, properties, _ = channel.basic_get("q")
            channel.basic_nack(method.delivery_tag, requeue=True)
            publish(channel, "dead", b"barrier")
            channel = restarted(broker)
        wait_for(channel, "dead", 4)
        assert count(channel, "q") == 0


def what_waits_does_not_fill_a_queue_after_a_restart():
    with Leveretd() as broker:
        channel = channel_to(broker)
        channel.queue_declare("q", durable=True, arguments={"x-max-length-bytes": 1000, "x-retry-initial-ms": 600000})
        publish(channel, "q", b"w" * 900)
        method, _, _ = channel.basic_get("q")
        channel.basic_nack(method.delivery_tag, requeue=True)
        publish(channel, "q", b"a" * 60)
        time.sleep(1.5)  # A checkpoint later.
        channel = restarted(broker)
        assert count(channel, "q") == 1
        publish(channel, "q", b"b" * 60)
        assert count(channel, "q") == 2


def policies_are_applied_live():
    with Leveretd() as broker:
        path = os.path.join(broker.directory, "definitions.json")

        def set_policies(*policies):
            with open(path, "w") as f:
                json.dump({"policies": list(policies)}, f)
        set_policies({"vhost": "/", "name": "few", "pattern": "^jobs", "apply-to": "queues", "definition": {"max-length": 3}})
        broker.configure("load_definitions = %s\n" % path)
        broker.stop()
        broker.start()
        channel = channel_to(broker)
        channel.queue_declare("jobs.1", durable=True)
        for _ in range(5):
            publish(channel, "jobs.1", b"job")
        assert count(channel, "jobs.1") == 3

        def reload(what):
            before = broker.log().count(what)
            broker.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while broker.log().count(what) == before:
                assert time.monotonic() < deadline, broker.log()[-2000:]
                time.sleep(0.02)
        with open(path, "w") as f:
            f.write('{"policies": [{"name": "x", "pattern": "(", "definition": {}}]}')
        reload("'(' is no regular expression")
        with open(path, "w") as f:
            f.write('{"policies": [{"name": "x", "pattern": "x", "definition": {"max-lenght": 1}}]}')
        reload("are not recognised policy settings")
        publish(channel, "jobs.1", b"job")
        assert count(channel, "jobs.1") == 3  # The old one still holds.
        set_policies({"name": "one", "pattern": "jobs", "definition": {"max-length": 1}})
        reload("configuration reloaded")
        wait_for(channel, "jobs.1", 1)
        set_policies()
        reload("configuration reloaded")
        for _ in range(5):
            publish(channel, "jobs.1", b"job")
        assert count(channel, "jobs.1") == 6
        with open(path, "w") as f:
            f.write("no json")
        broker.stop()
        broker.start(wait=False)
        assert broker.process.wait(10) != 0 and "line 1" in broker.log(), broker.log()
        set_policies()
        broker.start()


def every_message_is_in_one_place_whenever_the_broker_dies():
    """Some expire, some are rejected, and the broker is killed in the midst of it, over and over: each is in the source or in the target."""
    dice = random.Random(1)
    with Leveretd() as broker:
        channel = channel_to(broker)
        channel.queue_declare("dead", durable=True)
        channel.queue_declare("source", durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
        sent = 0
        for _ in range(8):
            for _ in range(400):
                publish(channel, "source", b"%d" % sent, expiration=str(dice.randrange(1, 1500)))
                sent += 1
            for _ in range(100):
                method, _, _ = channel.basic_get("source")
                if method is not None:
                    channel.basic_reject(method.delivery_tag, requeue=False)
            time.sleep(dice.random() * 0.5)
            channel = restarted(broker)
        wait_for(channel, "source", 0)
        bodies = []
        while True:
            method, _, body = channel.basic_get("dead", auto_ack=True)
            if method is None:
                break
            bodies.append(int(body))
        assert len(bodies) == len(set(bodies)), "%d are doubled" % (len(bodies) - len(set(bodies)))
        assert len(bodies) == sent, "%d of %d are lost" % (sent - len(bodies), sent)


run([every_message_is_in_one_place_whenever_the_broker_dies, deadlines_survive_a_kill, failed_deliveries_survive_a_kill,
     what_waits_does_not_fill_a_queue_after_a_restart, policies_are_applied_live])
