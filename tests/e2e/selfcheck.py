#!/usr/bin/env python3
"""A node whose gRPC listener has died ends with a sentence; one that was frozen for long does not.

Both at once, since each takes almost half a minute."""

import pathlib
import resource
import signal
import socket
import time

from lib import testing
from lib.beanstalk import Client, parse_address
from lib.cluster import Cluster
from lib.testing import check, say, until

FROZEN_S = 20
# Three checks, 5 s apart, of at most 3 s each; and a crowded host.
DEAF_S = 24 + 16
WATCHED_S = 5  # after it goes on: the next check begins at once, and is over by then
MARGIN = 20  # descriptors that are left to the node


def node_of(c):
    return c.layout()["nodes"][0]


def log_of(c):
    return (c.dir / "n1.log").read_text()


def deafen(c):
    """Takes the descriptors of the node away for a moment, while it is asked for more connections than it has."""
    node = node_of(c)
    most = resource.prlimit(node["pid"], resource.RLIMIT_NOFILE)
    check(most[0] == most[1], f"the node has not raised its limit of descriptors: {most}")
    used = len(list(pathlib.Path(f"/proc/{node['pid']}/fd").iterdir()))
    resource.prlimit(node["pid"], resource.RLIMIT_NOFILE, (used + MARGIN, most[1]))
    idle = [socket.create_connection(parse_address(node["grpc"])) for _ in range(2 * MARGIN)]
    until("gRPC finds no descriptor", 10, lambda: "accept4" in log_of(c))
    resource.prlimit(node["pid"], resource.RLIMIT_NOFILE, most)
    for s in idle:
        s.close()


def selfcheck(options):
    with Cluster(options, "deaf", nodes=1) as deaf, Cluster(options, "frozen", nodes=1) as frozen:
        with Client(deaf.listen) as a, Client(frozen.listen) as b:
            a.put(b"before")
            b.put(b"before")
        frozen.signal("n1", signal.SIGSTOP)
        since = time.monotonic()
        deafen(deaf)
        with Client(deaf.listen) as client:
            client.put(b"who is connected goes on")
        until("the end of the node that nobody can reach", DEAF_S, lambda: deaf.is_gone("n1"))
        say(f"ended {time.monotonic() - since:.1f} s after its listener")
        said = log_of(deaf).splitlines()[-1]
        say(said)
        for words in (f"fatal: no new gRPC connection to {node_of(deaf)['grpc']} was answered 3 times in a row",
                      "LimitNOFILE"):
            check(words in said, f"its last words are {said!r}, without {words!r}")
        deaf.start("n1")
        with Client(deaf.listen) as client:
            client.put(b"after")
        time.sleep(max(0, since + FROZEN_S - time.monotonic()))  # that long it stands still, whatever came between
        frozen.signal("n1", signal.SIGCONT)
        time.sleep(WATCHED_S)  # for the checks that it makes afterwards, each of which could fail
        with Client(frozen.listen) as client:
            client.put(b"after")
        said = log_of(frozen)
        check("selfcheck.failed" not in said, f"a check of the frozen node failed:\n{said}")


if __name__ == "__main__":
    testing.main([selfcheck], testing.parse(testing.parser(__doc__)))
