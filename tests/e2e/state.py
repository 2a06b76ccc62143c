#!/usr/bin/env python3
"""kill -9 of all nodes, restart: every part of the state is as it was, and time went on while nobody ran."""

import time

from lib import testing
from lib.beanstalk import Client, Closed, Refused
from lib.cluster import Cluster
from lib.testing import check, equal, say, until

COUNTERS = ("reserves", "timeouts", "releases", "buries", "kicks", "pri", "delay", "ttr", "tube", "state")
SLACK_S = 3  # whole seconds of stats, and clocks that are stored with the last entry


class Part:
    """Something that is made before the restart and looked at after it."""

    def make(self, c):
        raise NotImplementedError

    def look(self, c, elapsed):
        raise NotImplementedError


class Priorities(Part):
    def make(self, c):
        c.use("s-pri")
        self.ids = {pri: c.put(b"pri %d" % pri, pri=pri) for pri in (5, 1, 4294967295, 3, 1024)}

    def look(self, c, elapsed):
        c.watch("s-pri")
        got = [c.reserve(0) for _ in self.ids]
        equal(got, [(self.ids[p], b"pri %d" % p) for p in sorted(self.ids)], "order of priorities")
        c.ignore("s-pri")


class Delays(Part):
    """Deadlines are absolute: a delay that is over when the nodes are back is over."""

    def make(self, c):
        c.use("s-delay")
        self.short, self.long = c.put(b"short", delay=2), c.put(b"long", delay=1000)
        self.left = c.stats_job(self.long)["time-left"]

    def look(self, c, elapsed):
        c.watch("s-delay")
        until("the short delay's end", max(0, 2 - elapsed) + SLACK_S,
              lambda: c.stats_job(self.short)["state"] == "ready")
        stats = c.stats_job(self.long)
        equal([stats["state"], stats["delay"]], ["delayed", 1000], "the long delay")
        check(abs(self.left - elapsed - stats["time-left"]) <= SLACK_S,
              f"time-left {self.left}, {elapsed:.1f} s later {stats['time-left']}")
        check(abs(elapsed - stats["age"]) <= SLACK_S, f"age {stats['age']} after {elapsed:.1f} s")
        c.ignore("s-delay")


class Buried(Part):
    """In the order in which they were buried, which is not that of ids or priorities."""

    def make(self, c):
        c.use("s-buried")
        c.watch("s-buried")
        ids = [c.put(b"b%d" % i) for i in range(4)]
        for job in ids:
            c.reserve_job(job)
        self.order = [ids[i] for i in (2, 0, 3, 1)]
        for pri, job in enumerate(self.order):
            c.bury(job, 100 - pri)
        c.ignore("s-buried")

    def look(self, c, elapsed):
        c.use("s-buried")
        for pri, job in enumerate(self.order):
            equal(c.peek_state("buried")[0], job, "order of the buried")
            equal(c.stats_job(job)["pri"], 100 - pri, "priority of the buried")
            equal(c.kick(1), 1, "kick")
            equal(c.stats_job(job)["state"], "ready", "state after the kick")


class Counters(Part):
    def make(self, c):
        c.use("s-count")
        c.watch("s-count")
        self.job = c.put(b"counted", ttr=1)
        c.reserve_job(self.job)
        until("the timeout", 5, lambda: c.stats_job(self.job)["timeouts"] == 1)
        for _ in range(2):
            c.reserve_job(self.job)
            c.release(self.job, 77, 0)
        c.reserve_job(self.job)
        c.bury(self.job, 78)
        c.kick_job(self.job)
        c.delete(c.put(b"deleted"))
        self.stats = {k: c.stats_job(self.job)[k] for k in COUNTERS}
        self.tube = c.stats_tube("s-count")
        self.all = c.stats()
        equal([self.stats[k] for k in COUNTERS[:5]], [4, 1, 2, 1, 1], "counters before")
        c.ignore("s-count")

    def look(self, c, elapsed):
        equal({k: c.stats_job(self.job)[k] for k in COUNTERS}, self.stats, "counters of the job")
        tube, now = c.stats_tube("s-count"), c.stats()
        for key in ("total-jobs", "cmd-delete", "current-jobs-ready"):
            equal(tube[key], self.tube[key], f"{key} of the tube")
        for key in ("total-jobs", "job-timeouts", "cmd-bury", "cmd-release"):
            check(now[key] >= self.all[key], f"{key}: {self.all[key]} before, {now[key]} after")


