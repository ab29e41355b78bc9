#!/usr/bin/python3
"""A data directory in which something is whole and makes no sense: it is set aside, reported and counted, and all else is served,
now and after the next start.

    odd.py LEVERETD ODD"""
import glob
import os
import subprocess
import sys
import time

import pika.spec as spec

from leveretd import Leveretd, run
from wire import Wire


def bodies(port, queue, wanted):
    """All that a consumer is given until there are so many, and what comes for a moment after that."""
    w = Wire(port).open()
    got = []
    deadline = time.time() + 20
    while len(got) < wanted and time.time() < deadline:
        w.method(1, spec.Basic.Get(queue=queue, no_ack=True))
        if isinstance(w.next()[1], spec.Basic.GetOk):
            w.next()
            got.append(w.next()[1])
        else:
            time.sleep(0.05)
    return got


def what_makes_no_sense_is_set_aside_and_the_rest_is_served():
    with Leveretd() as broker:
        assert broker.stop() == 0
        for name in glob.glob(broker.data + "/*"):
            os.remove(name)
        subprocess.run([sys.argv[2], broker.data], check=True)
        broker.start()
        assert bodies(broker.port, "good", 10) == [b"good"] * 10
        assert bodies(broker.port, "dead", 1) == [b"good"]
        kept = glob.glob(broker.data + "/quarantine-*")
        assert len(kept) == 6 and all(b"odd" in open(name, "rb").read() for name in kept), kept
        assert broker.log().count("set aside; its bytes") == 6, broker.log()
        assert "5 places of the journal are damaged" in broker.log(), broker.log()
        assert broker.stop() == 0
        assert "6 set aside" in broker.log(), broker.log()
        broker.start()  # Nothing of it comes again but the definitions.
        assert bodies(broker.port, "good", 0) == []
        assert broker.stop() == 0
        assert "its bytes" not in broker.log(), broker.log()


run([what_makes_no_sense_is_set_aside_and_the_rest_is_served])
