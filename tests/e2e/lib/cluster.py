"""A detached cluster of `coolbeans dev` in a folder of its own; no process of it outlives the driver.

    with Cluster(options, "smoke") as c:
        client = Client(c.listen)
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from lib.testing import Failure, check, say, until

# What a sanitizer or a failed assertion writes.
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error|BUG:|SUMMARY: \w+Sanitizer")
LOG_TAIL = 15


# Below the kernel's range for outgoing connections, so that none takes a port while its daemon is down, and
# beside the ports that `coolbeans dev` chooses.
PORTS = range(12000, 20000)


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen(1)
            return True
        except OSError:
            return False


def free_port():
    """A port that is free, and so is the next one: a node needs both."""
    while True:
        port = random.choice(PORTS)
        if is_free(port) and is_free(port + 1):
            return port


def sanitizer_lines(directory):
    found = []
    for path in sorted(pathlib.Path(directory).glob("*.log")):
        for line in path.read_text(errors="replace").splitlines():
            if REPORT.search(line):
                found.append(f"{path.name}: {line}")
    return found


def state_of(process):
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def command_of(process):
    return (process / "cmdline").read_bytes()


class Cluster:
    def __init__(self, options, name, nodes=3, proxies=1):
        self.tool = options.bin / "coolbeans"
        self.keep = options.keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=options.work))
        self.listen = f"127.0.0.1:{free_port()}"
        self.node_count, self.proxy_count = nodes, proxies
        self.guard = None

    # ---- life ----

    def __enter__(self):
        self.guard = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("guard.py"), self.tool, self.dir],
                                      stdin=subprocess.PIPE)
        self.guard.wait()  # it goes on in a session of its own
        try:
            self.start_all()
        except BaseException:
            self._end(failed=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self._end(failed=kind is not None)

    def start_all(self):
        self.run("dev", "--detach", "--dir", self.dir, "--listen", self.listen,
                 "--nodes", self.node_count, "--proxies", self.proxy_count, timeout=90)

    def stop_all(self):
        self.run("dev", "stop", "--dir", self.dir, timeout=90)

    def _end(self, failed):
        reports = []
        try:
            if (self.dir / "cluster.json").exists():
                self.stop_all()
                self._check_gone()
            reports = sanitizer_lines(self.dir)
        finally:
            self.guard.stdin.write(b"ended\n")
            self.guard.stdin.close()
            failed = failed or bool(reports)
            if failed:
                self.show_logs()
            if not failed and not self.keep:
                shutil.rmtree(self.dir)
        if reports:
            raise Failure("reports in the logs of the daemons:\n" + "\n".join(reports[:20]))

    def _check_gone(self):
        left = [name for name in self.pids() if self.is_alive(name)]
        for name in left:
            self.signal(name, signal.SIGKILL)
        check(not left, f"still running after 'coolbeans dev stop': {', '.join(left)}")

    def show_logs(self):
        say(f"the cluster's folder is kept: {self.dir}")
        for path in sorted(self.dir.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            print(f"--- {path.name}, the last of {len(lines)} lines", *lines[-LOG_TAIL:], sep="\n", flush=True)

    # ---- the tool ----

    def run(self, *words, timeout=60, codes=(0,)):
        run = subprocess.run([self.tool, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False)
        check(run.returncode in codes,
              f"coolbeans {' '.join(map(str, words))}: exit {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout

    def dev(self, verb, who):
        return self.run("dev", verb, who, "--dir", self.dir)

    def start(self, *names):
        for name in names:
            self.dev("start", name)

    def status(self):
        return json.loads(self.run("status", "--json", "--dir", self.dir, codes=(0, 3)))

    def leader(self, seconds=10):
        return until("a leader", seconds, lambda: self.status()["leader"])

    def wait_whole(self, seconds=30):
        """Every member is up and has what the leader had when this was asked."""
        self.leader(seconds)
        goal = max(m["applied"] for m in self.status()["members"] if m["alive"])

        def whole():
            members = self.status()["members"]
            return len(members) == self.node_count and all(m["alive"] and m["applied"] >= goal for m in members)

        until(f"all members at entry {goal}", seconds, whole, every=0.1)

    # ---- processes ----

    def layout(self):
        return json.loads((self.dir / "cluster.json").read_text())

    def daemons(self):
        layout = self.layout()
        return {d["name"]: d for d in layout["nodes"] + layout["proxies"]}

    def pids(self):
        return {name: d["pid"] for name, d in self.daemons().items()}

    def nodes(self):
        return [d["name"] for d in self.layout()["nodes"]]

    def is_alive(self, name):
        process = pathlib.Path(f"/proc/{self.pids()[name]}")
        try:
            return state_of(process) not in "ZX" and f"{self.dir}/{name}.ready".encode() in command_of(process)
        except OSError:
            return False

    def is_gone(self, name):
        """It has let go of its ports: one that was killed has no command line at first, and is a zombie while
        its last threads still end."""
        process = pathlib.Path(f"/proc/{self.pids()[name]}")
        try:
            if state_of(process) in "ZX":
                return len(list(process.glob("task/*"))) <= 1
            line = command_of(process)
            return line != b"" and f"{self.dir}/{name}.ready".encode() not in line
        except OSError:
            return True

    def signal(self, name, number):
        if self.is_alive(name):
            try:
                os.kill(self.pids()[name], number)
            except ProcessLookupError:
                pass  # it ended just now, which is as good

    def kill(self, *names):
        """SIGKILL to all of them at once; the times before it, and when they were gone."""
        pids = [self.pids()[name] for name in names if self.is_alive(name)]
        before = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for name in names:
            until(f"the end of {name}", 10, lambda: self.is_gone(name), every=0.002)
        return before, time.monotonic()
