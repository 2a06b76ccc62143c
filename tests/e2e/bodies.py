#!/usr/bin/env python3
"""--body-cache: jobs whose bodies are not in memory are reserved and peeked at as others are, by many clients at once,
also after a kill of the leader and of all nodes; a node that was away fetches the state and keeps no more of it in memory."""

import concurrent.futures
import hashlib
import itertools
import threading
import time

from lib import testing
from lib.beanstalk import Refused
from lib.nodes import Nodes
from lib.testing import check, equal, say, until

CACHE = 64 * 1024
JOBS, WORKERS = 1500, 8
LARGE, LARGE_JOBS = 1000000, 3500  # more entries than a log keeps
AWAY_S = 30


def body_of(n):
    """Of some hundred bytes up to 16 KiB; those from LARGE on are an entry of the log each. No two are alike."""
    seed = hashlib.sha256(b"%d" % n).digest()
    return (b"%d " % n + seed * 600)[: 300 + n * 7919 % 16000 if n < LARGE else 17000]


def put_all(c, first, count):
    """{job id: number of the body}"""
    def put_share(share):
        client = c.client()
        return [(client.put(body_of(n)), n) for n in range(first + share, first + count, WORKERS)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return dict(itertools.chain(*pool.map(put_share, range(WORKERS))))


def all_are_away(c):
    """On each node those that have room stay."""
    def is_so(name):
        s = c.status(name)
        return s and s["counters"]["bodies_resident_bytes"] <= CACHE and s["counters"]["bodies_away"] > 0
    until("bodies that leave memory", AWAY_S, lambda: all(is_so(name) for name in c.names))


class Workers:
    """Reserve and delete until `jobs` are through; each must have its own body."""

    def __init__(self, c, jobs):
        self.c, self.jobs, self.done, self.errors = c, jobs, set(), []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(WORKERS)]

    def _run(self, i):
        try:
            client = self.c.client(proxy=i % len(self.c.ports))
            while True:
                try:
                    job, body = client.reserve(2)
                except Refused:  # TIMED_OUT: no more jobs
                    return
                check(body == body_of(self.jobs[job]), f"the body of job {job} is another one")
                client.delete(job)
                with self.lock:
                    check(job not in self.done, f"job {job} came twice")
                    self.done.add(job)
        except Exception as error:  # told by whoever waits
            self.errors.append(error)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        for t in self.threads:
            t.join()
        for error in self.errors:
            raise error
        equal(len(self.done), len(self.jobs), "jobs that came")


def fetched(c):
    return sum(c.counter(name, "proposer_bodies_missed") for name in c.names)


def reserved_and_peeked(options):
    with Nodes(options, "bodies", "--body-cache", CACHE, proxies=2) as c:
        jobs = put_all(c, 0, JOBS)
        all_are_away(c)
        client = c.client()
        for job in list(jobs)[::50]:
            equal(client.peek(job), (job, body_of(jobs[job])), "what peek shows")
        equal(client.peek_state("ready"), (min(jobs), body_of(jobs[min(jobs)])), "what peek-ready shows")
        began = time.monotonic()
        with Workers(c, jobs):
            pass
        say(f"{JOBS} jobs by {WORKERS} clients in {time.monotonic() - began:.2f} s, {fetched(c)} bodies from disk")
        check(fetched(c) > JOBS / 2, "bodies were in memory after all")
        leader = c.leader()
        until("no body left", AWAY_S, lambda: c.counter(leader, "bodies_away") == 0)
        equal(c.counter(leader, "body_bytes"), 0, "bytes of bodies")


def leader_killed(options):
    with Nodes(options, "bodies-kill", "--body-cache", CACHE, proxies=2) as c:
        jobs = put_all(c, 0, JOBS)
        all_are_away(c)
        with Workers(c, jobs) as workers:
            until("some jobs", AWAY_S, lambda: len(workers.done) > JOBS / 5)
            c.kill(c.leader())


def all_killed(options):
    with Nodes(options, "bodies-restart", "--body-cache", CACHE) as c:
        jobs = put_all(c, 0, JOBS)
        all_are_away(c)
        for name in c.names:
            c.kill(name)
        for name in c.names:
            c.start(name)
        c.leader()
        for name in c.names:
            check(c.counter(name, "bodies_resident_bytes") <= CACHE, f"{name} has loaded more than it may keep")
            check(c.counter(name, "bodies_away") > 0, f"{name} has loaded all")
        with Workers(c, jobs):
            pass


def state_fetched(options):
    """By a node that was away for longer than the log goes back."""
    with Nodes(options, "bodies-fetch", "--body-cache", CACHE) as c:
        away = next(n for n in c.names if n != c.leader())
        c.stop(away)
        jobs = put_all(c, LARGE, LARGE_JOBS)
        c.start(away)
        until("the state of another", AWAY_S, lambda: (s := c.status(away)) and s["counters"]["replica_installs"] > 0)
        until("all entries", AWAY_S, lambda: (s := c.status(away)) and s["applied"] >= c.status(c.leader())["commit"])
        check(c.counter(away, "bodies_resident_bytes") <= CACHE, "it keeps more than it may")
        c.kill(c.leader())
        with Workers(c, jobs):
            pass


if __name__ == "__main__":
    testing.main([reserved_and_peeked, leader_killed, all_killed, state_fetched],
                 testing.parse(testing.parser(__doc__)))
