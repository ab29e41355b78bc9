#!/usr/bin/python3
"""leveret-bench against the running broker, in every scenario: what it sends must arrive, once and in order, and what it reports must be
true. With I/O threads and without, plain and under TLS. Speed is not looked at.

  bench.py LEVERETD LEVERET_BENCH FLOOR
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pika

from leveretd import BINARY, Leveretd, free_port, make_certificates, run

BENCH, FLOOR = sys.argv[2:4]


def bench(broker, *arguments, uri=None, status=0):
    """Runs the tool; returns its report's run, or what it said where it must fail."""
    report = os.path.join(broker.directory, "report.json")
    command = [BENCH, "--uri", uri or "amqp://127.0.0.1:%d" % broker.port, "--quiet", "--drain", "20", "--json", report]
    result = subprocess.run(command + [str(a) for a in arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == status, (arguments, result.returncode, result.stdout, result.stderr)
    return json.load(open(report))["runs"][0] if status == 0 else result.stdout + result.stderr


def check_flow(broker, *arguments, sent, copies=1, **more):
    result = bench(broker, *arguments, "--verify", **more)
    phase = result["phases"][0]
    assert phase["sent"] - phase["repeated"] == sent, phase
    assert phase["received"] == sent * copies, phase
    assert result["verified"] == {"lost": 0, "doubled": 0, "out_of_order": 0, "foreign": 0}, result
    assert result["left_ready"] == 0, (arguments, result)
    return result


def flows(broker, uri=None):
    flow = lambda *arguments, **more: check_flow(broker, *arguments, uri=uri, **more)
    flow("-a", "-C", 100000, sent=100000)
    flow("-q", 100, "-C", 50000, sent=50000)
    flow("-q", 100, "-A", 10, "-C", 50000, sent=50000)
    flow("-f", "persistent", "-c", 500, "-q", 500, "-C", 50000, sent=50000)
    flow("-f", "persistent", "-c", 1, "-C", 200, sent=200)
    flow("-x", 3, "-X", 3, "-y", 2, "-Y", 2, "-q", 50, "-c", 100, "-C", 10000, sent=30000)
    flow("-x", 20, "-y", 20, "-qp", "many-%d", "-qpt", 20, "-a", "-C", 2000, sent=40000)
    flow("-e", "bench.fan", "-t", "fanout", "-qp", "fan-%d", "-qpt", 4, "-y", 4, "-a", "-C", 20000, sent=20000, copies=4)
    flow("-e", "bench.topic", "-t", "topic", "-k", "a.b", "--keys", 50, "--bindings", 100, "-a", "-C", 20000, sent=20000)
    flow("-e", "bench.headers", "-t", "headers", "-a", "-C", 5000, sent=5000)
    flow("-e", "bench.direct", "-qp", "direct-%d", "-qpt", 3, "-x", 3, "-y", 3, "-a", "-C", 5000, sent=15000)
    flow("-s", 300000, "-c", 10, "-q", 10, "-C", 50, sent=50)
    flow("-vs", "16:1,5000:1", "-r", 2000, "-c", 100, "-C", 4000, sent=4000)
    flow("--idempotency-keys", "-c", 100, "-C", 5000, sent=5000)


def what_is_sent_arrives():
    with Leveretd() as broker:
        flows(broker)


def consumers_that_wait_for_more_than_is_sent_are_given_up():
    with Leveretd() as broker:
        assert bench(broker, "-C", 10, "-D", 20, "--drain", "1")["phases"][0]["received"] == 10


def what_is_sent_arrives_through_io_threads():
    with Leveretd("io_threads = 2\n") as broker:
        flows(broker)
        bench(broker, "--churn", "connections", "-x", 4, "-C", 100)
        assert bench(broker, "--backlog", "-C", 50000, "-q", 100)["phases"][1]["received"] == 50000


def tls(io_threads):
    broker = Leveretd()
    make_certificates(broker.directory)
    port = free_port()
    path = lambda name: os.path.join(broker.directory, name)
    broker.configure("io_threads = %d\nlisteners.ssl.default = 127.0.0.1:%d\nssl_options.certfile = %s\nssl_options.keyfile = %s\n"
                     % (io_threads, port, path("server.pem"), path("server.key")))
    with broker:
        uri = "amqps://127.0.0.1:%d" % port
        flows(broker, uri=uri)
        phase = bench(broker, "-a", "-s", 1024, "-z", 2, uri=uri)["phases"][0]  # A flood does not keep deliveries back.
        assert phase["received"] * 4 > phase["sent"], phase


def what_is_sent_under_tls_arrives():
    tls(0)


def what_is_sent_under_tls_arrives_through_io_threads():
    tls(2)


def io_threads_end_with_their_connections():
    """Killed clients, clients that never read, and a stop with connections open."""
    with Leveretd("io_threads = 2\n") as broker:
        consumer = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))
        channel = consumer.channel()
        channel.queue_declare("unread")
        channel.basic_consume("unread", lambda *_: None, auto_ack=True)
        for _ in range(3):
            command = [BENCH, "--uri", "amqp://127.0.0.1:%d" % broker.port, "-p", "-u", "unread", "-y", "0", "-s", "2000", "--quiet"]
            load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            load.kill()
            load.wait()
        other = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))
        other.channel().queue_declare("served")
        assert broker.stop() == 0, broker.log()


