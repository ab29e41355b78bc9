#!/usr/bin/python3
"""A directory that an older release wrote is taken up in place, with all that is in it (formats/fill.py); a newer one is
refused.

    formats.py LEVERETD"""
import os
import tarfile

import pika

from leveretd import Leveretd, run

FORMATS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")


def unpacked(name):
    broker = Leveretd()
    with tarfile.open(os.path.join(FORMATS, name)) as archive:
        archive.extractall(broker.directory)
    os.chmod(broker.data, 0o700)
    return broker


def count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def format_2_is_taken_up():
    with unpacked("format-2.tar.xz") as broker:
        for again in range(3):
            assert "damaged" not in broker.log(), broker.log()
            connection = pika.BlockingConnection(pika.ConnectionParameters(port=broker.port))
            channel = connection.channel()
            assert [count(channel, q) for q in ("plain", "shelf", "dead", "late", "amq.delayed")] == [603 - again, 9, 1, 0, 1], again
            channel.confirm_delivery()
            # Of the key, nothing is known any more: it was for an hour.
            channel.basic_publish("", "plain", b"of a producer",
                                  pika.BasicProperties(delivery_mode=2, headers={"x-producer-id": "till", "x-producer-seq": 5}))
            assert count(channel, "plain") == 603 - again, "a duplicate was taken"
            method, _, body = channel.basic_get("plain")
            assert body == b"plain %d" % (100 + again), body
            channel.basic_ack(method.delivery_tag)
            assert channel.basic_get("dead", auto_ack=False)[2] == b"shelf 4"
            channel.exchange_declare("copies", "headers", durable=True, arguments={"alternate-exchange": "events"})
            channel.basic_publish("copies", "order.x", b"by way of the alternate exchange", mandatory=True)  # Routed, or this fails.
            assert count(channel, "plain") == 603 - again
            assert channel.queue_delete("late").method.message_count == 0
            channel.queue_declare("late", durable=True)
            connection.close()
            if again == 0:
                broker.kill()
            else:
                assert broker.stop() == 0
            broker.start()


run([format_2_is_taken_up])
