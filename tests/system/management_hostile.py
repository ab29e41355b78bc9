#!/usr/bin/python3
"""The management over HTTP against those who mean harm, or ask for too much: management_hostile.py LEVERETD

What a request may cost is measured as memory and processor time of the broker, which do not depend on how busy the machine is."""
import base64
import http.client
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from urllib.parse import quote

import pika

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import BINARY, Leveretd, free_port, make_certificates  # noqa: E402

PORT = free_port()
NO_CHECK = ssl._create_unverified_context()
CONFIG = "management.tcp.port = %d\n" % PORT


def ask(method, path, body=None, user="guest:guest", headers=None):
    """Status and body, as JSON if it is JSON."""
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    head = dict(headers or {})
    if user is not None:
        head["authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    c.request(method, path, body, head)
    reply = c.getresponse()
    text = reply.read()
    c.close()
    try:
        return reply.status, json.loads(text)
    except ValueError:
        return reply.status, text


def peak_bytes(broker):
    with open("/proc/%d/status" % broker.process.pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def processor_s(broker):
    with open("/proc/%d/stat" % broker.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def equal(got, want):
    assert got == want, "%r and not %r" % (got, want)


def stop(broker):
    equal(broker.stop(), 0)
    for sign in ("Sanitizer", "runtime error"):
        assert sign not in broker.log(), broker.log()[-5000:]


def strangers_cost_nothing_but_their_bytes(broker):
    """Passwords of an import are hashed, which takes long: not for somebody whose own is wrong."""
    users = [{"name": "u%d" % i, "password": "p%d" % i, "tags": ""} for i in range(300)]
    began = processor_s(broker)
    equal(ask("POST", "/api/definitions", {"users": users}, "guest:wrong")[0], 401)
    equal(ask("POST", "/api/definitions", b"[" * 100, "nobody:wrong")[0], 401)
    used = processor_s(broker) - began
    assert used < 3, "%.2f s of processor time for strangers" % used


def bodies_of_many_values_are_refused(broker):
    """Each empty object takes 3 bytes in the text and 200 in memory."""
    before = peak_bytes(broker)
    for path in ("/api/exchanges/%2F/amq.default/publish", "/api/definitions", "/api/queues/%2F/q/get"):
        equal(ask("POST", path, b'{"a":[{}' + b",{}" * (10 << 20) + b"]}")[0], 400)
    grown = peak_bytes(broker) - before
    assert grown < 300 << 20, "%d MB for them" % (grown >> 20)
    equal(ask("PUT", "/api/queues/%2F/deep", b'{"arguments":' + b'{"a":' * 5000 + b"1" + b"}" * 5001)[0], 400)
    equal(ask("PUT", "/api/queues/%2F/big", {"arguments": {"x-max-length": 10 ** 30}})[0], 400)
    equal(ask("PUT", "/api/queues/%2F/big", b'{"arguments":{"x-max-length":1e999}}')[0], 400)


def numbers_that_no_integer_holds_are_refused(broker):
    get = {"count": 1e300, "ackmode": "ack_requeue_true", "encoding": "auto"}
    equal(ask("PUT", "/api/queues/%2F/numbers", {})[0], 201)
    equal(ask("POST", "/api/queues/%2F/numbers/get", get)[0], 400)
    equal(ask("POST", "/api/queues/%2F/numbers/get", dict(get, count=1, truncate=-1e300))[0], 400)
    policy = {"pattern": "x", "definition": {"max-length": 1}, "priority": 1e300}
    equal(ask("PUT", "/api/policies/%2F/numbers", policy)[0], 400)


def amqp(broker):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))


def patterns_that_explode_are_refused(broker):
    equal(ask("PUT", "/api/queues/%2F/" + "a" * 200, {})[0], 201)
    status, reply = ask("GET", "/api/queues?page=1&use_regex=true&name=" + quote("(a|aa)+[bc]"))
    equal((status, reply["reason"]), (400, "the regular expression tries too many ways"))
    equal(len(ask("GET", "/api/queues?page=1&use_regex=true&name=" + quote("^a+$"))[1]["items"]), 1)


def pages_far_away_are_out_of_range(broker):
    for number, size in ((2, 500), (2 ** 62 + 1, 4), (2 ** 63 - 1, 500), (2 ** 61 + 1, 8)):
        status, reply = ask("GET", "/api/queues?page=%d&page_size=%d" % (number, size))
        equal((status, reply.get("error")), (400, "page_out_of_range"))


def samples_of_an_answer_are_bounded(broker):
    """Of 700 queues 600 samples of twelve counters each are a gigabyte."""
    with amqp(broker) as c:
        channel = c.channel()
        for i in range(700):
            channel.queue_declare("sampled%d" % i)
            channel.basic_publish("", "sampled%d" % i, b"")
    before = peak_bytes(broker)
    ages = "lengths_age=600&lengths_incr=1&msg_rates_age=600&msg_rates_incr=1"
    status, queues = ask("GET", "/api/queues?" + ages)
    equal(status, 200)
    details = [q[key] for q in queues for key in ("messages_details", "messages_ready_details")]
    samples = sum(len(d.get("samples", ())) for d in details)
    assert 0 < samples <= 100000, samples
    grown = peak_bytes(broker) - before
    with open(BINARY, "rb") as f:
        is_sanitized = b"__tsan_init" in f.read()  # Its memory says nothing.
    assert is_sanitized or grown < 150 << 20, "%d MB for it" % (grown >> 20)
    one = ask("GET", "/api/queues/%2F/sampled0?" + ages)[1]
    equal(len(one["messages_details"]["samples"]), 600)


def nothing_is_published_during_an_alarm(broker):
    body = {"properties": {"delivery_mode": 2}, "routing_key": "numbers", "payload": "x", "payload_encoding": "string"}
    publish, request = "/api/exchanges/%2F/amq.default/publish", "/api/leveret/request/%2F/amq.default"
    equal(ask("POST", publish, body), (200, {"routed": True}))
    broker.configure(CONFIG + "disk_free_limit.absolute = 1000TB\n")
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("publishers are blocked")
    for path in (publish, request):
        status, reply = ask("POST", path, body)
        equal((status, reply["error"]), (503, "blocked"))
    equal(ask("GET", "/api/queues/%2F/numbers")[1]["messages"], 1)
    broker.configure(CONFIG)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("publishers are unblocked")
    equal(ask("POST", publish, body)[0], 200)


def headers_longer_than_a_frame_are_refused(broker):
    big = {"headers": {"h": "x" * 200000}}
    body = {"properties": big, "routing_key": "framed", "payload": "x", "payload_encoding": "string"}
    with amqp(broker) as c:
        channel = c.channel()
        channel.queue_declare("framed")
        status, reply = ask("POST", "/api/exchanges/%2F/amq.default/publish", body)
        equal(status, 400)
        equal(channel.basic_get("framed", auto_ack=True)[0], None)


def serial(port):
    """Of the certificate; None: the handshake failed."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as s, NO_CHECK.wrap_socket(s) as tls:
            return tls.getpeercert(True)
    except OSError:
        return None


def certificates_are_renewed_while_they_are_used(broker):
    port, directory = free_port(), broker.directory
    make_certificates(directory)
    text = CONFIG + "management.ssl.port = %d\nmanagement.ssl.certfile = %s/server.pem\nmanagement.ssl.keyfile = %s/server.key\n"
    stop(broker)
    broker.configure(text % (port, directory, directory))
    broker.start()
    first = serial(port)
    assert first is not None
    ends = []
    users = [threading.Thread(target=lambda: [ends.append(serial(port)) for _ in range(60)]) for _ in range(3)]
    for user in users:
        user.start()
    for i in range(30):
        broker.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    for user in users:
        user.join()
    equal(set(ends), {first})
    make_certificates(directory)
    broker.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while serial(port) == first and time.monotonic() < deadline:
        time.sleep(0.02)
    assert serial(port) not in (None, first)


TESTS = [numbers_that_no_integer_holds_are_refused, strangers_cost_nothing_but_their_bytes, bodies_of_many_values_are_refused,
         patterns_that_explode_are_refused, pages_far_away_are_out_of_range, samples_of_an_answer_are_bounded,
         nothing_is_published_during_an_alarm, headers_longer_than_a_frame_are_refused,
         certificates_are_renewed_while_they_are_used]


def main():
    failed = 0
    broker = Leveretd(CONFIG).start()
    try:
        for test in TESTS:
            try:
                test(broker)
                print("ok", test.__name__)
            except (AssertionError, LookupError, OSError, http.client.HTTPException) as e:
                failed += 1
                print("FAILED %s: %s: %s" % (test.__name__, type(e).__name__, e))
    finally:
        stop(broker)
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