def who_floods_on_after_a_refusal_keeps_nobody_waiting():
    for config in ("", "io_threads = 1\n"):
        with Leveretd(config) as broker:
            floods = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(3)]
            for s in floods:
                s.settimeout(0.05)
                s.sendall(b"AMQP\x00\x00\x09\x01" + b"\x09" * 100000)  # No frame begins with a 9.
            deadline, served = time.monotonic() + 1.5, 0
            while time.monotonic() < deadline:
                for s in floods:
                    try:
                        s.send(b"x" * 65536)
                    except OSError:
                        pass
                pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).close()
                served += 1
            assert served > 3, served
            for s in floods:
                s.close()
            assert broker.stop() == 0


def an_open_loop_has_latencies_and_a_closed_one_has_not():
    with Leveretd() as broker:
        phase = bench(broker, "-r", 2000, "-c", 100, "-C", 2000)["phases"][0]
        for kind in ("consumer_us", "confirm_us"):
            l = phase[kind]
            assert l["count"] == 2000 and 0 < l["min"] <= l["p50"] <= l["p99"] <= l["max"], l
        closed = bench(broker, "-c", 100, "-C", 2000)
        assert closed["loop"] == "closed: throughput only" and "consumer_us" not in closed["phases"][0]


def a_slow_broker_shows_in_open_loop_latencies():
    """No coordinated omission: while the broker stands still, messages go on being due."""
    with Leveretd() as broker:
        report = os.path.join(broker.directory, "report.json")
        command = [BENCH, "--uri", "amqp://127.0.0.1:%d" % broker.port, "-r", "1000", "-C", "3000", "-a", "--quiet", "--json", report]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(1)
        broker.process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        broker.process.send_signal(signal.SIGCONT)
        assert load.wait(60) == 0
        l = json.load(open(report))["runs"][0]["phases"][0]["consumer_us"]
        assert l["count"] == 3000
        assert l["p75"] > 100000, l  # A third of the messages were due in that second, the first of them a second late.


