"""The two sides: Debian's beanstalkd, and a coolbeans cluster. Each can be started, cleaned and stopped."""

import json
import os
import socket
import subprocess
import tempfile
import time

from wire import Closed, Connection, Timeout, yaml_dict, yaml_list

BEANSTALKD = os.environ.get("BEANSTALKD", "/usr/bin/beanstalkd")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(address, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = Connection(address)
            connection.ask(b"no-such-command", 2.0)  # counted nowhere
            connection.close()
            return
        except (OSError, Closed, Timeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # polls, up to its deadline


class Server:
    """A running server. `kind` says whose expectations hold for it."""

    def __init__(self, kind, address):
        self.kind = kind
        self.address = address
        self.control = Connection(address)

    def connect(self):
        return Connection(self.address)

    def stats(self):
        return yaml_dict(self.control.ask(b"stats"))

    def clean(self):
        """Waits until only the control connection is left, then deletes every job."""
        deadline = time.monotonic() + 10
        while int(self.stats()["current-connections"]) > 1:
            if time.monotonic() > deadline:
                raise RuntimeError("%s: closed connections stay" % self.kind)
            time.sleep(0.001)  # polls, up to its deadline
        for tube in yaml_list(self.control.ask(b"list-tubes")):
            name = tube.encode()
            self.control.ask(b"pause-tube " + name + b" 0")
            self.control.ask(b"use " + name)
            for peek in (b"peek-ready", b"peek-delayed", b"peek-buried"):
                while True:
                    reply = self.control.ask(peek)
                    if not reply.startswith(b"FOUND"):
                        break
                    self.control.ask(b"delete " + reply.split(b" ")[1])
        self.control.ask(b"use default")

    def stop(self):
        self.control.close()


class Beanstalkd(Server):
    """Its own process on a free port of 127.0.0.1."""

    def __init__(self, kind="beanstalkd"):
        port = free_port()
        self.process = subprocess.Popen([BEANSTALKD, "-l", "127.0.0.1", "-p", str(port)])
        try:
            wait_for(("127.0.0.1", port), 5)
            super().__init__(kind, ("127.0.0.1", port))
        except Exception:
            self.process.kill()
            raise

    def stop(self):
        super().stop()
        self.process.terminate()
        self.process.wait()


class Cluster(Server):
    """A cluster of its own, by `coolbeans dev`."""

    def __init__(self, program, options=()):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="coolbeans-differential-")
        command = [program, "dev", "--detach", "--dir", self.folder.name, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        with open(os.path.join(self.folder.name, "cluster.json"), encoding="utf-8") as file:
            listen = json.load(file)["listen"]
        host, port = listen.rsplit(":", 1)
        wait_for((host, int(port)), 20)
        super().__init__("coolbeans", (host, int(port)))

    def stop(self):
        super().stop()
        command = [self.program, "dev", "stop", "--dir", self.folder.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        self.folder.cleanup()


class Target(Server):
    """A cluster that somebody else started."""

    def __init__(self, text):
        host, port = text.rsplit(":", 1)
        super().__init__("coolbeans", (host.strip("[]"), int(port)))
