"""A PostgreSQL server of its own for a test: in a temporary directory, on a socket there and no port. As root it runs as the user postgres."""
import glob
import os
import shutil
import subprocess
import tempfile


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return found[-1] if found else None


class PostgreSQL:
    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="leveret-pg.")
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.as_user:
            shutil.chown(self.directory, "postgres")
        self.data = os.path.join(self.directory, "data")
        self.call("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync")
        self.pg_ctl("start", "-w", "-o", "-k %s -c listen_addresses='' -c fsync=off" % self.directory)
        return self

    def call(self, program, *arguments, **more):
        return subprocess.run(self.as_user + [os.path.join(programs(), program), *arguments], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, cwd="/", **more).stdout.decode()

    def pg_ctl(self, *arguments):
        # The server must not hold our pipes open.
        subprocess.run(self.as_user + [os.path.join(programs(), "pg_ctl"), "-D", self.data, "-l", os.path.join(self.directory, "log"), *arguments],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    @property
    def conninfo(self):
        return "host=%s user=postgres dbname=postgres" % self.directory

    def sql(self, commands):
        return self.call("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.conninfo, "-c", commands)

    def __exit__(self, *_):
        self.pg_ctl("stop", "-m", "immediate")
        shutil.rmtree(self.directory, ignore_errors=True)