def a_backlog_is_filled_and_drained():
    with Leveretd() as broker:
        result = bench(broker, "--backlog", "-C", 30000, "-f", "persistent", "-c", 1000, "-q", 100, "--pid", broker.process.pid)
        fill, drain = result["phases"]
        assert fill["name"] == "fill" and fill["confirmed"] == 30000 and fill["received"] == 0, fill
        assert drain["name"] == "drain" and drain["received"] == 30000, drain
        assert drain["broker_cpu_us"] > 0 and drain["broker_memory"]["private_bytes"] > 0, drain
        assert {t["name"] for t in drain["broker_threads"]} >= {"leveretd", "journal", "checkpoint"}, drain
        kept = bench(broker, "--backlog", "-C", 100, "-y", 0, "--keep", "-u", "kept")
        assert kept["left_ready"] == 100, kept
        phase = bench(broker, "-x", 0, "-u", "kept", "-D", 100)["phases"][0]
        assert phase["received"] == 100, phase


def a_flood_takes_little_memory_and_less_when_it_rests():
    with Leveretd("message_memory_budget = 8MB\n") as broker:
        def memory(field):
            for line in open("/proc/%d/status" % broker.process.pid):
                if line.startswith(field):
                    return int(line.split()[1]) / 1024
        phase = bench(broker, "--backlog", "-C", 1000000, "-y", 0, "--keep", "-u", "flood")["phases"][0]
        assert phase["sent"] == 1000000
        if any(name in open(BINARY, "rb").read() for name in (b"__asan_init", b"__tsan_init")):
            return  # A sanitizer's memory says nothing.
        assert memory("VmHWM") < 100, memory("VmHWM")  # All of them would take 150 MiB and more.
        deadline = time.monotonic() + 20
        while memory("RssAnon") > 20 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert memory("RssAnon") <= 20, memory("RssAnon")
        assert bench(broker, "-x", 0, "-u", "flood", "-a", "-D", 1000000)["phases"][0]["received"] == 1000000


def a_publisher_that_outruns_its_consumer_waits_for_it():
    with Leveretd() as broker:
        result = bench(broker, "-q", 1000, "-z", 4)
        if result["phases"][0]["received_rate"] > 50000:  # Where a sanitizer makes it slow, it is not meant to wait.
            assert result["left_ready"] < 100000, result["left_ready"]  # What is sent beyond that is in sockets.


def calls_are_answered():
    with Leveretd() as broker:
        result = bench(broker, "--rpc", "-x", 3, "-y", 2, "-c", 10, "-C", 1000)
        phase = result["phases"][0]
        assert phase["sent"] == phase["received"] == 3000 and phase["consumer_us"]["count"] == 3000


def things_come_and_go():
    with Leveretd() as broker:
        for what in ("connections", "channels", "queues", "bindings"):
            phase = bench(broker, "--churn", what, "-x", 2, "-C", 50)["phases"][0]
            assert phase["sent"] == 100 and phase["consumer_us"]["count"] == 100, (what, phase)
        idle = bench(broker, "--idle", 50, "-z", 0.5, "--pid", broker.process.pid)
        assert idle["phases"][0]["broker_memory"]["resident_bytes"] > 0


def a_limit_of_the_consumer_holds():
    with Leveretd() as broker:
        phase = bench(broker, "-C", 500, "-q", 10, "-R", 1000)["phases"][0]
        assert phase["received"] == 500 and phase["seconds"] > 0.45, phase


def the_files_are_what_they_should_be():
    with Leveretd() as broker:
        path = lambda name: os.path.join(broker.directory, name)
        bench(broker, "-r", 1000, "-c", 10, "-C", 1000, "-i", 0.2, "-d", "</script>", "--csv", path("csv"), "--hgrm", path("run"),
              "--html", path("page.html"))
        lines = open(path("csv")).read().splitlines()
        assert lines[0].startswith("id,time (s),published (msg/s),returned (msg/s),confirmed (msg/s),nacked (msg/s),received (msg/s),"
                                   "min consumer latency (µs),median consumer latency (µs)"), lines[0]
        assert len(lines) > 3 and all(len(l.split(",")) == 17 for l in lines)
        for kind in ("consumer", "confirm"):
            assert "Total count    =         1000]" in open(path("run-%s.hgrm" % kind)).read()
        page = open(path("page.html")).read()
        assert page.count("</script>") == 3 and "uPlot" in page and "http://" not in page.replace("http://www.w3.org", "")
        data = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
        assert json.loads(data)["runs"][0]["id"] == "</script>"


