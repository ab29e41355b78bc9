#!/usr/bin/python3
"""Publishes of libleveret while the broker is killed and started again: none is lost, none doubled, none overtaken, each is reported once.

    publishes.py LEVERETD PUBLISHES [MESSAGES [KILLS [SEED]]]      1000000 200 takes some two minutes"""
import os
import random
import subprocess
import sys
import time

from leveretd import Leveretd, run

PUBLISHES = os.path.abspath(sys.argv[2])
MESSAGES = int(sys.argv[3]) if len(sys.argv) > 3 else 60000
KILLS = int(sys.argv[4]) if len(sys.argv) > 4 else 12
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int(time.time())


def each_is_there_once_and_reported_once():
    with Leveretd() as broker:
        uri = "amqp://127.0.0.1:%d" % broker.port
        publisher = subprocess.Popen([PUBLISHES, "publish", uri, str(MESSAGES)])
        kills = 0
        while publisher.poll() is None:
            time.sleep(random.random() * 0.05)
            if kills < KILLS:
                broker.kill()
                broker.start()
                kills += 1
        assert publisher.returncode == 0, publisher.returncode
        print("%d kills" % kills, flush=True)
        subprocess.run([PUBLISHES, "verify", uri, str(MESSAGES)], check=True, timeout=600)


if __name__ == "__main__":
    print("seed %d" % SEED, flush=True)
    random.seed(SEED)
    run([each_is_there_once_and_reported_once])
