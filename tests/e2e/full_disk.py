#!/usr/bin/env python3
"""Full disks (design D9): one changes nothing; two make puts be refused while all else goes on, and only until there is room;
a node starts on one, takes part or says that it waits, and goes on by itself.

Each node has a small ext4 of its own, loop-mounted in a namespace of this driver, whose end ends all of it. Where that cannot
be made, the test is skipped.
"""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from lib import testing
from lib.beanstalk import Client, Closed, Refused
from lib.cluster import free_port, sanitizer_lines
from lib.testing import check, equal, say, until

SKIPPED = 77
DISK_MIB = 192
RESERVE_MIB = 32
BLOCK = 4096
ALONE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]


class Disk:
    def __init__(self, directory, name):
        self.base = directory / name
        self.data = self.base / "data"
        image = directory / f"{name}.img"
        self.base.mkdir()
        with image.open("wb") as f:
            f.truncate(DISK_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.base], check=True)

    def fill(self, leave_bytes=0):
        """What can be had is known once it is taken: a file system keeps some for itself."""
        with (self.base / "filler").open("wb") as f:
            end, piece = 0, DISK_MIB << 20
            while piece >= BLOCK:
                try:
                    os.posix_fallocate(f.fileno(), end, piece)
                    end += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
            f.truncate(max(0, end - leave_bytes))

    def empty(self):
        (self.base / "filler").unlink(missing_ok=True)


class Node:
    def __init__(self, rig, name):
        self.rig, self.name = rig, name
        self.disk = Disk(rig.dir, name)
        self.port, self.http = free_port(), free_port()
        self.process = None
        self.log = rig.dir / f"{name}.log"

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.rig.bin / "coolbeans-node", "--name", self.name, "--data-dir", self.disk.data, "--cluster",
                 self.rig.cluster(), "--http", f"127.0.0.1:{self.http}", "--reserve-space", f"{RESERVE_MIB}m"],
                stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lives(self):
        return self.process.poll() is None

    def get(self, path):
        """(HTTP status, text); None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    def status(self):
        answer = self.get("/status")
        return json.loads(answer[1]) if answer else {"role": "none", "applied": 0, "waits": None}

    def healthz(self):
        return self.get("/healthz") or (0, "")


class Rig:
    def __init__(self, options, name):
        self.bin, self.keep = options.bin, options.keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"full-{name}-", dir=options.work))
        self.nodes = [Node(self, f"n{i}") for i in (1, 2, 3)]
        self.port = free_port()
        self.proxy = None

    def cluster(self):
        return ",".join(f"{n.name}=127.0.0.1:{n.port}" for n in self.nodes)

    def __enter__(self):
        for node in self.nodes:
            node.start()
        with (self.dir / "proxy.log").open("ab") as log:
            self.proxy = subprocess.Popen(
                [self.bin / "coolbeans-proxy", "--name", "full", "--nodes", ",".join(f"127.0.0.1:{n.port}" for n in self.nodes),
                 "-l", "127.0.0.1", "-p", str(self.port), "-z", "1048576"], stdout=log, stderr=log)
        self.leader()
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes:
            if kind is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if kind is None:
                equal(node.process.wait(20), 0, f"exit status of {node.name} after SIGTERM")
            else:
                node.process.kill()
        self.proxy.kill()
        reports = sanitizer_lines(self.dir)
        for node in self.nodes:
            subprocess.run(["umount", "-l", node.disk.base], check=False)
        if kind is None and not reports and not self.keep:
            shutil.rmtree(self.dir)
        else:
            say(f"kept: {self.dir}")
        check(not reports, "\n".join(reports))

    def client(self):
        def connect():
            try:
                return Client(f"127.0.0.1:{self.port}")
            except Closed:
                return None
        return until("a connection", 20, connect)

    def leader(self):
        def find():
            return next((n for n in self.nodes if n.lives() and n.status().get("serving")), None)
        return until("a leader", 20, find)

    def followers(self):
        leader = self.leader()
        return [n for n in self.nodes if n is not leader]

    def ctl(self):
        done = subprocess.run([self.bin / "coolbeans", "status", "--nodes", f"127.0.0.1:{self.nodes[0].port}"],
                              capture_output=True, text=True, timeout=20, check=False)
        return done.stdout

    def wait_caught_up(self, node):
        goal = self.leader().status()["applied"]
        until(f"{node.name} at entry {goal}", 10, lambda: node.status()["applied"] >= goal)


def put(c, body=b"x"):
    """The answer's word."""
    try:
        c.put(body)
        return "INSERTED"
    except Refused as refusal:
        return refusal.word


def work(c, seconds):
    """Jobs go through, and none waits for long."""
    end, longest, count = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        began = time.monotonic()
        equal(put(c), "INSERTED", "a put")
        c.delete(c.reserve(0)[0])
        longest = max(longest, time.monotonic() - began)
        count += 1
    say(f"{count} jobs, the longest {longest:.3f} s")
    check(longest < 2, f"a job took {longest:.3f} s")