def mistakes_are_told():
    with Leveretd() as broker:
        for arguments, text in [
                (("--nonsense",), "see leveret-bench --help"), (("-x", "many"), "-x: 'many' is not a number"), (("-s", "1.5"), "whole number"),
                (("--verify", "-s", "8"), "16 bytes"), (("--repeat", "5"), "--idempotency-keys"), (("-vr", "5"), "VALUE:SECONDS"),
                (("--churn", "tables"), "none of connections"), (("extra",), "belongs to no option"), (("-qp", "x"), "no %d"),
                (("--backlog",), "--pmessages"), (("-u", "x" * 300), "longer than"), (("--keys", "5"), "--routing-key")]:
            said = bench(broker, *arguments, status=2)
            assert text in said, (arguments, said)
        for arguments, uri, text in [
                (("-p", "-u", "nowhere"), None, "404 NOT_FOUND"), ((), "amqp://127.0.0.1:%d" % free_port(), "Connection refused"),
                ((), "amqp://guest:wrong@127.0.0.1:%d" % broker.port, "ACCESS_REFUSED")]:
            said = bench(broker, "-z", 1, *arguments, uri=uri, status=3)
            assert text in said, (text, said)


def what_is_lost_is_noticed():
    """The verification itself: a queue that is purged under it loses messages."""
    with Leveretd() as broker:
        command = [BENCH, "--uri", "amqp://127.0.0.1:%d" % broker.port, "-u", "robbed", "-C", "20000", "-c", "1000", "-q", "10", "-L", "200",
                   "--verify", "--quiet", "--drain", "2"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
        purged = 0
        while purged == 0 and load.poll() is None:
            time.sleep(0.05)
            try:
                purged = channel.queue_purge("robbed").method.message_count
            except pika.exceptions.ChannelClosedByBroker:
                channel = channel.connection.channel()
        text = load.communicate(timeout=60)[0]
        assert load.returncode == 1 and "NOT AS SENT" in text and "%d lost" % purged in text, (purged, text)


def the_floor_serves_the_tool():
    port = free_port()
    floor = subprocess.Popen([FLOOR, "--port", str(port)], stdout=subprocess.PIPE)
    floor.stdout.readline()
    broker = Leveretd()
    uri = "amqp://127.0.0.1:%d" % port
    try:
        check_flow(broker, "-a", "-C", 100000, sent=100000, uri=uri)
        check_flow(broker, "-c", 100, "-s", 3000, "-C", 5000, sent=5000, uri=uri)
        assert floor.poll() is None
    finally:
        floor.kill()
        floor.wait()
    disk = subprocess.run([FLOOR, "--disk", broker.directory, "--seconds", "0.2"], capture_output=True, text=True, timeout=30)
    assert json.loads(disk.stdout)["syncs_per_second"] > 0


run([what_is_sent_arrives, consumers_that_wait_for_more_than_is_sent_are_given_up, what_is_sent_arrives_through_io_threads, what_is_sent_under_tls_arrives,
     what_is_sent_under_tls_arrives_through_io_threads, io_threads_end_with_their_connections, who_floods_on_after_a_refusal_keeps_nobody_waiting,
     an_open_loop_has_latencies_and_a_closed_one_has_not, a_slow_broker_shows_in_open_loop_latencies, a_backlog_is_filled_and_drained,
     a_flood_takes_little_memory_and_less_when_it_rests, a_publisher_that_outruns_its_consumer_waits_for_it,
     calls_are_answered, things_come_and_go, a_limit_of_the_consumer_holds, the_files_are_what_they_should_be, mistakes_are_told,
     what_is_lost_is_noticed, the_floor_serves_the_tool])
