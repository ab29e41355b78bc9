#!/usr/bin/python3
"""The server of HTTP, alone (tests/http/serve.c), against clients that are odd, slow, many, deaf, or gone."""
import gzip
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import zlib

from leveretd import BINARY, make_certificates, run

GET = b"GET /echo HTTP/1.1\r\nHost: h\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: h\r\n"


class Serve:
    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("w+")
        environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=1")
        self.process = subprocess.Popen([BINARY, *self.arguments], stdout=subprocess.PIPE, stderr=self.errors, env=environment)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process.stdout.close()
        self.errors.seek(0)
        text = self.errors.read()
        self.errors.close()
        assert kind is not None or status == 0, "ended with %d: %s" % (status, text[-2000:])

    def rss_kb(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))

    def counts(self):
        """Connections, without this one; requests that are kept; clients that have gone."""
        with Client(self) as c:
            connections, kept, gone, _ = c.get("/counts").body.split()
            return int(connections) - 1, int(kept), int(gone)

    def held(self):
        with Client(self) as c:
            return int(c.get("/counts").body.split()[3])

    def wait_for(self, what):
        deadline = time.monotonic() + 60
        while not what(*self.counts()):
            assert time.monotonic() < deadline, self.counts()
            time.sleep(0.02)


class Reply:
    pass


