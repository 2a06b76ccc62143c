#!/usr/bin/env python3
"""What the process decides, against Debian's beanstalkd: draining after SIGUSR1 (items 27, 112), -z 0 (item 33),
-v (item 110). The same bytes go to both, the answers must be the same."""

import os
import signal
import socket
import subprocess

from lib import testing
from lib.cluster import Cluster, free_port
from lib.testing import check, equal, until

JOB = b"put 5 0 600 2\r\nab\r\n"


class Server:
    def __init__(self, command, port):
        self.port = port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the server answers", 20, self.answers)

    def answers(self):
        try:
            return self.ask(b"list-tube-used\r\n") == b"USING default\r\n"
        except OSError:
            return False

    def ask(self, text):
        """Everything that is answered to these bytes and the end of input."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            data = b""
            while more := s.recv(65536):
                data += more
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def beanstalkd(*words):
    port = free_port()
    return Server(["/usr/bin/beanstalkd", "-l", "127.0.0.1", "-p", str(port), *words], port)


def proxy(options, c, *words):
    port = free_port()
    nodes = ",".join(n["grpc"] for n in c.layout()["nodes"])
    return Server([options.bin / "coolbeans-proxy", "--name", f"extra{port}", "--nodes", nodes, "-l", "127.0.0.1",
                   "-p", str(port), *words], port)


def value_of(stats, key):
    return [line for line in stats.split(b"\n") if line.startswith(key)]


def same(servers, text, what):
    answers = [s.ask(text) for s in servers]
    equal(answers[1], answers[0], f"{what}: coolbeans, against beanstalkd")
    return answers[0]


def draining(options):
    with Cluster(options, "draining", nodes=1) as c, beanstalkd() as theirs, proxy(options, c) as ours:
        both = (theirs, ours)
        same(both, JOB, "before")
        for s in both:
            s.process.send_signal(signal.SIGUSR1)
            until("draining shows", 10, lambda s=s: value_of(s.ask(b"stats\r\n"), b"draining:") == [b"draining: true"])
        check(b"DRAINING" in same(both, JOB, "a put"), "a put is not answered DRAINING")
        same(both, b"put 5 0 600 2\r\nabcd\r\n", "a put without its CRLF")
        same(both, b"put 5 0 600 70000\r\n" + bytes(70000) + b"\r\n" + JOB, "a put that is too big")
        same(both, b"reserve\r\nrelease 1 3 0\r\nreserve\r\nbury 1 9\r\nkick 7\r\npeek-ready\r\ndelete 1\r\n", "the rest goes on")


def no_bodies(options):
    with Cluster(options, "no_bodies", nodes=1) as c, beanstalkd("-z", "0") as theirs, proxy(options, c, "-z", "0") as ours:
        both = (theirs, ours)
        same(both, b"put 0 0 60 0\r\n\r\nput 0 0 60 1\r\nx\r\nreserve\r\ndelete 1\r\n", "-z 0")
        lines = [value_of(s.ask(b"stats\r\n"), b"max-job-size:") for s in both]
        equal(lines, [[b"max-job-size: 0"]] * 2, "max-job-size")


def version(options):
    run = subprocess.run([options.bin / "coolbeans-proxy", "-v"], capture_output=True, text=True, check=True)
    check(run.stdout.startswith("coolbeans"), f"-v printed {run.stdout!r}")


if __name__ == "__main__":
    os.environ.pop("LISTEN_FDS", None)
    testing.main([draining, no_bodies, version], testing.parse(testing.parser(__doc__)))
