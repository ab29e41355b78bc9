"""Starts and stops leveretd for the tests of the running server."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

BINARY = sys.argv[1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificates(directory):
    """ca, server and client: .pem and .key, in a directory."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for who in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", who + ".key", "-out", who + ".csr", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", who + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", who + ".pem", "-days", "2")


class Leveretd:
    """A broker with a directory of its own. It can be killed and started again on the same data."""

    def __init__(self, config="", arguments=(), environment=None, wrapper=(), **popen):
        self.directory = tempfile.mkdtemp(prefix="leveret-test.")
        self.data = os.path.join(self.directory, "data")
        self.port = free_port()
        self.arguments = list(arguments)
        # A sanitizer's build keeps freed memory in quarantine; with little of it, what is freed can be seen to be freed.
        self.environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=1", **(environment or {}))
        self.wrapper = list(wrapper)
        self.popen = popen
        self.process = None
        self.configure(config)

    def configure(self, text):
        self.config = os.path.join(self.directory, "leveret.conf")
        with open(self.config, "w") as f:
            f.write(text)

    def command(self):
        return self.wrapper + [BINARY, "--data-dir", self.data, "--port", str(self.port), "--config", self.config] + self.arguments

    def log(self):
        with open(os.path.join(self.directory, "log"), errors="replace") as f:
            return f.read()

    def wait_for(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("no %r in the log:\n%s" % (text, self.log()[-3000:]))
            time.sleep(0.02)

    def start(self, wait=True):
        with open(os.path.join(self.directory, "log"), "w") as log:
            self.process = subprocess.Popen(self.command(), stderr=log, env=self.environment, **self.popen)
        if wait:
            self.wait_for('msg="ready"')
        return self

    def stop(self, seconds=30):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory)


def run(tests):
    """Runs functions as tests and ends the program."""
    failed = 0
    for test in tests:
        try:
            test()
        except Exception as error:  # The next one goes on.
            failed += 1
            print("%s: %s: %s" % (test.__name__, type(error).__name__, error), flush=True)
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(1 if failed else 0)
