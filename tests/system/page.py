#!/usr/bin/python3
"""The management's page: its files, and the sessions that it logs in with. (What it looks like: tests/page/.)  page.py LEVERETD"""
import gzip
import http.client
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from leveretd import Leveretd, free_port  # noqa: E402


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.broker = Leveretd("management.tcp.port = %d\n" % cls.port).start()

    @classmethod
    def tearDownClass(cls):
        assert cls.broker.stop() == 0

    def ask(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request(method, path, None if body is None else json.dumps(body), {k.replace("_", "-"): v for k, v in headers.items()})
        reply = c.getresponse()
        text = reply.read()
        c.close()
        return reply, text

    def log_in(self, user="guest", password="guest"):
        reply, text = self.ask("POST", "/api/leveret/session", {"user": user, "password": password})
        self.assertEqual(reply.status, 200, text)
        cookie = reply.getheader("set-cookie")
        self.assertRegex(cookie, r"^leveret=[A-Za-z0-9_-]{43}; Path=/; HttpOnly; SameSite=Strict$")
        return cookie.split(";")[0], json.loads(text)["csrf"]

    def files(self):
        reply, front = self.ask("GET", "/")
        names, seen = re.findall(r'"(/page/[^"]+)"', front.decode()), {"/": (reply, front.decode())}
        while names:
            name = names.pop()
            if name in seen:
                continue
            reply, text = self.ask("GET", name)
            self.assertEqual(reply.status, 200, name)
            seen[name] = (reply, text.decode())
            names += ["/page/" + n for n in re.findall(r'from "\./([^"]+)"', text.decode())]
        return seen

    def test_files(self):
        files = self.files()
        self.assertGreater(len(files), 8)
        for name, (reply, text) in files.items():
            policy = reply.getheader("content-security-policy")
            self.assertIn("default-src 'none'", policy, name)
            self.assertNotIn("unsafe", policy, name)
            self.assertEqual(reply.getheader("x-content-type-options"), "nosniff")
            self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", name)
            self.assertNotRegex(text, r"https?://(?!www\.w3\.org/)", name)
        self.assertNotRegex(files["/"][1], r"<script(?![^>]*src=)|<style|style=|\son\w+=")
        self.assertLess(len(gzip.compress("".join(t for _, t in files.values()).encode())), 60000)

    def test_what_is_no_file(self):
        for path in ("/page/none.js", "/page/..%2fserver.c", "/page/", "/page", "/favicon.ico", "/page/main.js/x"):
            self.assertEqual(self.ask("GET", path)[0].status, 404, path)

    def test_a_session(self):
        cookie, csrf = self.log_in()
        reply, text = self.ask("GET", "/api/whoami", cookie="a=b; %s; c=d" % cookie)
        self.assertEqual((reply.status, json.loads(text)["name"]), (200, "guest"))
        put = {"durable": True}
        self.assertEqual(self.ask("PUT", "/api/queues/%2F/p1", put, cookie=cookie)[0].status, 401)
        self.assertEqual(self.ask("PUT", "/api/queues/%2F/p1", put, cookie=cookie, x_leveret_csrf="x" * 43)[0].status, 401)
        self.assertEqual(self.ask("PUT", "/api/queues/%2F/p1", put, cookie=cookie, x_leveret_csrf=csrf, origin="http://evil.example")[0].status, 403)
        self.assertEqual(self.ask("GET", "/api/queues/%2F/p1", cookie=cookie)[0].status, 404)
        own = "http://127.0.0.1:%d" % self.port
        self.assertEqual(self.ask("PUT", "/api/queues/%2F/p1", put, cookie=cookie, x_leveret_csrf=csrf, origin=own)[0].status, 201)
        self.assertEqual(self.ask("DELETE", "/api/queues/%2F/p1", cookie=cookie, x_leveret_csrf=csrf)[0].status, 204)
        self.assertEqual(json.loads(self.ask("GET", "/api/leveret/session", cookie=cookie)[1])["csrf"], csrf)
        reply, _ = self.ask("DELETE", "/api/leveret/session", cookie=cookie, x_leveret_csrf=csrf)
        self.assertEqual(reply.status, 204)
        self.assertIn("Max-Age=0", reply.getheader("set-cookie"))
        self.assertEqual(self.ask("GET", "/api/whoami", cookie=cookie)[0].status, 401)

    def test_who_is_not_let_in(self):
        for body in ({"user": "guest", "password": "wrong"}, {"user": "guest"}, {}, {"user": 5, "password": []}, {"user": "x" * 600, "password": "y" * 600}, []):
            reply, _ = self.ask("POST", "/api/leveret/session", body)
            self.assertEqual((reply.status, reply.getheader("set-cookie")), (401, None), body)
        for cookie in ("leveret=", "leveret=" + "x" * 43, "leveret", "=;;;", "leveret=" + "x" * 5000):
            self.assertEqual(self.ask("GET", "/api/whoami", cookie=cookie)[0].status, 401)
        reply, _ = self.ask("GET", "/api/whoami", sec_fetch_site="same-origin")
        self.assertEqual((reply.status, reply.getheader("www-authenticate")), (401, None))  # The browser would ask, over the page.

    def admin(self, method, path, body=None):
        reply, text = self.ask(method, path, body, authorization="Basic Z3Vlc3Q6Z3Vlc3Q=")
        self.assertLess(reply.status, 300, text)

    def test_a_session_ends_with_what_it_was_given_for(self):
        for change in (("PUT", {"password": "other", "tags": "management"}), ("PUT", {"password": "x", "tags": ""}), ("DELETE", None)):
            self.admin("PUT", "/api/users/ann", {"password": "x", "tags": "management"})
            cookie, _ = self.log_in("ann", "x")
            self.assertEqual(self.ask("GET", "/api/whoami", cookie=cookie)[0].status, 200)
            self.admin(change[0], "/api/users/ann", change[1])
            self.assertEqual(self.ask("GET", "/api/whoami", cookie=cookie)[0].status, 401, change)

    def test_there_are_at_most_a_thousand(self):
        first, _ = self.log_in()
        last = [self.log_in()[0] for _ in range(1000)][-1]
        self.assertEqual(self.ask("GET", "/api/whoami", cookie=first)[0].status, 401)
        self.assertEqual(self.ask("GET", "/api/whoami", cookie=last)[0].status, 200)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
