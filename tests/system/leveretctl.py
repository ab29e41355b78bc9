#!/usr/bin/python3
"""leveretctl beyond rabbitmqctl: messages looked at, moved and explained, a live screen, diagnostics, other hosts, many rows.

  leveretctl.py LEVERETD LEVERETCTL"""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tarfile
import termios
import time

import pika

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import Leveretd, free_port, run  # noqa: E402

CTL = sys.argv[2]
TESTS = []


def test(f):
    TESTS.append(f)
    return f


class Broker(Leveretd):
    """With management on a port of its own."""

    def __init__(self, config="", **more):
        self.management = free_port()
        super().__init__("management.tcp.port = %d\nprometheus.enabled = false\n%s" % (self.management, config), **more)

    def channel(self):
        self.connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port))
        return self.connection.channel()

    def run(self, *arguments, status=0, **more):
        done = subprocess.run([CTL, "--data-dir", self.data, *arguments], capture_output=True, text=True, timeout=60, **more)
        assert done.returncode == status, (arguments, done)
        return done

    def ctl(self, *arguments, **more):
        return self.run(*arguments, **more).stdout

    def json(self, *arguments, **more):
        return json.loads(self.ctl(*arguments, "--formatter", "json", **more))


def seed(broker):
    """The incident: orders that were rejected are in a dead-letter queue."""
    ch = broker.channel()
    ch.exchange_declare("dead", "direct", durable=True)
    ch.queue_declare("orders.process.dlq", durable=True)
    ch.queue_bind("orders.process.dlq", "dead", "orders.process")
    ch.queue_declare("orders.process", durable=True, arguments={
        "x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "orders.process", "x-message-ttl": 86400000})
    for i in range(3):
        ch.basic_publish("", "orders.process", b'{"order": %d}' % i, pika.BasicProperties(delivery_mode=2, headers={"n": i}))
    for _ in range(3):
        while True:
            method, _, _ = ch.basic_get("orders.process")
            if method is not None:
                break
        ch.basic_reject(method.delivery_tag, requeue=False)
    ch.connection.process_data_events(0.1)
    return ch


# --- messages ---

@test
def dead_letters_are_found_looked_into_and_put_back():
    with Broker() as broker:
        ch = seed(broker)
        assert "orders.process.dlq\t3\n" in broker.ctl("list_queues")
        text = broker.ctl("peek", "orders.process.dlq", "--count", "2")
        assert text.count("\n  body: ") == 2 and '{"order": 0}' in text and "more: --from" in text, text
        assert '"reason":"rejected"' in text.replace(" ", ""), text
        found = broker.json("peek", "orders.process.dlq", "--from", "0")["messages"]
        assert [m["payload"] for m in found] == ['{"order": %d}' % i for i in range(3)], found
        would = broker.json("replay", "orders.process.dlq", "--dry-run")
        assert would["would_move"] == 3 and would["refused"] == 0, would
        assert "orders.process.dlq\t3\n" in broker.ctl("list_queues")
        assert broker.json("replay", "orders.process.dlq", "--count", "1")["moved"] == 1
        assert "moved\t2\n" in broker.ctl("replay", "orders.process.dlq", "--reason", "rejected")
        rows = {row["name"]: row["messages"] for row in broker.json("list_queues")}
        assert rows == {"orders.process": 3, "orders.process.dlq": 0}, rows
        got = [ch.basic_get("orders.process", auto_ack=True) for _ in range(3)]
        assert sorted((p.headers["n"], b) for _, p, b in got) == [(i, b'{"order": %d}' % i) for i in range(3)], got


@test
def messages_are_moved_elsewhere_and_what_nobody_takes_stays():
    with Broker() as broker:
        ch = seed(broker)
        ch.queue_declare("aside", durable=True)
        assert broker.json("move", "orders.process.dlq", "--to-queue", "aside", "--count", "2")["moved"] == 2
        refused = broker.run("move", "orders.process.dlq", "--to", "dead", "--routing-key", "nobody", status=69)
        assert "refused\t1\n" in refused.stdout, refused
        rows = {row["name"]: row["messages"] for row in broker.json("list_queues")}
        assert rows["aside"] == 2 and rows["orders.process.dlq"] == 1, rows
        assert "says where to" in broker.run("move", "aside", status=64).stderr
        assert "move" in broker.run("replay", "aside", "--to-queue", "x", status=64).stderr
        assert broker.run("peek", "nosuch", status=69).stderr.startswith("Error:\n")


@test
def unacked_messages_are_seen_without_being_touched():
    with Broker() as broker:
        ch = broker.channel()
        ch.queue_declare("q")
        ch.basic_publish("", "q", b"\x00\x1b[2J\xff")
        ch.basic_get("q")
        found = broker.json("peek", "q", "--state", "unacked")["messages"]
        assert len(found) == 1 and found[0]["payload_encoding"] == "base64", found
        text = broker.ctl("peek", "q")
        assert "\x1b" not in text and "body, base64" in text, text
        assert broker.json("list_queues", "name", "messages_unacknowledged") == [{"name": "q", "messages_unacknowledged": 1}]


@test
def routes_and_rights_are_explained():
    with Broker() as broker:
        ch = seed(broker)
        assert broker.ctl("explain", "route", "dead", "orders.process") == "orders.process.dlq\n"
        assert broker.ctl("explain", "route", "", "orders.process") == "orders.process\n"
        assert "no queue" in broker.ctl("explain", "route", "dead", "x")
        ch.exchange_declare("h", "headers")
        ch.queue_bind("orders.process", "h", "", {"a": 1, "x-match": "all"})
        assert broker.ctl("explain", "route", "h", "", "--headers", '{"a": 1}') == "orders.process\n"
        assert broker.ctl("explain", "may", "guest", "read", "q").startswith("yes: the pattern is '.*'")
        broker.ctl("add_user", "ann", "pw")
        assert "no permissions" in broker.run("explain", "may", "ann", "write", "q", status=69).stdout
        broker.ctl("set_permissions", "ann", "^a", "^a", "^a")
        assert broker.run("explain", "may", "ann", "write", "q", status=69).stdout == "no: the pattern is '^a'\n"


# --- lists ---

@test
def lists_of_many_rows_are_whole():
    with Broker() as broker:
        ch = broker.channel()
        for i in range(3000):
            ch.queue_declare("q%04d" % i, exclusive=i % 2 == 0)
        names = broker.ctl("-s", "list_queues", "name").split()
        assert names == ["q%04d" % i for i in range(3000)]
        owners = {row["owner_pid"] for row in broker.json("list_queues", "owner_pid")}
        [connection] = broker.json("list_connections", "name", "host", "port")
        assert connection["name"].endswith(" -> 127.0.0.1:%d" % broker.port) and connection["port"] == broker.port, connection
        assert owners == {"", connection["name"]}, owners
        assert len(broker.ctl("-s", "list_bindings").splitlines()) == 3000


@test
def values_are_json_and_nothing_moves_a_cursor():
    with Broker() as broker:
        ch = broker.channel()
        ch.queue_declare("evil\x1b[2Jname\t", arguments={"x-max-length": 5, "x-overflow": "reject-publish"})
        [line] = broker.ctl("-s", "list_queues", "name", "arguments").splitlines()
        assert line == 'evil\\x1b[2Jname\\t\t{"x-max-length":5,"x-overflow":"reject-publish"}', line
        assert "\x1b" not in broker.ctl("list_queues", "--formatter", "pretty_table")
        assert broker.json("list_queues", "arguments") == [{"arguments": {"x-max-length": 5, "x-overflow": "reject-publish"}}]


@test
def all_columns_that_are_known_can_be_asked_for():
    with Broker() as broker:
        ch = broker.channel()
        ch.queue_declare("q")
        ch.basic_consume("q", lambda *a: None)
        ch.connection.process_data_events(0.1)
        for verb in ("list_queues", "list_exchanges", "list_bindings", "list_connections", "list_channels", "list_consumers", "list_vhosts"):
            columns = broker.ctl("help", verb).split("one or more of ")[1].split()
            rows = broker.json(verb, *columns)
            assert rows and list(rows[0]) == columns, (verb, rows)


# --- other hosts, other settings ---

@test
def another_host_is_asked_with_a_login():
    with Broker() as broker:
        seed(broker)
        url = ("--url", "http://127.0.0.1:%d" % broker.management, "--data-dir", "/nosuch")
        assert "orders.process.dlq\t3" in broker.ctl("list_queues", *url, "--login", "guest:guest")
        assert broker.json("peek", "orders.process.dlq", *url, "--login", "guest:guest")["messages"][0]["position"] >= 0
        assert "--login" in broker.run("list_queues", *url, status=69).stderr
        assert "--login" in broker.run("list_queues", *url, "--login", "guest:wrong", status=69).stderr
        assert "machine only" in broker.run("list_users", *url, "--login", "guest:guest", status=69).stderr


@test
def operator_is_served_without_management_and_nobody_else_can_open_the_socket():
    with Broker("management.enabled = false\n") as broker:
        seed(broker)
        assert "orders.process.dlq\t3" in broker.ctl("list_queues")
        assert broker.json("status")["totals"]["queue_count"] == 2
        assert os.stat(os.path.join(broker.data, "http")).st_mode & 0o777 == 0o600
        assert broker.stop() == 0
        assert not os.path.exists(os.path.join(broker.data, "http"))
        assert "no broker answers" in broker.run("list_queues", status=69).stderr


@test
def waiting_for_an_answer_has_an_end():
    with Broker() as broker:
        broker.process.send_signal(19)
        try:
            assert "in time" in broker.run("list_queues", "-t", "1", status=75).stderr
        finally:
            broker.process.send_signal(18)


# --- the live screen ---

class Terminal:
    """leveretctl top in a terminal of this size."""

    def __init__(self, broker, rows, columns):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(CTL, [CTL, "--data-dir", broker.data, "top"])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.text = b""

    def wait_for(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 65536)

    def end(self, key):
        os.write(self.fd, key)
        self.wait_for(b"\x1b[?25h")
        return os.waitpid(self.pid, 0)[1]


@test
def top_shows_the_fullest_queues_again_and_again_and_q_ends_it():
    with Broker() as broker:
        ch = seed(broker)
        t = Terminal(broker, 24, 100)
        t.wait_for(b"orders.process.dlq")
        t.text = b""
        ch.queue_declare("news")
        t.wait_for(b"queues 3")
        assert t.end(b"q") == 0


@test
def top_is_cut_to_a_small_terminal():
    with Broker() as broker:
        ch = seed(broker)
        for i in range(30):
            ch.queue_declare("another queue with a name that is long %d" % i)
        t = Terminal(broker, 8, 40)
        t.wait_for(b"\x1b[J")
        t.text = b""
        t.wait_for(b"\x1b[J")  # A whole screen, at the size that it has now.
        t.text = b""
        t.wait_for(b"\x1b[J")
        screen = t.text.split(b"\x1b[H")[1].split(b"\x1b[J")[0]
        lines = screen.replace(b"\x1b[K", b"").split(b"\r\n")
        assert len(lines) == 8 and all(len(line.decode()) <= 40 for line in lines), lines
        assert t.end(b"q") == 0


@test
def top_is_written_once_where_there_is_no_terminal():
    with Broker() as broker:
        seed(broker)
        text = broker.ctl("top")
        assert text.count("queue (q ends)") == 1 and "orders.process.dlq" in text, text


# --- diagnostics ---

@test
def diagnostics_have_everything_but_secrets():
    broker = Broker("default_pass = s3cr3t-of-guest\n")
    with open(broker.config, "a") as f:
        f.write("log.file = %s\n" % os.path.join(broker.directory, "log"))
    with broker:
        broker.ctl("add_user", "ann", "s3cr3t-of-ann")
        broker.ctl("set_parameter", "federation-upstream", "up", '{"uri": "amqp://bob:s3cr3t/of@bob@host/v", "token": "s3cr3t-token"}')
        hashes = [user["password_hash"] for user in json.loads(broker.ctl("export_definitions", "-"))["users"]]
        path = os.path.join(broker.directory, "bug.tar.gz")
        broker.ctl("diagnostics", path)
        assert os.stat(path).st_mode & 0o777 == 0o600
        with tarfile.open(path) as archive:
            files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        assert {"version", "overview.json", "queues.json", "definitions.json", "environment.json", "figures.json", "nodes.json", "log"} <= set(files)
        everything = b"".join(files.values())
        assert b"s3cr3t" not in everything and all(h.encode() not in everything for h in hashes), files
        assert b'"default_pass": "***"' in files["environment.json"] and b"@host/v" in files["parameters.json"]
        assert json.loads(files["definitions.json"])["users"][0]["password_hash"] == "***"
        assert b"ready" in files["log"]
        subprocess.run(["tar", "-tzf", path], check=True, capture_output=True)


run([t for t in TESTS if len(sys.argv) < 4 or t.__name__.startswith(sys.argv[3])])
