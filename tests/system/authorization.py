#!/usr/bin/python3
"""Virtual hosts, users and what they may do, on a broker that runs, set up with leveretctl. Which right a method needs, and
which refusal wins, was recorded of RabbitMQ 3.10.8.

    authorization.py LEVERETD LEVERETCTL"""
import json
import os
import ssl
import subprocess
import sys
import time

import pika
import pika.frame as frame
import pika.spec as spec

from leveretd import Leveretd, free_port, make_certificates, run

from wire import Closed, Wire

CTL = sys.argv[2]
BASIC = spec.BasicProperties
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def ctl(broker, *arguments, status=0, **popen):
    done = subprocess.run([CTL, "--data-dir", broker.data, "-q", *arguments], capture_output=True, text=True, **popen)
    if done.returncode != status:
        raise AssertionError("%r ended with %d: %s%s" % (arguments, done.returncode, done.stdout, done.stderr))
    return done.stdout


def rows(broker, *arguments):
    return json.loads(ctl(broker, *arguments, "--formatter", "json"))


def all_but(resource):
    return "^(?!%s$)" % resource.replace(".", "\\.")


def permit(broker, configure=".*", write=".*", read=".*", user="azu", vhost="az"):
    ctl(broker, "set_permissions", "-p", vhost, user, configure, write, read)


def set_up(broker):
    ctl(broker, "add_vhost", "az")
    ctl(broker, "add_user", "azu", "pw")
    ctl(broker, "set_permissions", "-p", "az", "guest", ".*", ".*", ".*")
    permit(broker)
    w = Wire(broker.port).open(vhost="az")
    for q, arguments in (("q", {}), ("dl", {"x-dead-letter-exchange": "ex"})):
        w.queue(q, durable=True, arguments=arguments)
    for x, kind, more in (("ex", "direct", {}), ("src", "fanout", {}), ("dst", "fanout", {}), ("to", "topic", {}),
                          ("int", "fanout", {"internal": True}), ("ae-user", "fanout", {"arguments": {"alternate-exchange": "src"}})):
        w.exchange(x, kind, durable=True, **more)
    w.call(spec.Queue.Bind(queue="q", exchange="ex", routing_key="q"), spec.Queue.BindOk)
    w.close()


def azu(broker, **more):
    return Wire(broker.port).open(vhost="az", user="azu", password="pw", **more)


def send(w, method, body=None, properties=None):
    w.method(1, method)
    if body is not None:
        w.send_raw(frame.Header(1, len(body), properties or BASIC()).marshal() + (frame.Body(1, body).marshal() if body else b""))


def outcome(w, method, body=None, properties=None):
    """What a method leads to: "ok", or the refusal."""
    send(w, method, body, properties)
    if body is not None:
        w.method(1, spec.Basic.Qos())
    got = w.next()[1]
    if isinstance(got, (spec.Channel.Close, spec.Connection.Close)):
        kind = "channel" if isinstance(got, spec.Channel.Close) else "connection"
        return "%s %d %s" % (kind, got.reply_code, got.reply_text)
    return "ok"


def refusal(kind, name):
    return "channel 403 ACCESS_REFUSED - access to %s '%s' in vhost 'az' refused for user 'azu'" % (kind, name)


X, Q = "exchange", "queue"
NOT_FOUND = "channel 404 NOT_FOUND - no %s 'nosuch' in vhost 'az'"
DEFAULT = "channel 403 ACCESS_REFUSED - operation not permitted on the default exchange"

