#!/usr/bin/env python3
"""A proxy listens on IPv4, IPv6 and a unix socket at once, carries jobs up to the largest -z, skips larger ones,
and takes beanstalkd's durability options with a warning."""

import random
import signal
import socket
import subprocess

from lib import testing
from lib.beanstalk import parse_address
from lib.cluster import Cluster, free_port
from lib.testing import check, equal, until

LARGEST = 4 << 20


def connect(address):
    if address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.connect(address.removeprefix("unix:"))
        return s
    return socket.create_connection(parse_address(address), timeout=30)


def cycle(f, body):
    """The reply to the put; the job is reserved, compared and deleted."""
    f.write(b"put 1 0 60 %d\r\n" % len(body) + body + b"\r\n")
    f.flush()
    word, *rest = f.readline().split()
    if word != b"INSERTED":
        return word
    f.write(b"reserve-job %s\r\n" % rest[0])
    f.flush()
    equal(f.readline().split(), [b"RESERVED", rest[0], b"%d" % len(body)], "the reserved job's line")
    check(f.read(len(body) + 2) == body + b"\r\n", f"the body of {len(body)} bytes came back changed")
    f.write(b"delete %s\r\n" % rest[0])
    f.flush()
    equal(f.readline(), b"DELETED\r\n", "delete")
    return word


def sizes(address, rng):
    with connect(address) as s, s.makefile("rwb") as f:
        for size in (0, 1, 65535, 65536, LARGEST):
            equal(cycle(f, rng.randbytes(size)), b"INSERTED", f"put of {size} bytes at {address}")
        equal(cycle(f, bytes(LARGEST + 1)), b"JOB_TOO_BIG", f"put of too many bytes at {address}")
        equal(cycle(f, b"next"), b"INSERTED", "the put after it")


class Proxy:
    def __init__(self, options, c, *words):
        self.ready = c.dir / "extra.ready"
        self.log = c.dir / "extra.log"
        nodes = ",".join(n["grpc"] for n in c.layout()["nodes"])
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([options.bin / "coolbeans-proxy", "--name", "extra", "--nodes", nodes,
                                             "--ready-file", self.ready, *words], stderr=log)
        until("the proxy listens", 20, self.ready.exists)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(20), 0, "the proxy's exit status")


def listeners(options):
    rng = random.Random(options.seed)
    with Cluster(options, "listeners") as c:
        port = str(free_port())
        unix = f"unix:{c.dir}/extra.sock"
        with Proxy(options, c, "-z", str(LARGEST), "-l", unix, "-l", "127.0.0.1", "-l", "[::1]", "-p", port) as p:
            addresses = p.ready.read_text().split()
            equal(addresses, [unix, f"127.0.0.1:{port}", f"[::1]:{port}"], "the ready file")
            for address in addresses:
                sizes(address, rng)


def durability_options(options):
    with Cluster(options, "options", nodes=1) as c:
        with Proxy(options, c, "-b", "/nowhere", "-f", "50", "-s", "1000000", "-z", str(2 * LARGEST), "-l", "127.0.0.1",
                   "-p", "0") as p:
            log = p.log.read_text()
            check("durability is the cluster's" in log, f"no warning about -b in: {log}")
            check(f"max={LARGEST}" in log, f"no warning about -z in: {log}")


if __name__ == "__main__":
    testing.main([listeners, durability_options], testing.parse(testing.parser(__doc__)))
