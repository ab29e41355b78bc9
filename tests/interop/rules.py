#!/usr/bin/python3
"""A queue's rules hold between the frames of one segment, not only when the broker comes to rest. What is expected was
recorded of RabbitMQ 3.10.8.

    rules.py PORT        the same expectations hold on Leveret and on a real rabbitmq-server"""
import sys
import time

import pika.spec as spec

from wire import Wire, name

PORT = int(sys.argv[1])
BASIC = spec.BasicProperties
TESTS = []


def test(run):
    TESTS.append(run)
    return run


def same(got, expected):
    if got != expected:
        raise AssertionError("expected %r, got %r" % (expected, got))


class Segment:
    """Collects what is sent until the end of a with, and sends it in one piece."""

    def __init__(self, wire):
        self.wire = wire

    def __enter__(self):
        self.send, self.kept = self.wire.send_raw, []
        self.wire.send_raw = self.kept.append

    def __exit__(self, *_):
        self.wire.send_raw = self.send
        self.send(b"".join(self.kept))


def bodies(w, seconds=0.5):
    """Bodies of what comes, and None for each get-empty."""
    got = []
    while (frame := w.next(seconds)) is not None:
        if isinstance(frame[1], bytes):
            got.append(frame[1])
        elif isinstance(frame[1], spec.Basic.GetEmpty):
            got.append(None)
        elif isinstance(frame[1], (spec.Channel.Close, spec.Connection.Close)):
            raise AssertionError(frame[1].reply_text)
    return got


def opened(**arguments):
    w = Wire(PORT).open()
    return w, w.queue(name(), exclusive=True, arguments=arguments)


def publish(w, q, *texts, properties=None):
    for text in texts:
        w.publish(1, "", q, text, properties)


def get(w, q, times=1, no_ack=True):
    for _ in range(times):
        w.method(1, spec.Basic.Get(queue=q, no_ack=no_ack))


NUMBERED = [b"m%d" % i for i in range(15)]


@test
def a_full_queue_drops_its_head_at_once():
    w, q = opened(**{"x-max-length": 10})
    with Segment(w):
        publish(w, q, *NUMBERED)
        w.method(1, spec.Queue.Declare(queue=q, passive=True))
    same(w.expect(spec.Queue.DeclareOk).message_count, 10)
    get(w, q)
    same(bodies(w), [b"m5"])


@test
def a_get_behind_publishes_sees_the_limit():
    w, q = opened(**{"x-max-length": 10})
    with Segment(w):
        publish(w, q, *NUMBERED)
        get(w, q)
    same(bodies(w), [b"m5"])


@test
def a_full_queue_that_rejects_keeps_the_oldest():
    w, q = opened(**{"x-max-length": 10, "x-overflow": "reject-publish"})
    with Segment(w):
        publish(w, q, *NUMBERED)
        w.method(1, spec.Queue.Declare(queue=q, passive=True))
    same(w.expect(spec.Queue.DeclareOk).message_count, 10)
    get(w, q)
    same(bodies(w), [b"m0"])


@test
def one_is_a_limit():
    w, q = opened(**{"x-max-length": 1})
    with Segment(w):
        publish(w, q, b"m1", b"m2")
        get(w, q, 2)
    same(bodies(w), [b"m2", None])


@test
def zero_is_a_limit():
    w, q = opened(**{"x-max-length": 0})
    with Segment(w):
        publish(w, q, b"m1")
        get(w, q)
    same(bodies(w), [None])


@test
def what_comes_back_to_a_full_queue_is_the_one_to_go():
    w, q = opened(**{"x-max-length": 1})
    publish(w, q, b"m1")
    get(w, q, no_ack=False)
    same(bodies(w), [b"m1"])
    with Segment(w):
        publish(w, q, b"m2")
        w.method(1, spec.Basic.Nack(delivery_tag=1, requeue=True))
        get(w, q, 2)
    same(bodies(w), [b"m2", None])


@test
def a_time_to_live_of_nothing_is_for_who_waits():
    w, q = opened(**{"x-message-ttl": 0})
    with Segment(w):
        publish(w, q, b"late")
        get(w, q)
    same(bodies(w), [None])
    w.method(1, spec.Basic.Consume(queue=q, consumer_tag="t", no_ack=True))
    w.expect(spec.Basic.ConsumeOk)
    publish(w, q, b"in time")
    same(bodies(w), [b"in time"])


@test
def an_expiration_of_nothing_is_for_who_waits():
    w, q = opened()
    with Segment(w):
        publish(w, q, b"late", properties=BASIC(expiration="0"))
        get(w, q)
    same(bodies(w), [None])


@test
def who_waits_gets_it_before_who_asks_later():
    w, q = opened()
    w.method(1, spec.Basic.Consume(queue=q, consumer_tag="t"))
    w.expect(spec.Basic.ConsumeOk)
    with Segment(w):
        publish(w, q, b"m")
        get(w, q)
    same(sorted(bodies(w), key=str), sorted([b"m", None], key=str))


@test
def asking_for_a_queue_keeps_it():
    w, q = opened(**{"x-expires": 3000})
    for _ in range(3):
        time.sleep(1.2)
        w.queue(q, passive=True)


@test
def a_prefetch_of_the_channel_is_shared_fairly_by_queues():
    w = Wire(PORT).open()
    w.call(spec.Basic.Qos(prefetch_count=1, global_qos=True), spec.Basic.QosOk)
    queues = [w.queue(name(), exclusive=True) for _ in range(3)]
    for q in queues:
        publish(w, q, *[q.encode()] * 100)
    for q in queues:
        w.method(1, spec.Basic.Consume(queue=q, consumer_tag=q))
    taken = dict.fromkeys(queues, 0)
    tag = 0
    while sum(taken.values()) < 99:
        frame = w.next()
        if isinstance(frame[1], spec.Basic.Deliver):
            tag = frame[1].delivery_tag
        elif isinstance(frame[1], bytes):
            taken[frame[1].decode()] += 1
            w.method(1, spec.Basic.Ack(delivery_tag=tag))
    if min(taken.values()) < 25:
        raise AssertionError("taken: %r" % taken)


@test
def copies_go_on_from_exchange_to_exchange():
    w, q = opened()
    first, second = name("x"), name("x")
    w.exchange(first, "direct", auto_delete=True)
    w.exchange(second, "topic", auto_delete=True)
    w.call(spec.Exchange.Bind(source=first, destination=second, routing_key="k1"), spec.Exchange.BindOk)
    w.call(spec.Queue.Bind(queue=q, exchange=second, routing_key="k2"), spec.Queue.BindOk)
    w.publish(1, first, "", b"m", BASIC(headers={"CC": ["k1"], "BCC": ["k2"]}))
    get(w, q)
    same(bodies(w), [b"m"])


def main():
    failed = 0
    for run in TESTS:
        try:
            run()
        except Exception as error:  # Any failure is the test's; the next one goes on.
            failed += 1
            print("%s: %s: %s" % (run.__name__, type(error).__name__, error))
    print("%d passed, %d failed" % (len(TESTS) - failed, failed))
    return 1 if failed else 0


sys.exit(main())