class Client:
    """Says bytes and reads replies, as strict as the server."""

    def __init__(self, serve, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", serve.port), timeout=60)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def more(self):
        data = self.sock.recv(65536)
        self.data += data
        return data

    def take(self, n):
        pieces, left = [self.data[:n]], n - len(self.data)
        self.data = self.data[n:]
        while left > 0:
            assert self.more(), "closed within a reply, %d before its end" % left
            pieces.append(self.data[:left])
            left, self.data = left - len(self.data), self.data[left:]
        return b"".join(pieces)

    def line(self):
        while b"\r\n" not in self.data:
            assert self.more(), "closed within a line: %r" % self.data[:200]
        line, self.data = self.data.split(b"\r\n", 1)
        return line

    def reply_head(self):
        r = Reply()
        line = self.line().decode().split(" ", 2)
        assert line[0] == "HTTP/1.1", line
        r.status, r.headers = int(line[1]), {}
        for field in iter(self.line, b""):
            name, value = field.decode("latin-1").split(": ", 1)
            assert name not in r.headers, name
            r.headers[name] = value
        return r

    def chunk(self):
        chunk = self.take(int(self.line(), 16))
        assert self.line() == b""
        return chunk

    def reply(self, is_head=False):
        r = self.reply_head()
        if is_head or r.status in (100, 204, 304):
            r.body = b""
        elif "transfer-encoding" in r.headers:
            r.body = b"".join(iter(self.chunk, b""))
        elif "content-length" in r.headers:
            r.body = self.take(int(r.headers["content-length"]))
        else:
            while self.more():
                pass
            r.body, self.data = self.data, b""
        return r

    def get(self, target, *headers):
        return self.send(b"GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n" % (target.encode(), b"".join(h + b"\r\n" for h in headers))).reply()

    def is_closed(self):
        """Nothing comes any more, and the other side has ended."""
        try:
            return self.data == b"" and self.sock.recv(1) == b""
        except ConnectionError:
            return True


# --- what is asked ---

SMUGGLED = [
    (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde"),
    (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"),
    (400, POST + b"Content-Length: 5, 5\r\n\r\nabcde"),
    (400, POST + b"Content-Length: +5\r\n\r\nabcde"),
    (400, POST + b"Content-Length: 0x5\r\n\r\nabcde"),
    (400, POST + b"Content-Length : 5\r\n\r\nabcde"),
    (400, POST + b"Content-Length:\r\n 5\r\n\r\nabcde"),
    (400, POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    (400, POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n"),
    (400, POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    (400, b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"GET /echo HTTP/1.1\nHost: h\n\n"),
    (400, b"GET /echo HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n"),
    (400, b"GET /echo HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"),
    (400, b"GET /echo HTTP/1.1\r\n Host: h\r\n\r\n"),
    (400, b"GET /echo HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    (400, b"GET /echo HTTP/1.1\r\n\r\n"),
    (400, b"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, b"GET  /echo HTTP/1.1\r\nHost: h\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    (417, POST + b"Expect: more\r\n\r\n"),
    (431, GET + b"X: " + b"a" * 1000000 + b"\r\n\r\n"),
    (431, GET + b"X: y\r\n" * 200 + b"\r\n"),
    (505, b"GET /echo HTTP/3.0\r\nHost: h\r\n\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
]


def odd_requests_are_refused_and_end_the_connection():
    with Serve() as s:
        for status, text in SMUGGLED:
            with Client(s) as c:
                c.send(text + GET + b"\r\n")
                r = c.reply()
                assert r.status == status, "%r: %d" % (text[:200], r.status)
                assert r.headers["connection"] == "close" and r.headers["server"] == "serve"
                assert r.headers["content-type"] == "application/json" and b'"reason":"' in r.body, r.body
                c.sock.shutdown(socket.SHUT_WR)
                assert c.is_closed(), "%r is followed by more: %r" % (text[:200], c.data)


def names_are_decoded_in_their_segments():
    with Serve() as s, Client(s) as c:
        r = c.get("/api/queues/%2F/a%20b+c?name=%5Ex+y&page=1")
        assert r.body.startswith(b"GET [api][queues][/][a b+c] ?name=^x y ?page=1 body=0:0 tls=0 peer=127.0.0.1:"), r.body


def parts_may_be_of_any_size():
    text = GET + b"\r\n" + POST + b"Content-Length: 3\r\n\r\nabc" + POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with Serve() as s, Client(s) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(text)):
            c.send(text[i:i + 1])
        assert b" body=0:" in c.reply().body
        bodies = [c.reply().body for _ in range(2)]
        assert b" body=3:" in bodies[0] and bodies[0] == bodies[1], bodies


def connections_are_kept_as_asked():
    with Serve() as s:
        with Client(s) as c:
            for _ in range(2000):
                assert c.get("/echo").status == 200
            assert s.counts()[0] == 1
            r = c.get("/echo", b"Connection: close")
            assert r.headers["connection"] == "close" and c.is_closed()
        with Client(s) as c:
            r = c.send(b"GET /echo HTTP/1.0\r\n\r\n").reply()
            assert r.headers["connection"] == "close" and c.is_closed()
        with Client(s) as c:
            for _ in range(2):
                r = c.send(b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").reply()
                assert r.headers["connection"] == "keep-alive"


def pipelined_requests_are_answered_in_order():
    with Serve() as s:
        with Client(s) as c:
            for i in range(20):
                c.send(b"".join(b"GET /echo/%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(i * 500, i * 500 + 500)))
                for n in range(i * 500, i * 500 + 500):
                    assert b"[%d]" % n in c.reply().body
        with Client(s) as c:
            c.send(b"GET /later/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /echo/2 HTTP/1.1\r\nHost: h\r\n\r\nGET /later/3 HTTP/1.1\r\nHost: h\r\n\r\n")
            s.wait_for(lambda _, kept, __: kept == 1)
            with Client(s) as other:
                assert other.get("/release").body == b"released"
                assert b"[later][1]" in c.reply().body and b"[echo][2]" in c.reply().body
                s.wait_for(lambda _, kept, __: kept == 1)
                other.get("/release")
                assert b"[later][3]" in c.reply().body


def who_asks_and_does_not_read_waits():
    with Serve() as s, Client(s) as c:
        request = b"GET /bytes?n=60000 HTTP/1.1\r\nHost: h\r\n\r\n"
        before = s.rss_kb()
        count, sent, text = 5000, 0, request * 5000
        c.sock.settimeout(1)
        try:
            while sent < len(text):
                sent += c.sock.send(text[sent:])
        except socket.timeout:
            pass
        time.sleep(0.2)
        grown = s.rss_kb() - before
        assert grown < 4000, grown
        c.sock.settimeout(60)
        sender = threading.Thread(target=lambda: c.sock.sendall(text[sent:]))
        sender.start()
        for _ in range(count):
            assert len(c.reply().body) == 60000
        sender.join()


def who_sends_before_he_is_answered_waits():
    with Serve() as s, Client(s) as c:
        before = s.rss_kb()
        c.send(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
        s.wait_for(lambda _, kept, __: kept == 1)
        text = (POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100000) * 500
        sender = threading.Thread(target=lambda: c.sock.sendall(text))
        sender.start()
        time.sleep(0.3)
        assert s.rss_kb() - before < 4000, s.rss_kb() - before
        with Client(s) as other:
            other.get("/release")
        assert b"[later]" in c.reply().body
        for _ in range(500):
            assert b" body=100000:" in c.reply().body
        sender.join()


def whose_side_has_ended_still_gets_his_replies():
    with Serve() as s:
        with Client(s) as c:
            c.send((GET + b"\r\n") * 100)
            c.sock.shutdown(socket.SHUT_WR)
            for _ in range(100):
                assert c.reply().status == 200
            assert c.is_closed()
        with Client(s) as c:
            c.send(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
            c.sock.shutdown(socket.SHUT_WR)
            s.wait_for(lambda _, kept, __: kept == 1)
            with Client(s) as other:
                other.get("/release")
            assert c.reply().status == 200 and c.is_closed()


# --- bodies ---

def ten_gigabytes_are_refused_when_they_are_announced():
    with Serve() as s:
        before = s.rss_kb()
        for framing in (b"Content-Length: 10737418240\r\n\r\n", b"Content-Length: 99999999999999999999999\r\n\r\n",
                        b"Transfer-Encoding: chunked\r\n\r\n280000000\r\n", b"Expect: 100-continue\r\nContent-Length: 10737418240\r\n\r\n"):
            with Client(s) as c:
                r = c.send(POST + framing).reply()
                assert r.status == 413 and r.headers["connection"] == "close", r.status
                c.sock.shutdown(socket.SHUT_WR)
                assert c.is_closed()
        assert s.rss_kb() - before < 1000


def who_goes_on_sending_still_hears_why_not():
    """A socket that is closed with bytes unread is reset, and the reply with it."""
    with Serve("body_bytes_max=1000000") as s:
        for _ in range(20):
            with Client(s) as c:
                c.send(POST + b"Content-Length: 8000000\r\n\r\n" + b"x" * 8000000)
                assert c.reply().status == 413


def bodies_are_whole():
    with Serve() as s, Client(s) as c:
        body = os.urandom(3 << 20)
        total = 0
        for byte in body:
            total = (total * 31 + byte) & 0xffffffff
        want = b" body=%d:%d " % (len(body), total)
        assert want in c.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body).reply().body
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 70001]), body[i:i + 70001]) for i in range(0, len(body), 70001))
        assert want in c.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n").reply().body


def a_handler_says_how_long_a_body_may_be():
    with Serve() as s:
        with Client(s) as c:
            assert c.send(POST + b"x-body-max: 3\r\nContent-Length: 3\r\n\r\nabc").reply().status == 200
            assert c.send(POST + b"x-body-max: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\n").reply().status == 413
        with Client(s) as c:
            r = c.send(POST + b"x-refuse: 1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").reply()
            assert r.status == 401 and r.headers["connection"] == "close", r.status
            assert r.body == b'{"error":"not_authorised","reason":"refused \\"before\\" the body"}', r.body
            c.send(b"abc" + GET + b"\r\n")
            c.sock.shutdown(socket.SHUT_WR)
            assert c.is_closed()


def bodies_that_wait_are_invited():
    with Serve() as s, Client(s) as c:
        for framing, body in ((b"Content-Length: 3", b"abc"), (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")):
            c.send(POST + b"Expect: 100-continue\r\n" + framing + b"\r\n\r\n")
            assert c.reply().status == 100
            assert b" body=3:" in c.send(body).reply().body
        # It is there already: nothing is to be said.
        assert c.send(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc").reply().status == 200
        assert c.send(POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n").reply().status == 200
        assert c.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").send(b"abc").reply().status == 200


def memory_for_all_together_has_a_limit():
    with Serve("memory_bytes_max=3000000") as s:
        head = POST + b"Content-Length: 2000000\r\n\r\n"
        with Client(s) as one, Client(s) as two, Client(s) as small:
            one.send(head + b"x" * 1900000)
            s.wait_for(lambda *_: s.held() >= 1900000)
            two.send(head + b"x" * 1900000)
            assert two.reply().status == 503
            assert small.get("/echo").status == 200
            assert small.get("/bytes?n=2000000").status == 503
            assert small.get("/echo").status == 200
            assert b" body=2000000:" in one.send(b"x" * 100000).reply().body
            assert len(one.get("/bytes?n=2900000").body) == 2900000
            for _ in range(10):  # What has been held is given back.
                assert one.send(head + b"x" * 2000000).reply().status == 200
                assert len(one.get("/bytes?n=2000000").body) == 2000000
        s.wait_for(lambda *_: s.held() < 5000)


# --- replies ---

def replies_without_a_body_have_none():
    with Serve() as s, Client(s) as c:
        r = c.send(b"HEAD /bytes?n=5000 HTTP/1.1\r\nHost: h\r\n\r\n").reply(is_head=True)
        assert r.headers["content-length"] == "5000"
        r = c.get("/status?code=204")
        assert r.status == 204 and "content-length" not in r.headers and "content-type" not in r.headers
        assert c.get("/status?code=304").status == 304
        assert c.get("/status?code=201").headers["content-length"] == "0"
        r = c.send(b"HEAD /stream?n=3&bytes=10 HTTP/1.1\r\nHost: h\r\n\r\n").reply(is_head=True)
        assert r.status == 200 and "transfer-encoding" not in r.headers
        assert c.send(b"BREW /echo HTTP/1.1\r\nHost: h\r\n\r\n").reply().body.startswith(b"BREW [echo]")


def replies_are_compressed_when_that_is_wanted_and_pays():
    with Serve() as s, Client(s) as c:
        r = c.get("/bytes?n=100000", b"Accept-Encoding: deflate, gzip;q=0.5")
        assert r.headers["content-encoding"] == "gzip" and r.headers["vary"] == "accept-encoding"
        assert len(r.body) < 1000 and gzip.decompress(r.body) == b"a" * 100000
        head = c.send(b"HEAD /bytes?n=100000 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").reply(is_head=True)
        assert head.headers["content-length"] == str(len(r.body))
        for target, header in (("/bytes?n=1023", b"Accept-Encoding: gzip"), ("/bytes?n=5000", b"Accept-Encoding: gzip;q=0"),
                               ("/bytes?n=5000", b"Accept-Encoding: br"), ("/bytes?n=5000", b"X: gzip")):
            r = c.get(target, header)
            assert "content-encoding" not in r.headers and r.body == b"a" * int(target[9:]), target
        assert zlib.decompress(c.get("/bytes?n=1024", b"Accept-Encoding: *").body, 31) == b"a" * 1024


def headers_cannot_be_injected():
    with Serve() as s, Client(s) as c:
        r = c.get("/header?value=a%0d%0ax-evil:%20b%0d%0a%0d%0abody")
        assert r.headers["x-value"] == "a??x-evil: b????body" and "x-evil" not in r.headers and r.body == b"x", r.headers


def streams_come_in_pieces():
    with Serve() as s:
        with Client(s) as c:
            for _ in range(3):
                r = c.get("/stream?n=100&bytes=1000")
                assert r.headers["transfer-encoding"] == "chunked" and r.body == b"b" * 100000
            assert c.get("/stream?n=0&bytes=1").body == b""
            assert c.get("/stream?n=5&bytes=0").body == b""
        with Client(s) as c:
            r = c.send(b"GET /stream?n=3&bytes=10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").reply()
            assert r.headers["connection"] == "close" and r.body == b"b" * 30


def a_stream_waits_for_its_reader():
    with Serve() as s, Client(s) as c:
        before = s.rss_kb()
        c.send(b"GET /stream?n=20000&bytes=10000 HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
        time.sleep(0.3)
        assert s.rss_kb() - before < 2000, s.rss_kb() - before
        total = sum(len(chunk) for chunk in iter(c.chunk, b""))
        assert total == 200000000, total
        assert s.rss_kb() - before < 2000, s.rss_kb() - before
        assert c.get("/echo").status == 200


def events_reach_those_who_listen():
    with Serve() as s, Client(s) as one, Client(s) as two, Client(s) as other:
        for c in (one, two):
            assert c.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").reply_head().headers["content-type"] == "text/event-stream"
            assert c.chunk() == b"data: hello\n\n"
        body = b"a\nb\r\nc\rd\n"
        assert other.send(b"POST /event?name=x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body).reply().body == b"sent"
        for c in (one, two):
            assert c.chunk() == b"event: x\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
        one.sock.close()
        s.wait_for(lambda _, kept, gone: kept == 1 and gone == 1)
        other.get("/event")
        assert two.chunk() == b"data: \n\n"


# --- those who take their time, or go ---

def a_thousand_slow_clients_keep_nobody_out():
    with Serve("connections_max=1000") as s:
        before = s.rss_kb()
        slow = []
        for i in range(1200):
            c = Client(s)
            slow.append(c)
            try:
                c.send(b"GET /echo HTTP/1.1\r\nX: " if i % 3 else POST + b"Content-Length: 1000\r\n\r\nx" if i % 2 else b"G")
            except ConnectionError:
                pass
        with Client(s) as c:
            assert c.get("/echo").status == 200
        for _ in range(100):
            with Client(s) as c:
                assert c.get("/echo").status == 200
        each = (s.rss_kb() - before) * 1024 / 1000
        assert each < 20000, each
        connections, _, _ = s.counts()
        assert connections < 1000, connections
        for c in slow:
            c.sock.close()


def who_waits_for_an_answer_does_not_make_room():
    with Serve("connections_max=3") as s:
        with Client(s) as one, Client(s) as two, Client(s) as three:
            for c in (one, two):
                c.send(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
            while not three.get("/counts").body.startswith(b"3 2 0 "):
                time.sleep(0.02)
            with Client(s) as four:  # Instead of three, who says nothing.
                assert four.get("/counts").body.startswith(b"3 2 0 ")
                assert three.is_closed()
                four.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
                assert four.chunk() == b"data: hello\n\n"
                with Client(s) as five:
                    assert five.is_closed()
                s.process.send_signal(signal.SIGTERM)
                s.process.wait(60)
                assert one.is_closed() and two.is_closed() and four.is_closed()


def who_takes_his_reply_slowly_makes_room_last():
    size = 50000000
    with Serve("connections_max=3") as s:
        with Client(s) as one, Client(s) as two, Client(s) as three:
            for c in (two, one):
                c.send(b"GET /bytes?n=%d HTTP/1.1\r\nHost: h\r\n\r\n" % size).reply_head()
            assert three.get("/counts").body.startswith(b"3 ")
            with Client(s) as four:  # Instead of three, who has his reply.
                four.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
                assert three.is_closed() and four.chunk() == b"data: hello\n\n"
                with Client(s) as five:  # Instead of two, who has been slower than one.
                    assert five.get("/counts").body.startswith(b"3 1 ")
                    assert one.take(size) == b"a" * size
                    five.get("/event")
                    assert four.chunk() == b"data: \n\n"
                    got = len(two.data)
                    try:
                        while two.data:
                            two.data = b""
                            got += len(two.more())
                    except ConnectionError:
                        pass
                    assert got < size, got


def the_slow_are_told_and_the_idle_are_closed():
    with Serve("idle_ms=200") as s, Client(s) as c:
        assert c.get("/echo").status == 200
        assert c.is_closed()
    with Serve("head_ms=1000", "body_ms=1000") as s:
        for text, is_told in ((b"", False), (b"GET /echo HTTP/1.1\r\n", True), (POST + b"Content-Length: 2\r\n\r\na", True),
                              (GET + b"\r\nG", True)):
            with Client(s) as c:
                c.send(text)
                if text.startswith(GET):
                    assert c.reply().status == 200
                if is_told:
                    r = c.reply()
                    assert r.status == 408 and r.headers["connection"] == "close"
                    c.sock.shutdown(socket.SHUT_WR)
                assert c.is_closed()


def who_takes_nothing_for_too_long_is_closed():
    with Serve("stall_ms=1500") as s:
        for target in (b"/bytes?n=20000000", b"/stream?n=50000&bytes=1000"):
            with Client(s) as c:
                c.send(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % target)
                s.wait_for(lambda connections, _, __: connections == 0)
        assert s.counts()[2] == 1


def a_stream_without_events_stalls_nobody():
    with Serve("stall_ms=1000", "idle_ms=1000", "reply_ms=1000") as s, Client(s) as c:
        c.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
        assert c.chunk() == b"data: hello\n\n"
        time.sleep(2.5)
        with Client(s) as other:
            other.get("/event")
        assert c.chunk() == b"data: \n\n"


def who_lingers_is_closed():
    with Serve("linger_ms=200") as s, Client(s) as c:
        assert c.get("/echo", b"Connection: close").status == 200
        s.wait_for(lambda connections, _, __: connections == 0)


def answers_to_those_who_have_gone_are_dropped():
    with Serve() as s:
        for _ in range(50):
            c = Client(s)
            c.send(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.wait_for(lambda _, kept, __: kept > 0)
            c.sock.close()  # Resets it.
        s.wait_for(lambda connections, kept, gone: connections == 0 and kept == 50 and gone == 50)
        with Client(s) as c:
            c.get("/release")
        assert s.counts() == (0, 0, 50) and s.held() < 5000
        for path in (b"later", b"events", b"stream?n=1000000&bytes=1000"):  # Left when the server ends.
            Client(s).send(b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % path)
        listening = Client(s).send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        listening.reply_head()
        kept = Client(s).send(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
        s.wait_for(lambda _, kept, __: kept >= 2)
        del kept


# --- TLS ---

def all_of_it_under_tls():
    directory = tempfile.mkdtemp(prefix="leveret-test.")
    make_certificates(directory)
    tls = ssl.create_default_context(cafile=os.path.join(directory, "ca.pem"))
    files = "certificate=%s/server.pem" % directory, "key=%s/server.key" % directory
    with Serve(*files) as s:
        with Client(s, tls) as c:
            for _ in range(200):
                assert b" tls=1 " in c.get("/echo").body
            c.send((GET + b"\r\n") * 3000)
            for _ in range(3000):
                assert c.reply().status == 200
            body = b"y" * 1000000
            assert b" body=1000000:" in c.send(POST + b"Content-Length: 1000000\r\n\r\n" + body).reply().body
            assert c.get("/bytes?n=20000000").body == b"a" * 20000000
            before = s.rss_kb()
            assert c.get("/stream?n=2000&bytes=10000").body == b"b" * 20000000
            assert s.rss_kb() - before < 2000
            assert c.send(POST + b"Content-Length: 10737418240\r\n\r\n").reply().status == 413
            assert c.is_closed()
    with Serve(*files, "stall_ms=1500") as s:
        with Client(s, tls) as c:
            c.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
            assert c.chunk() == b"data: hello\n\n"
            time.sleep(2.5)  # Longer than stall_ms: nothing stalls where nothing is said.
            with Client(s, tls) as other:
                other.get("/event")
            assert c.chunk() == b"data: \n\n"
        with Client(s) as c:
            c.send(GET + b"\r\n")
            try:
                while c.more():
                    pass
            except ConnectionError:
                pass
            assert not c.data.startswith(b"HTTP/"), c.data
        with Client(s, tls) as c:
            c.send(b"GET /bytes?n=20000000 HTTP/1.1\r\nHost: h\r\n\r\n").reply_head()
            deadline = time.monotonic() + 60
            while True:
                with Client(s, tls) as other:
                    if other.get("/counts").body.split()[0] == b"1":
                        break
                assert time.monotonic() < deadline
                time.sleep(0.02)
    with Serve(*files, "head_ms=300") as s, Client(s) as c:  # No handshake ever.
        assert c.is_closed()
    shutil.rmtree(directory)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    run([
        odd_requests_are_refused_and_end_the_connection,
        names_are_decoded_in_their_segments,
        parts_may_be_of_any_size,
        connections_are_kept_as_asked,
        pipelined_requests_are_answered_in_order,
        who_asks_and_does_not_read_waits,
        who_sends_before_he_is_answered_waits,
        whose_side_has_ended_still_gets_his_replies,
        ten_gigabytes_are_refused_when_they_are_announced,
        who_goes_on_sending_still_hears_why_not,
        bodies_are_whole,
        a_handler_says_how_long_a_body_may_be,
        bodies_that_wait_are_invited,
        memory_for_all_together_has_a_limit,
        replies_without_a_body_have_none,
        replies_are_compressed_when_that_is_wanted_and_pays,
        headers_cannot_be_injected,
        streams_come_in_pieces,
        a_stream_waits_for_its_reader,
        events_reach_those_who_listen,
        a_thousand_slow_clients_keep_nobody_out,
        who_waits_for_an_answer_does_not_make_room,
        who_takes_his_reply_slowly_makes_room_last,
        the_slow_are_told_and_the_idle_are_closed,
        who_takes_nothing_for_too_long_is_closed,
        a_stream_without_events_stalls_nobody,
        who_lingers_is_closed,
        answers_to_those_who_have_gone_are_dropped,
        all_of_it_under_tls,
    ])
