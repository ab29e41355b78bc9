#!/usr/bin/python3
"""The command line tool, as a shell uses it.

    cli.py LEVERETD LEVERET"""
import json
import os
import signal
import subprocess
import sys
import time

import pika

from leveretd import Leveretd, free_port, run

LEVERET = os.path.abspath(sys.argv[2])
broker = None


def leveret(*arguments, stdin="", status=0, uri=None):
    command = [LEVERET, "-u", uri or "amqp://127.0.0.1:%d" % broker.port, *arguments]
    done = subprocess.run(command, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == status, (arguments, done)
    return done.stdout.decode(), done.stderr.decode()


def publishes_and_takes():
    leveret("declare", "queue", "q")
    assert leveret("publish", "q", stdin="one\n") == ("1 stored, 0 duplicates, 0 failed\n", "")
    assert leveret("publish", "--lines", "q", stdin="two\nthree\n\nfive") == ("4 stored, 0 duplicates, 0 failed\n", "")
    assert leveret("info", "q")[0] == "5 messages, 0 consumers\n"
    assert leveret("get", "--requeue", "-c", "2", "q")[0] == "one\n\ntwo\n"
    assert leveret("get", "q")[0] == "one\n\n"
    assert leveret("consume", "--count", "2", "q")[0] == "two\nthree\n"
    assert leveret("consume", "--idle", "300", "q")[0] == "\nfive\n"
    leveret("get", "q", status=4)
    leveret("consume", "--idle", "100", "q", status=4)


def repeats_are_told():
    leveret("declare", "queue", "q")
    assert leveret("publish", "-k", "job", "--lines", "q", stdin="a\nb\n")[0] == "2 stored, 0 duplicates, 0 failed\n"
    assert leveret("publish", "-k", "job", "--lines", "q", stdin="a\nb\nc\n")[0] == "1 stored, 2 duplicates, 0 failed\n"
    assert leveret("purge", "q")[0] == "3 messages purged\n"


def json_has_everything():
    leveret("declare", "--dlq", "-a", "x-message-ttl=3600000", "queue", "jobs")
    leveret("publish", "-H", "n=5", "-H", "s:=5", "-H", "b=true", "-p", "content_type=text/plain", "-p", "priority=3", "jobs", stdin="x")
    leveret("consume", "-c", "1", "--exec", "false", "--reject", "jobs", status=1)
    message = json.loads(leveret("-j", "get", "jobs.dlq")[0])
    assert message["body"] == "x" and message["properties"]["priority"] == 3 and message["properties"]["content_type"] == "text/plain"
    headers = message["properties"]["headers"]
    assert (headers["n"], headers["s"], headers["b"]) == (5, "5", True)
    assert headers["x-death"][0]["queue"] == "jobs" and headers["x-death"][0]["reason"] == "rejected"
    leveret("publish", "jobs.dlq", status=0, stdin="\udcff".encode("utf-8", "surrogateescape").decode("latin-1"))
    assert "body" in json.loads(leveret("--json", "get", "jobs.dlq")[0])
    assert json.loads(leveret("-j", "info", "jobs")[0]) == {"queue": "jobs", "messages": 0, "consumers": 0}


def left(queue):
    return json.loads(leveret("-j", "info", queue)[0])["messages"]


def filled(queue, messages):
    leveret("declare", "queue", queue)
    leveret("purge", queue)
    leveret("publish", "-l", queue, stdin="".join("line %d\n" % i for i in range(messages)))


def acks_what_has_been_written_only():
    for command in (("get", "-c", "10"), ("get", "-r", "-c", "10"), ("consume", "-c", "10", "-i", "500")):
        for options in ((), ("-j",)):
            for stdout in ("> /dev/full", ">&-"):
                filled("w", 10)
                shell = "exec %s -u amqp://127.0.0.1:%d %s %s w %s" % (LEVERET, broker.port, " ".join(options), " ".join(command), stdout)
                done = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, timeout=60)
                assert done.returncode == 1 and done.stderr.count(b"standard output") == 1, (shell, done)
                assert left("w") == 10, (shell, left("w"))
    filled("w", 1)
    consume = subprocess.Popen([LEVERET, "-u", "amqp://127.0.0.1:%d" % broker.port, "consume", "w"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert consume.stdout.readline() == b"line 0\n"
    consume.stdout.close()  # As head -1 does: it ends, though nothing more comes.
    assert b"standard output" in consume.stderr.read() and consume.wait(30) == 1
    filled("w", 3)
    done = subprocess.run(["sh", "-c", "exec %s -u amqp://127.0.0.1:%d publish -l w <&-" % (LEVERET, broker.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"standard input" in done.stderr, done


def what_a_command_fails_for_goes_back():
    for command, words in (("exit 3", "ended with 3"), ("kill -9 $$", "signal 9"), ("/no/such/command 2> /dev/null", "ended with 127")):
        filled("f", 3)
        out, err = leveret("consume", "-e", command, "-c", "3", "-i", "5000", "f", status=1)
        assert err.count(words) == 3 and err.count("put back") == 3, err
        assert left("f") == 3
    leveret("consume", "-e", "exit 3", "-R", "-c", "2", "f", status=1)
    assert left("f") == 1
    leveret("publish", "f", stdin="good")
    # The failure takes its time: the second message may go out only when the disk knows that it does.
    out, err = leveret("consume", "-e", "grep good || { sleep 1; exit 1; }", "-c", "2", "f", status=1)
    assert out == "good\n" and left("f") == 1, (out, left("f"))
    leveret("consume", "-e", "exec <&-", "-c", "1", "f")
    assert left("f") == 0
    leveret("publish", "f", stdin="x" * 1000000)  # More than a pipe takes: the command has ended before all is written.
    leveret("consume", "-e", "exit 0", "-c", "1", "f")
    assert left("f") == 0
    leveret("consume", "--reject", "f", status=2)


def prints_headers_of_any_kind():
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
    channel.queue_declare("kinds")
    deep = {"end": 1}
    for _ in range(12):
        deep = {"in": deep}
    channel.basic_publish("", "kinds", b"x", pika.BasicProperties(headers={"deep": deep, "bytes": b"\xff"}, correlation_id="caf\u00e9"))
    properties = json.loads(leveret("-j", "get", "kinds")[0])["properties"]
    assert properties["correlation_id"] == "caf\u00e9"
    assert properties["headers"] == {"deep": deep, "bytes": {"base64": "/w=="}}
    channel.connection.close()


def takes_headers_that_are_larger_than_a_frame():
    """They have filled one when they were published; then the broker has added its own."""
    leveret("declare", "--dlq", "queue", "large")
    channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port)).channel()
    channel.confirm_delivery()
    headers = {"x-idempotency-key": "k", "pad": ""}
    room = 131072 - 8 - 12 - len(b"".join(pika.BasicProperties(headers=headers).encode()))
    channel.basic_publish("", "large", b"large", pika.BasicProperties(headers=dict(headers, pad="p" * room)))
    channel.connection.close()
    message = json.loads(leveret("-j", "get", "--requeue", "large")[0])
    assert message["body"] == "large" and len(message["properties"]["headers"]["pad"]) == room
    assert "x-message-uid" in message["properties"]["headers"]
    leveret("consume", "-c", "1", "--exec", "false", "--reject", "large", status=1)
    assert "x-death" in json.loads(leveret("-j", "get", "large.dlq")[0])["properties"]["headers"]


def numbers_that_are_none_stay_text():
    leveret("declare", "queue", "n")
    leveret("publish", "-H", "big=99999999999999999999", "-H", "small=-5", "-H", "blank= 5", "n", stdin="x")
    headers = json.loads(leveret("-j", "get", "n")[0])["properties"]["headers"]
    assert (headers["big"], headers["small"], headers["blank"]) == ("99999999999999999999", -5, " 5")


def follows_an_exchange():
    leveret("declare", "exchange", "events", "topic")
    tail = subprocess.Popen([LEVERET, "-u", "amqp://127.0.0.1:%d" % broker.port, "tail", "-c", "2", "events", "order.*", "stock.#"],
                            stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while subprocess.run([LEVERET, "-u", "amqp://127.0.0.1:%d" % broker.port, "publish", "-x", "events", "order.paid"], input=b"paid",
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 5:
        assert time.monotonic() < deadline
    leveret("publish", "-o", "-x", "events", "user.new", stdin="not seen")
    leveret("publish", "-x", "events", "stock.low.now", stdin="low")
    assert tail.communicate(timeout=30)[0] == b"paid\nlow\n"
    assert tail.returncode == 0
    tail = subprocess.Popen([LEVERET, "-u", "amqp://127.0.0.1:%d" % broker.port, "tail", "events"], stdout=subprocess.PIPE)
    time.sleep(0.5)
    tail.send_signal(signal.SIGINT)
    tail.communicate(timeout=30)
    assert tail.returncode in (0, -signal.SIGINT)  # The second, if it had hardly begun.


def asks_and_answers():
    leveret("request", "nobody", "x", status=5)
    leveret("declare", "queue", "silent")
    leveret("-t", "200", "request", "silent", "x", status=4)


def binds_and_deletes():
    leveret("declare", "queue", "b")
    leveret("declare", "exchange", "x", "topic")
    out, err = leveret("bind", "b", "x", "a*.b")
    assert out == "bound\n" and "wildcards stand for whole words" in err
    leveret("unbind", "b", "x", "a*.b")
    leveret("publish", "-x", "x", "a.b", status=5)
    leveret("delete", "exchange", "x")
    assert leveret("delete", "queue", "b")[0] == "deleted, with 0 messages\n"


def names_stay_text_in_one_line():
    """Whoever chose them: what is said of them moves no cursor and begins no line."""
    hostile = "none\x1b[2J\nleveret: all is well\x07\x7f"
    for command in (("info", hostile), ("consume", hostile), ("get", hostile), ("purge", hostile), ("bind", hostile, hostile, hostile),
                    ("publish", "-x", hostile, "key"), ("declare", "exchange", "e", hostile)):
        done = subprocess.run([LEVERET, "-u", "amqp://127.0.0.1:%d" % broker.port, *command], input=b"x", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode()
        assert done.returncode == 1, (command, done)
        assert said.count("\n") == 1 and all(c >= " " and c != "\x7f" for c in said[:-1]), (command, said)
        assert "\\x1b[2J" in said, (command, said)
    leveret("declare", "queue", "odd")
    leveret("publish", "-H", "h=" + hostile, "-H", "\x1bname=1", "odd", stdin="\x1b[2J\n")
    out = leveret("-j", "get", "odd")[0]
    assert out.count("\n") == 1 and "\x1b" not in out and json.loads(out)["properties"]["headers"]["h"] == hostile


def mistakes_have_their_status():
    for arguments in ((), ("fly",), ("publish",), ("publish", "-p", "no=x", "q"), ("publish", "--rate", "0", "q"), ("declare", "queue"),
                      ("consume", "--count", "-1", "q"), ("delete", "planet", "x"), ("publish", "-H", "x", "q")):
        leveret(*arguments, status=2)
    leveret("consume", "none", status=1)
    leveret("publish", "q", "/no/such/file", status=1)
    leveret("declare", "exchange", "e", "no-such-type", status=1)
    leveret("info", "q", uri="http://x", status=2)
    leveret("-t", "200", "info", "q", uri="amqp://127.0.0.1:%d" % free_port(), status=3)
    leveret("info", "q", uri="amqp://guest:wrong@127.0.0.1:%d" % broker.port, status=3)
    assert "Usage" in leveret("--help")[0]


if __name__ == "__main__":
    with Leveretd() as broker:
        run([publishes_and_takes, repeats_are_told, json_has_everything, acks_what_has_been_written_only, what_a_command_fails_for_goes_back,
             prints_headers_of_any_kind, takes_headers_that_are_larger_than_a_frame,
             numbers_that_are_none_stay_text, follows_an_exchange, asks_and_answers, binds_and_deletes,
             names_stay_text_in_one_line, mistakes_have_their_status])