# A method; what comes with every right; and each right it needs: of configure, write, read, on what.
METHODS = [
    (spec.Exchange.Declare(exchange="new", type="fanout", auto_delete=True), "ok", [("configure", X, "new")]),
    (spec.Exchange.Declare(exchange="ex", type="direct", durable=True), "ok", [("configure", X, "ex")]),
    (spec.Exchange.Declare(exchange="ex", type="", passive=True), "ok", []),
    (spec.Exchange.Declare(exchange="nosuch", type="", passive=True), NOT_FOUND % X, []),
    (spec.Exchange.Declare(exchange="new2", type="fanout", auto_delete=True, arguments={"alternate-exchange": "src"}), "ok",
     [("configure", X, "new2"), ("read", X, "new2"), ("write", X, "src")]),
    (spec.Exchange.Declare(exchange="new3", type="fanout", auto_delete=True, arguments={"alternate-exchange": "nosuch"}), "ok",
     [("configure", X, "new3"), ("read", X, "new3"), ("write", X, "nosuch")]),
    (spec.Exchange.Declare(exchange="ae-user", type="fanout", durable=True, arguments={"alternate-exchange": "src"}), "ok",
     [("configure", X, "ae-user")]),
    (spec.Exchange.Declare(exchange="amq.x", type="fanout"),
     "channel 403 ACCESS_REFUSED - exchange name 'amq.x' contains reserved prefix 'amq.*'", [("configure", X, "amq.x")]),
    (spec.Exchange.Declare(exchange="", type="fanout"), DEFAULT, []),
    (spec.Exchange.Declare(exchange="x", type="nosuch"), "connection 503 COMMAND_INVALID - unknown exchange type 'nosuch'", []),
    (spec.Exchange.Delete(exchange="nosuch"), "ok", [("configure", X, "nosuch")]),
    (spec.Exchange.Delete(exchange="amq.direct"),
     "channel 403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost 'az' not allowed", []),
    (spec.Exchange.Delete(exchange=""), DEFAULT, []),
    (spec.Exchange.Bind(destination="dst", source="src"), "ok", [("write", X, "dst"), ("read", X, "src")]),
    (spec.Exchange.Unbind(destination="dst", source="src"), "ok", [("write", X, "dst"), ("read", X, "src")]),
    (spec.Exchange.Bind(destination="dst", source="nosuch"), NOT_FOUND % X, [("write", X, "dst"), ("read", X, "nosuch")]),
    (spec.Exchange.Bind(destination="dst", source=""), DEFAULT, [("write", X, "dst")]),
    (spec.Exchange.Bind(destination="", source="src"), DEFAULT, [("write", X, "amq.default")]),
    (spec.Queue.Declare(queue="new", auto_delete=True), "ok", [("configure", Q, "new")]),
    (spec.Queue.Declare(queue="q", durable=True), "ok", [("configure", Q, "q")]),
    (spec.Queue.Declare(queue="q", passive=True), "ok", []),
    (spec.Queue.Declare(queue="nosuch", passive=True), NOT_FOUND % Q, []),
    (spec.Queue.Declare(queue="new4", exclusive=True), "ok", [("configure", Q, "new4")]),
    (spec.Queue.Declare(queue="amq.x"), "channel 403 ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'", []),
    (spec.Queue.Declare(queue="new5", exclusive=True, arguments={"x-dead-letter-exchange": "ex"}), "ok",
     [("configure", Q, "new5"), ("read", Q, "new5"), ("write", X, "ex")]),
    (spec.Queue.Declare(queue="new6", exclusive=True, arguments={"x-dead-letter-exchange": ""}), "ok",
     [("configure", Q, "new6"), ("read", Q, "new6"), ("write", X, "amq.default")]),
    (spec.Queue.Declare(queue="new7", exclusive=True, arguments={"x-dead-letter-exchange": "nosuch"}), "ok",
     [("configure", Q, "new7"), ("read", Q, "new7"), ("write", X, "nosuch")]),
    (spec.Queue.Declare(queue="dl", durable=True, arguments={"x-dead-letter-exchange": "ex"}), "ok", [("configure", Q, "dl")]),
    (spec.Queue.Delete(queue="nosuch"), "ok", [("configure", Q, "nosuch")]),
    (spec.Queue.Bind(queue="q", exchange="ex"), "ok", [("write", Q, "q"), ("read", X, "ex")]),
    (spec.Queue.Bind(queue="q", exchange="nosuch"), NOT_FOUND % X, [("write", Q, "q"), ("read", X, "nosuch")]),
    (spec.Queue.Bind(queue="nosuch", exchange="ex"), NOT_FOUND % Q, [("write", Q, "nosuch"), ("read", X, "ex")]),
    (spec.Queue.Bind(queue="q", exchange=""), DEFAULT, [("write", Q, "q")]),
    (spec.Queue.Unbind(queue="q", exchange="ex", routing_key="none"), "ok", [("write", Q, "q"), ("read", X, "ex")]),
    (spec.Queue.Bind(queue="q", exchange="int"), "ok", [("write", Q, "q"), ("read", X, "int")]),
    (spec.Queue.Purge(queue="q"), "ok", [("read", Q, "q")]),
    (spec.Queue.Purge(queue="nosuch"), NOT_FOUND % Q, [("read", Q, "nosuch")]),
    (spec.Basic.Consume(queue="q"), "ok", [("read", Q, "q")]),
    (spec.Basic.Consume(queue="nosuch"), NOT_FOUND % Q, [("read", Q, "nosuch")]),
    (spec.Basic.Consume(queue="amq.rabbitmq.reply-to", no_ack=True), "ok", []),
    (spec.Basic.Get(queue="q"), "ok", [("read", Q, "q")]),
    (spec.Basic.Get(queue="nosuch"), NOT_FOUND % Q, [("read", Q, "nosuch")]),
    (spec.Basic.Qos(prefetch_count=1), "ok", []),
    (spec.Basic.Recover(requeue=True), "ok", []),
    (spec.Confirm.Select(), "ok", []),
    (spec.Tx.Select(), "ok", []),
]
PUBLISHES = [
    ("ex", "ok", [("write", X, "ex")]),
    ("", "ok", [("write", X, "amq.default")]),
    ("nosuch", NOT_FOUND % X, [("write", X, "nosuch")]),
    ("int", "channel 403 ACCESS_REFUSED - cannot publish to internal exchange 'int' in vhost 'az'", [("write", X, "int")]),
    ("ae-user", "ok", [("write", X, "ae-user")]),
]


