#!/usr/bin/python3
"""What was recorded of RabbitMQ 3.10.8 when nothing goes wrong: routing, prefetch, priorities, replies, confirms.

    behaviour.py PORT        the same expectations hold on Leveret and on a real rabbitmq-server"""
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


def get(w, queue, **flags):
    """(routing key, redelivered, headers, body) of the next message, or None."""
    w.method(1, spec.Basic.Get(queue=queue, no_ack=flags.get("no_ack", True)))
    got = w.next()[1]
    if isinstance(got, spec.Basic.GetEmpty):
        return None
    w.next()
    return got.routing_key, got.redelivered, w.next()[1], got.delivery_tag


def confirm(w, *args, **kwargs):
    w.publish(1, *args, **kwargs)
    w.expect(spec.Basic.Ack)


def opened():
    w = Wire(PORT).open()
    w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
    return w


def matching(w, exchange, kind, bindings, publish):
    """Which of the bindings (label -> routing key and arguments) a message takes."""
    queues = {}
    for label, (key, arguments) in bindings.items():
        queues[label] = w.queue(name(), exclusive=True)
        w.call(spec.Queue.Bind(queue=queues[label], exchange=exchange, routing_key=key, arguments=arguments), spec.Queue.BindOk)
    out = {}
    for title, (key, properties) in publish.items():
        confirm(w, exchange, key, b"x", properties)
        out[title] = sorted(label for label, queue in queues.items() if get(w, queue))
    return out


@test
def topic_keys_match_as_recorded():
    recorded = {
        "": ["#", "", "#.#"],
        "a": ["a.#", "#", "*", "#.#", "#.*"],
        "a.b": ["a.*", "a.#", "#", "*.b", "a.b.#", "#.#", "#.*"],
        "a.b.c": ["a.#", "#", "a.*.c", "#.c", "a.b.#", "*.*.*", "#.#", "#.*"],
        "a.x.y.c": ["a.#", "#", "#.c", "#.#", "#.*"],
        "a..c": ["a.#", "#", "a.*.c", "#.c", "a..c", "*.*.*", "#.#", "#.*"],
        ".": ["#", "#.#", "#.*"],
        "a.": ["a.*", "a.#", "#", "#.#", "#.*"],
    }
    patterns = ["a.*", "a.#", "#", "*", "", "a.*.c", "#.c", "*.b", "a.b.#", "a..c", "*.*.*", "#.#", "#.*"]
    w = opened()
    x = name("x")
    w.exchange(x, "topic")
    got = matching(w, x, "topic", {p: (p, None) for p in patterns}, {k: (k, None) for k in recorded})
    for key, expected in recorded.items():
        same((key, got[key]), (key, sorted(expected)))


@test
def headers_match_as_recorded():
    bindings = {
        "all": {"x-match": "all", "a": 1, "b": "x"}, "any": {"x-match": "any", "a": 1, "b": "x"}, "default": {"a": 1, "b": "x"},
        "void": {"a": None}, "empty-all": {"x-match": "all"}, "empty-any": {"x-match": "any"},
        "xall": {"x-foo": 1}, "xall-with-x": {"x-match": "all-with-x", "x-foo": 1},
    }
    recorded = [
        (None, ["empty-all", "xall"]), ({}, ["empty-all", "xall"]), ({"a": 1}, ["any", "empty-all", "void", "xall"]),
        ({"a": 1, "b": "x"}, ["all", "any", "default", "empty-all", "void", "xall"]),
        ({"a": 2, "b": "x"}, ["any", "empty-all", "void", "xall"]), ({"a": "1", "b": "x"}, ["any", "empty-all", "void", "xall"]),
        ({"x-foo": 1}, ["empty-all", "xall", "xall-with-x"]),
    ]
    w = opened()
    x = name("x")
    w.exchange(x, "headers")
    got = matching(w, x, "headers", {k: ("", v) for k, v in bindings.items()},
                   {i: ("", BASIC(headers=h)) for i, (h, _) in enumerate(recorded)})
    for i, (headers, expected) in enumerate(recorded):
        same((headers, got[i]), (headers, sorted(expected)))


