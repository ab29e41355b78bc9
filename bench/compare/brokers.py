"""Brokers that compare.py starts on loopback, each with a directory of its own, and stops by their process ids."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("%s does not listen on port %d" % (process.args[0], port))
        time.sleep(0.1)


class Broker:
    name = ""
    confirm_means = ""
    settings = ""
    is_floor = False

    def __init__(self, directory):
        self.directory = os.path.join(directory, re.sub(r"\W+", "-", self.name))
        os.makedirs(self.directory)
        self.port = free_port()
        self.process = None

    def start_process(self, command, **more):
        self.log = open(os.path.join(self.directory, "log"), "w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True, **more)
        wait_for_port(self.port, self.process)

    @property
    def uri(self):
        return "amqp://127.0.0.1:%d" % self.port

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        raise NotImplementedError

    def stop(self):
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Leveret(Broker):
    name = "Leveret"
    confirm_means = "written and synced to disk (fdatasync), always"
    settings = "as built, no configuration"

    def __init__(self, directory, binary, arguments=()):
        super().__init__(directory)
        self.binary, self.arguments = binary, list(arguments)

    def start(self):
        self.start_process([self.binary, "--data-dir", os.path.join(self.directory, "data"), "--port", str(self.port)] + self.arguments)


class Floor(Broker):
    name = "floor"
    confirm_means = "nothing: sent at once"
    settings = "parses a publish and emits a deliver; no queues, no storage"
    is_floor = True

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary

    def start(self):
        self.start_process([self.binary, "--port", str(self.port)])


class RabbitMQ(Broker):
    name = "RabbitMQ"
    confirm_means = "persistent in a durable classic queue: written and synced (3.x); 4.x classic queues confirm without a sync"
    settings = "as installed, classic queues"

    def start(self):
        server = next((p for p in glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server") + ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
                       if os.path.exists(p)), None)
        if server is None:
            raise RuntimeError("no rabbitmq-server is installed")
        environment = dict(
            os.environ, HOME=self.directory, RABBITMQ_NODENAME="compare%d@localhost" % self.port, RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_DIST_PORT=str(free_port()), RABBITMQ_MNESIA_BASE=self.directory,
            RABBITMQ_LOG_BASE=self.directory, RABBITMQ_ENABLED_PLUGINS_FILE=os.path.join(self.directory, "plugins"), ERL_EPMD_ADDRESS="127.0.0.1",
            ERL_EPMD_PORT=str(free_port()), RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}")
        self.start_process([server], env=environment)
        self.epmd_port = environment["ERL_EPMD_PORT"]
        time.sleep(3)

    @property
    def pid(self):
        """The Erlang machine, somewhere below the script."""
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            pid = int(path.split("/")[2])
            try:
                if "beam" in open(path).read().split("\0")[0] and os.getsid(pid) == self.process.pid:
                    return pid
            except OSError:
                continue
        raise RuntimeError("RabbitMQ's process is not to be found")

    def stop(self):
        super().stop()
        for path in glob.glob("/proc/[0-9]*/environ"):  # Its port mapper is a daemon: only what we started.
            try:
                if "ERL_EPMD_PORT=" + self.epmd_port in open(path).read().split("\0"):
                    os.kill(int(path.split("/")[2]), signal.SIGTERM)
            except (OSError, AttributeError):
                continue


class LavinMQ(Broker):
    name = "LavinMQ"
    confirm_means = "since 2.9: written and synced; before: written to a memory map"
    settings = "as built, no configuration"

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary

    def start(self):
        data = os.path.join(self.directory, "data")
        self.start_process([self.binary, "-D", data, "--bind", "127.0.0.1", "-p", str(self.port), "--http-port", str(free_port())])


class Nats(Broker):
    """Not AMQP: measured by its own bench, where that is given; one stream on disk, every message synced where the server can do that."""
    name = "NATS JetStream"

    def __init__(self, directory, server, cli):
        super().__init__(directory)
        self.server, self.cli = server, cli

    def start(self):
        config = os.path.join(self.directory, "nats.conf")
        self.configure(config, "sync_interval: always\n")
        self.confirm_means = "written and synced (sync_interval: always; by default every two minutes)"
        if subprocess.run([self.server, "-t", "-c", config], capture_output=True).returncode != 0:
            self.configure(config, "")
            self.confirm_means = "written; synced every two minutes: this server, before 2.10, cannot do more"
        self.settings = "one stream, file storage"
        self.start_process([self.server, "-c", config])

    def configure(self, path, more):
        with open(path, "w") as f:
            f.write('listen: "127.0.0.1:%d"\njetstream {\n  store_dir: "%s"\n  %s}\n' % (self.port, self.directory, more))

    def bench(self, size, messages):
        """Messages a second: published one by one, each waited for; published asynchronously in batches of 500."""
        rates = []
        for more in (["--syncpub"], ["--pubbatch", "500"]):
            out = subprocess.run([self.cli, "-s", "nats://127.0.0.1:%d" % self.port, "bench", "compare", "--js", "--pub", "1", "--size", str(size),
                                  "--msgs", str(messages), "--storage", "file", "--purge", "--no-progress"] + more,
                                 capture_output=True, text=True, timeout=600).stdout
            found = re.search(r"([\d,]+) msgs/sec", out)
            rates.append(float(found.group(1).replace(",", "")) if found else None)
        return rates


def version_of_nats(server):
    return subprocess.run([server, "--version"], capture_output=True, text=True).stdout.strip()


def disk(floor, directory, size):
    """What the disk can do: an fdatasync after each write of so many bytes."""
    out = subprocess.run([floor, "--disk", directory, "--bytes", str(size), "--seconds", "2"], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)
