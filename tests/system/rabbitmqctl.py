#!/usr/bin/python3
"""leveretctl under the names rabbitmqctl and rabbitmq-diagnostics, against what those of RabbitMQ 3.10.8 printed, command by command.

  rabbitmqctl.py LEVERETD LEVERETCTL RECORD [--print]

A line of the record: n, sec, tool, args, stdin, out, err (out_cut: only its beginning) and status. Lines are compared without their order;
names of connections and process ids are alike. rabbitmqctl-differences.tsv names each command that answers otherwise, in what (out, err,
status and ours) and why: a difference that is gone, or new, fails. --print shows those that are not named."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pika

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import Leveretd, free_port  # noqa: E402

CTL, RECORD = os.path.abspath(sys.argv[2]), sys.argv[3]
DIFFERENCES = os.path.join(os.path.dirname(RECORD), "rabbitmqctl-differences.tsv")
CONFIG = "management.tcp.port = %d\nprometheus.tcp.port = %d\n"


def make_links(directory):
    for name in ("rabbitmqctl", "rabbitmq-diagnostics"):
        os.symlink(CTL, os.path.join(directory, name))


class Tools:
    """Runs commands by their names, on one broker, in one directory."""

    def __init__(self, broker, ports):
        self.broker, self.ports = broker, ports
        self.work = os.path.join(broker.directory, "work")
        os.mkdir(self.work)
        make_links(broker.directory)

    def run(self, tool, args, stdin=""):
        environment = dict(os.environ, LEVERET_DATA_DIR=self.broker.data)
        return subprocess.run([os.path.join(self.broker.directory, tool), *args], input=stdin, capture_output=True, text=True,
                              env=environment, cwd=self.work, timeout=60)

    def ctl(self, *args):
        return self.run("rabbitmqctl", args).stdout


# --- what clients do meanwhile ---

def connect(broker, vhost="ctl", user="guest", password="guest", name="order service"):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", broker.port, vhost, pika.PlainCredentials(user, password), client_properties={"connection_name": name}, heartbeat=0))


def seed(broker):
    """The scenario of the record: queues, exchanges, bindings, two channels with consumers and unacked messages."""
    c = connect(broker)
    ch, ch2 = c.channel(), c.channel()
    ch2.confirm_delivery()
    ch.exchange_declare("orders", "topic", durable=True)
    ch.exchange_declare("tmp.x", "fanout", auto_delete=True)
    ch.exchange_bind("tmp.x", "orders", "e2e.#")
    ch.queue_declare("orders.process", durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.process.dlq", "x-message-ttl": 86400000})
    for name, arguments in (("orders.process.dlq", {"durable": True}), ("tmp.q", {"auto_delete": True}), ("ü ✓ tab\there", {"durable": True}),
                            ("sac", {"arguments": {"x-single-active-consumer": True, "x-max-priority": 5}}), ("excl", {"exclusive": True})):
        ch.queue_declare(name, **arguments)
    ch.queue_bind("orders.process", "orders", "order.*")
    ch.queue_bind("tmp.q", "orders", "k", {"x": 1})
    ch.basic_qos(prefetch_count=5)
    for _ in range(8):
        ch.basic_publish("orders", "order.new", b"x" * 100, pika.BasicProperties(delivery_mode=2, timestamp=1700000000))
    for _ in range(3):
        ch.basic_publish("", "orders.process.dlq", b"dead")
    ch.basic_publish("", "sac", b"p", pika.BasicProperties(priority=3))
    ch.basic_consume("orders.process", lambda *a: None, consumer_tag="worker-1", arguments={"x-priority": 2})
    ch2.basic_consume("sac", lambda *a: None, consumer_tag="s1")
    ch.basic_consume("sac", lambda *a: None, consumer_tag="s2")
    ch2.basic_consume("tmp.q", lambda *a: None, auto_ack=True, consumer_tag="t", exclusive=True)
    c.process_data_events(0.2)
    return c


def closed_with(connection):
    """What a client is told whose connection an operator has closed."""
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            connection.process_data_events(0.1)
    except pika.exceptions.ConnectionClosedByBroker as error:
        return "(%d) %r" % (error.reply_code, error.reply_text)
    return "nothing"


class Clients:
    """Comes and goes where the record says that clients did."""

    def __init__(self, tools):
        self.tools, self.open, self.pid = tools, [], ""

    def before(self, args):
        if args == ["list_queues", "-p", "ctl"] and not self.open:
            self.open = [seed(self.tools.broker)]
            done = subprocess.run("%s list_queues -p ctl | grep dlq" % os.path.join(self.tools.broker.directory, "rabbitmqctl"), shell=True,
                                  capture_output=True, text=True, env=dict(os.environ, LEVERET_DATA_DIR=self.tools.broker.data))
            assert done.stdout == "orders.process.dlq\t3\n", done.stdout
        if args[:1] == ["close_connection"] and "maintenance tonight" in args:
            self.pid = self.tools.ctl("-s", "list_connections", "pid").strip()
        if "all must go" in args:
            self.open = [connect(self.tools.broker), connect(self.tools.broker, name="two")]
        if "everybody" in args:
            self.open = [connect(self.tools.broker)]
        if "bob must go" in args:
            self.open = [connect(self.tools.broker, user="bob", password="other")]
        args = [str(self.tools.broker.port) if a == "5672" else a for a in args]
        return [self.pid if re.fullmatch(r"<rabbit@localhost\.\d+\.17860\.2>", a) else a for a in args]

    def enter(self, section):
        """The sections in which memory, and then disk, are short; until a connection is seen to be blocked."""
        short = {"a memory alarm": "vm_memory_high_watermark.absolute = 1\n",
                 "a disk alarm as well": "vm_memory_high_watermark.absolute = 1\ndisk_free_limit.absolute = 1000000000000000\n"}
        if section not in short:
            return
        broker = self.tools.broker
        if section == "a memory alarm":
            self.open = [connect(broker, "/", name="published before"), connect(broker, "/", name="begins after"), connect(broker, "/")]
            channels = [c.channel() for c in self.open]
            channels[0].basic_publish("", "nowhere", b"x")
            self.open[0].process_data_events(0.1)
        broker.configure(CONFIG % self.tools.ports + short[section])
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("disk" if "disk_free" in short[section] else "memory", 10)
        deadline = time.monotonic() + 20
        while len(self.tools.run("rabbitmq-diagnostics", ["-q", "alarms"]).stdout.splitlines()) != short[section].count("\n"):
            assert time.monotonic() < deadline
        if section == "a memory alarm":
            channels[1].basic_publish("", "nowhere", b"x")
            while self.tools.ctl("-s", "list_connections", "state").count("blocked") != 2:
                self.open[1].process_data_events(0.05)
                assert time.monotonic() < deadline, self.tools.ctl("-s", "list_connections", "state")

    def after(self, args):
        for text in ("maintenance tonight", "all must go", "bob must go", "everybody"):
            if text in args:
                for connection in self.open:
                    saw = closed_with(connection)
                    assert saw == "(320) 'CONNECTION_FORCED - %s'" % text, saw


# --- comparing ---

def alike(text):
    # A tab in a name would end a cell: it is shown as what it is.
    text = text.replace("tab\there", "tab\\there")
    text = re.sub(r'"?#PID<[\d.]+>"?|<rabbit@[\w.]+>|"?127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+( \(\d+\))?"?', "<pid>", text)
    return re.sub(r"\b(5672|3\d{4}|4\d{4}|5\d{4}|6\d{4})\b", "<port>", text)


def lines(text):
    return sorted(alike(line.lstrip(",").rstrip()) for line in text.rstrip("\n").split("\n"))


def differs(want, got, is_cut):
    if is_cut:
        return not alike(got).startswith(alike(want).rsplit("\n", 1)[0])
    return lines(want) != lines(got)


def read_differences():
    named = {}
    with open(DIFFERENCES) as f:
        for line in f:
            if not line.startswith("#"):
                number, what, why = line.rstrip("\n").split("\t")
                assert why, line
                named[int(number)] = tuple(what.split(","))
    return named


def replay(tools, entries, named):
    clients, wrong, section = Clients(tools), 0, None
    for e in entries:
        if e["sec"] != section:
            section = e["sec"]
            clients.enter(section)
        got = tools.run(e["tool"], clients.before(e["args"]), e.get("stdin", ""))
        clients.after(e["args"])
        found = [what for what, is_so in (("out", differs(e.get("out", ""), got.stdout, e.get("out_cut"))),
                                          ("err", differs(e.get("err", ""), got.stderr, e.get("err_cut"))),
                                          ("status %d" % got.returncode, got.returncode != e["status"])) if is_so]
        if tuple(found) == named.get(e["n"], ()):
            continue
        wrong += 1
        print("%d\t%s\t" % (e["n"], ",".join(found) or "(is alike)"), " ".join(e["args"])[:120])
        if "--print" in sys.argv:
            print("  want %d %r\n       %r\n  got  %d %r\n       %r" % (e["status"], e.get("out", "")[:600], e.get("err", "")[:400],
                                                                    got.returncode, got.stdout[:600], got.stderr[:400]))
    return wrong


def main():
    named = read_differences()
    with open(RECORD) as f:
        entries = [json.loads(line) for line in f]
    ports = (free_port(), free_port())
    with Leveretd(CONFIG % ports) as broker:
        tools = Tools(broker, ports)
        for name, text in (("bad.json", "{"), ("badq.json", json.dumps({"queues": [
                {"name": "x", "vhost": "nosuch", "durable": True, "auto_delete": False, "arguments": {}}]}))):
            with open(os.path.join(tools.work, name), "w") as f:
                f.write(text)
        wrong = replay(tools, entries, named)
    print("%d commands, %d of them differ as named, %d wrong" % (len(entries), len(named), wrong))
    sys.exit(1 if wrong else 0)


main()
