"""A small AMQP 0-9-1 client on a plain socket, for tests that must say things no client library would.

Frames and methods are encoded with pika's tables; what the broker answers comes back as (kind, channel, method)."""
import os
import socket
import struct
import time

import pika
import pika.frame
import pika.spec as spec

HOST = "127.0.0.1"
CAPABILITIES = {"authentication_failure_close": True, "consumer_cancel_notify": True, "basic.nack": True,
                "connection.blocked": True, "publisher_confirms": True}


class Closed(Exception):
    """The broker closed the socket."""


class Wire:
    def __init__(self, port, timeout=4.0, header=b"AMQP\x00\x00\x09\x01"):
        self.sock = socket.create_connection((HOST, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.data = b""
        self.frame_max = 131072
        self.send_raw(header)

    # --- sending

    def send_raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def frame(self, kind, channel, payload, end=b"\xce"):
        self.send_raw(struct.pack(">BHI", kind, channel, len(payload)) + payload + end)

    def method(self, channel, method):
        payload = struct.pack(">I", method.INDEX) + b"".join(method.encode())
        self.frame(1, channel, payload)

    def header(self, channel, size, properties=None, class_id=60, weight=0):
        props = b"".join((properties or spec.BasicProperties()).encode())
        self.frame(2, channel, struct.pack(">HHQ", class_id, weight, size) + props)

    def body(self, channel, data):
        for at in range(0, len(data), self.frame_max - 8):
            self.frame(3, channel, data[at:at + self.frame_max - 8])

    def publish(self, channel, exchange="", routing_key="", body=b"x", properties=None, **flags):
        self.method(channel, spec.Basic.Publish(exchange=exchange, routing_key=routing_key, **flags))
        self.header(channel, len(body), properties)
        self.body(channel, body)

    # --- receiving

    def next(self, timeout=None):
        """The next frame that is no heartbeat: (channel, method or "Header" or bytes). None if nothing comes in time."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if len(self.data) >= 7:
                kind, channel, size = struct.unpack(">BHI", self.data[:7])
                if self.data[:4] == b"AMQP":
                    header, self.data = self.data[:8], self.data[8:]
                    return 0, header
                if len(self.data) >= size + 8:
                    payload, self.data = self.data[7:7 + size], self.data[8 + size:]
                    if kind != 8:
                        return channel, decode(kind, payload)
                    continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(65536)
            except socket.timeout:
                return None
            except OSError as error:
                raise Closed() from error
            if not got:
                raise Closed()
            self.data += got

    def expect(self, cls, timeout=None):
        got = self.next(timeout)
        if got is None or not isinstance(got[1], cls):
            raise AssertionError("expected %s, got %r" % (cls.__name__, got))
        return got[1]

    # --- opening

    def start(self, user="guest", password="guest", capabilities=CAPABILITIES, mechanism="PLAIN", response=None):
        self.expect(spec.Connection.Start)
        if response is None:
            response = "\0%s\0%s" % (user, password)
        self.method(0, spec.Connection.StartOk(client_properties={"capabilities": capabilities}, mechanism=mechanism,
                                               response=response, locale="en_US"))

    def tune(self, channel_max=2047, frame_max=131072, heartbeat=0):
        self.expect(spec.Connection.Tune)
        self.method(0, spec.Connection.TuneOk(channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat))

    def open(self, vhost="/", channels=(1,), **start):
        tune = {k: start.pop(k) for k in ("channel_max", "frame_max", "heartbeat") if k in start}
        self.start(**start)
        self.tune(**tune)
        self.method(0, spec.Connection.Open(virtual_host=vhost))
        self.expect(spec.Connection.OpenOk)
        for channel in channels:
            self.channel(channel)
        return self

    def channel(self, number):
        self.method(number, spec.Channel.Open())
        self.expect(spec.Channel.OpenOk)

    def call(self, method, answer, channel=1):
        self.method(channel, method)
        return self.expect(answer)

    def queue(self, name="", channel=1, **arguments):
        return self.call(spec.Queue.Declare(queue=name, **arguments), spec.Queue.DeclareOk, channel).queue

    def exchange(self, name, kind, **arguments):
        self.call(spec.Exchange.Declare(exchange=name, type=kind, **arguments), spec.Exchange.DeclareOk)

    def close(self):
        self.sock.close()


class Header(str):
    """A content header: equal to "Header", with its properties."""
    properties = None


def decode(kind, payload):
    if kind == 1:
        index = struct.unpack(">I", payload[:4])[0]
        if index not in spec.methods:
            return index
        method = spec.methods[index]()
        method.decode(payload, 4)
        return method
    if kind != 2:
        return payload
    header = Header("Header")
    header.properties = spec.BasicProperties()
    header.properties.decode(payload[12:])
    return header


_serial = [0]


def name(kind="q"):
    """A name nobody has used: q.PID.N"""
    _serial[0] += 1
    return "%s.%d.%d" % (kind, os.getpid(), _serial[0])
