#!/usr/bin/python3
"""Large definitions: they come in while others work, survive a crash on the way, and keep no start waiting.

    definitions.py LEVERETD LEVERETCTL"""
import json
import os
import signal
import subprocess
import sys
import time

import pika.spec as spec

from leveretd import Leveretd, run

from wire import Wire

CTL = sys.argv[2]
HASH = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"  # test12
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def ctl(broker, *arguments, status=0):
    done = subprocess.run([CTL, "--data-dir", broker.data, "-q", *arguments], capture_output=True, text=True)
    assert done.returncode == status, (arguments, done.returncode, done.stdout[-500:], done.stderr)
    return done.stdout


def names(broker, command, column):
    return [row[column] for row in json.loads(ctl(broker, command, "--formatter", "json"))]


def large(users, vhosts):
    vhost = lambda i: "v%d" % (i % vhosts)
    return {
        "vhosts": [{"name": vhost(i)} for i in range(vhosts)],
        "users": [{"name": "u%d" % i, "password_hash": HASH, "hashing_algorithm": "rabbit_password_hashing_sha256",
                   "tags": ["t%d" % (i % 3)], "limits": {"max-channels": i} if i % 2 else {}} for i in range(users)],
        "permissions": [{"user": "u%d" % i, "vhost": vhost(i), "configure": "^u%d-" % i, "write": ".*", "read": "^(a|b)"}
                        for i in range(users)],
        "topic_permissions": [{"user": "u%d" % i, "vhost": vhost(i), "exchange": "amq.topic", "write": "^{username}", "read": ""}
                              for i in range(0, users, 10)],
        "policies": [{"vhost": vhost(i), "name": "p", "pattern": "^q", "apply-to": "queues", "priority": 0,
                      "definition": {"max-length": i + 1}} for i in range(vhosts)],
        "queues": [{"vhost": vhost(i), "name": "q", "durable": True, "auto_delete": False, "arguments": {}} for i in range(vhosts)],
        "exchanges": [{"vhost": vhost(i), "name": "x", "type": "topic", "durable": True, "auto_delete": False, "internal": False,
                       "arguments": {}} for i in range(vhosts)],
        "bindings": [{"vhost": vhost(i), "source": "x", "destination": "q", "destination_type": "queue", "routing_key": "a.#",
                      "arguments": {}} for i in range(vhosts)],
    }


def write(broker, definitions):
    path = os.path.join(broker.directory, "definitions.json")
    with open(path, "w") as f:
        json.dump(definitions, f)
    return path


def start_import(broker, path):
    return subprocess.Popen([CTL, "--data-dir", broker.data, "-q", "import_definitions", path], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def as_sets(definitions):
    return {name: {json.dumps(o, sort_keys=True) for o in objects} for name, objects in definitions.items() if isinstance(objects, list)}


def holds(broker, definitions):
    """What is there is what they say, and the users and the virtual host of the first start."""
    there, said = as_sets(json.loads(ctl(broker, "export_definitions", "-"))), as_sets(definitions)
    named = lambda lists, name: {json.loads(o)["name"] for o in lists[name]}
    assert named(there, "vhosts") == named(said, "vhosts") | {"/"}
    assert named(there, "users") == named(said, "users") | {"guest"}
    for name in ("users", "permissions", "topic_permissions", "policies", "queues", "exchanges", "bindings"):
        assert said[name] <= there[name], (name, list(said[name] - there[name])[:3])


@test
def others_work_while_definitions_come_in():
    definitions = large(10000, 500)
    with Leveretd() as broker:
        path = write(broker, definitions)
        w = Wire(broker.port).open()
        importing = start_import(broker, path)
        answered = 0
        while importing.poll() is None:
            w.call(spec.Basic.Qos(), spec.Basic.QosOk)
            answered += 1
        assert importing.returncode == 0
        assert answered > 50, "only %d methods were answered meanwhile" % answered
        holds(broker, definitions)
        assert broker.stop() == 0
        broker.start()
        holds(broker, definitions)


@test
def what_a_crash_cuts_off_the_same_import_completes():
    definitions = large(4000, 300)
    for reached in (2, 150, 301):
        with Leveretd() as broker:
            path = write(broker, definitions)
            importing = start_import(broker, path)
            while len(names(broker, "list_vhosts", "name")) < reached:
                assert importing.poll() is None or reached == 301
            broker.kill()
            importing.wait()
            broker.start()
            assert "damaged" not in broker.log()
            ctl(broker, "import_definitions", path)
            holds(broker, definitions)


@test
def with_a_mistake_at_the_end_nothing_of_many_holds():
    definitions = large(2000, 100)
    definitions["bindings"][-1]["source"] = "nosuch"
    with Leveretd() as broker:
        ctl(broker, "import_definitions", write(broker, definitions), status=65)
        assert names(broker, "list_vhosts", "name") == ["/"]
        assert names(broker, "list_users", "user") == ["guest"]


@test
def several_imports_and_changes_at_once():
    with Leveretd() as broker:
        paths = []
        for i in range(3):
            paths.append(os.path.join(broker.directory, "%d.json" % i))
            definitions = large(2000, 100)
            for user in definitions["users"]:
                user["tags"] = ["file%d" % i]
            with open(paths[-1], "w") as f:
                json.dump(definitions, f)
        imports = [start_import(broker, path) for path in paths]
        ctl(broker, "add_user", "between", "pw")
        assert [i.wait() for i in imports] == [0, 0, 0]
        tags = {tuple(u["tags"]) for u in json.loads(ctl(broker, "list_users", "--formatter", "json")) if u["user"].startswith("u")}
        assert len(tags) == 1, tags
        assert "between" in ctl(broker, "list_users")


@test
def who_asks_and_goes_away_leaves_the_import_to_its_end():
    definitions = large(3000, 100)
    with Leveretd() as broker:
        importing = start_import(broker, write(broker, definitions))
        while len(names(broker, "list_vhosts", "name")) < 2:
            pass
        importing.kill()
        importing.wait()
        deadline = time.monotonic() + 60
        while len(json.loads(ctl(broker, "export_definitions", "-"))["bindings"]) < 100:
            assert time.monotonic() < deadline
        holds(broker, definitions)


@test
def a_file_is_loaded_again_while_others_work():
    with Leveretd() as broker:
        path = write(broker, {"policies": [{"vhost": "/", "name": "old", "pattern": "x", "definition": {"max-length": 1}}]})
        broker.configure("load_definitions = %s\n" % path)
        broker.stop()
        broker.start()
        assert "old" in ctl(broker, "list_policies")
        write(broker, large(5000, 200))
        w = Wire(broker.port).open()
        for _ in range(3):
            broker.process.send_signal(signal.SIGHUP)
        answered = 0
        while "configuration reloaded" not in broker.log():
            w.call(spec.Basic.Qos(), spec.Basic.QosOk)
            answered += 1
        assert answered > 20, answered
        holds(broker, large(5000, 200))
        assert "old" not in ctl(broker, "list_policies")
        assert broker.stop() == 0


@test
def a_broker_that_stops_drops_what_was_coming_in():
    with Leveretd() as broker:
        importing = start_import(broker, write(broker, large(20000, 100)))
        while len(names(broker, "list_vhosts", "name")) < 2:
            pass
        assert broker.stop() == 0
        importing.wait()
        broker.start()
        assert "damaged" not in broker.log()


run(TESTS)