def one_full_disk(options):
    """Of a follower, for so long that it has no segment of its log left; then it goes on by itself. Of the leader."""
    with Rig(options, "one") as rig:
        c = rig.client()
        full, other = rig.followers()
        full.disk.fill()
        work(c, 1)
        for _ in range(28):  # MiB: more than the log has prepared
            equal(put(c, bytes(1 << 20)), "INSERTED", "a put")
        until("the full node says what it waits for", 10, lambda: "to write its log" in (full.status()["waits"] or ""))
        equal(full.healthz()[0], 503, "its health")
        check(str(full.disk.data) in full.healthz()[1], full.healthz()[1])
        check(not rig.leader().status()["puts_refused"], "puts are refused for one full disk")
        for _ in range(28):
            c.delete(c.reserve(0)[0])
        full.disk.empty()
        began = time.monotonic()
        other.kill()  # so that nothing goes without what this one writes
        equal(put(c), "INSERTED", "a put")
        took = time.monotonic() - began
        say(f"it went on {took:.1f} s after there was room")
        check(took < 5, f"its log went on {took:.1f} s after there was room")
        until("its health", 5, lambda: full.healthz()[0] == 200)
        other.start()
        c.delete(c.reserve(0)[0])
        rig.wait_caught_up(other)
        rig.leader().disk.fill()
        work(c, 1)


def two_full_disks(options):
    with Rig(options, "two") as rig:
        c = rig.client()
        for i in range(6):
            c.put(b"%d" % i)
        low = rig.followers()
        for node in low:
            node.disk.fill()
        until("a refused put", 10, lambda: put(c) == "OUT_OF_MEMORY", every=0.1)
        equal(put(c, b""), "OUT_OF_MEMORY", "an empty put")
        job, _ = c.reserve(0)
        c.touch(job)
        c.release(job)
        job, _ = c.reserve(0)
        c.bury(job)
        equal(c.kick(1), 1, "kicked")
        for _ in range(3):
            c.delete(c.reserve(0)[0])
        said = rig.ctl()
        for word in ["OUT_OF_MEMORY", f"{RESERVE_MIB}.0M"] + [f"  {n.name} has " for n in low]:
            check(word in said, f"status does not say {word!r}: {said}")
        check(rig.leader().status()["puts_refused"], "/status does not say that puts are refused")
        low[0].disk.fill(RESERVE_MIB << 20)  # room, but a quarter more is wanted
        time.sleep(2.5)
        equal(put(c), "OUT_OF_MEMORY", "a put with a little more room")
        low[0].disk.empty()
        until("a put", 10, lambda: put(c) == "INSERTED", every=0.1)
        low[1].disk.empty()
        work(c, 1)
        check("OUT_OF_MEMORY" not in rig.ctl(), "status still says that puts are refused")


def start_on_a_full_disk(options):
    with Rig(options, "start") as rig:
        c = rig.client()
        node = rig.followers()[0]
        ballast = node.disk.data / "ballast"
        until("the ballast", 5, ballast.exists)
        node.kill()
        node.disk.fill()
        work(c, 0.5)
        node.start()
        until("it follows", 10, lambda: node.status()["role"] == "follower")
        rig.wait_caught_up(node)  # its unused segments are room enough for that
        equal(put(c), "INSERTED", "a put")
        check("the ballast is given up" in node.log.read_text(), "no word of the ballast in the log")

        say("without a ballast")
        node.kill()
        ballast.unlink(missing_ok=True)
        node.disk.fill()
        node.start()
        until("it waits", 10, lambda: "before it can open its log" in (node.status()["waits"] or ""))
        equal(node.status()["role"], "starting", "its role")
        equal(node.healthz()[0], 503, "its health")
        check(f"{node.name}: the disk of {node.disk.data} is full" in rig.ctl(), f"status does not say so: {rig.ctl()}")
        work(c, 0.5)
        check("space.none" in node.log.read_text(), "no word of it in the log")
        node.disk.empty()
        until("its health", 5, lambda: node.healthz()[0] == 200)
        rig.wait_caught_up(node)

        say("all at once, two on full disks")
        for n in rig.nodes:
            n.kill()
        for n in rig.nodes[:2]:
            n.disk.fill()
        for n in rig.nodes:
            n.start()
        until("a refused put", 20, lambda: put(c) == "OUT_OF_MEMORY", every=0.1)
        c.delete(c.reserve(0)[0])
        for n in rig.nodes:
            n.disk.empty()
        until("a put", 10, lambda: put(c) == "INSERTED", every=0.1)


def main():
    options = testing.parse(testing.parser(__doc__))
    if "COOLBEANS_ALONE" not in os.environ:
        if subprocess.run(ALONE + ["true"], capture_output=True, check=False).returncode != 0 or not shutil.which("mkfs.ext4"):
            print("skipped: file systems cannot be mounted here")
            sys.exit(SKIPPED)
        sys.stdout.flush()
        environment = dict(os.environ, COOLBEANS_ALONE="1", SEED=str(options.seed))
        os.execvpe(ALONE[0], ALONE + [sys.executable] + sys.argv, environment)
    testing.main([one_full_disk, two_full_disks, start_on_a_full_disk], options)


if __name__ == "__main__":
    main()