@test
def two_matching_bindings_make_one_copy():
    w = opened()
    x, q = name("x"), w.queue(name(), exclusive=True)
    w.exchange(x, "topic")
    for key in ("#", "a.*"):
        w.call(spec.Queue.Bind(queue=q, exchange=x, routing_key=key), spec.Queue.BindOk)
    confirm(w, x, "a.b")
    same(get(w, q)[0], "a.b")
    same(get(w, q), None)


@test
def alternate_exchange_takes_what_finds_no_queue():
    w = opened()
    main, alternate, q = name("x"), name("x"), w.queue(name(), exclusive=True)
    w.exchange(alternate, "fanout")
    w.exchange(main, "direct", arguments={"alternate-exchange": alternate})
    w.call(spec.Queue.Bind(queue=q, exchange=alternate, routing_key=""), spec.Queue.BindOk)
    confirm(w, main, "none")
    same(get(w, q)[0], "none")


@test
def exchanges_bound_in_a_cycle_route_once():
    w = opened()
    a, b, q = name("x"), name("x"), w.queue(name(), exclusive=True)
    w.exchange(a, "topic")
    w.exchange(b, "topic")
    for source, destination in ((a, b), (b, a)):
        w.call(spec.Exchange.Bind(destination=destination, source=source, routing_key="#"), spec.Exchange.BindOk)
    w.call(spec.Queue.Bind(queue=q, exchange=b, routing_key="a.#"), spec.Queue.BindOk)
    confirm(w, a, "a.b.c")
    same(get(w, q)[0], "a.b.c")
    same(get(w, q), None)


@test
def cc_and_bcc_make_copies_and_bcc_stays_secret():
    w = opened()
    a, b, c = (w.queue(name(), exclusive=True) for _ in range(3))
    w.publish(1, "", a, b"x", BASIC(headers={"CC": [b], "BCC": [c]}))
    w.expect(spec.Basic.Ack)
    for q in (a, b, c):
        w.method(1, spec.Basic.Get(queue=q, no_ack=True))
        same(w.expect(spec.Basic.GetOk).routing_key, a)
        same(w.next()[1], "Header")
        w.next()
    data = []
    w.publish(1, "", a, b"x", BASIC(headers={"CC": [b], "BCC": [c]}))
    w.expect(spec.Basic.Ack)
    w.method(1, spec.Basic.Get(queue=c, no_ack=True))
    time.sleep(0.3)
    w.sock.settimeout(2)
    data = w.sock.recv(65536)
    same(b"BCC" in data, False)
    same(b"\x02CC" in data, True)


@test
def requeued_messages_are_redelivered():
    w = opened()
    q = w.queue(name(), exclusive=True)
    confirm(w, "", q)
    first = get(w, q, no_ack=False)
    same(first[1], False)
    w.method(1, spec.Basic.Reject(delivery_tag=first[3], requeue=True))
    same(get(w, q)[1], True)


def delivered_to(w, count):
    tags = []
    for _ in range(count):
        tags.append(w.expect(spec.Basic.Deliver).consumer_tag)
        w.next()
        w.next()
    return tags


def consume(w, q, tag, **arguments):
    w.call(spec.Basic.Consume(queue=q, consumer_tag=tag, **arguments), spec.Basic.ConsumeOk)


def nothing(w):
    got = w.next(0.4)
    if got is not None:
        raise AssertionError("expected nothing, got %r" % (got,))


@test
def prefetch_is_per_consumer_by_default():
    w, p = Wire(PORT).open(), opened()
    q = p.queue(name(), auto_delete=True)
    w.call(spec.Basic.Qos(prefetch_count=2), spec.Basic.QosOk)
    consume(w, q, "A")
    consume(w, q, "B")
    for _ in range(6):
        confirm(p, "", q)
    same(delivered_to(w, 4), ["A", "B", "A", "B"])
    nothing(w)


@test
def global_prefetch_is_shared():
    w, p = Wire(PORT).open(), opened()
    q = p.queue(name(), auto_delete=True)
    w.call(spec.Basic.Qos(prefetch_count=3, global_qos=True), spec.Basic.QosOk)
    consume(w, q, "A")
    consume(w, q, "B")
    for _ in range(6):
        confirm(p, "", q)
    same(len(delivered_to(w, 3)), 3)
    nothing(w)


