#!/usr/bin/env python3
"""A proxy that ends: its clients' held jobs are ready again, at once when it says so or comes back, in order."""

import signal
import time

from lib import testing
from lib.beanstalk import Client, Closed, Refused
from lib.cluster import Cluster
from lib.testing import check, equal, say, until

HELD = 5
SOON_S = 5  # far under the session timeout of 30 s


def hold_jobs(address):
    """A connection that holds HELD jobs with a long ttr; (client, ids)."""
    client = Client(address)
    client.use("held")
    client.watch_only(["held"])
    ids = [client.put(b"job %d" % i, pri=HELD - i, ttr=600) for i in range(HELD)]
    taken = [client.reserve(5)[0] for _ in ids]
    equal(taken, ids[::-1], "reserved by priority")
    return client, ids


def expect_ready(address, ids, since):
    """All of them are ready, in order of priority, with their counters, soon after `since`."""
    with Client(address) as client:
        client.watch_only(["held"])
        until("the held jobs are ready", SOON_S, lambda: client.stats_tube("held")["current-jobs-ready"] == HELD)
        say(f"ready {time.monotonic() - since:.3f} s after it")
        for job in ids[::-1]:
            equal(client.reserve(0)[0], job, "order of the jobs that came back")
            stats = client.stats_job(job)
            equal([stats["reserves"], stats["releases"], stats["timeouts"]], [2, 0, 0], "counters of the job")
        for job in ids:
            client.delete(job)


def expect_closed(client):
    """The client sees the end of its connection and no reply that nobody asked for."""
    try:
        line = client.line()
    except Closed:
        return
    check(False, f"got {line!r} from a proxy that ended")


def killed(options):
    with Cluster(options, "proxy-killed") as c:
        client, ids = hold_jobs(c.listen)
        c.kill("p1")
        expect_closed(client)
        since = time.monotonic()
        c.start("p1")
        expect_ready(c.listen, ids, since)


def killed_idle_session_is_taken_over(options):
    """What was not held stays as it was: the tube's jobs, and nothing is left of the old connections."""
    with Cluster(options, "proxy-idle") as c:
        with Client(c.listen) as client:
            job = client.put(b"kept")
            waiting = [Client(c.listen) for _ in range(20)]
            for w in waiting:
                w.watch_only(["nothing"])
                w.send(b"reserve\r\n")
            until("20 waiting clients", 10, lambda: client.stats()["current-waiting"] == 20)
        c.kill("p1")
        c.start("p1")
        with Client(c.listen) as client:
            until("the old connections are gone", SOON_S, lambda: client.stats()["current-connections"] == 1)
            equal(client.stats()["current-waiting"], 0, "current-waiting")
            equal(client.reserve(0), (job, b"kept"), "the job")


def ended_by_sigterm(options):
    """With two proxies: the second one sees the jobs before the first is started again."""
    with Cluster(options, "proxy-term", proxies=2) as c:
        other = c.daemons()["p2"]["listen"]
        client, ids = hold_jobs(c.listen)
        since = time.monotonic()
        c.signal("p1", signal.SIGTERM)
        expect_closed(client)
        until("the proxy's end", SOON_S, lambda: c.is_gone("p1"))
        expect_ready(other, ids, since)


def drained_by_sigusr1(options):
    with Cluster(options, "proxy-drain", proxies=2) as c:
        with Client(c.listen) as client, Client(c.daemons()["p2"]["listen"]) as other:
            job = client.put(b"before")
            c.signal("p1", signal.SIGUSR1)
            until("draining", 5, lambda: client.stats()["draining"] == "true")
            try:
                client.put(b"refused")
                check(False, "a draining proxy took a put")
            except Refused as error:
                equal(error.word, "DRAINING", "put while draining")
            equal(client.reserve(0), (job, b"before"), "reserve while draining")
            client.delete(job)
            equal(other.stats()["draining"], "false", "draining on the other proxy")
            other.put(b"taken")


if __name__ == "__main__":
    testing.main([killed, killed_idle_session_is_taken_over, ended_by_sigterm, drained_by_sigusr1],
                 testing.parse(testing.parser(__doc__)))