class Pause(Part):
    def make(self, c):
        c.use("s-pause")
        self.job = c.put(b"paused")
        c.pause_tube("s-pause", 1000)

    def look(self, c, elapsed):
        stats = c.stats_tube("s-pause")
        equal([stats["pause"], stats["cmd-pause-tube"]], [1000, 1], "the pause")
        check(abs(1000 - elapsed - stats["pause-time-left"]) <= SLACK_S,
              f"pause-time-left {stats['pause-time-left']} after {elapsed:.1f} s")
        c.watch("s-pause")
        try:
            check(False, f"a paused tube gave {c.reserve(0)}")
        except Refused as error:
            equal(error.word, "TIMED_OUT", "reserve of a paused tube")
        c.pause_tube("s-pause", 0)
        equal(c.reserve(0)[0], self.job, "reserve after the pause")
        c.ignore("s-pause")


class Held(Part):
    """A connection that outlives the restart still holds its job, and its ttr went on; the jobs of one that
    was closed are ready again. Whichever it was, the job's own numbers are kept."""

    def make(self, c):
        self.holder = Client(f"{c.sock.getpeername()[0]}:{c.sock.getpeername()[1]}")
        self.holder.use("s-held")
        self.holder.watch_only(["s-held"])
        self.job = self.holder.put(b"held", ttr=500)
        self.holder.reserve(5)

    def is_connected(self):
        try:
            self.holder.touch(self.job)
            return True
        except Closed:
            return False

    def look(self, c, elapsed):
        before = c.stats_job(self.job)
        equal([before["ttr"], before["reserves"], before["timeouts"]], [500, 1, 0], "numbers of the held job")
        if self.is_connected():
            say("the holder's connection outlived the restart")
            equal(before["state"], "reserved", "the held job")
            check(abs(500 - elapsed - before["time-left"]) <= SLACK_S + elapsed,
                  f"time-left {before['time-left']} after {elapsed:.1f} s")
            self.holder.delete(self.job)
        else:
            say("the holder's connection was closed")
            until("the held job is ready", 5, lambda: c.stats_job(self.job)["state"] == "ready")
            c.delete(self.job)
        self.holder.close()


def survive(options, c, restart):
    parts = [Counters(), Priorities(), Buried(), Delays(), Pause(), Held()]
    with Client(c.listen) as client:
        for part in parts:
            part.make(client)
        client.use("default")
        last = client.put(b"the last id")
        client.delete(last)
        made = time.monotonic()
        restart()
    c.wait_whole(60)
    with Client(c.listen) as client:
        elapsed = time.monotonic() - made
        for part in parts:
            part.look(client, elapsed)
        check(client.put(b"next") > last, "an id was given again")


def all_nodes_killed(options):
    with Cluster(options, "state-kill") as c:
        def restart():
            c.kill(*c.nodes())
            c.start(*c.nodes())
        survive(options, c, restart)


def everything_stopped(options):
    """SIGTERM of nodes and proxy, in the order of `coolbeans dev stop`, and `coolbeans dev` again."""
    with Cluster(options, "state-stop") as c:
        def restart():
            c.stop_all()
            c.start_all()
        survive(options, c, restart)


def leader_killed(options):
    with Cluster(options, "state-leader") as c:
        def restart():
            leader = c.leader()
            c.kill(leader)
            c.start(leader)
        survive(options, c, restart)


def killed_right_after_one_ack(options):
    """The smallest window: all nodes die after one reply, ten times; ids rise, no job is missing."""
    with Cluster(options, "state-one") as c:
        acked = {}
        for i in range(options.rounds):
            with Client(c.listen) as client:
                job = client.put(b"round %d" % i)
            c.kill(*c.nodes())
            check(job > max(acked, default=0), f"id {job} after {max(acked, default=0)}")
            acked[job] = b"round %d" % i
            c.start(*c.nodes())
            c.leader(30)
        with Client(c.listen) as client:
            equal({job: client.peek(job)[1] for job in acked}, acked, "the jobs")


if __name__ == "__main__":
    p = testing.parser(__doc__)
    p.add_argument("--rounds", type=int, default=5)
    testing.main([all_nodes_killed, everything_stopped, leader_killed, killed_right_after_one_ack], testing.parse(p))
