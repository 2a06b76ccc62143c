"""Three nodes with words of their own on the command line, and a proxy; no process of it outlives the driver.

    with Nodes(options, "bodies", "--body-cache", "64k") as c:
        client = c.client()
"""

import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from lib import rpc
from lib.beanstalk import Client, Closed
from lib.cluster import free_port, sanitizer_lines
from lib.testing import Failure, equal, say, until

STARTS_S = 30
SAMPLE_S = 0.2


class Nodes:
    def __init__(self, options, name, *words, count=3, proxies=1):
        self.bin, self.keep, self.words = options.bin, options.keep, words
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=options.work))
        self.names = [f"n{i + 1}" for i in range(count)]
        self.grpc = {name: f"127.0.0.1:{free_port()}" for name in self.names}
        self.ports = [free_port() for _ in range(proxies)]
        self.process = {}

    def __enter__(self):
        try:
            for name in self.names:
                self.start(name)
            for i in range(len(self.ports)):
                self.start_proxy(i)
            until("a connection", STARTS_S, self.connects)
        except BaseException:
            self.end(True)
            raise
        return self

    def __exit__(self, kind, *_):
        self.end(kind is not None)

    def end(self, failed):
        for process in self.process.values():
            process.kill()
        for process in self.process.values():
            process.wait()
        reports = sanitizer_lines(self.dir)
        if failed or reports:
            say(f"logs are kept: {self.dir}")
            for path in sorted(self.dir.glob("*.log")):
                print(f"--- {path.name}", *path.read_text(errors="replace").splitlines()[-12:], sep="\n", flush=True)
            for name in self.names:  # they may be large
                shutil.rmtree(self.dir / name, ignore_errors=True)
        elif not self.keep:
            shutil.rmtree(self.dir)
        if reports:
            raise Failure("reports in the logs of the daemons:\n" + "\n".join(reports[:20]))

    def prefix(self, _name):
        """Words before the program's: a program that runs it in another way."""
        return []

    def spawn(self, name, program, *words):
        command = [*self.prefix(name), self.bin / program, *words]
        with (self.dir / f"{name}.log").open("ab") as log:
            self.process[name] = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)

    def start_proxy(self, i):
        self.spawn(f"p{i + 1}", "coolbeans-proxy", "--name", f"p{i + 1}", "--nodes", ",".join(self.grpc.values()),
                   "-l", "127.0.0.1", "-p", self.ports[i])

    def start(self, name):
        self.spawn(name, "coolbeans-node", "--name", name, "--data-dir", self.dir / name, "--cluster",
                    ",".join(f"{n}={a}" for n, a in self.grpc.items()), *self.words)

    def kill(self, name):
        self.process[name].kill()
        self.process[name].wait()

    def stop(self, name, seconds=60):
        self.process[name].send_signal(signal.SIGTERM)
        equal(self.process[name].wait(seconds), 0, f"exit status of {name}")

    def connects(self):
        try:
            self.client(timeout=STARTS_S).close()
            return True
        except Closed:
            return False

    def client(self, proxy=0, timeout=30):
        return Client(f"127.0.0.1:{self.ports[proxy]}", timeout=timeout)

    def status(self, name):
        """None while it does not answer."""
        try:
            return rpc.status(self.grpc[name]) if self.process[name].poll() is None else None
        except rpc.grpc.RpcError:
            return None

    def leader(self, seconds=STARTS_S):
        return until("a leader that serves", seconds,
                     lambda: next((n for n in self.names if (s := self.status(n)) and s["serving"]), None))

    def counter(self, name, counter):
        return self.status(name)["counters"][counter]

    def memory(self, name):
        """Anonymous memory and mapped pages of files, in bytes; both 0 when it is down."""
        try:
            text = pathlib.Path(f"/proc/{self.process[name].pid}/status").read_text()
        except OSError:
            return 0, 0
        kib = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.startswith("Rss")}
        return kib.get("RssAnon", 0) * 1024, kib.get("RssFile", 0) * 1024


class Peaks:
    """The most anonymous memory of each node while it runs.

        with Peaks(c) as peaks:
            ...
        peaks.most()
    """

    def __init__(self, nodes):
        self.nodes, self.anon, self.over = nodes, {}, False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over:
            for name in self.nodes.names:
                self.anon[name] = max(self.anon.get(name, 0), self.nodes.memory(name)[0])
            time.sleep(SAMPLE_S)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()

    def most(self):
        return max(self.anon.values())
