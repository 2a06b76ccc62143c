"""Three nodes and a proxy, each node on a small ext4 of its own, loop-mounted in namespaces of the driver, whose end ends all of
it."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from lib import testing
from lib.beanstalk import Client, Closed
from lib.cluster import free_port, sanitizer_lines
from lib.testing import check, equal, say, until

SKIPPED = 77
DISK_MIB = 192
RESERVE_MIB = 32
BLOCK = 4096
ALONE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]


def flip_below(image, path, offset, bit=2):
    """Changes a bit of that byte of the file in the image of its disk alone: whoever reads it from the page cache sees
    nothing."""
    extents = subprocess.run(["filefrag", "-e", f"-b{BLOCK}", path], capture_output=True, text=True, check=True).stdout
    block = offset // BLOCK
    for line in extents.splitlines():
        words = line.replace("..", " ").replace(":", " ").split()
        if len(words) >= 5 and all(w.isdigit() for w in words[:5]) and int(words[1]) <= block <= int(words[2]):
            at = (int(words[3]) + block - int(words[1])) * BLOCK + offset % BLOCK
            with image.open("r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1 << bit]))
            return
    check(False, f"{path} has no block {block}: {extents}")


class Disk:
    def __init__(self, directory, name):
        self.base = directory / name
        self.data = self.base / "data"
        self.image = directory / f"{name}.img"
        self.base.mkdir()
        with self.image.open("wb") as f:
            f.truncate(DISK_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.base], check=True)

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

    def flip_below(self, path, offset):
        flip_below(self.image, path, offset)


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
                 self.rig.cluster(), "--http", f"127.0.0.1:{self.http}", "--reserve-space", f"{RESERVE_MIB}m", *self.rig.words],
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
    def __init__(self, options, name, words=()):
        """`words`: of each node's command line."""
        self.bin, self.keep, self.words = options.bin, options.keep, words
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=options.work))
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
        alive = [node for node in self.nodes if node.lives()]
        for node in alive:
            node.process.send_signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        for node in alive:
            code = node.process.wait(20)
            check(kind is not None or code == 0, f"{node.name} ended with {code} after SIGTERM")
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


def main(tests, text):
    options = testing.parse(testing.parser(text))
    if "COOLBEANS_ALONE" not in os.environ:
        if subprocess.run(ALONE + ["true"], capture_output=True, check=False).returncode != 0 or not shutil.which("mkfs.ext4"):
            print("skipped: file systems cannot be mounted here")
            sys.exit(SKIPPED)
        sys.stdout.flush()
        environment = dict(os.environ, COOLBEANS_ALONE="1", SEED=str(options.seed))
        os.execvpe(ALONE[0], ALONE + [sys.executable] + sys.argv, environment)
    testing.main(tests, options)
