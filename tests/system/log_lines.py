#!/usr/bin/python3
"""What an operator reads: refused logins, lost connections and failures of TLS, with who it was; both formats; hostile names."""
import base64
import http.client as http_client
import json
import os
import signal
import socket
import ssl
import subprocess

import pika.spec as spec

from leveretd import Leveretd, free_port, make_certificates, run
from wire import Wire


def lines(broker, *texts):
    return [line for line in broker.log().splitlines() if all(text in line for text in texts)]


def opened(port, name, **more):
    """A connection that says what it is called."""
    wire = Wire(port)
    wire.expect(spec.Connection.Start)
    user = more.get("user", "guest")
    wire.method(0, spec.Connection.StartOk(client_properties={"connection_name": name, "capabilities": {"authentication_failure_close": True}},
                                           mechanism="PLAIN", response="\0%s\0%s" % (user, more.get("password", "guest")), locale="en_US"))
    if "password" in more:
        return wire
    wire.tune()
    wire.method(0, spec.Connection.Open(virtual_host="/"))
    wire.expect(spec.Connection.OpenOk)
    return wire


def a_lost_connection_is_a_warning_with_name_and_user():
    for threads in (0, 2):
        with Leveretd("io_threads = %d\n" % threads) as broker:
            polite = opened(broker.port, "polite")
            polite.method(0, spec.Connection.Close(200, "bye", 0, 0))
            polite.expect(spec.Connection.CloseOk)
            polite.sock.close()
            opened(broker.port, "gone").sock.close()
            broker.wait_for("connection lost: closed by the client without connection.close")
            reset = opened(broker.port, "reset")
            reset.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            reset.sock.close()
            broker.wait_for("connection lost: Connection reset by peer")
            assert len(lines(broker, "level=warning", 'name="gone" user="guest"', "connection lost")) == 1, broker.log()
            assert len(lines(broker, "level=warning", 'name="reset" user="guest"', "connection lost")) == 1, broker.log()
            assert not lines(broker, "polite", "level=warning"), broker.log()
            assert lines(broker, "polite", "level=info", "closed by the client: 200 bye")
            # One that says nothing is a look whether somebody is there; one that has begun is lost.
            socket.create_connection(("127.0.0.1", broker.port)).close()
            begun = Wire(broker.port)
            begun.expect(spec.Connection.Start)
            begun.sock.close()
            broker.wait_for("connection lost before it was open: closed by the client")
            assert len(lines(broker, "before it was open")) == 1, broker.log()
            # The broker's own end loses nobody.
            stays = opened(broker.port, "stays")
            assert broker.stop() == 0
            assert stays and not lines(broker, "stays", "lost"), broker.log()


def a_refused_login_is_a_warning_with_name_and_user():
    with Leveretd() as broker:
        opened(broker.port, "mine", user="bob", password="hidden").expect(spec.Connection.Close)
        assert "hidden" not in broker.log()
        assert lines(broker, "level=warning", "peer=127.0.0.1:", 'name="mine" user="bob"', "login refused (PLAIN)"), broker.log()