@test
def each_method_needs_its_rights_and_no_others():
    with Leveretd() as broker:
        set_up(broker)
        owner = Wire(broker.port).open(vhost="az")
        cases = [(m, None, good, needs) for m, good, needs in METHODS]
        cases += [(spec.Basic.Publish(exchange=x, routing_key="q"), b"body", good, needs) for x, good, needs in PUBLISHES]
        for method, body, good, needs in cases:
            def same(what, expected):
                if isinstance(method, spec.Exchange.Declare) and method.exchange.startswith("new"):
                    owner.call(spec.Exchange.Delete(exchange=method.exchange), spec.Exchange.DeleteOk)
                w = azu(broker)
                got = outcome(w, method, body)
                w.close()
                if got != expected:
                    raise AssertionError("%r %s: expected %r, got %r" % (method, what, expected, got))
            permit(broker)
            same("with every right", good)
            for right, kind, name in needs:
                permit(broker, **{right: all_but(name)})
                same("without %s on %s" % (right, name), refusal(kind, name))
            # What is not needed is not asked for.
            granted = {right: "^$" for right in ("configure", "write", "read")}
            for right in granted:
                names = [n.replace(".", "\\.") for r, _, n in needs if r == right]
                if names:
                    granted[right] = "^(%s)$" % "|".join(names)
            permit(broker, **granted)
            same("with just its rights", good)


