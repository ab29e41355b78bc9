#!/usr/bin/python3
"""A Celery worker, unchanged: tasks, results by RPC, retries, tasks for later (which need a prefetch that follows), remote control."""
import os
import subprocess
import sys
import tempfile
import textwrap
import time

PORT = int(sys.argv[1])
TASKS = textwrap.dedent("""
    from celery import Celery
    app = Celery("tasks", broker="amqp://guest:guest@127.0.0.1:%d//", backend="rpc://")
    app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, broker_connection_retry_on_startup=True)

    @app.task
    def add(x, y):
        return x + y

    @app.task(bind=True, max_retries=3)
    def flaky(self):
        if self.request.retries < 2:
            raise self.retry(countdown=0.2)
        return self.request.retries
""" % PORT)

directory = tempfile.mkdtemp()
with open(os.path.join(directory, "tasks.py"), "w") as f:
    f.write(TASKS)
sys.path.insert(0, directory)
import tasks  # noqa: E402

log = open(os.path.join(directory, "log"), "w+")
environment = dict(os.environ, C_FORCE_ROOT="1", PYTHONPATH=directory)
worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "info"],
                          cwd=directory, env=environment, stdout=log, stderr=log)
try:
    assert tasks.add.delay(2, 3).get(timeout=60) == 5
    results = [tasks.add.delay(i, i) for i in range(50)]
    assert [r.get(timeout=60) for r in results] == [2 * i for i in range(50)]
    assert tasks.flaky.delay().get(timeout=60) == 2
    later = [tasks.add.apply_async((i, 1), countdown=1.5) for i in range(12)]  # More than the prefetch of 2.
    assert tasks.add.delay(7, 7).get(timeout=60) == 14, "tasks for later must not hold up those for now"
    assert [r.get(timeout=60) for r in later] == [i + 1 for i in range(12)]
    assert list(tasks.app.control.ping(timeout=2)[0].values()) == [{"ok": "pong"}]
    print("1 passed, 0 failed")
except BaseException:
    log.seek(0)
    print(log.read()[-4000:])
    raise
finally:
    worker.terminate()
    worker.wait(30)
