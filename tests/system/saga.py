#!/usr/bin/python3
"""The saga of an order, whose orchestrator is killed at each of its system calls that matter - every sync of its log, every message that it sends - while
services and broker are killed at random as well: in the end it has been completed or undone, and each effect was had once.

    saga.py LEVERETD SAGA [ROUNDS [SEED]]"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from leveretd import Leveretd, run

SAGA = os.path.abspath(sys.argv[2])
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else int(time.time())
STEPS = ["order", "inventory", "payment", "confirmation"]


class World:
    def __init__(self, broker):
        self.broker = broker
        self.directory = tempfile.mkdtemp(prefix="leveret-saga.", dir=broker.directory)
        self.database = os.path.join(self.directory, "services.db")
        self.log = os.path.join(self.directory, "sagas")
        self.environment = dict(os.environ, LEVERET_URI="amqp://127.0.0.1:%d" % broker.port)
        self.start_services()

    def start_services(self):
        self.services = subprocess.Popen([SAGA, "service", self.database], stdout=subprocess.PIPE, env=self.environment)
        assert self.services.stdout.readline() == b"ready\n"

    def kill_services(self):
        self.services.kill()
        self.services.wait()
        self.start_services()

    def close(self):
        self.services.kill()
        self.services.wait()

    def order(self, order, amount, killer=()):
        done = subprocess.run([*killer, SAGA, "order", self.log, order, str(amount)], env=self.environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60)
        return done.returncode

    def resume(self):
        """Until nothing is left to be resumed. A step that failed while the broker was killed is undone, which is an end, too."""
        for _ in range(10):
            done = subprocess.run([SAGA, "resume", self.log], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            if done.returncode == 0:
                return
        raise AssertionError(done)

    def effects(self, order):
        db = sqlite3.connect(self.database, timeout=30)
        rows = db.execute("SELECT key, times FROM effects WHERE key LIKE ?", (order + "/%",)).fetchall()
        db.close()
        return {key[len(order) + 1:]: times for key, times in rows}

    def check(self, order, may_be_undone):
        effects = self.effects(order)
        assert all(times == 1 for times in effects.values()), (order, effects)
        done = {step for step in effects if not step.endswith("/undo")}
        undone = {step[:-len("/undo")] for step in effects if step.endswith("/undo")}
        if not undone and done == set(STEPS):
            return "completed"
        # Undoing what may not have happened is harmless; leaving what has happened is not.
        assert may_be_undone and done - {"confirmation"} <= undone, (order, effects)
        return "undone"


def killed_at(world, call, number):
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + call, "-e", "inject=%s:signal=SIGKILL:when=%d" % (call, number)]


def killed_at_each_step():
    """At the end of each order that was not killed all of its calls have been tried."""
    with Leveretd() as broker:
        world = World(broker)
        kills = 0
        for call in ("fdatasync", "sendto"):
            for amount in (50, 500):
                for number in range(1, 60):
                    order = "%s-%d-%d" % (call, amount, number)
                    status = world.order(order, amount, killed_at(world, call, number))
                    if status in (0, 3):
                        break
                    assert status in (-signal.SIGKILL, 137), status
                    kills += 1
                    world.resume()
                    effects = world.effects(order)
                    if effects:  # None: it was killed before it had been written down.
                        assert world.check(order, amount > 100) == ("completed" if amount <= 100 else "undone")
                else:
                    raise AssertionError("%s: no end" % call)
        world.close()
        assert kills >= 20, kills


def killed_together_with_services_and_broker():
    with Leveretd() as broker:
        world = World(broker)
        for i in range(ROUNDS * 8):
            amount = random.choice((50, 500))
            order = "random-%d" % i
            orchestrator = subprocess.Popen([SAGA, "order", world.log, order, str(amount)], env=world.environment, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
            time.sleep(random.random() * 0.05)
            for victim in random.sample(["orchestrator", "services", "broker"], random.randint(1, 3)):
                if victim == "orchestrator":
                    orchestrator.kill()
                elif victim == "services":
                    world.kill_services()
                else:
                    broker.kill()
                    broker.start()
            orchestrator.wait(60)
            world.resume()
            if world.effects(order):
                world.check(order, True)
        world.close()


if __name__ == "__main__":
    print("seed %d" % SEED, flush=True)
    random.seed(SEED)
    run([killed_at_each_step, killed_together_with_services_and_broker])