@test
def the_first_refusal_wins():
    with Leveretd() as broker:
        set_up(broker)
        for rights, method, body, properties, expected in [
                ({"write": "^$", "read": "^$"}, spec.Queue.Bind(queue="q", exchange="ex"), None, None, refusal(Q, "q")),
                ({"read": "^$"}, spec.Queue.Bind(queue="nosuch", exchange="ex"), None, None, refusal(X, "ex")),
                ({"configure": "^$"}, spec.Queue.Declare(queue="new", arguments={"x-max-length": "x"}), None, None, refusal(Q, "new")),
                ({"configure": "^$"}, spec.Queue.Declare(queue="q"), None, None, refusal(Q, "q")),
                ({"configure": "^$"}, spec.Exchange.Declare(exchange="x", type="nosuch"), None, None,
                 "connection 503 COMMAND_INVALID - unknown exchange type 'nosuch'"),
                ({"write": "^$"}, spec.Basic.Publish(exchange="ex"), b"", BASIC(user_id="guest"), refusal(X, "ex")),
                ({"write": "^$"}, spec.Basic.Publish(exchange="ex"), b"", BASIC(expiration="x"), refusal(X, "ex")),
                ({}, spec.Basic.Publish(exchange="ex"), b"", BASIC(user_id="guest"),
                 "channel 406 PRECONDITION_FAILED - user_id property set to 'guest' but authenticated user was 'azu'")]:
            permit(broker, **rights)
            w = azu(broker)
            got = outcome(w, method, body, properties)
            assert got == expected, (method, got, expected)
            w.close()
        ctl(broker, "set_user_tags", "azu", "impersonator")
        permit(broker)
        assert outcome(azu(broker), spec.Basic.Publish(exchange="ex"), b"", BASIC(user_id="guest")) == "ok"


@test
def names_that_the_broker_makes_need_the_right_to_make_them():
    with Leveretd() as broker:
        set_up(broker)
        permit(broker, configure="^q")
        got = outcome(azu(broker), spec.Queue.Declare(exclusive=True))
        assert got.startswith("channel 403 ACCESS_REFUSED - access to queue 'amq.gen-"), got
        permit(broker, configure="^amq\\.gen-")
        assert outcome(azu(broker), spec.Queue.Declare(exclusive=True)) == "ok"


@test
def topics_count_on_topic_exchanges_of_which_something_is_said():
    def topic(key):
        return "channel 403 ACCESS_REFUSED - access to topic '%s' in exchange 'to' in vhost 'az' refused for user 'azu'" % key
    publish = lambda exchange, key: (spec.Basic.Publish(exchange=exchange, routing_key=key), b"")
    bind = lambda key: (spec.Queue.Bind(queue="q", exchange="to", routing_key=key), None)
    with Leveretd() as broker:
        set_up(broker)

        def expect(case, expected):
            w = azu(broker)
            got = outcome(w, *case)
            assert got == expected, (case, got, expected)
            w.close()
        expect(publish("to", "b.1"), "ok")
        ctl(broker, "set_topic_permissions", "-p", "az", "azu", "to", "^a", "^b")
        expect(publish("to", "a.1"), "ok")
        expect(publish("to", "b.1"), topic("b.1"))
        expect(publish("amq.topic", "b.1"), "ok")
        expect(publish("ex", "b.1"), "ok")
        expect(bind("a.1"), topic("a.1"))
        expect(bind("b.1"), "ok")
        expect((spec.Queue.Unbind(queue="q", exchange="to", routing_key="a.1"), None), topic("a.1"))
        expect((spec.Exchange.Bind(destination="dst", source="to", routing_key="a.1"), None), topic("a.1"))
        expect((spec.Exchange.Bind(destination="to", source="src", routing_key="a.1"), None), "ok")
        expect(publish("to", ""), topic(""))
        ctl(broker, "set_topic_permissions", "-p", "az", "azu", "to", "", "")
        expect(publish("to", ""), "ok")
        ctl(broker, "set_topic_permissions", "-p", "az", "azu", "to", "^{username}\\.", "^{vhost}\\.")
        expect(publish("to", "azu.x"), "ok")
        expect(publish("to", "{username}.x"), topic("{username}.x"))
        expect(bind("az.x"), "ok")
        expect(bind("azu.x"), topic("azu.x"))
        w, owner = azu(broker), Wire(broker.port).open(vhost="az")
        assert outcome(w, *publish("dst", "b.1")) == "ok"
        ctl(broker, "set_topic_permissions", "-p", "az", "azu", "dst", "^a", "")
        assert outcome(w, *publish("dst", "b.1")) == "ok", "it is none of type topic"
        owner.call(spec.Exchange.Delete(exchange="dst"), spec.Exchange.DeleteOk)
        owner.exchange("dst", "topic", durable=True)
        assert outcome(w, *publish("dst", "b.1")) == topic("b.1").replace("'to'", "'dst'"), "it is now"
        ctl(broker, "clear_topic_permissions", "-p", "az", "azu", "to")
        expect(publish("to", "b.1"), "ok")