@test
def consumers_of_high_priority_go_first():
    w, p = Wire(PORT).open(), opened()
    q = p.queue(name(), auto_delete=True)
    consume(w, q, "low")
    consume(w, q, "high", arguments={"x-priority": 10})
    for _ in range(4):
        confirm(p, "", q)
    same(delivered_to(w, 4), ["high"] * 4)


@test
def direct_reply_to_carries_an_answer():
    client, server = Wire(PORT).open(), Wire(PORT).open()
    q = server.queue(name(), auto_delete=True)
    consume(server, q, "s", no_ack=True)
    tag = client.call(spec.Basic.Consume(queue="amq.rabbitmq.reply-to", no_ack=True), spec.Basic.ConsumeOk).consumer_tag
    client.publish(1, "", q, b"request", BASIC(reply_to="amq.rabbitmq.reply-to"))
    server.expect(spec.Basic.Deliver)
    server.sock.settimeout(2)
    while b"amq.rabbitmq.reply-to." not in server.data:
        server.data += server.sock.recv(65536)
    at = server.data.index(b"amq.rabbitmq.reply-to.")
    address = server.data[at:at + server.data[at - 1]].decode()
    server.data = b""
    same(server.call(spec.Queue.Declare(queue=address, passive=True), spec.Queue.DeclareOk).consumer_count, 1)
    server.publish(1, "", address, b"response")
    got = client.expect(spec.Basic.Deliver)
    same((got.exchange, got.routing_key, got.consumer_tag), ("", address, tag))
    client.next()
    same(client.next()[1], b"response")
    client.call(spec.Basic.Cancel(consumer_tag=tag), spec.Basic.CancelOk)
    server.publish(1, "", address, b"too late", mandatory=True)
    same(server.expect(spec.Basic.Return).reply_code, 312)


@test
def an_unroutable_mandatory_publish_is_returned_before_its_ack():
    w = opened()
    w.publish(1, "", "nosuch", b"x", mandatory=True)
    same(w.expect(spec.Basic.Return).reply_text, "NO_ROUTE")
    same(w.next()[1], "Header")
    same(w.next()[1], b"x")
    same(w.expect(spec.Basic.Ack).delivery_tag, 1)


@test
def every_publish_is_confirmed_once():
    w = opened()
    q = w.queue(name(), durable=True)
    for i in range(200):
        w.publish(1, "", q, b"x", BASIC(delivery_mode=2))
    open_tags, last = set(range(1, 201)), 0
    while open_tags:
        ack = w.expect(spec.Basic.Ack)
        answered = {t for t in open_tags if t <= ack.delivery_tag} if ack.multiple else {ack.delivery_tag}
        same(answered <= open_tags and bool(answered), True)
        open_tags -= answered
    w.call(spec.Queue.Delete(queue=q), spec.Queue.DeleteOk)


@test
def all_properties_pass_through():
    w = opened()
    q = w.queue(name(), exclusive=True)
    headers = {"int": 1, "long": 1 << 40, "str": "s", "bool": True, "none": None, "list": [1, "two", {"three": 3}], "table": {"a": {"b": 1}}}
    sent = BASIC(content_type="text/plain", content_encoding="utf-8", headers=headers, delivery_mode=2, priority=5, correlation_id="c",
                 reply_to="r", expiration="60000", message_id="m", timestamp=1234567890, type="t", user_id="guest", app_id="a", cluster_id="")
    confirm(w, "", q, b"x", sent)
    w.method(1, spec.Basic.Get(queue=q, no_ack=True))
    w.expect(spec.Basic.GetOk)
    time.sleep(0.2)
    w.sock.settimeout(2)
    while b"".join(sent.encode()) not in w.data:
        w.data += w.sock.recv(65536)


def reject_first(w, queue):
    w.method(1, spec.Basic.Get(queue=queue))
    tag = w.expect(spec.Basic.GetOk).delivery_tag
    w.next()
    w.next()
    w.method(1, spec.Basic.Reject(delivery_tag=tag, requeue=False))


def take(w, queue):
    """Waits for a message in the queue; (get-ok, properties)."""
    for _ in range(50):
        w.method(1, spec.Basic.Get(queue=queue, no_ack=True))
        got = w.next()[1]
        if isinstance(got, spec.Basic.GetOk):
            header = w.next()[1]
            w.next()
            return got, header.properties
        time.sleep(0.05)
    raise AssertionError("nothing in " + queue)


