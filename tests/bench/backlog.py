#!/usr/bin/env python3
"""A backlog that is larger than memory: three nodes and a proxy, jobs of 16 KiB. How much anonymous memory a node takes
while the backlog is made, while a node that was away fetches it, at a restart of all, and while it is worked off.

    tests/bench/backlog.py --bin build/release/bin --gib 1 --limit-mib 400 --body-cache 64m
    tests/bench/backlog.py --bin build/release/bin --gib 10

It fails when a node has taken more than the limit (1024 MiB). For each node it needs 1.7 times the backlog on disk, in
--work.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib import testing  # noqa: E402
from lib.nodes import Nodes, Peaks  # noqa: E402
from lib.testing import check, equal, say, until  # noqa: E402

BODY = 16 * 1024
AWAY_SHARE = 0.2  # of the backlog is made while one node is away
HOUR_S = 3600
MIB = 1024 * 1024


def load(options, c, mode, *words):
    command = [options.bin.parent / "bench" / "coolbeans_load", "-p", c.ports[0], "-b", BODY, *words, mode]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=HOUR_S, check=False)
    print(done.stdout, end="", flush=True)
    errors = re.search(r"^errors (\d+)", done.stdout, re.M)
    check(errors and errors[1] == "0", f"coolbeans_load {mode}: {done.stdout}{done.stderr}")


def is_stored(c, name):
    s = c.status(name)
    return s and s["durable"] == s["applied"] and s["counters"]["store_pending_bytes"] == 0


def settle(c, *names):
    """What was put is in LMDB."""
    until("records on disk", HOUR_S, lambda: all(is_stored(c, name) for name in names or c.names), every=0.5)


class Backlog(Nodes):
    """Where an fsync takes long, making the backlog would take hours: with --log-in-shm the raft logs lie in memory, and
    only LMDB on the disk."""

    def __init__(self, options, *words):
        super().__init__(options, "backlog", *words, count=options.nodes)
        self.shm = pathlib.Path(tempfile.mkdtemp(prefix="backlog-", dir="/dev/shm")) if options.log_in_shm else None

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
        super().end(failed)


class Phase:
    """A line of the report: how long it took, and the most memory of each node."""

    def __init__(self, c, what, rows):
        self.c, self.what, self.rows = c, what, rows
        self.peaks = Peaks(c)

    def __enter__(self):
        say(self.what)
        self.began = time.monotonic()
        self.peaks.__enter__()
        return self

    def __exit__(self, *_):
        self.peaks.__exit__()
        took = time.monotonic() - self.began
        now = " ".join(f"{self.c.memory(n)[0] / MIB:.0f}" for n in self.c.names)
        most = " ".join(f"{self.peaks.anon.get(n, 0) / MIB:.0f}" for n in self.c.names)
        self.rows.append((self.what, took, most, now))
        say(f"  {took:.1f} s; RssAnon in MiB: at most {most}, now {now}")

    def most(self):
        return self.peaks.most()


def tell_bodies(c):
    for name in c.names:
        n = c.status(name)["counters"]
        say(f"  {name}: bodies of {n['body_bytes'] / MIB:.0f} MiB, {n['bodies_resident_bytes'] / MIB:.0f} in memory, "
            f"{n['bodies_away']} away; {n['proposer_bodies_hit']} sent from memory, {n['proposer_bodies_missed']} from disk")


def fetch(options, c, phase, last):
    away = next(n for n in c.names if n != c.leader())
    c.stop(away)
    rest = [n for n in c.names if n != away]
    with phase(f"{last} more while {away} is away"):
        load(options, c, "fill", "-P", 16, "-n", last)
        settle(c, *rest)
    with phase(f"{away} comes back and fetches what it lacks"):
        c.start(away)
        until("the last entry", HOUR_S, lambda: (s := c.status(away)) and s["applied"] >= c.status(c.leader())["commit"], every=0.5)
        say(f"  states fetched: {c.counter(away, 'replica_installs')}")
        settle(c)


def run(options, c, rows, most):
    def phase(what):
        p = Phase(c, what, rows)
        most.append(p)
        return p

    jobs = int(options.gib * 1024 * MIB / BODY)
    last = int(jobs * AWAY_SHARE) if options.nodes > 1 else 0
    with phase(f"{jobs - last} jobs are put"):
        load(options, c, "fill", "-P", 16, "-n", jobs - last)
        settle(c)
    if last > 0:
        fetch(options, c, phase, last)
    tell_bodies(c)
    with phase("puts and reserves beside it for 20 s"):
        load(options, c, "mixed", "-t", 20)
    with phase("all nodes are restarted"):
        for name in c.names:
            c.stop(name, HOUR_S)
        for name in c.names:
            c.start(name)
        until("a leader", HOUR_S, lambda: any((s := c.status(n)) and s["serving"] for n in c.names), every=0.2)
        equal(c.client(timeout=HOUR_S).stats()["current-jobs-ready"] >= jobs, True, "all jobs are there")
    tell_bodies(c)
    with phase("puts and reserves beside it for 20 s, again"):
        load(options, c, "mixed", "-t", 20)
    with phase("64 clients reserve and delete for 20 s"):
        load(options, c, "cycle", "-P", 0, "-C", 64, "-t", 20)
    tell_bodies(c)


def main():
    p = testing.parser(__doc__)
    p.add_argument("--gib", type=float, default=1)
    p.add_argument("--limit-mib", type=int, default=1024, help="of anonymous memory of a node")
    p.add_argument("--body-cache", default="256m")
    p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--log-in-shm", action="store_true", help="the raft logs lie in /dev/shm")
    options = testing.parse(p)
    free = shutil.disk_usage(options.work).free
    check(free > 1.7 * options.nodes * options.gib * 1024 * MIB, f"{options.work} has {free / MIB:.0f} MiB free: too few")
    rows, phases = [], []
    with Backlog(options, "--body-cache", options.body_cache) as c:
        run(options, c, rows, phases)
    print()
    for what, took, most, now in rows:
        print(f"{what:55} {took:8.1f} s  at most {most:>16} MiB  then {now:>16}")
    most = max(p.most() for p in phases) / MIB
    check(most <= options.limit_mib, f"a node took {most:.0f} MiB of anonymous memory, the limit is {options.limit_mib}")
    say(f"ok: at most {most:.0f} MiB of anonymous memory, the limit is {options.limit_mib}")


if __name__ == "__main__":
    main()
