#!/usr/bin/env python3
"""Faults of whole processes under load: nothing acknowledged is lost, no id is used twice, puts go on within 3 s.

With --kills N each fault happens N times; --json FILE gets the figures.
"""

import json
import pathlib
import signal
import statistics
import time

from lib import checker, testing
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import check, say

STALL_MAX_S = 3.0
PUTS_BETWEEN = 100


def settle(c, load):
    """The next fault comes when the last one is over: all members up, and puts go on."""
    c.wait_whole(60)
    load.wait_acked(PUTS_BETWEEN, 60)


def kill_one(c, load, victim, what):
    stall = load.stall_since(*c.kill(victim))
    say(f"{what} {victim} killed: {stall:.3f} s to the next acknowledged put")
    c.start(victim)
    settle(c, load)
    return stall


def verdict(options, c, load, stalls):
    """Drains, checks the history, and notes the figures."""
    history = load.drain()
    violations = checker.check(history)
    figures = {"kills": len(stalls), "acked": load.acked, "events": len(history.events), "closed": load.closed,
               "stall_median": round(statistics.median(stalls), 3), "stall_max": round(max(stalls), 3),
               "violations": len(violations), "seed": options.seed}
    say(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n")
    if violations:
        path = options.work / f"history-{options.seed}.jsonl"
        history.write(path)
        check(False, f"the history is kept in {path}; violations:\n" + "\n".join(violations))


def kill_leader(options):
    with Cluster(options, "kill-leader") as c:
        with Load(c.listen, options.seed) as load:
            load.wait_acked(PUTS_BETWEEN)
            stalls = [kill_one(c, load, c.leader(), f"{i + 1}/{options.kills}: leader") for i in range(options.kills)]
            leader = c.leader()
            for follower in [n for n in c.nodes() if n != leader]:
                kill_one(c, load, follower, "follower")
        verdict(options, c, load, stalls)
        check(max(stalls) < STALL_MAX_S, f"a stall of {max(stalls):.3f} s, at most {STALL_MAX_S}")


def kill_all(options):
    with Cluster(options, "kill-all") as c:
        with Load(c.listen, options.seed) as load:
            stalls = []
            for i in range(options.kills):
                load.wait_acked(PUTS_BETWEEN, 60)
                times = c.kill(*c.nodes())
                c.start(*c.nodes())
                stalls.append(load.stall_since(*times))
                say(f"{i + 1}/{options.kills}: all killed and started: {stalls[-1]:.3f} s to the next acknowledged put")
                settle(c, load)
        verdict(options, c, load, stalls)


def kill_proxy(options):
    """What its clients held comes back, once; what they were told is so."""
    with Cluster(options, "kill-proxy") as c:
        with Load(c.listen, options.seed) as load:
            stalls = []
            for i in range(options.kills):
                load.wait_acked(PUTS_BETWEEN, 60)
                times = c.kill("p1")
                c.start("p1")
                stalls.append(load.stall_since(*times))
                say(f"{i + 1}/{options.kills}: proxy killed and started: {stalls[-1]:.3f} s to the next acknowledged put")
        verdict(options, c, load, stalls)


def pause_leader(options):
    """A leader that sleeps while another is elected, and wakes believing that it leads."""
    with Cluster(options, "pause-leader") as c:
        with Load(c.listen, options.seed) as load:
            stalls = []
            for i in range(options.kills):
                load.wait_acked(PUTS_BETWEEN, 60)
                victim = c.leader()
                before = time.monotonic()
                c.signal(victim, signal.SIGSTOP)
                stalls.append(load.stall_since(before, time.monotonic()))
                say(f"{i + 1}/{options.kills}: leader {victim} paused: {stalls[-1]:.3f} s to the next acknowledged put")
                c.signal(victim, signal.SIGCONT)
                settle(c, load)
        verdict(options, c, load, stalls)
        check(max(stalls) < STALL_MAX_S, f"a stall of {max(stalls):.3f} s, at most {STALL_MAX_S}")


if __name__ == "__main__":
    p = testing.parser(__doc__)
    p.add_argument("--kills", type=int, default=3)
    p.add_argument("--json", type=pathlib.Path)
    testing.main([kill_leader, kill_all, kill_proxy, pause_leader], testing.parse(p))
