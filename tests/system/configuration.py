#!/usr/bin/python3
"""What is wrong with a configuration, and with what it names: leveretd --check-config, and SIGHUP."""
import os
import shutil
import signal
import socket
import subprocess

from leveretd import BINARY, Leveretd, free_port, make_certificates, run


def check(broker, text, environment=None):
    """Exit status, standard output, and the lines of standard error, of a configuration that has the broker's data directory and
    port unless it says otherwise."""
    own = "" if "management." in text else "management.enabled = false\n"
    own += "" if "data_dir" in text else "data_dir = %s\n" % broker.data
    own += "" if "listeners.tcp" in text else "listeners.tcp.default = 127.0.0.1:%d\n" % broker.port
    broker.configure(text + own)
    result = subprocess.run([BINARY, "--config", broker.config, "--check-config"], capture_output=True, text=True, timeout=60,
                            env=dict(broker.environment, **(environment or {})))
    return result.returncode, result.stdout, result.stderr.splitlines()


class Place:
    """Files, good and bad, and ports that are taken."""

    def __enter__(self):
        self.broker = Leveretd()
        self.directory = self.broker.directory
        make_certificates(self.directory)
        self.write("garbage", "no certificate and no JSON")
        self.write("list.json", "[1]")
        self.write("twice.json", '{\n "users": [],\n "users": []}')
        self.write("good.json", '{"users": []}')
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.other = socket.create_server(("127.0.0.1", 0))
        self.port, self.other_port = (taken.getsockname()[1] for taken in (self.taken, self.other))
        return self

    def __exit__(self, *_):
        self.taken.close()
        self.other.close()
        shutil.rmtree(self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def mistakes(self):
        """The line of the file, which key it is about, and what is said."""
        p = self.path
        return [
            ("data_dir = %s" % p("garbage"), "data_dir", "%s: Not a directory" % p("garbage")),
            ("data_dir = %s/below" % p("garbage"), "data_dir", "Not a directory"),
            ("data_dir = /proc/nothing/there", "data_dir", "/proc: " if os.getuid() else None),
            ("listeners.tcp.x = 127.0.0.1:%d" % self.port, "listeners.tcp.x", "cannot listen on 127.0.0.1 port %d: Address already in use" % self.port),
            ("listeners.ssl.y = 192.0.2.7:%d" % free_port(), "listeners.ssl.y", "cannot listen on 192.0.2.7 port"),
            ("management.tcp.port = %d" % self.other_port, "management.tcp.port", "cannot listen on 127.0.0.1 port %d" % self.other_port),
            ("management.tcp.ip = nowhere", "management.tcp.ip", "expected a numeric address"),
            ("management.ssl.certfile = %s" % p("none"), "management.ssl.certfile", "No such file or directory"),
            ("management.ssl.keyfile = %s" % p("garbage"), "management.ssl.keyfile", "no private key can be read from it"),
            ("management.ssl.port = %d" % free_port(), "management.ssl.port", "needs management.ssl.certfile and"),
            ("ssl_options.certfile = %s" % p("none"), "ssl_options.certfile", "%s: No such file or directory" % p("none")),
            ("ssl_options.certfile = %s" % self.directory, "ssl_options.certfile", "Is a directory"),
            ("ssl_options.certfile = %s" % p("garbage"), "ssl_options.certfile", "no certificate can be read from it"),
            ("ssl_options.keyfile = %s" % p("none"), "ssl_options.keyfile", "No such file or directory"),
            ("ssl_options.keyfile = %s" % p("server.pem"), "ssl_options.keyfile", "no private key can be read from it"),
            ("ssl_options.cacertfile = %s" % p("none"), "ssl_options.cacertfile", "No such file or directory"),
            ("ssl_options.cacertfile = %s" % p("server.key"), "ssl_options.cacertfile", "no certificates of CAs can be read from it"),
            ("default_permissions.configure = (", "default_permissions.configure", "configure: no regular expression"),
            ("default_permissions.write = [", "default_permissions.write", "write: no regular expression"),
            ("default_permissions.read = *", "default_permissions.read", "read: no regular expression"),
            ("load_definitions = %s" % p("none"), "load_definitions", "No such file or directory"),
            ("load_definitions = %s" % p("garbage"), "load_definitions", "line 1, column "),
            ("load_definitions = %s" % p("twice.json"), "load_definitions", "line 3, column "),
            ("load_definitions = %s" % p("list.json"), "load_definitions", "expected an object of JSON"),
            ("log.file = %s" % self.directory, "log.file", "Is a directory"),
            ("log.file = %s/none/log" % self.directory, "log.file", "No such file or directory"),
            ("log.file = %s/log" % p("garbage"), "log.file", "Not a directory"),
        ]


def what_is_right_is_good_and_nothing_is_made():
    with Place() as place:
        p = place.path
        text = ("listeners.ssl.x = 127.0.0.1:%d\nssl_options.certfile = %s\nssl_options.keyfile = %s\nssl_options.cacertfile = %s\n"
                "ssl_options.verify = verify_peer\nload_definitions = %s\nlog.file = %s\n"
                % (free_port(), p("server.pem"), p("server.key"), p("ca.pem"), p("good.json"), p("new.log")))
        before = sorted(os.listdir(place.directory))
        status, said, mistakes = check(place.broker, text)
        assert (status, said, mistakes) == (0, "the configuration is good\n", []), (status, said, mistakes)
        assert sorted(os.listdir(place.directory)) == before, os.listdir(place.directory)


def each_mistake_is_said_with_file_and_line():
    with Place() as place:
        for line, key, text in place.mistakes():
            if text is None:
                continue
            more = "ssl_options.certfile = x\nssl_options.keyfile = x\n" if "listeners.ssl" in line else ""
            status, said, mistakes = check(place.broker, "# a comment\n%s\n%s" % (line, more))
            start = "leveretd: %s:2: %s: " % (place.broker.config, key)
            assert status == 2 and said == "", (line, status, said)
            assert [m for m in mistakes if m.startswith(start) and text in m], (line, mistakes)
            assert len(mistakes) == (3 if more else 1), (line, mistakes)


def a_key_of_another_certificate_is_said():
    with Place() as place:
        text = "ssl_options.certfile = %s\nssl_options.keyfile = %s\n" % (place.path("server.pem"), place.path("client.key"))
        status, _, mistakes = check(place.broker, text)
        assert status == 2 and len(mistakes) == 1, mistakes
        assert ":2: ssl_options.keyfile: %s: does not belong to the certificate" % place.path("client.key") in mistakes[0], mistakes


def all_mistakes_are_said_at_once():
    with Place() as place:
        lines = {}
        for line, key, text in place.mistakes():
            if text is not None and key not in ("management.tcp.ip", "management.ssl.port"):  # Mistakes without others only.
                lines[key] = line, text
        wrong = [("hartbeat = 3", "unknown key 'hartbeat'"), ("heartbeat = soon", "heartbeat = soon: expected a whole number"),
                 ("just words", "expected key = value"), ("[section]", "sections are not used here"),
                 ("default_vhost =", "default_vhost: must not be empty"),
                 ("log.level = loud", "log.level = loud: expected debug, info, warning, error or none"),
                 ("listeners.tcp.again = 0.0.0.0:%d" % place.port, "port %d is that of listeners.tcp.x" % place.port)]
        wrong += [(line, "%s: " % key) for key, (line, _) in lines.items()]
        wrong.sort(key=lambda pair: pair[0].startswith("listeners.tcp.again"))
        status, _, mistakes = check(place.broker, "".join(line + "\n" for line, _ in wrong), {"LEVERET_FRAME_MAX": "1"})
        assert status == 2
        for number, (line, text) in enumerate(wrong, 1):
            start = "leveretd: %s:%d: " % (place.broker.config, number)
            assert [m for m in mistakes if m.startswith(start) and text in m], (line, text, mistakes)
        assert [m for m in mistakes if m.startswith("leveretd: LEVERET_FRAME_MAX: frame_max = 1: expected")], mistakes
        # Beside those of the lines: the second listener cannot be bound either.
        assert len(mistakes) == len(wrong) + 2, mistakes


def a_running_broker_is_not_in_its_own_way():
    with Leveretd() as broker:
        status, _, mistakes = check(broker, "")
        assert status == 0, mistakes
        assert "connection" not in broker.log().split('msg="ready"')[1], broker.log()


def sighup_says_all_mistakes_and_all_that_needs_a_restart():
    with Leveretd("heartbeat = 10\n") as broker:
        broker.configure("heartbeat = x\nlog.level = y\nqueue_max = 7\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("leveret.conf:2: log.level = y: expected")
        assert "configuration unchanged: %s:1: heartbeat = x: expected" % broker.config in broker.log()
        broker.configure("load_definitions = /nonexistent\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("leveret.conf:1: load_definitions: ")
        broker.configure("heartbeat = 20\nqueue_max = 7\nio_threads = 2\ndefault_pass = x\nlisteners.ssl.a = %d\n"
                         "ssl_options.certfile = server.pem\nssl_options.keyfile = server.key\n" % free_port())
        make_certificates(broker.directory)
        broker.configure(open(broker.config).read().replace("= server.", "= %s/server." % broker.directory))
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("configuration reloaded")
        assert "with the next start only: listeners.ssl.*, default_pass, io_threads, queue_max" in broker.log(), broker.log()


run([what_is_right_is_good_and_nothing_is_made, each_mistake_is_said_with_file_and_line, a_key_of_another_certificate_is_said,
     all_mistakes_are_said_at_once, a_running_broker_is_not_in_its_own_way, sighup_says_all_mistakes_and_all_that_needs_a_restart])
