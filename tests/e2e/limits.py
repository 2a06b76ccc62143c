#!/usr/bin/env python3
"""--max-jobs and --max-bytes: a put beyond them is answered OUT_OF_MEMORY and has no effect, everything else goes on; the
bound survives a restart, and another one takes its place."""

import pathlib
import shutil
import signal
import subprocess
import tempfile

from lib import testing
from lib.beanstalk import Client, Closed, Refused
from lib.cluster import free_port
from lib.testing import check, equal, until

GONE_S = 20


class Daemons:
    """One node and one proxy, with words of their own on the node's command line."""

    def __init__(self, options, name):
        self.bin = options.bin
        self.keep = options.keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=options.work))
        self.node_port, self.port = free_port(), free_port()
        self.running = []

    def spawn(self, program, *words):
        log = (self.dir / f"{program}.log").open("ab")
        self.running.append(subprocess.Popen([self.bin / program, *map(str, words)], stdout=log, stderr=log))

    def start(self, *words):
        address = f"127.0.0.1:{self.node_port}"
        self.spawn("coolbeans-node", "--name", "n1", "--data-dir", self.dir / "n1", "--cluster", f"n1={address}", *words)
        self.spawn("coolbeans-proxy", "--name", "limits", "--nodes", address, "-l", "127.0.0.1", "-p", self.port)
        return until("a connection", GONE_S, self.connect)

    def connect(self):
        try:
            return Client(f"127.0.0.1:{self.port}")
        except Closed:
            return None

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            equal(process.wait(GONE_S), 0, f"exit status of {process.args[0]}")
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.running:
            process.kill()
            process.wait()
        if kind is None and not self.keep:
            shutil.rmtree(self.dir)


def refused(c, body):
    try:
        job = c.put(body)
    except Refused as e:
        equal(str(e), "OUT_OF_MEMORY", "the refusal")
        return
    check(False, f"a put beyond the bound made job {job}")


def counts(c):
    s = c.stats()
    return [s["current-jobs-ready"], s["total-jobs"], s["cmd-put"]]


def max_jobs(options):
    with Daemons(options, "max-jobs") as d:
        c = d.start("--max-jobs", 3)
        ids = [c.put(b"x") for _ in range(3)]
        refused(c, b"x")
        equal(counts(c), [3, 3, 4], "ready, total, puts")
        job, _ = c.reserve(0)
        refused(c, b"x")  # a reserved one is there still
        c.delete(job)
        equal(c.put(b"x"), ids[-1] + 1, "the next id: the refused ones took none")
        refused(c, b"x")
        d.stop()
        c = d.start("--max-jobs", 4)
        c.put(b"x")
        refused(c, b"x")
        d.stop()
        c = d.start()
        for _ in range(100):
            c.put(b"x")


def max_bytes(options):
    with Daemons(options, "max-bytes") as d:
        c = d.start("--max-bytes", "1k")
        c.put(bytes(1000))
        refused(c, bytes(25))
        last = c.put(bytes(24))
        c.put(b"")  # nothing more
        refused(c, b"x")
        c.delete(last)
        c.put(b"x")


if __name__ == "__main__":
    testing.main([max_jobs, max_bytes], testing.parse(testing.parser(__doc__)))
