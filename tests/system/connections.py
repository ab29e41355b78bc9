#!/usr/bin/python3
"""Connections in numbers: ten thousand that come and go, thousands that say nothing, one that does not read."""
import socket
import struct
import time

import pika.spec as spec

from leveretd import Leveretd, run
from wire import CAPABILITIES, Wire, name


def rss_kb(broker):
    for line in open("/proc/%d/status" % broker.process.pid):
        if line.startswith("RssAnon"):
            return int(line.split()[1])


def method_bytes(channel, method):
    payload = struct.pack(">I", method.INDEX) + b"".join(method.encode())
    return struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce"


def whole_life():
    """Everything that a client says from connect to close, declaring, publishing and consuming in between."""
    header = struct.pack(">HHQ", 60, 0, 1) + b"".join(spec.BasicProperties().encode())
    return b"".join([
        b"AMQP\x00\x00\x09\x01",
        method_bytes(0, spec.Connection.StartOk(client_properties={"capabilities": CAPABILITIES}, response="\0guest\0guest")),
        method_bytes(0, spec.Connection.TuneOk(channel_max=10, frame_max=131072, heartbeat=0)),
        method_bytes(0, spec.Connection.Open(virtual_host="/")),
        method_bytes(1, spec.Channel.Open()),
        method_bytes(2, spec.Channel.Open()),
        method_bytes(1, spec.Queue.Declare(queue="", exclusive=True)),
        method_bytes(1, spec.Queue.Bind(queue="", exchange="amq.topic", routing_key="a.*.b")),
        method_bytes(1, spec.Basic.Consume(queue="", consumer_tag="t")),
        method_bytes(2, spec.Basic.Publish(exchange="amq.topic", routing_key="a.x.b")),
        struct.pack(">BHI", 2, 2, len(header)) + header + b"\xce" + struct.pack(">BHI", 3, 2, 1) + b"x\xce",
        method_bytes(0, spec.Connection.Close(200, "bye", 0, 0)),
    ])


def come_and_go(port, count, life):
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(life)
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass
        s.close()


def ten_thousand_come_and_go_without_a_trace():
    with Leveretd() as broker:
        life = whole_life()
        come_and_go(broker.port, 4000, life)  # A sanitizer's build takes its time to have seen all that it remembers.
        before = rss_kb(broker)
        come_and_go(broker.port, 9000, life)
        after = rss_kb(broker)
        assert after - before < 1024, "grew from %d to %d kB" % (before, after)
        assert broker.stop() == 0


def thousands_that_say_nothing_are_harmless_and_leave():
    with Leveretd("handshake_timeout = 3000\n") as broker:
        before = rss_kb(broker)
        silent = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(3000)]
        time.sleep(0.3)
        each = (rss_kb(broker) - before) * 1024 / len(silent)
        assert each < 6000, "%d bytes each" % each
        began = time.monotonic()
        Wire(broker.port).open().close()
        assert time.monotonic() - began < 1
        silent[0].settimeout(10)
        assert silent[0].recv(1) == b""
        for s in silent:
            s.close()


def one_that_does_not_read_costs_a_mebibyte_at_most():
    with Leveretd() as broker:
        p = Wire(broker.port, timeout=20).open()
        p.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        q = p.queue(name(), auto_delete=True)
        deaf = Wire(broker.port).open()
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.call(spec.Basic.Consume(queue=q, consumer_tag="deaf", no_ack=True), spec.Basic.ConsumeOk)
        other = Wire(broker.port, timeout=20).open()
        other.call(spec.Basic.Consume(queue=q, consumer_tag="other", no_ack=True), spec.Basic.ConsumeOk)
        count, got = 3000, 0
        for i in range(count):
            p.publish(1, "", q, b"x" * 10_000)
            if i % 100 == 99:
                while p.expect(spec.Basic.Ack).delivery_tag < i + 1:
                    pass
                while other.next(0.02) is not None:
                    got += 1
        while other.next(1) is not None:
            got += 1
        # Whatever the deaf one was given sits in its buffer and the kernel's; the other one has had all the rest.
        assert got / 3 > count * 0.8, got
        left = p.call(spec.Queue.Declare(queue=q, passive=True), spec.Queue.DeclareOk).message_count
        assert left == 0, left
        assert rss_kb(broker) < 20_000, rss_kb(broker)


def a_backlog_drains_as_fast_as_it_is_read():
    """Nothing may wait for the next tick of a clock: then this would take a minute."""
    with Leveretd() as broker:
        p = Wire(broker.port, timeout=20).open()
        p.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        q = p.queue(name(), auto_delete=True)
        count = 600
        for _ in range(count):
            p.publish(1, "", q, b"x" * 100_000)
        while p.expect(spec.Basic.Ack).delivery_tag < count:
            pass
        c = Wire(broker.port, timeout=20).open()
        c.call(spec.Basic.Consume(queue=q, consumer_tag="c", no_ack=True), spec.Basic.ConsumeOk)
        end, wanted = time.monotonic() + 20, count * 100_000 - len(c.data)
        while wanted > 0:
            assert time.monotonic() < end, "%d bytes are still missing" % wanted
            wanted -= len(c.sock.recv(1 << 20))


def close_one_that_sends_heartbeats_but_does_not_read(config):
    with Leveretd(config + "tcp_listen_options.send_timeout = 2000\n") as broker:
        w = Wire(broker.port, timeout=10).open()
        q = w.queue()
        c = Wire(broker.port).open()
        c.call(spec.Basic.Consume(queue=q, consumer_tag="c", no_ack=True), spec.Basic.ConsumeOk)
        for _ in range(200):
            w.publish(1, "", q, b"x" * 100_000)
        deadline = time.monotonic() + 30
        while "does not read" not in broker.log():
            assert time.monotonic() < deadline, "it is still there"
            c.frame(8, 0, b"")
            time.sleep(0.2)
        while w.call(spec.Queue.Declare(queue=q, passive=True), spec.Queue.DeclareOk).consumer_count > 0:
            assert time.monotonic() < deadline
        assert broker.stop() == 0


def one_that_sends_heartbeats_but_does_not_read_is_closed():
    close_one_that_sends_heartbeats_but_does_not_read("")
    close_one_that_sends_heartbeats_but_does_not_read("io_threads = 1\n")


run([a_backlog_drains_as_fast_as_it_is_read, ten_thousand_come_and_go_without_a_trace, thousands_that_say_nothing_are_harmless_and_leave,
     one_that_does_not_read_costs_a_mebibyte_at_most, one_that_sends_heartbeats_but_does_not_read_is_closed])