@test
def what_is_revoked_is_refused_from_the_next_method_on():
    with Leveretd() as broker:
        set_up(broker)
        publisher, consumer = azu(broker), azu(broker)
        consumer.call(spec.Basic.Consume(queue="q", consumer_tag="mine", no_ack=True), spec.Basic.ConsumeOk)
        for _ in range(100):
            send(publisher, spec.Basic.Publish(exchange="ex", routing_key="q"), b"before")
        publisher.call(spec.Basic.Qos(), spec.Basic.QosOk)
        for _ in range(100):
            for expected in (spec.Basic.Deliver, str, bytes):
                assert isinstance(consumer.next()[1], expected)
        permit(broker, write="^$", read="^$")
        assert consumer.expect(spec.Basic.Cancel).consumer_tag == "mine"
        got = outcome(publisher, spec.Basic.Publish(exchange="ex", routing_key="q"), b"after")
        assert got == refusal(X, "ex"), got
        ctl(broker, "clear_permissions", "-p", "az", "azu")
        assert outcome(consumer, spec.Queue.Declare(queue="other", exclusive=True)) == refusal(Q, "other")


@test
def logins_say_one_thing_whatever_was_wrong():
    text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."
    with Leveretd() as broker:
        set_up(broker)
        ctl(broker, "add_user", "nopw", "")
        for user, password in (("azu", "wrong"), ("azu", ""), ("nobody", "pw"), ("nopw", ""), ("nopw", "x")):
            w = Wire(broker.port)
            w.start(user=user, password=password)
            close = w.expect(spec.Connection.Close)
            assert (close.reply_code, close.reply_text) == (403, text), (user, close)
        began = time.monotonic()
        w = Wire(broker.port)
        w.start(user="azu", password="wrong", capabilities={})
        try:
            assert w.next(8) is None, "something was said"
            raise AssertionError("it was not closed")
        except Closed:
            assert time.monotonic() - began >= 2, "it was closed at once"


def opening(broker, user="azu", password="pw", vhost="az"):
    w = Wire(broker.port)
    w.start(user=user, password=password)
    w.tune()
    w.method(0, spec.Connection.Open(virtual_host=vhost))
    got = w.next()[1]
    return w, "ok" if isinstance(got, spec.Connection.OpenOk) else "%d %s" % (got.reply_code, got.reply_text)


@test
def a_vhost_is_entered_with_permission_and_within_limits():
    with Leveretd() as broker:
        set_up(broker)
        refused = lambda vhost: "530 NOT_ALLOWED - access to vhost '%s' refused for user 'azu'" % vhost
        assert opening(broker, vhost="/")[1] == refused("/")
        ctl(broker, "set_user_tags", "azu", "administrator")
        assert opening(broker, vhost="/")[1] == refused("/")
        assert opening(broker, vhost="nosuch")[1] == "530 NOT_ALLOWED - vhost nosuch not found"
        ctl(broker, "set_vhost_limits", "-p", "az", '{"max-connections": 1}')
        w, got = opening(broker)
        assert got == "ok"
        assert opening(broker)[1] == refused("az") + ": connection limit (1) is reached"
        ctl(broker, "clear_vhost_limits", "-p", "az")
        ctl(broker, "set_user_limits", "azu", '{"max-connections": 1, "max-channels": 2}')
        assert opening(broker)[1] == "530 NOT_ALLOWED - connection refused for user 'azu': user connection limit (1) is reached"
        w.channel(1)
        w.channel(2)
        w.method(3, spec.Channel.Open())
        close = w.expect(spec.Connection.Close)
        assert close.reply_text == ("NOT_ALLOWED - number of channels opened for user 'azu' has reached the maximum allowed user "
                                    "limit of (2)"), close
        w.close()
        deadline = time.monotonic() + 10
        while opening(broker)[1] != "ok":
            assert time.monotonic() < deadline


