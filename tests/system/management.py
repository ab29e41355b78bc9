#!/usr/bin/python3
"""The management over HTTP against what RabbitMQ 3.10.8 answered (tests/interop/management.jsonl), request by request.

  management.py LEVERETD RECORD [--print]

A line of the record: n, sec, do (method and path), as (user:password; guest if it is left out), hd (request headers), in (body), st, rhd
(unusual reply headers) and out (body; of long ones only their shape). Replies are compared by status, by those headers, of errors by their
text and otherwise by the kinds of what is in them. management-differences.tsv names each place where Leveret answers otherwise, and why;
that answer is checked, too: a difference that is gone, or new, fails."""
import base64
import json
import os
import re
import socket
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import Leveretd, free_port  # noqa: E402

RECORD = sys.argv[2]
DIFFERENCES = os.path.join(os.path.dirname(RECORD), "management-differences.tsv")
HEADERS = ("allow", "location", "www-authenticate", "content-disposition")
NODE = "rabbit@localhost"


def exchange(port, method, path, user, body, headers, version):
    """One request as it stands; status, headers (lower case) and body."""
    head = {"host": "127.0.0.1:%d" % port, "connection": "close"}
    if user is not None:
        head["authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    if body is not None or method in ("PUT", "POST"):
        head["content-type"] = "application/json"
        head["content-length"] = str(len(body or b""))
    for name, value in (headers or {}).items():
        head.pop(name, None)
        if value is not None:
            head[name] = value
    text = "%s %s %s\r\n%s\r\n" % (method, path, version, "".join("%s: %s\r\n" % h for h in head.items()))
    # Wrong passwords are in the record, more than one address has in a minute.
    source = "127.0.0.%d" % (2 + zlib.crc32((user or "").encode()) % 250)
    with socket.create_connection(("127.0.0.1", port), 30, (source, 0)) as s:
        got = b""
        try:
            s.sendall(text.encode() + (body or b""))
        except (ConnectionResetError, BrokenPipeError):
            pass  # What is too large is refused before it has all come.
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    top, _, rest = got.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), fields, rest


def plain(text):
    """Erlang's binaries in texts are JSON's strings here."""
    return re.sub(r'(?:<<|&lt;&lt;)(\\?".*?\\?")(?:>>|&gt;&gt;)', r"\1", text)


def alike(want, got):
    """Errors to the letter; otherwise the kinds of values, and all fields that are wanted. [] for an empty object is RabbitMQ's."""
    if want == [] and got == {}:
        return True
    if isinstance(want, dict) and isinstance(got, dict):
        return want == got if "error" in want else all(k in got and alike(v, got[k]) for k, v in want.items())
    if isinstance(want, list) and isinstance(got, list):
        return not want or not got or alike(want[0], got[0])
    number = (int, float)
    return want is None or got is None or type(want) is type(got) or (isinstance(want, number) and isinstance(got, number))


def body_of(record):
    body = record.get("in")
    if isinstance(body, dict):
        return b"{" + b" " * (body["length"] - 2) + b"}" if "length" in body else base64.b64decode(body["base64"])
    return None if body is None else body.replace('"NODE"', '"%s"' % NODE).encode()


def difference(record, port, amqp):
    """"": it answers as RabbitMQ does; otherwise what is different, in a word or two."""
    method, path = record["do"].split(" ", 1)
    path = path.replace("NODE", NODE).replace("AMQPPORT", str(amqp))
    status, headers, body = exchange(port, method, path, record.get("as", "guest:guest"), body_of(record), record.get("hd"),
                                     record.get("version", "HTTP/1.1"))
    if status != record["st"]:
        return "" if record["st"] == 500 and 400 <= status < 500 else "status %d" % status
    for name in HEADERS:
        if record.get("rhd", {}).get(name) != headers.get(name, None):
            return name
    want = record.get("out")
    if not isinstance(want, str) or want == "<gzip>":
        return ""
    text = body.decode("utf-8", "replace").replace(NODE, "NODE").replace(str(amqp), "AMQPPORT")
    try:
        return "" if alike(json.loads(plain(want)), json.loads(text)) else "body"
    except ValueError:
        return "" if want == text else "body"


def known_differences():
    known = {}
    with open(DIFFERENCES) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                n, what, why = line.rstrip("\n").split("\t")
                known[int(n)] = what
    return known


def replay(broker, port):
    known, wrong, passed = known_differences(), [], 0
    with open(RECORD) as f:
        for line in f:
            record = json.loads(line)
            if record["do"].startswith("WAIT"):
                continue  # For RabbitMQ's statistics; ours are there at once.
            what = difference(record, port, broker.port)
            if what == known.get(record["n"], ""):
                passed += 1
            else:
                wrong.append("%d\t%s\t%s %s" % (record["n"], what or "none", record["do"][:100], str(record.get("in", ""))[:100]))
    return passed, wrong


def main():
    port = free_port()
    broker = Leveretd("management.tcp.port = %d\n" % port).start()
    try:
        passed, wrong = replay(broker, port)
    finally:
        status = broker.stop()
    print("\n".join(wrong[: None if "--print" in sys.argv else 40]))
    print("%d requests as recorded or as named in management-differences.tsv, %d not; exit status %d" % (passed, len(wrong), status))
    return 1 if wrong or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