def a_failure_of_tls_is_a_warning_that_says_why():
    broker = Leveretd()
    make_certificates(broker.directory)
    path = lambda name: os.path.join(broker.directory, name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("own.key"), "-out", path("own.pem"),
                    "-subj", "/CN=stranger", "-days", "2"], check=True, capture_output=True)
    for threads in (0, 2):
        port = free_port()
        broker.configure("io_threads = %d\nlisteners.ssl.default = 127.0.0.1:%d\nssl_options.certfile = %s\nssl_options.keyfile = %s\n"
                         "ssl_options.cacertfile = %s\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
                         % (threads, port, path("server.pem"), path("server.key"), path("ca.pem")))

        def attempt(what, certificate=None):
            """A handshake that fails; strangers have a line a second of each kind, so the broker is a new one each time."""
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if certificate:
                context.load_cert_chain(path(certificate + ".pem"), path(certificate + ".key"))
            broker.start()
            try:
                with socket.create_connection(("127.0.0.1", port)) as plain:
                    if what == "plain":
                        plain.sendall(b"AMQP\0\0\x09\x01")
                        plain.recv(100)
                    else:
                        with context.wrap_socket(plain) as wrapped:
                            wrapped.sendall(b"AMQP\0\0\x09\x01")
                            wrapped.recv(100)
            except OSError:
                pass
            broker.wait_for("TLS handshake failed: ")
            [line] = lines(broker, "TLS handshake failed")
            assert "level=warning peer=127.0.0.1:" in line, line
            socket.create_connection(("127.0.0.1", port)).close()  # Whether the port is open: not a failure.
            assert broker.stop() == 0
            assert len(lines(broker, "lost before")) == 1, broker.log()
            return line

        assert "wrong version number" in attempt("plain")
        assert "peer did not return a certificate" in attempt("tls")
        line = attempt("tls", "own")
        assert "certificate verify failed: self-signed certificate" in line or "self signed" in line, line
    broker.start()
    broker.__exit__()


def lines_as_json_are_json_whatever_peers_say():
    hostile = 'a"\n\\\r\x1b[31m\u202e\u009b\0}{' + "\u00fc" * 50
    broker = Leveretd("log.format = json\n")
    broker.start(wait=False)
    try:
        broker.wait_for('"msg":"ready"')
        opened(broker.port, hostile).sock.close()
        broker.wait_for("connection lost")
        opened(broker.port, hostile, user=hostile.replace("\0", ""), password="x").expect(spec.Connection.Close)
        broker.wait_for("login refused")
        opened(broker.port, "x" * 3000).sock.close()
        broker.wait_for("xxx")
        assert broker.stop() == 0
        said = [json.loads(line) for line in broker.log().splitlines()]
        assert all(list(line)[:2] == ["time", "level"] and list(line)[-1] == "msg" for line in said), said
        [lost] = [line for line in said if line["msg"].startswith("connection lost:") and line["name"] == hostile]
        assert (lost["level"], lost["user"]) == ("warning", "guest"), lost
        [refused] = [line for line in said if line["msg"].startswith("login refused")]
        assert refused["user"] == hostile.replace("\0", "") and refused["name"] == hostile, refused
        assert not [c for c in broker.log() if (c < " " and c != "\n") or c in "\u202e\u009b"], broker.log()
    finally:
        broker.__exit__()


def hostile_names_make_no_lines():
    with Leveretd() as broker:
        for name in ('x" level=error msg="forged"\ntime=now level=error msg="forged"', "\x1b[2J\u202e\u009b\x7f", "\0"):
            opened(broker.port, name).sock.close()
        broker.wait_for('name="\\x00"')
        assert broker.stop() == 0
        assert all(line.startswith("time=2") for line in broker.log().splitlines()), broker.log()
        assert not [line for line in broker.log().splitlines() if line.split(" ")[1] == "level=error"], broker.log()
        assert not [c for c in broker.log() if (c < " " and c != "\n") or c in "\x7f\u202e\u009b"], broker.log()