@test
def who_is_deleted_is_sent_away():
    with Leveretd() as broker:
        set_up(broker)
        one, other = azu(broker), Wire(broker.port).open(vhost="az")
        ctl(broker, "delete_user", "azu")
        close = one.expect(spec.Connection.Close)
        assert (close.reply_code, close.reply_text) == (320, "CONNECTION_FORCED - user 'azu' is deleted"), close
        other.call(spec.Basic.Consume(queue="q", consumer_tag="tag"), spec.Basic.ConsumeOk)
        ctl(broker, "delete_vhost", "az")
        got = other.next()[1]
        if isinstance(got, spec.Basic.Cancel):
            got = other.next()[1]
        assert (got.reply_code, got.reply_text) == (320, "CONNECTION_FORCED - vhost 'az' is deleted"), got
        assert opening(broker, "guest", "guest")[1] == "530 NOT_ALLOWED - vhost az not found"


@test
def all_of_it_is_there_after_a_crash():
    with Leveretd() as broker:
        set_up(broker)
        ctl(broker, "set_topic_permissions", "-p", "az", "azu", "to", "^a", "^b")
        ctl(broker, "set_policy", "-p", "az", "short", "^q", '{"max-length": 1}', "--apply-to", "queues")
        ctl(broker, "set_user_limits", "azu", '{"max-connections": 5}')
        ctl(broker, "set_vhost_limits", "-p", "az", '{"max-queues": 9}')
        ctl(broker, "set_global_parameter", "gp", '{"a": 1}')
        ctl(broker, "add_vhost", "gone")
        ctl(broker, "set_permissions", "-p", "gone", "azu", "x", "x", "x")
        ctl(broker, "delete_vhost", "gone")
        ctl(broker, "change_password", "azu", "new")
        before = ctl(broker, "export_definitions", "-")
        for _ in range(2):
            broker.kill()
            broker.start()
            assert sorted_lists(ctl(broker, "export_definitions", "-")) == sorted_lists(before)
            w = Wire(broker.port)
            w.start(user="azu", password="pw")
            w.expect(spec.Connection.Close)
            assert opening(broker, password="new")[1] == "ok"
            assert opening(broker, "guest", "guest")[1] == "ok"
        assert "gone" not in before
        ctl(broker, "delete_user", "guest")
        broker.stop()
        broker.start()
        assert [row["user"] for row in rows(broker, "list_users")] == ["azu"]


def sorted_lists(text):
    return {key: sorted(value, key=json.dumps) if isinstance(value, list) else value for key, value in json.loads(text).items()}


@test
def a_vhost_with_much_in_it_goes_while_others_work_and_through_a_crash():
    with Leveretd() as broker:
        ctl(broker, "add_vhost", "big")
        ctl(broker, "set_permissions", "-p", "big", "guest", ".*", ".*", ".*")
        w = Wire(broker.port).open(vhost="big")
        for i in range(1500):
            w.method(1, spec.Queue.Declare(queue="q%d" % i, durable=True, nowait=True))
            w.method(1, spec.Queue.Bind(queue="q%d" % i, exchange="amq.fanout", nowait=True))
        w.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        send(w, spec.Basic.Publish(exchange="amq.fanout"), b"to all", BASIC(delivery_mode=2))
        w.expect(spec.Basic.Ack)
        assert len(rows(broker, "list_queues", "-p", "big", "name")) == 1500
        w.close()
        ctl(broker, "delete_vhost", "big")
        broker.kill()
        broker.start()
        ctl(broker, "add_vhost", "big")
        assert rows(broker, "list_queues", "-p", "big", "name") == []
        deadline = time.monotonic() + 30
        while json.loads(ctl(broker, "status", "--formatter", "json"))["figures"]["queues"] > 0:
            assert time.monotonic() < deadline, "what was in it is still there"
            time.sleep(0.05)
        broker.stop()
        broker.start()
        assert json.loads(ctl(broker, "status", "--formatter", "json"))["figures"]["queues"] == 0


