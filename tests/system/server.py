#!/usr/bin/python3
"""The program itself: command line, configuration, lock, signals, TLS, service manager, alarms."""
import os
import signal
import socket
import ssl
import subprocess
import time

import pika
import pika.spec as spec

from leveretd import BINARY, Leveretd, free_port, make_certificates, run
from wire import Closed, Wire


def output(*arguments, **more):
    result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=10, **more)
    return result.returncode, result.stdout, result.stderr


def connect(port, **more):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, **more))


def the_command_line_explains_itself():
    status, text, _ = output("--help")
    assert status == 0 and "--data-dir" in text and "--check-config" in text
    status, text, _ = output("--version")
    assert status == 0 and text.startswith("leveretd ")
    for arguments in (["--nonsense"], ["extra"], ["--port", "0"], ["--port", "99999"], ["--port", "x"], ["--config", "/nonexistent"]):
        status, _, error = output(*arguments)
        assert status == 2 and error.strip(), arguments


def a_bad_configuration_is_refused_with_file_and_line():
    broker = Leveretd("heartbeat = 10\nframe_max = 1\n")
    status, _, error = output("--config", broker.config, "--check-config")
    assert status == 2 and "leveret.conf:2: frame_max = 1: expected a whole number" in error, error
    broker.configure("heartbeat = 10\n")
    assert output("--config", broker.config, "--data-dir", broker.data, "--port", str(broker.port), "--check-config")[0] == 0


def closed_descriptors_are_not_taken_for_files():
    """What is meant for standard error must not land in the store or the log of messages."""
    broker = Leveretd()
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BINARY, "--data-dir", broker.data, "--port", str(broker.port)]
    process = subprocess.Popen(closed)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = connect(broker.port)
                break
            except pika.exceptions.AMQPConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        opened = {int(fd): os.readlink("/proc/%d/fd/%s" % (process.pid, fd)) for fd in os.listdir("/proc/%d/fd" % process.pid)}
        assert all(opened[fd] == "/dev/null" for fd in (0, 1, 2)), opened
        channel = connection.channel()
        channel.queue_declare("kept", durable=True)
        channel.confirm_delivery()
        channel.basic_publish("", "kept", b"x", pika.BasicProperties(delivery_mode=2))
        connection.close()
    finally:
        process.terminate()
        assert process.wait(30) == 0
    with broker:
        method, _, body = connect(broker.port).channel().basic_get("kept")
        assert method is not None and body == b"x"


def a_log_that_nobody_reads_stops_nobody():
    reader, writer = os.pipe()
    broker = Leveretd()
    process = subprocess.Popen([BINARY, "--data-dir", broker.data, "--port", str(broker.port)], stderr=writer)
    os.close(writer)
    try:
        text = b""
        while b"ready" not in text:
            text += os.read(reader, 65536)
        for _ in range(1500):
            connect(broker.port).close()
        connection = connect(broker.port)
        connection.channel().queue_declare("served")
        connection.close()
        os.set_blocking(reader, False)
        while b"could not be written" not in text:
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                connect(broker.port).close()
    finally:
        process.terminate()
        assert process.wait(30) == 0
        os.close(reader)


def one_broker_a_directory():
    with Leveretd() as broker:
        status, _, error = output("--data-dir", broker.data, "--port", str(free_port()))
        assert status == 1 and "is in use by another leveretd" in error, error


def a_port_in_use_is_named():
    with Leveretd() as broker:
        other = Leveretd()
        status, _, error = output("--data-dir", other.data, "--port", str(broker.port))
        assert status == 1 and "cannot listen on 127.0.0.1 port %d" % broker.port in error, error


def a_directory_that_cannot_be_written_is_named():
    status, _, error = output("--data-dir", "/proc/leveret", "--port", str(free_port()))
    assert status == 1 and "cannot create /proc/leveret" in error, error


def sigterm_tells_clients_and_ends_with_0():
    with Leveretd() as broker:
        w = Wire(broker.port).open()
        broker.process.send_signal(signal.SIGTERM)
        close = w.expect(spec.Connection.Close)
        assert close.reply_code == 320 and "shutdown" in close.reply_text
        w.method(0, spec.Connection.CloseOk())
        assert broker.process.wait(10) == 0
        assert 'msg="stopped"' in broker.log()


def sigterm_does_not_wait_for_clients_that_never_answer():
    with Leveretd() as broker:
        wires = [Wire(broker.port).open(), Wire(broker.port, header=b"")]
        assert broker.stop(20) == 0
        assert wires