def ask(broker, question):
    """Through the control socket, as leveretctl does."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(os.path.join(broker.data, "control"))
        control.sendall(json.dumps(question).encode() + b"\n")
        return json.loads(control.makefile().readline())


def changes_by_operators_are_said_with_who_and_from_where():
    port = free_port()
    with Leveretd("management.tcp.port = %d\n" % port) as broker:
        def http(method, path, body=None, user="guest:guest"):
            connection = http_client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, "/api" + path, json.dumps(body) if body is not None else None,
                               {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()})
            reply = connection.getresponse()
            reply.read()
            return reply.status

        assert ask(broker, {"command": "add_user", "name": "bob\nlevel=error", "password": "hidden"}).get("error") is None
        assert ask(broker, {"command": "delete_user", "name": "nobody"})["error"]
        assert ask(broker, {"command": "close_all_connections", "global": True}) == {"closed": 0}
        assert ask(broker, {"command": "list_users"})["rows"]
        control = lines(broker, "level=info", "peer=control,pid=%d" % os.getpid(), 'user="uid %d"' % os.getuid())
        assert len(control) == 3, broker.log()
        assert 'action="add_user" msg="done' in control[0] and "bob\\\\nlevel=error" in control[0], control
        assert 'action="delete_user" msg="refused: ' in control[1] and "nobody" in control[1], control
        assert 'action="close_all_connections" msg="done' in control[2], control

        assert http("PUT", "/users/alice", {"password": "hidden", "tags": "management"}) == 201
        assert http("PUT", "/permissions/%2f/alice", {"configure": ".*", "write": ".*", "read": ".*"}) == 201
        assert http("PUT", "/queues/%2f/q", {"durable": True}) == 201
        assert http("POST", "/bindings/%2f/e/amq.direct/q/q", {"routing_key": "k"}) == 201
        assert http("DELETE", "/bindings/%2f/e/amq.direct/q/q/k") == 204
        assert http("DELETE", "/queues/%2f/q", user="alice:hidden") == 204
        assert http("PUT", "/policies/%2f/y", {"pattern": "(", "definition": {"expires": 1}}) == 400
        assert http("GET", "/users") == 200
        wire = opened(broker.port, "mine")
        name = "127.0.0.1:%d -> 127.0.0.1:%d" % (wire.sock.getsockname()[1], broker.port)
        assert http("DELETE", "/connections/" + name.replace(" ", "%20").replace(">", "%3E")) == 204
        by = lines(broker, "level=info", "peer=127.0.0.1:", "action=")
        actions = [line.split('action="')[1].split('"')[0] for line in by]
        assert actions == ["put_user", "set_permissions", "declare_queue", "bind", "unbind", "delete_queue", "set_policy",
                           "close_connection"], by
        for line, (who, came, what) in zip(by, [("guest", "done", "alice"), ("guest", "done", "alice"), ("guest", "done", "q"),
                                                ("guest", "done", "amq.direct"), ("guest", "done", "amq.direct"), ("alice", "done", "q"),
                                                ("guest", "refused: ", "y"), ("guest", "done", name)]):
            assert 'user="%s"' % who in line and 'msg="%s' % came in line and '\\"%s\\"' % what in line, line
        assert "hidden" not in broker.log(), broker.log()
        assert not [line for line in broker.log().splitlines() if line.split(" ")[1] == "level=error"], broker.log()


def statistics_are_a_line_of_what_there_was():
    with Leveretd() as broker:
        assert broker.stop() == 0
        [line] = lines(broker, "since the start")
        assert line.endswith('msg="since the start: nothing published"'), line
    with Leveretd() as broker:
        wire = Wire(broker.port).open()
        queue = wire.queue()
        wire.publish(1, routing_key=queue)
        wire.publish(1, routing_key="nowhere")
        assert wire.queue(queue, passive=True) == queue
        assert broker.stop() == 0
        [line] = lines(broker, "since the start")
        assert line.endswith('msg="since the start: 2 published, 1 unroutable"'), line


def the_format_changes_with_sighup():
    with Leveretd() as broker:
        broker.configure("log.format = json\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for('"msg":"SIGHUP: configuration reloaded"')


run([a_lost_connection_is_a_warning_with_name_and_user, a_refused_login_is_a_warning_with_name_and_user,
     a_failure_of_tls_is_a_warning_that_says_why, lines_as_json_are_json_whatever_peers_say, hostile_names_make_no_lines,
     changes_by_operators_are_said_with_who_and_from_where,
     statistics_are_a_line_of_what_there_was, the_format_changes_with_sighup])
