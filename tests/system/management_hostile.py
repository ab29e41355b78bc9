#!/usr/bin/python3
"""The management over HTTP against those who mean harm, or ask for too much: management_hostile.py LEVERETD

What a request may cost is measured as memory and processor time of the broker, which do not depend on how busy the machine is."""
import base64
import http.client
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import Leveretd, free_port  # noqa: E402

PORT = free_port()


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


TESTS = [numbers_that_no_integer_holds_are_refused, strangers_cost_nothing_but_their_bytes, bodies_of_many_values_are_refused]


def main():
    failed = 0
    broker = Leveretd("management.tcp.port = %d\n" % PORT).start()
    try:
        for test in TESTS:
            try:
                test(broker)
                print("ok", test.__name__)
            except (AssertionError, OSError, http.client.HTTPException) as e:
                failed += 1
                print("FAILED %s: %s: %s" % (test.__name__, type(e).__name__, e))
    finally:
        status = broker.stop()
    log = broker.log()
    for sign in ("Sanitizer", "runtime error"):
        assert sign not in log, log[-5000:]
    print("%d failed; exit status %d" % (failed, status))
    return 1 if failed or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
