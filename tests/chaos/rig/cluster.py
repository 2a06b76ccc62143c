"""Three nodes and two proxies, each on a host of its own, and a host for clients.

    with Rig(options, "leader-kills", disks={"loss"}) as rig:
        rig.start()
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from lib.testing import check, say, until
from rig.daemon import Daemon
from rig.disk import Disk
from rig.net import Net
from rig.shell import Failed, run
from rig.teardown import tear_down

GRPC, RAFT, CLIENTS = 11301, 11302, 11300
NODE_NUMBERS = {"n1": 11, "n2": 12, "n3": 13}
PROXY_NUMBERS = {"p1": 21, "p2": 22}
CLIENT_NUMBER = 31
RESERVE_MIB = 32  # their disks have 512 MiB in all where they can get full


class Rig:
    """`disks`: what the nodes' disks must be able to do, see disk.py; `clocks`: their wall clocks can be set;
    `node_words`: more options of each node."""

    def __init__(self, options, name, disks=(), clocks=False, node_words=()):
        self.options = options
        self.bin = options.bin
        self.net = Net()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=options.work))
        self.disk_kinds, self.clocks = frozenset(disks), clocks
        self.session_timeout, self.node_words = options.session_timeout, node_words
        self.nodes, self.proxies, self.disks = {}, {}, {}
        self.expected = set()  # lines of logs that a fault has brought about
        self.guard = None

    # ---- life ----

    def __enter__(self):
        here = pathlib.Path(__file__).resolve().parent
        self.guard = subprocess.Popen([sys.executable, here / "teardown.py", self.net.prefix, self.dir],
                                      stdin=subprocess.PIPE)
        self.guard.wait()  # it goes on in a session of its own
        try:
            self._make()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, *_):
        self._end()
        if kind is None and not self.options.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            say(f"kept: {self.dir}")

    def _end(self):
        tear_down(self.net.prefix, self.dir)
        self.guard.stdin.write(b"ended\n")
        self.guard.stdin.close()

    def _make(self):
        self.net.make()
        hosts = {**NODE_NUMBERS, **PROXY_NUMBERS, "client": CLIENT_NUMBER}
        for name, number in hosts.items():
            self.net.add(name, number)
        members = ",".join(f"{n}={self.net.hosts[n]}:{GRPC}" for n in NODE_NUMBERS)
        for name in NODE_NUMBERS:
            disk = self.disks[name] = Disk(self, name, self.disk_kinds)
            disk.make()
            self.nodes[name] = Daemon(self, name, self.words_of(name, ["--cluster", members]))
        for name in PROXY_NUMBERS:
            self.proxies[name] = Daemon(self, name, [self.bin / "coolbeans-proxy", "--nodes", self.grpc(), "--name",
                                                     name, "-l", self.net.hosts[name], "-p", CLIENTS])

    def words_of(self, name, how):
        """Of a node's command; `how` it comes to its cluster."""
        return [self.bin / "coolbeans-node", "--name", name, "--data-dir", self.disks[name].data, *how, "--insecure",
                "--reserve-space", f"{RESERVE_MIB}m", "--session-timeout", f"{self.session_timeout}s", *self.node_words]

    def join(self, name):
        """From its next start on, with an empty folder, it is a new node that wants to be taken up."""
        others = ",".join(f"{self.net.hosts[n]}:{GRPC}" for n in self.nodes if n != name)
        self.nodes[name].words = self.words_of(name, ["--join", others, "--listen", f"{self.net.hosts[name]}:{GRPC}"])

    def start(self):
        for daemon in self.daemons():
            daemon.start()
        for daemon in self.daemons():
            daemon.wait_ready()
        self.wait_whole()

    def stop(self):
        """SIGTERM to all, the proxies first; those that did not end well."""
        statuses = {d.name: d.terminate() for d in [*self.proxies.values(), *self.nodes.values()]}
        return {name: status for name, status in statuses.items() if status != 0}

    # ---- what is there ----

    def daemons(self):
        return [*self.nodes.values(), *self.proxies.values()]

    def daemon(self, name):
        return self.nodes.get(name) or self.proxies[name]

    def grpc(self):
        return ",".join(f"{self.net.hosts[n]}:{GRPC}" for n in NODE_NUMBERS)

    def listen(self):
        return [f"{self.net.hosts[p]}:{CLIENTS}" for p in PROXY_NUMBERS]

    def watch(self):
        for daemon in self.daemons():
            daemon.watch()

    # ---- state ----

    def status(self):
        try:
            text = run(*self.net.within("client"), self.bin / "coolbeans", "status", "--json", "--nodes", self.grpc(),
                       check=False, timeout=20)
            return json.loads(text)
        except (Failed, ValueError):
            return {"leader": None, "members": []}

    def leader(self, seconds=30):
        """Of those that say that they lead the one with the highest term."""
        def found():
            members = [m for m in self.status()["members"] if m["alive"] and m["role"] == "leader"]
            return max(members, key=lambda m: m["term"])["name"] if members else None
        return until("a leader", seconds, found, every=0.05)

    def terms(self):
        return max((m["term"] for m in self.status()["members"] if m["alive"]), default=0)

    def wait_whole(self, seconds=60):
        """Every member is up and has what the leader had when this was asked."""
        end = time.monotonic() + seconds

        def goal_of():
            self.watch()
            members = self.status()["members"]
            return max((m["applied"] for m in members if m["alive"]), default=0) if self.status()["leader"] else 0
        goal = until("a leader that serves", seconds, goal_of, every=0.05)

        def whole():
            self.watch()
            status = self.status()
            return status["leader"] and len(status["members"]) == len(self.nodes) and all(
                m["alive"] and m["applied"] >= goal for m in status["members"])
        until(f"all members at entry {goal}", max(1, end - time.monotonic()), whole, every=0.05)

    def reports(self):
        """What no log may have: assertions, sanitizers, digests that differ."""
        words = ("BUG:", "Sanitizer", "runtime error", "contradict", "digest.differs")
        return [f"{d.name}: {line}" for d in self.daemons() if d.log.exists()
                for line in d.log.read_text(errors="replace").splitlines()
                if line not in self.expected and any(w in line for w in words)]

    def check_alive(self):
        check(all(d.is_alive() for d in self.daemons()), "a daemon does not run at the end")
