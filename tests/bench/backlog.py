#!/usr/bin/env python3
"""A backlog that is larger than memory: three nodes and a proxy, jobs of 16 KiB. How much anonymous memory a node takes
while the backlog is made, while a node that was away fetches it, at restarts, and while it is worked off.

    tests/bench/backlog.py --bin build/release/bin --gib 1 --limit-mib 400 --body-cache 64m
    tests/bench/backlog.py --bin build/release/bin --gib 10 --cgroups

Each node is restarted by SIGTERM, then all are killed at once. After each of these all jobs are there by count, and a
sample of them by their bytes: jobs put beside the backlog, whose bodies follow from the seed, and others by random ids.

With --cgroups each node runs in a memory cgroup of --limit-mib, as on a machine of that size: pages of its database
count there too, and the kernel takes those back. Where none can be made it says so and limits nothing. Either way it
fails when a node has taken more anonymous memory than the limit (1024 MiB), or was ended for want of memory. For each
node it needs 1.7 times the backlog on disk, in --work.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib import memory_group, testing  # noqa: E402
from lib.background import Background  # noqa: E402
from lib.nodes import Nodes, Peaks  # noqa: E402
from lib.testing import check, equal, say, until  # noqa: E402

BODY = 16 * 1024
AWAY_SHARE = 0.2  # of the backlog is made while one node is away
HOUR_S = 3600
SOON_S = 60
MIB = 1024 * 1024
MARKS = "marks"
MARKS_AT_ONCE, MARKS_EVERY_S = 5, 0.25
SAMPLE = 200  # marks, and as many other jobs


def load(options, c, mode, *words):
    command = [options.bin.parent / "bench" / "coolbeans_load", "-p", c.ports[0], "-b", BODY, *words, mode]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=HOUR_S, check=False)
    print(done.stdout, end="", flush=True)
    errors = re.search(r"^errors (\d+)", done.stdout, re.M)
    check(errors and errors[1] == "0", f"coolbeans_load {mode}: {done.stdout}{done.stderr}")
    return {what: int(count) for what, count in re.findall(r"^(\w+) +(\d+) ", done.stdout, re.M)}


class Marks(Background):
    """Puts jobs beside the load, each with bytes of its own; several at once, since an answer takes seconds then."""

    def __init__(self, jobs):
        super().__init__()
        self.jobs, self.client = jobs, jobs.c.client(timeout=HOUR_S)
        self.client.use(MARKS)

    def step(self):
        first = len(self.jobs.marks)
        for number in range(first, first + MARKS_AT_ONCE):
            self.client.send(b"put 1000 0 600 %d\r\n%s\r\n" % (BODY, self.jobs.body(number)))
        for _ in range(MARKS_AT_ONCE):
            self.jobs.marks.append(int(self.client.reply(r"INSERTED (\d+)")[1]))
        time.sleep(MARKS_EVERY_S)  # marks are spread over the backlog

    def stop(self):
        super().stop()
        self.client.close()


class Jobs:
    """What is to be there: jobs of the load in the default tube, and the marks."""

    def __init__(self, options, c):
        self.options, self.c, self.marks, self.ready = options, c, [], 0
        self.random = random.Random(options.seed)

    def body(self, number):
        return random.Random(f"{self.options.seed} {number}").randbytes(BODY)

    def load(self, mode, *words):
        """What was put when the time was over and not answered may be there: one job for each that puts."""
        done = load(self.options, self.c, mode, *words)
        least = self.ready + done.get("put", 0) - done.get("delete", 0)
        most = least + (1 if mode == "mixed" else 0)
        if mode == "cycle":
            least -= int(words[words.index("-C") + 1])  # deleted, not answered
        with self.c.client(timeout=HOUR_S) as client:
            until("all held jobs given back", SOON_S,
                  lambda: client.stats_tube("default")["current-jobs-reserved"] == 0)
            self.ready = client.stats_tube("default")["current-jobs-ready"]
        check(least <= self.ready <= most, f"{self.ready} jobs are there after that, not {least} to {most}")

    def fill(self, count):
        with Marks(self):
            self.load("fill", "-P", 16, "-n", count)

    def look(self):
        """All are there."""
        with self.c.client(timeout=HOUR_S) as client:
            there = [client.stats_tube(tube)["current-jobs-ready"] for tube in ("default", MARKS)]
            equal(there, [self.ready, len(self.marks)], "jobs of the load, and marks, that are there")
            for number in self.random.sample(range(len(self.marks)), min(SAMPLE, len(self.marks))):
                job = self.marks[number]
                check(client.peek(job) == (job, self.body(number)), f"job {job}, mark {number}, as it was put")
            others = sorted(set(range(self.marks[0], self.marks[-1])) - set(self.marks))
            sample = self.random.sample(others, min(SAMPLE, len(others)))
            for job in sample:
                check(client.peek(job) == (job, b"x" * BODY), f"job {job} as it was put")
        say(f"  all {self.ready} jobs and {len(self.marks)} marks are there; the bodies of {len(sample)} and"
            f" {min(SAMPLE, len(self.marks))} are what was put")


def is_stored(c, name):
    s = c.status(name)
    return s and s["durable"] == s["applied"] and s["counters"]["store_pending_bytes"] == 0


def settle(c, *names):
    """What was put is in LMDB."""
    until("records on disk", HOUR_S, lambda: all(c.is_up(n) and is_stored(c, n) for n in names or c.names), every=0.5)


class Backlog(Nodes):
    """Where an fsync takes long, making the backlog would take hours: with --log-in-shm the raft logs lie in memory,
    and only LMDB on the disk."""

    def __init__(self, options, *words):
        super().__init__(options, "backlog", *words, count=options.nodes)
        self.groups, self.unlimited = {}, "--cgroups was not given"
        if options.cgroups:
            self.make_groups(options.limit_mib * MIB)
        self.shm = pathlib.Path(tempfile.mkdtemp(prefix="backlog-", dir="/dev/shm")) if options.log_in_shm else None

    def make_groups(self, limit):
        try:
            self.groups = memory_group.groups({n: f"backlog-{os.getpid()}-{n}" for n in self.names}, limit)
            version = self.groups["n1"].files.name
            say(f"each node is in a memory cgroup ({version}) of {limit // MIB} MiB, page cache included")
        except memory_group.Impossible as error:
            self.unlimited = str(error)
            say(f"NOT LIMITED: no memory cgroup can be made here: {error}")

    def prefix(self, name):
        return self.groups[name].command() if name in self.groups else []

    def is_up(self, name):
        """True; a failure when it has ended, so that nobody waits for it."""
        code = self.process[name].poll()
        killed = f" (the kernel ended {self.groups[name].killed()} for want of memory)" if name in self.groups else ""
        check(code is None, f"{name} has ended with status {code}{killed}")
        return True

    def counters(self, name):
        return until(f"the status of {name}", HOUR_S, lambda: self.is_up(name) and self.status(name))["counters"]

    def serving(self):
        """Who leads, while all are up."""
        return next((n for n in self.names if self.is_up(n) and (s := self.status(n)) and s["serving"]), None)

    def follows(self, name):
        """It has what the leader has."""
        self.is_up(name)
        mine, leader = self.status(name), self.status(self.leader(HOUR_S))
        return mine and leader and mine["applied"] >= leader["commit"]

    def __enter__(self):
        for name in self.names if self.shm else []:
            (self.shm / name).mkdir()
            (self.dir / f"{name}-state").mkdir()
            (self.shm / name / "state").symlink_to(self.dir / f"{name}-state")
            (self.dir / name).symlink_to(self.shm / name)
        return super().__enter__()

    def end(self, failed):
        for process in self.process.values():
            process.kill()
            process.wait()
        if self.shm:
            shutil.rmtree(self.shm)
            for name in self.names:
                (self.dir / name).unlink()
                shutil.rmtree(self.dir / f"{name}-state")
        for group in self.groups.values():
            group.remove()
        super().end(failed)

    def tell_groups(self):
        """Whether a node was ended for want of memory, though it may have been started again."""
        for name, group in self.groups.items():
            say(f"  {name}: at most {group.most() / MIB:.0f} MiB with its page cache, now {group.used() / MIB:.0f}, of"
                f" which {group.cache() / MIB:.0f} are cache;"
                f" {group.read_again() / MIB:.0f} MiB of pages read again; ended for want of memory: {group.killed()}")
        equal({n: g.killed() for n, g in self.groups.items() if g.killed()}, {}, "nodes ended for want of memory")


class Phase:
    """A line of the report: how long it took, and the most memory of each node."""

    def __init__(self, c, what, rows, away=()):
        self.c, self.what, self.rows, self.away = c, what, rows, away
        self.peaks = Peaks(c)

    def __enter__(self):
        say(self.what)
        self.began = time.monotonic()
        self.peaks.__enter__()
        return self

    def __exit__(self, kind, *_):
        self.peaks.__exit__()
        took = time.monotonic() - self.began
        now = " ".join(f"{self.c.memory(n)[0] / MIB:.0f}" for n in self.c.names)
        most = " ".join(f"{self.peaks.anon.get(n, 0) / MIB:.0f}" for n in self.c.names)
        self.rows.append((self.what, took, most, now))
        say(f"  {took:.1f} s; RssAnon in MiB: at most {most}, now {now}")
        if kind is None:
            for name in self.c.names:
                check(name in self.away or self.c.is_up(name), f"{name} is up")

    def most(self):
        return self.peaks.most()


def tell_bodies(c):
    for name in c.names:
        n = c.counters(name)
        say(f"  {name}: bodies of {n['body_bytes'] / MIB:.0f} MiB, {n['bodies_resident_bytes'] / MIB:.0f} in memory, "
            f"{n['bodies_away']} away; {n['proposer_bodies_hit']} sent from memory,"
            f" {n['proposer_bodies_missed']} from disk")


def fetch(c, jobs, phase, last):
    away = next(n for n in c.names if n != c.leader())
    c.stop(away)
    rest = [n for n in c.names if n != away]
    with phase(f"{last} more while {away} is away", [away]):
        jobs.fill(last)
        settle(c, *rest)
    with phase(f"{away} comes back and fetches what it lacks"):
        c.start(away)
        until("the last entry", HOUR_S, lambda: c.follows(away), every=0.5)
        say(f"  states fetched: {c.counters(away)['replica_installs']}")
        settle(c)


def restarts(c, jobs, phase):
    for name in c.names if len(c.names) > 1 else []:
        with phase(f"{name} is restarted by SIGTERM"):
            c.stop(name, HOUR_S)
            c.start(name)
            until(f"{name} again", HOUR_S, lambda name=name: c.follows(name), every=0.2)
            jobs.look()
    with phase("all nodes are killed at once, and started"):
        for name in c.names:
            c.process[name].kill()
        for name in c.names:
            c.kill(name)
            c.start(name)
        until("a leader", HOUR_S, c.serving, every=0.2)
        jobs.look()
        until("all level again", HOUR_S, lambda: all(c.follows(n) for n in c.names), every=0.2)


def run(options, c, rows, most):
    def phase(*words):
        p = Phase(c, words[0], rows, *words[1:])
        most.append(p)
        return p

    count = int(options.gib * 1024 * MIB / BODY)
    last = int(count * AWAY_SHARE) if options.nodes > 1 else 0
    jobs = Jobs(options, c)
    with phase(f"{count - last} jobs are put"):
        jobs.fill(count - last)
        settle(c)
    if last > 0:
        fetch(c, jobs, phase, last)
    jobs.look()
    tell_bodies(c)
    with phase("puts and reserves beside it for 20 s"):
        jobs.load("mixed", "-t", 20)
    restarts(c, jobs, phase)
    tell_bodies(c)
    with phase("puts and reserves beside it for 20 s, again"):
        jobs.load("mixed", "-t", 20)
    with phase("64 clients reserve and delete for 20 s"):
        jobs.load("cycle", "-P", 0, "-C", 64, "-t", 20)
    tell_bodies(c)
    c.tell_groups()


def main():
    p = testing.parser(__doc__)
    p.add_argument("--gib", type=float, default=1)
    p.add_argument("--limit-mib", type=int, default=1024, help="of a node: anonymous memory; with --cgroups all of it")
    p.add_argument("--cgroups", action="store_true", help="each node in a memory cgroup of --limit-mib")
    p.add_argument("--body-cache", default="256m")
    p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--log-in-shm", action="store_true", help="the raft logs lie in /dev/shm")
    options = testing.parse(p)
    testing.end_by_sigterm()
    check(not (options.cgroups and options.log_in_shm), "files in /dev/shm would count as memory of the cgroups")
    free = shutil.disk_usage(options.work).free
    needed = 1.7 * options.nodes * options.gib * 1024 * MIB
    check(free > needed, f"{options.work} has {free / MIB:.0f} MiB free, {needed / MIB:.0f} are needed")
    rows, phases = [], []
    try:
        with Backlog(options, "--body-cache", options.body_cache) as c:
            run(options, c, rows, phases)
    finally:
        print(f"\n{'':55} {'took':>10}  {'RssAnon of each node, MiB: at most':>36}  {'then':>16}")
        for what, took, most, now in rows:
            print(f"{what:55} {took:8.1f} s  {most:>36}  {now:>16}")
    most = max(p.most() for p in phases) / MIB
    check(most <= options.limit_mib,
          f"a node took {most:.0f} MiB of anonymous memory, the limit is {options.limit_mib}")
    say(f"ok: at most {most:.0f} MiB of anonymous memory, the limit is {options.limit_mib}")
    if c.groups:
        say(f"ok: no node was ended by its memory cgroup of {options.limit_mib} MiB")
    else:
        say(f"no limit was in force, only RssAnon was looked at: {c.unlimited}")


if __name__ == "__main__":
    main()