def without_time(deaths):
    for death in deaths:
        if abs(death.pop("time").timestamp() - time.time()) > 86400:
            raise AssertionError("a strange time")
    return deaths


def without_last_death(headers):
    """RabbitMQ 3.10 does not tell it yet."""
    return {key: value for key, value in headers.items() if not key.startswith("x-last-death-")}


def wait_for(w, queue, messages):
    for _ in range(100):
        if w.call(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk).message_count == messages:
            return
        time.sleep(0.05)
    raise AssertionError("no %d messages in %s" % (messages, queue))


def expect_death(w, target, source, reason, expiration=None):
    wait_for(w, target, 1)
    got, properties = take(w, target)
    death = {"count": 1, "reason": reason, "queue": source, "exchange": "", "routing-keys": [source]}
    if expiration is not None:
        death["original-expiration"] = expiration
    headers = without_last_death(properties.headers)
    same(without_time(headers.pop("x-death")), [death])
    same(headers, {"x-first-death-exchange": "", "x-first-death-queue": source, "x-first-death-reason": reason})
    same(properties.expiration, None)


def dead_lettering(w, **arguments):
    target = w.queue(name(), exclusive=True)
    arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
    arguments.update({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target})
    return w.queue(name(), exclusive=True, arguments=arguments), target


@test
def a_message_expires_by_its_queue():
    w = opened()
    source, target = dead_lettering(w, x_message_ttl=50)
    w.publish(1, "", source, b"m", BASIC())
    w.expect(spec.Basic.Ack)
    expect_death(w, target, source, "expired")


@test
def a_message_expires_by_its_own_time():
    w = opened()
    source, target = dead_lettering(w)
    w.publish(1, "", source, b"m", BASIC(expiration="50"))
    w.expect(spec.Basic.Ack)
    expect_death(w, target, source, "expired", "50")


@test
def the_head_is_dropped_for_length():
    w = opened()
    source, target = dead_lettering(w, x_max_length=1)
    for _ in range(2):
        w.publish(1, "", source, b"m", BASIC())
        w.expect(spec.Basic.Ack)
    expect_death(w, target, source, "maxlen")
    wait_for(w, source, 1)


@test
def the_head_is_dropped_for_bytes():
    w = opened()
    source, target = dead_lettering(w, x_max_length_bytes=10)
    for body in (b"12345", b"67890", b"x"):
        w.publish(1, "", source, body, BASIC())
        w.expect(spec.Basic.Ack)
    expect_death(w, target, source, "maxlen")
    wait_for(w, source, 2)


@test
def a_full_queue_refuses():
    w = opened()
    queue = w.queue(name(), exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    w.publish(1, "", queue, b"a", BASIC())
    w.expect(spec.Basic.Ack)
    w.publish(1, "", queue, b"b", BASIC())
    same(w.expect(spec.Basic.Nack).delivery_tag, 2)
    wait_for(w, queue, 1)


@test
def a_full_queue_dead_letters_what_it_refuses():
    w = opened()
    source, target = dead_lettering(w, x_max_length=1, x_overflow="reject-publish-dlx")
    w.publish(1, "", source, b"a", BASIC())
    w.expect(spec.Basic.Ack)
    w.publish(1, "", source, b"b", BASIC())
    w.expect(spec.Basic.Nack)
    expect_death(w, target, source, "maxlen")
    wait_for(w, source, 1)


@test
def urgent_messages_go_first():
    w = opened()
    queue = w.queue(name(), exclusive=True, arguments={"x-max-priority": 5})
    for body, priority in ((b"0", None), (b"9", 9), (b"3", 3), (b"5", 5), (b"1", 1)):
        w.publish(1, "", queue, body, BASIC(priority=priority))
        w.expect(spec.Basic.Ack)
    wait_for(w, queue, 5)
    same([take(w, queue)[1].priority for _ in range(5)], [9, 5, 3, 1, None])


@test
def an_unused_queue_expires():
    w = opened()
    queue = name()
    w.queue(queue, arguments={"x-expires": 100})
    time.sleep(0.6)
    w.method(1, spec.Queue.Declare(queue=queue, passive=True))
    same(w.expect(spec.Channel.Close).reply_code, 404)


@test
def a_rejected_message_goes_to_the_dead_letter_exchange_with_its_story():
    w = opened()
    target = w.queue(name(), exclusive=True)
    source = w.queue(name(), exclusive=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target})
    w.publish(1, "", source, b"m1", BASIC(headers={"h": 1, "CC": []}, delivery_mode=2, message_id="id1", expiration="60000"))
    w.expect(spec.Basic.Ack)
    reject_first(w, source)
    got, properties = take(w, target)
    same((got.exchange, got.routing_key, got.redelivered), ("", target, False))
    same((properties.message_id, properties.delivery_mode, properties.expiration), ("id1", 2, None))
    headers = properties.headers
    same(without_time(headers.pop("x-death")),
         [{"count": 1, "reason": "rejected", "queue": source, "exchange": "", "routing-keys": [source], "original-expiration": "60000"}])
    same(without_last_death(headers), {"h": 1, "x-first-death-exchange": "", "x-first-death-queue": source, "x-first-death-reason": "rejected"})


