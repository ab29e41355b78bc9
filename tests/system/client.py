#!/usr/bin/python3
"""libleveret with the running broker: plain, under TLS, and its inboxes.

    client.py LEVERETD CHECK INBOX      (the tests' programs client_check and client_inbox)"""
import os
import subprocess
import sys
import tempfile

from leveretd import Leveretd, free_port, make_certificates, run
from postgresql import PostgreSQL, programs

CHECK, INBOX = os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])


def check(uri, status=0):
    done = subprocess.run([CHECK, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == status, done
    return (done.stdout + done.stderr).decode()


def everything_works():
    with Leveretd() as broker:
        assert "Leveret" in check("amqp://127.0.0.1:%d" % broker.port)
        assert "Leveret" in check("amqp://guest:guest@127.0.0.1:%d/%%2f?heartbeat=5" % broker.port)


def everything_works_under_tls():
    broker = Leveretd()
    make_certificates(broker.directory)
    port = free_port()
    broker.configure("listeners.ssl.default = 127.0.0.1:%d\nssl_options.certfile = %s/server.pem\nssl_options.keyfile = %s/server.key\n"
                     "ssl_options.cacertfile = %s/ca.pem\n" % (port, broker.directory, broker.directory, broker.directory))
    with broker:
        ca = "cacertfile=%s/ca.pem" % broker.directory
        assert "Leveret" in check("amqps://localhost:%d?%s" % (port, ca))
        assert "Leveret" in check("amqps://127.0.0.1:%d?verify=verify_none" % port)
        assert "Leveret" in check("amqps://127.0.0.1:%d?server_name_indication=localhost&%s" % (port, ca))
        assert "certificate" in check("amqps://localhost:%d" % port, 1)
        assert "mismatch" in check("amqps://127.0.0.1:%d?%s" % (port, ca), 1)
        assert "/no/such/file" in check("amqps://localhost:%d?cacertfile=/no/such/file" % port, 1)
        assert "LS" in check("amqps://localhost:%d?%s" % (broker.port, ca), 1)  # A port without TLS.


def inboxes_claim_once():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([INBOX, "lmdb", directory], check=True)
        subprocess.run([INBOX, "sqlite", os.path.join(directory, "inbox.db")], check=True)
    if programs() is None:
        print("PostgreSQL is not installed: skipped")
        return
    with PostgreSQL() as server:
        subprocess.run([INBOX, "postgresql", server.conninfo], check=True)


if __name__ == "__main__":
    run([everything_works, everything_works_under_tls, inboxes_claim_once])
