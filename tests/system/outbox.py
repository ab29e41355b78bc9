#!/usr/bin/python3
"""Rows of an outbox are relayed while relays, the broker and the connection of the database are killed at random, and rows go on being written: in the end
each row is in the queue once, in the order of its aggregate.

    outbox.py LEVERETD LEVERET_OUTBOX [ROWS [KILLS [SEED]]]      100000 200 takes some five minutes"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import pika

from leveretd import Leveretd, run
from postgresql import PostgreSQL, programs

OUTBOX = os.path.abspath(sys.argv[2])
ROWS = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
KILLS = int(sys.argv[4]) if len(sys.argv) > 4 else 12
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int(time.time())
AGGREGATES = 97


class SQLite:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="leveret-outbox.")
        self.file = os.path.join(self.directory, "shop.db")
        self.name = "sqlite:" + self.file

    def write(self, rows):
        db = sqlite3.connect(self.file, timeout=30)
        with db:
            db.executemany("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES ('order', ?, 'paid', ?)", rows)
        db.close()

    def unpublished(self):
        db = sqlite3.connect(self.file, timeout=30)
        (left,), = db.execute("SELECT count(*) FROM leveret_outbox WHERE published IS NULL")
        db.close()
        return left

    def disturb(self):
        """Holds the file for a moment."""
        db = sqlite3.connect(self.file, timeout=30, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        time.sleep(0.1)
        db.execute("ROLLBACK")
        db.close()

    def close(self):
        shutil.rmtree(self.directory)


class Server:
    def __init__(self, server):
        self.server = server
        self.name = server.conninfo

    def write(self, rows):
        values = ",".join("('order', '%s', 'paid', '\\x%s')" % (aggregate, payload.hex()) for aggregate, payload in rows)
        self.server.sql("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES " + values)

    def unpublished(self):
        return int(self.server.sql("SELECT count(*) FROM leveret_outbox WHERE published IS NULL"))

    def disturb(self):
        self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")

    def close(self):
        pass


def write_all(database, rows):
    """In transactions of every size; a row tells its place in its aggregate."""
    counts = {}
    at = 0
    while at < rows:
        batch = []
        for _ in range(min(rows - at, random.choice((1, 2, 5, 40, 200)))):
            aggregate = str(random.randrange(AGGREGATES))
            counts[aggregate] = counts.get(aggregate, 0) + 1
            batch.append((aggregate, b"%s:%d" % (aggregate.encode(), counts[aggregate])))
        while True:
            try:
                database.write(batch)
                break
            except subprocess.CalledProcessError as error:  # Its connection was cut, before its commit: it is one statement.
                assert b"terminat" in error.stderr or b"server closed" in error.stderr, error.stderr
        at += len(batch)


def declare(port):
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    channel.exchange_declare("events", "topic", durable=True)
    channel.queue_declare("paid", durable=True)
    channel.queue_bind("paid", "events", "order.*")
    connection.close()


def verify(port, rows):
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    last, total = {}, 0
    for method, properties, body in channel.consume("paid", auto_ack=True, inactivity_timeout=1):
        if method is None:
            break
        aggregate, number = body.decode().split(":")
        assert properties.headers["aggregate-id"] == aggregate
        assert int(number) == last.get(aggregate, 0) + 1, "%s after %s:%d" % (body, aggregate, last.get(aggregate, 0))
        last[aggregate] = int(number)
        total += 1
    connection.close()
    assert total == rows, "%d rows of %d" % (total, rows)


class Relay:
    def __init__(self, database, port, log):
        self.command = [OUTBOX, "-u", "amqp://127.0.0.1:%d" % port, "-l", "300", database.name]
        self.log = log
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(40)
        assert status in (0, -signal.SIGTERM), "a relay ended with %d" % status  # The second, if it has only just been started.


class Relays:
    """Some relays, and none of them afterwards."""
    def __init__(self, *arguments):
        self.relays = [Relay(*arguments), Relay(*arguments)]

    def __enter__(self):
        return self.relays

    def __exit__(self, *_):
        for relay in self.relays:
            if relay.process.poll() is None:
                relay.kill()


def relay_through_kills(database):
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    with Leveretd() as broker, tempfile.TemporaryFile() as log, Relays(database, broker.port, log) as relays:
        declare(broker.port)
        writer = threading.Thread(target=write_all, args=(database, ROWS))
        writer.start()
        for _ in range(KILLS):
            time.sleep(random.random() * 0.6)
            what = random.random()
            if what < 0.4:
                relay = random.choice(relays)
                relay.kill()
                relay.start()
            elif what < 0.7:
                broker.kill()
                broker.start()
            else:
                database.disturb()
        writer.join()
        deadline = time.monotonic() + 600
        while database.unpublished() > 0:
            assert time.monotonic() < deadline, "%d rows are not published" % database.unpublished()
            assert all(relay.process.poll() is None for relay in relays), "a relay has ended"
            time.sleep(0.2)
        for relay in relays:
            relay.stop()
        verify(broker.port, ROWS)
    database.close()


def rows_of_sqlite_arrive_once_and_in_order():
    relay_through_kills(SQLite())


def rows_of_postgresql_arrive_once_and_in_order():
    if programs() is None:
        print("PostgreSQL is not installed: skipped")
        return
    with PostgreSQL() as server:
        relay_through_kills(Server(server))


def refused_rows_wait_for_a_queue():
    database = SQLite()
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    with Leveretd() as broker, tempfile.NamedTemporaryFile() as log, Relays(database, broker.port, log) as relays:
        database.write([("1", b"1:%d" % (i + 1)) for i in range(2000)])
        deadline = time.monotonic() + 30
        while b"404 NOT_FOUND - no exchange 'events'" not in open(log.name, "rb").read():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        declare(broker.port)
        while database.unpublished() > 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for relay in relays:
            relay.stop()
        verify(broker.port, 2000)
    database.close()


def a_refused_row_holds_up_its_aggregate_alone():
    database = SQLite()
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    with Leveretd() as broker, tempfile.TemporaryFile() as log, Relays(database, broker.port, log):
        declare(broker.port)
        db = sqlite3.connect(database.file, timeout=30)
        with db:
            db.executemany("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES ('lost', '1', ?, 'x')",
                           [("first",), ("second",)])
        db.close()
        database.write([("1", b"1:%d" % (i + 1)) for i in range(500)])
        deadline = time.monotonic() + 60
        while database.unpublished() > 2:
            assert time.monotonic() < deadline, database.unpublished()
            time.sleep(0.05)
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        channel.queue_declare("found", durable=True)
        channel.queue_bind("found", "events", "lost.#")
        while database.unpublished() > 0:
            assert time.monotonic() < deadline, database.unpublished()
            time.sleep(0.05)
        assert [channel.basic_get("found", auto_ack=True)[0].routing_key for _ in range(2)] == ["lost.first", "lost.second"]
        verify(broker.port, 500)
    database.close()


def a_name_that_cannot_be_sent_holds_up_its_aggregate_alone():
    database = SQLite()
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    with Leveretd() as broker, tempfile.NamedTemporaryFile() as log, Relays(database, broker.port, log):
        declare(broker.port)
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        channel.queue_declare("odd", durable=True)
        for key in ("zero.#", "thing.#"):
            channel.queue_bind("odd", "events", key)
        rows = [("zero\0byte", "1", "paid"), ("thing", "a\0", "paid"), ("thing", "a", "pa\0id"), ("thing", "a", "paid"), ("zero", "1", "paid")]
        db = sqlite3.connect(database.file, timeout=30)
        with db:
            db.executemany("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES (?, ?, ?, 'x')", rows)
        database.write([("1", b"1:%d" % (i + 1)) for i in range(50)])
        deadline = time.monotonic() + 60
        while database.unpublished() > 4 or b"a NUL in its" not in open(log.name, "rb").read():
            assert time.monotonic() < deadline, database.unpublished()
            time.sleep(0.05)
        assert channel.basic_get("odd", auto_ack=True)[0].routing_key == "zero.paid"
        with db:
            db.execute("DELETE FROM leveret_outbox WHERE instr(aggregate_type || aggregate_id || event_type, char(0)) > 0")
        db.close()
        while database.unpublished() > 0:
            assert time.monotonic() < deadline, database.unpublished()
            time.sleep(0.05)
        assert channel.basic_get("odd", auto_ack=True)[0].routing_key == "thing.paid"
        assert channel.basic_get("odd")[0] is None
        verify(broker.port, 50)
    database.close()


def names_stay_text_in_one_line_of_the_log():
    """Rows are written by applications, with names that come from anywhere."""
    hostile = "a\x1b[2J\nleveret-outbox: all is well\x07\x7f\u202e"
    database = SQLite()
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    db = sqlite3.connect(database.file, timeout=30)
    with db:
        db.execute("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES (?, ?, ?, 'x')",
                   (hostile + "t" * 200, hostile, hostile + "e" * 200))
        db.execute("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES (?, ?, 'nul', 'x')", (hostile + "\0", hostile))
    db.close()
    with Leveretd() as broker, tempfile.NamedTemporaryFile() as log:
        declare(broker.port)
        relay = subprocess.Popen([OUTBOX, "-u", "amqp://127.0.0.1:%d" % broker.port, database.name], stderr=log)
        deadline = time.monotonic() + 60
        while open(log.name, "rb").read().count(b"\n") < 2:
            assert time.monotonic() < deadline, open(log.name, "rb").read()
            time.sleep(0.05)
        relay.terminate()
        assert relay.wait(30) == 0
        said = open(log.name, "rb").read().decode()
    assert all(c == "\n" or (c >= " " and c not in "\x7f\u202e") for c in said), said
    assert all(line.startswith("leveret-outbox: ") for line in said.splitlines()), said
    assert "leveret-outbox: all is well" not in said.splitlines() and "a\\x1b[2J" in said, said
    database.close()


def one_that_is_stopped_after_a_failure_leaves_no_lease():
    database = SQLite()
    subprocess.run([OUTBOX, "--migrate", database.name], check=True)
    db = sqlite3.connect(database.file, timeout=30)
    with db:
        db.execute("INSERT INTO leveret_outbox (aggregate_type, aggregate_id, event_type, payload) VALUES (?, '1', ?, 'x')", ("t" * 200, "e" * 200))
    with Leveretd() as broker, tempfile.NamedTemporaryFile() as log:
        relay = subprocess.Popen([OUTBOX, "-u", "amqp://127.0.0.1:%d" % broker.port, database.name], stderr=log)
        deadline = time.monotonic() + 60
        while b"255 bytes" not in open(log.name, "rb").read():
            assert time.monotonic() < deadline, open(log.name, "rb").read()
            time.sleep(0.05)
        relay.terminate()
        assert relay.wait(30) == 0
    assert db.execute("SELECT expires_ms FROM leveret_outbox_relay").fetchone() == (0,)
    db.close()
    database.close()


def what_cannot_be_done_is_told():
    for arguments, status, text in (
            ([], 2, "Usage"), (["a", "b"], 2, "Usage"), (["-l", "x", "sqlite:y"], 2, "milliseconds"),
            (["--migrate", "sqlite:/no/such/dir/x"], 1, "SQLite"), (["-u", "http://x", "sqlite:y"], 1, "URI")):
        done = subprocess.run([OUTBOX, *arguments], stderr=subprocess.PIPE, timeout=30, cwd=tempfile.gettempdir())
        assert done.returncode == status and text in done.stderr.decode(), (arguments, done)


if __name__ == "__main__":
    print("seed %d" % SEED, flush=True)
    random.seed(SEED)
    run([rows_of_sqlite_arrive_once_and_in_order, rows_of_postgresql_arrive_once_and_in_order, refused_rows_wait_for_a_queue, a_refused_row_holds_up_its_aggregate_alone, a_name_that_cannot_be_sent_holds_up_its_aggregate_alone,
         names_stay_text_in_one_line_of_the_log, one_that_is_stopped_after_a_failure_leaves_no_lease,
         what_cannot_be_done_is_told])