def sighup_reloads_what_it_can():
    with Leveretd("heartbeat = 10\n") as broker:
        broker.configure("heartbeat = 20\ncluster_name = other\nqueue_max = 7\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("configuration reloaded")
        assert "with the next start only: queue_max" in broker.log()
        name = lambda: Wire(broker.port).expect(spec.Connection.Start).server_properties["cluster_name"]
        assert name() in ("other", b"other"), name()
        broker.configure("heartbeat = x\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("configuration unchanged")
        assert name() in ("other", b"other"), name()


def the_first_start_makes_the_user_and_later_ones_leave_him():
    credentials = lambda password: pika.PlainCredentials("bob", password)
    with Leveretd("default_user = bob\ndefault_pass = secret\n") as broker:
        connect(broker.port, credentials=credentials("secret")).close()
        broker.configure("default_user = bob\ndefault_pass = other\n")
        broker.stop()
        broker.start()
        connect(broker.port, credentials=credentials("secret")).close()
        for wrong in (credentials("other"), pika.PlainCredentials("guest", "guest")):
            try:
                connect(broker.port, credentials=wrong)
            except pika.exceptions.ProbableAuthenticationError:
                continue
            raise AssertionError("%s can log in" % wrong.username)


def tls_works_and_checks_clients():
    broker = Leveretd()
    make_certificates(broker.directory)
    port = free_port()
    path = lambda name: os.path.join(broker.directory, name)
    broker.configure("listeners.ssl.default = 127.0.0.1:%d\nssl_options.certfile = %s\nssl_options.keyfile = %s\n"
                     "ssl_options.cacertfile = %s\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
                     % (port, path("server.pem"), path("server.key"), path("ca.pem")))
    with broker:
        context = ssl.create_default_context(cafile=path("ca.pem"))
        context.load_cert_chain(path("client.pem"), path("client.key"))
        connection = connect(port, ssl_options=pika.SSLOptions(context, "localhost"))
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        body = os.urandom(1_000_000)
        for _ in range(5):
            channel.basic_publish("", queue, body)
        for _ in range(5):
            while True:
                got = channel.basic_get(queue, auto_ack=True)[2]
                if got is not None:
                    break
            assert got == body
        connection.close()
        context = ssl.create_default_context(cafile=path("ca.pem"))
        try:
            connect(port, ssl_options=pika.SSLOptions(context, "localhost"), socket_timeout=5)
        except Exception:
            pass
        else:
            raise AssertionError("a client without a certificate got in")
        plain = Wire(port, timeout=3)
        try:
            assert plain.next() is None
        except Closed:
            pass
        assert broker.stop() == 0


def a_certificate_that_is_not_there_is_named():
    broker = Leveretd("listeners.ssl.default = %d\nssl_options.certfile = /nonexistent.pem\nssl_options.keyfile = /nonexistent.key\n" % free_port())
    status, _, error = output("--data-dir", broker.data, "--port", str(broker.port), "--config", broker.config)
    assert status == 1 and "cannot load certificate /nonexistent.pem" in error, error


def the_service_manager_is_told_and_can_pass_a_socket():
    broker = Leveretd()
    path = os.path.join(broker.directory, "notify")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(10)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    script = "exec 3<&%d; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"" % listening.fileno()
    broker.wrapper = ["sh", "-c", script, "sh"]
    broker.environment["NOTIFY_SOCKET"] = path
    broker.popen = {"pass_fds": [listening.fileno()]}
    with broker:
        assert notify.recv(100) == b"READY=1"
        connect(port).close()
        broker.process.send_signal(signal.SIGTERM)
        assert notify.recv(100) == b"STOPPING=1"
        assert broker.process.wait(10) == 0


def publishers_are_blocked_when_memory_runs_short_and_consumers_flow():
    with Leveretd("vm_memory_high_watermark.absolute = 2MB\n") as broker:
        consumer = connect(broker.port).channel()
        consumer.queue_declare("q")
        publisher = Wire(broker.port, timeout=10).open()
        for _ in range(30):
            publisher.publish(1, "", "q", b"x" * 100_000)
        blocked = publisher.expect(spec.Connection.Blocked)
        assert blocked.reason == "low on memory", blocked.reason
        time.sleep(0.2)
        before = consumer.queue_declare("q", passive=True).method.message_count
        assert before < 30, "the rest was not read"
        count = 0
        for method, _, _ in consumer.consume("q", auto_ack=True, inactivity_timeout=3):
            if method is None:
                break
            count += 1
            if count == 30:
                break
        publisher.expect(spec.Connection.Unblocked)
        assert count == 30, count


def publishers_are_blocked_when_the_disk_runs_short():
    with Leveretd("disk_free_limit.absolute = 1000TB\n") as broker:
        w = Wire(broker.port, timeout=5).open()
        w.publish(1, "", "nowhere", b"x")
        assert w.expect(spec.Connection.Blocked).reason == "low on disk"
        broker.configure("disk_free_limit.absolute = 1MB\n")
        broker.process.send_signal(signal.SIGHUP)
        w.expect(spec.Connection.Unblocked)


def an_alarm_holds_no_connection_of_those_who_hang_up():
    """More than is kept of one that publishes against an alarm is not read, so its end has to be seen behind that.

    Behind what the socket holds, that is: with more, the end does not come through before the peer's system gives up."""
    with Leveretd("disk_free_limit.absolute = 1000TB\nconnection_max = 4\n") as broker:
        for _ in range(12):
            deadline = time.monotonic() + 60
            while True:
                w = Wire(broker.port, timeout=5)
                try:
                    w.open()
                    break
                except (Closed, AssertionError):
                    assert time.monotonic() < deadline, "those who hung up are still counted:\n" + broker.log()[-3000:]
                    time.sleep(0.1)
            w.publish(1, "", "nowhere", b"x" * 150_000)
            assert w.expect(spec.Connection.Blocked).reason == "low on disk"
            w.close()


def messages_beyond_the_memory_budget_come_back_from_the_journal():
    with Leveretd("message_memory_budget = 100kB\n") as broker:
        channel = connect(broker.port).channel()
        channel.queue_declare("deep", durable=True)
        channel.confirm_delivery()
        wire = Wire(broker.port, timeout=20).open()
        wire.call(spec.Confirm.Select(), spec.Confirm.SelectOk)
        for i in range(20000):
            wire.publish(1, "", "deep", b"%06d" % i + b"x" * 200, pika.BasicProperties(delivery_mode=2))
        confirmed = 0
        while confirmed < 20000:
            confirmed = wire.expect(spec.Basic.Ack).delivery_tag
        expected = 0
        for method, _, body in channel.consume("deep", inactivity_timeout=10):
            assert body[:6] == b"%06d" % expected, (body[:6], expected)
            channel.basic_ack(method.delivery_tag)
            expected += 1
            if expected == 20000:
                break


def no_descriptors_left_costs_nothing_and_hurts_nobody():
    with Leveretd(wrapper=["prlimit", "--nofile=40:40"]) as broker:
        kept = connect(broker.port)
        extra = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(60)]
        time.sleep(0.5)
        ticks = lambda: sum(int(n) for n in open("/proc/%d/stat" % broker.process.pid).read().rsplit(")", 1)[1].split()[11:13])
        before = ticks()
        time.sleep(1.5)
        assert ticks() - before < 15, "it spins"
        kept.channel().queue_declare("still-served", auto_delete=True)
        for s in extra:
            s.close()
        deadline = time.monotonic() + 10
        while True:
            try:
                connect(broker.port).close()
                break
            except Exception:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def guesses_at_passwords_are_refused_after_ten():
    def login(port, password, user="guest"):
        return connect(port, credentials=pika.PlainCredentials(user, password))
    def refused(port, password):
        try:
            login(port, password).close()
            return False
        except pika.exceptions.AMQPError:
            return True
    with Leveretd() as broker:
        for i in range(10):
            assert refused(broker.port, "wrong%d" % i)
        assert refused(broker.port, "guest"), "the right one is looked at after ten wrong ones"
    with Leveretd() as broker:
        login(broker.port, "guest").close()
        for i in range(12):
            assert refused(broker.port, "wrong%d" % i)
        assert broker.log().count("refused") < 12


def what_others_can_read_is_said_at_the_start():
    with Leveretd() as broker:
        assert "open to others" not in broker.log()
        broker.stop()
        os.chmod(broker.data, 0o755)
        log = os.path.join(broker.directory, "its.log")
        open(log, "w").close()
        os.chmod(log, 0o666)
        broker.configure("log.file = %s\n" % log)
        broker.start(wait=False)
        deadline = time.monotonic() + 30
        while 'msg="ready"' not in open(log).read():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "the data directory %s is open to others" % broker.data in open(log).read()
        assert "the log file %s is open to others" % log in open(log).read()


def a_clock_that_was_set_is_said_at_the_start():
    with Leveretd() as broker:
        assert "the clock" not in broker.log()
        for seconds, text in ((365 * 86400, "behind the journal's last write"), (-365 * 86400, "ahead of the journal's last write")):
            broker.stop()
            assert "the clock" not in broker.log() or seconds < 0
            for name in ("journal.log", "data.mdb"):
                os.utime(os.path.join(broker.data, name), (time.time() + seconds,) * 2)
            broker.start()
            assert text in broker.log(), broker.log()


run([the_command_line_explains_itself, a_bad_configuration_is_refused_with_file_and_line, closed_descriptors_are_not_taken_for_files,
     a_log_that_nobody_reads_stops_nobody, one_broker_a_directory, a_port_in_use_is_named,
     a_directory_that_cannot_be_written_is_named, sigterm_tells_clients_and_ends_with_0,
     sigterm_does_not_wait_for_clients_that_never_answer, sighup_reloads_what_it_can,
     the_first_start_makes_the_user_and_later_ones_leave_him, tls_works_and_checks_clients,
     a_certificate_that_is_not_there_is_named, the_service_manager_is_told_and_can_pass_a_socket,
     publishers_are_blocked_when_memory_runs_short_and_consumers_flow, publishers_are_blocked_when_the_disk_runs_short,
     an_alarm_holds_no_connection_of_those_who_hang_up,
     messages_beyond_the_memory_budget_come_back_from_the_journal,
     guesses_at_passwords_are_refused_after_ten, what_others_can_read_is_said_at_the_start, a_clock_that_was_set_is_said_at_the_start,
     no_descriptors_left_costs_nothing_and_hurts_nobody])