@test
def deaths_of_one_kind_are_counted_and_the_newest_comes_first():
    w = opened()
    a, b, x = name(), name(), name("x")
    w.exchange(x, "fanout")
    w.queue(a, exclusive=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": b})
    w.queue(b, exclusive=True, arguments={"x-dead-letter-exchange": x})
    w.call(spec.Queue.Bind(queue=a, exchange=x, routing_key=""), spec.Queue.BindOk)
    w.publish(1, "", a, b"x", BASIC(headers={"CC": ["nowhere"]}))
    w.expect(spec.Basic.Ack)
    for queue in (a, b, a):
        for _ in range(50):
            if w.call(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk).message_count:
                break
            time.sleep(0.05)
        reject_first(w, queue)
    got, properties = take(w, b)
    same([(d["queue"] == a, d["count"], d["routing-keys"]) for d in properties.headers["x-death"]],
         [(True, 2, [a, "nowhere"]), (False, 1, [b])])
    same(properties.headers["x-first-death-queue"], a)
    same("CC" in properties.headers, False)


@test
def a_poison_message_is_dead_lettered_past_the_delivery_limit():
    w = opened()
    target = w.queue(name(), exclusive=True)
    source = w.queue(name(), durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "",
                                                       "x-dead-letter-routing-key": target})
    w.publish(1, "", source, b"poison", BASIC(delivery_mode=2))
    w.expect(spec.Basic.Ack)
    consume(w, source, "t")
    for _ in range(3):
        tag = w.expect(spec.Basic.Deliver).delivery_tag
        w.next()
        w.next()
        w.method(1, spec.Basic.Nack(delivery_tag=tag, requeue=True))
    _, properties = take(w, target)
    same(without_time(properties.headers["x-death"]),
         [{"count": 1, "reason": "delivery_limit", "queue": source, "exchange": "", "routing-keys": [source]}])
    w.call(spec.Basic.Cancel(consumer_tag="t"), spec.Basic.CancelOk)
    w.call(spec.Queue.Delete(queue=source), spec.Queue.DeleteOk)


@test
def quorum_queues_count_deliveries():
    w = opened()
    q = w.queue(name(), durable=True, arguments={"x-queue-type": "quorum"})
    confirm(w, "", q, b"x", BASIC(delivery_mode=2))
    consume(w, q, "t")
    for count in range(3):
        deliver = w.expect(spec.Basic.Deliver)
        same(deliver.redelivered, count > 0)
        w.sock.settimeout(2)
        while len(w.data) < 7 + 20:
            w.data += w.sock.recv(65536)
        header = w.data[:w.data.index(b"\xce") + 1]
        same((b"x-delivery-countl" + count.to_bytes(8, "big")) in header, count > 0 or b"x-delivery-count" in header)
        w.next()
        w.next()
        w.method(1, spec.Basic.Nack(delivery_tag=deliver.delivery_tag, requeue=True))
    w.close()
    Wire(PORT).open().call(spec.Queue.Delete(queue=q), spec.Queue.DeleteOk)


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
