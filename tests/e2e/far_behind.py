#!/usr/bin/env python3
"""A node that was away for longer than the log goes back fetches the state from another, while clients go on; so it does
when it, or the leader, is killed in the middle."""

import concurrent.futures
import pathlib
import random
import re
import time

from lib import rpc, testing
from lib.background import Background
from lib.beanstalk import Client
from lib.cluster import Cluster
from lib.testing import check, equal, say, until

BODY = 60000
KEPT = 700  # jobs that stay: the state is some 40 parts
PASSING = 2300  # jobs that are put and deleted meanwhile: the log that holds them goes
WRITERS = 8
CATCH_UP_S = 60
RSS_MORE_MB = 256


def body_of(i):
    return (b"%d " % i) * (BODY // len(b"%d " % i))


def address_of(cluster, name):
    return cluster.daemons()[name]["grpc"]


def fill(address, share):
    """One of WRITERS, each with its share of the numbers."""
    c = Client(address)
    c.use("kept")
    for i in range(share, KEPT, WRITERS):
        c.put(body_of(i))
    c.use("passing")
    passing = b"x" * BODY
    for _ in range(PASSING // WRITERS):
        c.delete(c.put(passing))
    c.close()


def followers(cluster):
    leader = cluster.leader()
    return [name for name in cluster.nodes() if name != leader]


def rss_mb(cluster, name):
    text = pathlib.Path(f"/proc/{cluster.pids()[name]}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)[1]) / 1024


def installs(cluster, name):
    return rpc.status(address_of(cluster, name))["counters"]["replica_installs"]


class Load(Background):
    """Puts and deletes small jobs all the time; the longest of them is what the cluster lost by the transfer."""

    def __init__(self, address):
        super().__init__()
        self.client = Client(address)
        self.client.use("load")
        self.longest, self.count = 0, 0

    def step(self):
        began = time.monotonic()
        self.client.delete(self.client.put(b"load"))
        self.longest = max(self.longest, time.monotonic() - began)
        self.count += 1


def look(cluster, count):
    """Every job that was kept is there, whole, once."""
    c = Client(cluster.listen)
    c.watch_only(["kept"])
    seen = set()
    for _ in range(count):
        job, body = c.reserve(5)
        number = int(body.split(b" ", 1)[0])
        equal(body, body_of(number), f"the body of job {job}")
        check(number not in seen, f"number {number} came twice")
        seen.add(number)
        c.delete(job)
    equal(seen, set(range(count)), "the jobs that are there")


def make_behind(cluster):
    away = followers(cluster)[0]
    c = Client(cluster.listen)
    c.use("first")
    c.put(b"before")
    cluster.wait_whole()
    cluster.kill(away)
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda share: fill(cluster.listen, share), range(WRITERS)))
    c.close()
    return away


def fetches_the_state(options):
    with Cluster(options, "far-behind") as cluster:
        away = make_behind(cluster)
        leader = cluster.leader()
        before = rss_mb(cluster, leader)
        most = {leader: before, away: 0}
        with Load(cluster.listen) as load:
            cluster.start(away)
            began = time.monotonic()

            def is_there():
                for name in most:
                    most[name] = max(most[name], rss_mb(cluster, name))
                return installs(cluster, away) > 0

            until("the state at the node that was away", CATCH_UP_S, is_there)
            took = time.monotonic() - began
            cluster.wait_whole(CATCH_UP_S)
        usual = rss_mb(cluster, away)
        say(f"{away} had the state {took:.1f} s after its start; longest put and delete {load.longest:.3f} s of {load.count}; "
            f"RssAnon of {leader} {before:.0f} MB, then at most {most[leader]:.0f}; of {away} at most {most[away]:.0f}, "
            f"in the end {usual:.0f}")
        check(most[leader] < before + RSS_MORE_MB, "the leader's memory has grown with the state")
        cluster.kill(leader)  # now the node that was away is needed
        look(cluster, KEPT)


def killed_in_the_middle(options):
    rng = random.Random(options.seed)
    with Cluster(options, "killed-fetching") as cluster:
        away = make_behind(cluster)
        for _ in range(4):
            cluster.start(away)
            time.sleep(rng.uniform(0.05, 1.0))  # before, in or after the fetch: where the kill hits is drawn
            cluster.kill(away)
        cluster.start(away)
        cluster.wait_whole(CATCH_UP_S)
        cluster.kill(cluster.leader())
        look(cluster, KEPT)


def leader_killed_in_the_middle(options):
    rng = random.Random(options.seed)
    with Cluster(options, "leader-killed-fetching") as cluster:
        away = make_behind(cluster)
        leader = cluster.leader()
        cluster.start(away)
        time.sleep(rng.uniform(0.2, 0.8))  # the same
        cluster.kill(leader)
        look(cluster, KEPT)  # with the third node and the one that was away
        cluster.start(leader)
        cluster.wait_whole(CATCH_UP_S)


if __name__ == "__main__":
    testing.main([fetches_the_state, killed_in_the_middle, leader_killed_in_the_middle],
                 testing.parse(testing.parser(__doc__)))