@test
def a_vhost_says_the_type_of_queues_that_say_none():
    with Leveretd() as broker:
        ctl(broker, "add_vhost", "q", "--default-queue-type", "quorum")
        ctl(broker, "add_vhost", "bad", "--default-queue-type", "nosuch", status=65)
        ctl(broker, "set_permissions", "-p", "q", "guest", ".*", ".*", ".*")
        broker.stop()
        broker.start()
        w = Wire(broker.port).open(vhost="q")
        for _ in range(2):
            w.queue("durable", durable=True)
        w.queue("fleeting", exclusive=True)
        w.queue("said", durable=True, arguments={"x-queue-type": "classic"})
        types = {row["name"]: row["arguments"].get("x-queue-type") for row in rows(broker, "list_queues", "-p", "q", "name", "arguments")}
        assert types == {"durable": "quorum", "fleeting": None, "said": "classic"}, types


@test
def connections_are_listed_and_closed():
    with Leveretd() as broker:
        set_up(broker)
        one, two, other = azu(broker), azu(broker), Wire(broker.port).open()
        listed = rows(broker, "list_connections", "user", "vhost", "state", "channels")
        assert sorted(row["user"] for row in listed) == ["azu", "azu", "guest"], listed
        assert {(row["vhost"], row["state"], row["channels"]) for row in listed} == {("az", "running", 1), ("/", "running", 1)}
        name = "127.0.0.1:%d" % one.sock.getsockname()[1]
        ctl(broker, "close_connection", name, "go away")
        close = one.expect(spec.Connection.Close)
        assert (close.reply_code, close.reply_text) == (320, "CONNECTION_FORCED - go away"), close
        ctl(broker, "close_connection", "nobody", "go away")
        ctl(broker, "close_all_connections", "-p", "az", "all of you")
        assert two.expect(spec.Connection.Close).reply_text == "CONNECTION_FORCED - all of you"
        other.call(spec.Basic.Qos(), spec.Basic.QosOk)
        ctl(broker, "close_all_connections", "--global", "the rest")
        other.expect(spec.Connection.Close)


@test
def who_has_a_certificate_needs_no_password():
    broker = Leveretd()
    make_certificates(broker.directory)
    path = lambda name: os.path.join(broker.directory, name)
    port = free_port()
    tls = ("listeners.ssl.default = 127.0.0.1:%d\nssl_options.certfile = %s\nssl_options.keyfile = %s\nssl_options.cacertfile = %s\n"
           "ssl_options.verify = verify_peer\n" % (port, path("server.pem"), path("server.key"), path("ca.pem")))

    def login(with_certificate=True):
        context = ssl.create_default_context(cafile=path("ca.pem"))
        if with_certificate:
            context.load_cert_chain(path("client.pem"), path("client.key"))
        pika.BlockingConnection(pika.ConnectionParameters(
            port=port, virtual_host="az", credentials=pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context, "localhost"))).close()

    def refused(*arguments):
        try:
            login(*arguments)
        except pika.exceptions.AMQPError:
            return True
        return False
    broker.configure(tls + "auth_mechanisms.external = true\nssl_cert_login_from = common_name\n")
    with broker:
        ctl(broker, "add_vhost", "az")
        assert refused(), "there is no such user"
        ctl(broker, "add_user", "localhost", "")
        assert refused(), "he may not enter"
        permit(broker, user="localhost")
        login()
        assert refused(False), "without a certificate"
        start = Wire(broker.port).expect(spec.Connection.Start)
        assert str(start.mechanisms).strip("b'") == "PLAIN AMQPLAIN", start.mechanisms
        broker.configure(tls + "auth_mechanisms.external = true\n")
        broker.stop()
        broker.start()
        assert refused(), "that is not his distinguished name"
        ctl(broker, "add_user", "CN=localhost", "")
        permit(broker, user="CN=localhost")
        login()
        broker.stop()
        broker.configure(tls)
        broker.start()
        assert refused(), "it is off"


@test
def nobody_may_log_in_as_nobody_unless_it_is_said():
    with Leveretd() as broker:
        set_up(broker)
        w = Wire(broker.port)
        w.start(mechanism="ANONYMOUS", response="x")
        w.expect(spec.Connection.Close)
        broker.stop()
        broker.configure("anonymous_login_user = azu\n")
        broker.start()
        w = Wire(broker.port).open(vhost="az", mechanism="ANONYMOUS", response="x")
        w.queue("q", passive=True)
        assert rows(broker, "list_connections", "user")[0]["user"] == "azu"


@test
def who_goes_while_his_password_is_looked_at_leaves_nothing_behind():
    with Leveretd() as broker:
        for i in range(30):
            ctl(broker, "add_user", "u%d" % (i % 3), "pw", status=0 if i < 3 else 70)
            w = Wire(broker.port)
            w.start(user="u%d" % (i % 3), password="x" if i % 10 == 9 else "pw")
            w.close()
        assert opening(broker, "guest", "guest", "/")[1] == "ok"
        waiting = [Wire(broker.port) for _ in range(6)]
        for i, w in enumerate(waiting):
            w.start(user="nobody%d" % i, password="x")
        assert broker.stop() == 0


@test
def definitions_of_rabbitmq_can_be_imported():
    definitions = {
        "rabbit_version": "3.10.8", "vhosts": [{"name": "/"}, {"name": "shop"}],
        "users": [{"name": "carl", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["management"], "limits": {}}],
        "permissions": [{"user": "carl", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*"}],
        "policies": [{"vhost": "shop", "name": "short", "pattern": "^orders", "apply-to": "queues", "priority": 0,
                      "definition": {"max-length": 2}}],
        "queues": [{"name": "orders", "vhost": "shop", "durable": True, "auto_delete": False, "arguments": {}}],
        "exchanges": [{"name": "events", "vhost": "shop", "type": "topic", "durable": True, "auto_delete": False, "internal": False,
                       "arguments": {}}],
        "bindings": [{"source": "events", "vhost": "shop", "destination": "orders", "destination_type": "queue",
                      "routing_key": "order.#", "arguments": {}}]}
    with Leveretd() as broker:
        path = os.path.join(broker.directory, "definitions.json")
        with open(path, "w") as f:
            json.dump(definitions, f)
        assert "created: vhosts 'shop'" in ctl(broker, "import_definitions", path, "--dry-run")
        assert "shop" not in ctl(broker, "list_vhosts")
        ctl(broker, "import_definitions", path)
        connection = pika.BlockingConnection(pika.ConnectionParameters(
            port=broker.port, virtual_host="shop", credentials=pika.PlainCredentials("carl", "test12")))
        channel = connection.channel()
        for _ in range(3):
            channel.basic_publish("events", "order.new", b"")
        assert channel.queue_declare("orders", passive=True).method.message_count == 2
        connection.close()
        definitions["queues"][0]["arguments"] = {"x-max-priority": 5}
        definitions["vhosts"].append({"name": "late"})
        with open(path, "w") as f:
            json.dump(definitions, f)
        ctl(broker, "import_definitions", path, status=70)
        assert "late" not in ctl(broker, "list_vhosts")


@test
def nothing_secret_is_where_others_look():
    with Leveretd("default_pass = Sesame77\n") as broker:
        ctl(broker, "add_user", "ann", input="Hidden88\n")
        w = Wire(broker.port)
        w.start(user="ann", password="Hidden88")
        w.expect(spec.Connection.Tune)
        with open("/proc/%d/cmdline" % broker.process.pid) as f:
            texts = [broker.log(), f.read(), ctl(broker, "list_users"), ctl(broker, "status"), ctl(broker, "export_definitions", "-")]
        broker.stop()
        for root, _, files in os.walk(broker.data):
            for name in files:
                with open(os.path.join(root, name), "rb") as f:
                    texts.append(f.read().decode("latin-1"))
        for text in texts:
            assert "Sesame77" not in text and "Hidden88" not in text


run(TESTS)
