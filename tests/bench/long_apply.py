#!/usr/bin/env python3
"""Much that takes effect at once, on real daemons (ADR 13): no election, and each client's view as if it were atomic.

    tests/bench/long_apply.py --bin build/release/bin [--jobs 1000000] [--held 100000] [due|kick|...]

Three nodes and three proxies with their default timeouts on one machine, a cluster for each test; beside it a client
that puts, reserves and deletes 200 jobs a second in a tube of its own. In turn:

    due            delayed jobs that all become due within --spread-ms: they are put in that part of each second alone
    kick           a kick of as many delayed jobs by one command
    session_ends   a proxy whose clients hold jobs is killed, and its session ends after 30 s
    taken_over     the same, but it is started again at once

Clients of the other proxies look all the time. Of a kick and of the end of a session they must see all or nothing in
each answer, and never nothing once any of them has seen all. Delays end one by one, so there no job may be ready before
its time, and none may go back. It fails when a term or the leader is another afterwards, or a count is ever wrong.

Nodes tell their longest apply and drain since their start. While it is busy a node answers nothing, so each is asked
for its status every 25 ms too: the longest answer says how long its loop was kept, but for at most these 25 ms. When
the machine itself was busy, this and the load's longest answer are that; how late a process wakes up that does nothing
tells (a column).
"""

import collections
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from apply_watch import (BODY, MS, SLEEP_S, WORKS_S, Helper, Observers, run_load, run_sleep,  # noqa: E402
                         run_status)
from lib import testing  # noqa: E402
from lib.beanstalk import Closed  # noqa: E402
from lib.nodes import Nodes  # noqa: E402
from lib.testing import check, equal, say, until  # noqa: E402

RATE = 200
BEFORE_S = 5      # the same measured while nothing happens
QUIET_S = 2       # with few empty entries: what was left to be worked off is done
LEAST_S = 3       # of an event
SPARE_S = 10      # for what a busy machine does slowly
SESSION_S = 30    # --session-timeout's default
FILLERS, CHUNK = 8, 250
HOLDERS, OTHERS = 50, 2
TTR_S = 100000
DELAY_S = 1000000  # of jobs that are to be kicked
PRI, BEST = 1000, 1

Chunk = collections.namedtuple("Chunk", "sent answered delay count")


# ---- many commands at once ----

def pour(clients, counts, command, word, lines):
    """Sends `command` so many times on each connection, and reads the answers, of so many lines each; when it began and
    ended."""
    sent = time.monotonic()
    for client, count in zip(clients, counts, strict=True):
        client.send(command * count)
    for client, count in zip(clients, counts, strict=True):
        data = b""
        while data.count(b"\n") < count * lines:
            more = client.sock.recv(1 << 20)
            if not more:
                raise Closed("end of file")
            data += more
        check(data.count(word) == count, f"{count} answers of {word}: {data[:200]!r}")
    return sent, time.monotonic()


def shares(left, clients):
    """How many commands each connection gets in this round."""
    counts, rest = [], left
    for _ in range(clients):
        counts.append(min(CHUNK, rest, -(-left // clients)))
        rest -= counts[-1]
    return counts


class Progress:
    def __init__(self, what, count):
        self.what, self.count, self.began, self.told = what, count, time.monotonic(), time.monotonic()
        say(f"{what}: {count}")

    def tell(self, done):
        if time.monotonic() - self.told > 5 and done < self.count:
            self.told = time.monotonic()
            say(f"  {done} of {self.count}")
        elif done >= self.count:
            took = time.monotonic() - self.began
            say(f"  {self.count} in {took:.1f} s, {self.count / took:.0f} a second")


class Fill:
    """Puts jobs into a tube; with `due` all of them end their delay at that time or up to `spread` seconds later."""

    def __init__(self, c, tube, count, delay=0, due=None, spread=1.0):
        self.delay, self.due, self.spread, self.chunks = delay, due, spread, []
        clients = [c.client(timeout=WORKS_S) for _ in range(FILLERS)]
        for client in clients:
            client.use(tube)
        progress, done = Progress(f"jobs put into {tube}", count), 0
        while done < count:
            wait = self.next()
            if wait > 0:
                time.sleep(wait)  # until the part of a second in which jobs are put
                continue
            counts = shares(count - done, FILLERS)
            command = b"put %d %d %d %d\r\n%s\r\n" % (PRI, self.delay, TTR_S, len(BODY), BODY)
            self.chunks.append(Chunk(*pour(clients, counts, command, b"INSERTED ", 1), self.delay, sum(counts)))
            done += sum(counts)
            progress.tell(done)
        for client in clients:
            client.close()

    def next(self):
        """Sets the delay of what is put now; or how long to wait until its time comes."""
        if self.due is None:
            return 0
        now = time.monotonic()
        into = (now - self.due) % 1.0
        if into >= self.spread:
            return 1.0 - into
        self.delay = round(self.due - now + into)
        check(self.delay >= 1, "the first jobs are due before the last are put: give more time with --lead")
        return 0

    def rate(self):
        return sum(c.count for c in self.chunks) / (self.chunks[-1].answered - self.chunks[0].sent)


# ---- the cluster, and an event in it ----

class Cluster(Nodes):
    def __init__(self, options, name):
        super().__init__(options, name, proxies=3)
        self.helpers = []

    def __enter__(self):
        super().__enter__()
        try:
            self.load = Helper(run_load, f"127.0.0.1:{self.ports[0]}", RATE)
            self.watch = Helper(run_status, self.grpc)
            self.sleeper = Helper(run_sleep)
            self.helpers = [self.load, self.watch, self.sleeper]
            self.leader(WORKS_S)
            self.at_start = self.settled()
        except BaseException:
            self.end(True)
            raise
        return self

    def end(self, failed):
        for helper in self.helpers:
            helper.end()
        super().end(failed)

    def all_status(self):
        return {n: until(f"the status of {n}", WORKS_S, lambda n=n: self.status(n)) for n in self.names}

    def terms(self):
        return {(s["term"], s["leader"]) for s in self.all_status().values()}

    def settled(self):
        """Once all say the same."""
        return until("one leader of all", WORKS_S, lambda: one if len(one := self.terms()) == 1 else None, every=0.2)

    def total(self, counter):
        return sum(s["counters"][counter] for s in self.all_status().values())


ROWS = []
HEAD = ["", "jobs", "seen by all", "empty", "term and", "load: longest", "", "status: longest", "", "machine late", "",
        ""]
HEAD2 = ["", "", "after", "entries", "leader", "before", "during", "before", "during", "before", "during", ""]


class Event:
    """From some seconds of quiet to the end of the last work that it makes: a row of the table, and the verdict on
    elections."""

    def __init__(self, c, what, jobs):
        self.c, self.what, self.jobs, self.after, self.notes = c, what, jobs, None, []

    def __enter__(self):
        self.c.leader(WORKS_S)
        now = self.c.settled()
        if now != self.c.at_start:
            say(f"note: elections while it was prepared, (term, leader) {self.c.at_start} before and {now} now")
        self.cut()
        empty = self.c.total("proposer_entries_empty")
        time.sleep(BEFORE_S)  # the measurement itself
        self.load, self.watch, self.late = self.cut()
        self.counters = self.counted()
        self.usual = (self.counters["proposer_entries_empty"] - empty) / BEFORE_S
        self.terms = self.c.terms()
        self.began = time.monotonic()
        say(f"{self.what}, {self.jobs} jobs")
        return self

    def cut(self):
        return [helper.cut() for helper in self.c.helpers]

    def counted(self):
        names = ("proposer_entries_empty", "replica_g15_silent_leader", "replica_successions", "replica_leaders_gone",
                 "digests_differ")
        status = self.c.all_status()
        return {n: sum(s["counters"][n] for s in status.values()) for n in names}

    def seen(self, after, note):
        self.after = after
        self.notes.append(note)
        say(f"  seen by all after {after * MS:.1f} ms: {note}")

    def settle(self):
        """What is left is worked off in entries without items, hundreds a second; of others there are as few as
        before."""
        time.sleep(max(0, self.began + LEAST_S - time.monotonic()))

        def is_quiet():
            last = self.c.total("proposer_entries_empty")
            time.sleep(QUIET_S)  # what is counted is a rate
            return self.c.total("proposer_entries_empty") - last <= QUIET_S * (2 * self.usual + 10)

        until("that it is worked off", WORKS_S, is_quiet)

    def __exit__(self, kind, error, _):
        if kind is not None and not issubclass(kind, Exception):
            return
        try:
            self.settle()
            self.tell(error)
        except Exception as another:
            if kind is None:
                raise
            say(f"  (and no figures: {another})")

    def tell(self, error):
        load, watch, late = self.cut()
        counters = {n: v - self.counters[n] for n, v in self.counted().items()}
        seen = {(t, leader) for one in watch.values() for t in one["terms"] for leader in one["leaders"] if leader}
        quiet = self.c.terms() == self.terms and {t for t, _ in seen} == {t for t, _ in self.terms}
        tell = [f"{n.split('_', 1)[1]} {v}" for n, v in counters.items() if v and n != "proposer_entries_empty"]
        tell += [f"{n} did not answer {one['silent']} times" for n, one in watch.items() if one["silent"]]
        if tell:
            say(f"  note: {', '.join(tell)}")
        terms = sorted({t for t, _ in self.terms | seen})
        words = "elections" if not quiet else "WRONG" if error else "ok"
        longest = [max(one["longest"] for one in w.values()) for w in (self.watch, watch)]
        ROWS.append([self.what, self.jobs, "not" if self.after is None else f"{self.after * MS:.0f} ms",
                     counters["proposer_entries_empty"], "-".join(map(str, terms)) + (" same" if quiet else ""),
                     *(f"{x * MS:.0f} ms" for x in (self.load["longest"], load["longest"], *longest)),
                     *(f"{x * MS:.0f} ms" for x in (self.late, late)), words])
        say(f"  entries without items: {self.usual:.1f} a second before, {counters['proposer_entries_empty']} with it")
        nodes = self.c.all_status().values()
        apply, drain = (max(s["counters"][n] for s in nodes) / MS for n in ("apply_longest_us", "drain_longest_us"))
        say(f"  at the most since the start: an apply {apply:.1f} ms, a drain {drain:.1f} ms")
        slowest = ", ".join(f"{n} {w['longest'] * MS:.0f} ms" for n, w in watch.items())
        say(f"  longest answer to the load {load['longest'] * MS:.0f} ms (before: {self.load['longest'] * MS:.0f}), of"
            f" {load['jobs']} jobs; status of {slowest}")
        equal(counters["digests_differ"], 0, "states of nodes that differ")
        check(quiet, f"no election: (term, leader) {self.terms} before, {self.c.terms()} after, terms {terms} between"
              f" (a process that does nothing woke up {late * MS:.0f} ms late meanwhile)")


def counts_everywhere(c, tube, wanted):
    """Through each proxy that is there."""
    for proxy in range(len(c.ports)):
        if c.process[f"p{proxy + 1}"].poll() is None:
            with c.client(proxy, WORKS_S) as client:
                s = client.stats_tube(tube)
                equal({k: s[k] for k in wanted}, wanted, f"counts of {tube} through p{proxy + 1}")


def counts(ready=0, delayed=0, reserved=0, **more):
    return {"current-jobs-ready": ready, "current-jobs-delayed": delayed, "current-jobs-reserved": reserved,
            "current-jobs-buried": 0} | more


def take_best(c, tube, best):
    """The job of the smallest priority, from among all that have just become ready."""
    with c.client(1, WORKS_S) as client:
        client.watch_only([tube])
        equal(client.reserve(WORKS_S)[0], best, f"the best job of {tube}")
        s = client.stats_job(best)
        client.delete(best)
        return s


# ---- the tests ----

def due(options):
    with Cluster(options, "long-due") as c:
        spread = options.spread_ms / MS
        rate = Fill(c, "trial", max(options.jobs // 50, 2 * FILLERS * CHUNK)).rate()
        lead = options.lead or 1.5 * options.jobs / rate / spread + BEFORE_S + 2 * SPARE_S
        moment = time.monotonic() + lead
        say(f"all are to be due in {lead:.0f} s")
        fill = Fill(c, "due", options.jobs, due=moment, spread=spread)
        counts_everywhere(c, "due", counts(delayed=options.jobs))
        left = moment - time.monotonic()
        check(left > BEFORE_S + 2, f"{left:.1f} s are left when all are put: give more time with --lead")
        say(f"  {left:.0f} s are left until the first")
        time.sleep(max(0, left - BEFORE_S - SPARE_S))
        first = min(k.sent + k.delay for k in fill.chunks)
        last = max(k.answered + k.delay for k in fill.chunks)
        with Event(c, f"due within {(last - first) * MS:.0f} ms", options.jobs) as event:
            with Observers(c, "due", peek=False) as all_of:
                time.sleep(max(0, last - time.monotonic()))
                seen = all_of.wait(WORKS_S, (0, options.jobs, 0, 0))
            check(all(o.looks[0].answered < first for o in all_of.all),
                  "nobody looked before the first was due, the machine is too slow: give more time with --lead")
            event.seen(max(0, seen - last), all_of.one_by_one(fill.chunks, options.jobs))
        counts_everywhere(c, "due", counts(ready=options.jobs, **{"total-jobs": options.jobs}))


def kick(options):
    jobs = options.jobs
    with Cluster(options, "long-kick") as c:
        Fill(c, "kick", jobs - 1, delay=DELAY_S)
        with c.client() as client:
            client.use("kick")
            best = client.put(BODY, BEST, DELAY_S, TTR_S)
        counts_everywhere(c, "kick", counts(delayed=jobs))
        with Event(c, "kick", jobs) as event, c.client(1, WORKS_S) as client:
            client.use("kick")
            client.watch_only(["kick"])
            with Observers(c, "kick", peek=True) as all_of:
                until("observers", 30, lambda: all(len(o.looks) > 10 for o in all_of.all))
                sent = time.monotonic()
                client.send(b"kick %d\r\nreserve-with-timeout 0\r\n" % jobs)
                equal(int(client.reply(r"KICKED (\d+)")[1]), jobs, "jobs that were kicked")
                answered = time.monotonic()
                equal(client.job_reply("RESERVED", ("TIMED_OUT",))[0], best, "the job reserved by the next command")
                client.release(best, BEST)
                seen = all_of.wait(WORKS_S, (0, jobs, 0, 0))
                until("looks", 30, lambda: all(o.looks[-1].sent > seen + 1 for o in all_of.all))
            after = {(0, jobs, 0, 0), (0, jobs - 1, 1, 0)}
            event.seen(seen - sent, f"KICKED after {(answered - sent) * MS:.1f} ms; "
                       + all_of.all_or_nothing((jobs, 0, 0, 0), after, sent, answered))
        counts_everywhere(c, "kick", counts(ready=jobs, **{"total-jobs": jobs}))
        take_best(c, "kick", best)
        counts_everywhere(c, "kick", counts(ready=jobs - 1, **{"total-jobs": jobs}))


def hold(c, tube, jobs):
    """Clients of the last proxy reserve all of them."""
    clients = [c.client(2, WORKS_S) for _ in range(HOLDERS)]
    for client in clients:
        client.watch_only([tube])
    progress, done = Progress(f"jobs of {tube} reserved through p3 by {HOLDERS} clients", jobs), 0
    while done < jobs:
        parts = shares(jobs - done, HOLDERS)
        pour(clients, parts, b"reserve\r\n", b"RESERVED ", 2)
        done += sum(parts)
        progress.tell(done)
    return clients


def connections(c):
    with c.client(1, WORKS_S) as client:
        return client.stats()["current-connections"]


def proxy_dies(options, name, what, comes_back):
    jobs = options.held
    with Cluster(options, name) as c:
        Fill(c, "held", jobs - 1)
        with c.client() as client:
            client.use("held")
            best = client.put(BODY, BEST, 0, TTR_S)
        until("the connections of the load and of who asks alone", 30, lambda: connections(c) == OTHERS)
        clients = hold(c, "held", jobs)
        equal(connections(c), OTHERS + HOLDERS, "connections")
        counts_everywhere(c, "held", counts(reserved=jobs))
        with Event(c, what, jobs) as event:
            with Observers(c, "held", peek=True) as all_of:
                until("observers", 30, lambda: all(len(o.looks) > 10 for o in all_of.all))
                killed = time.monotonic()
                c.kill("p3")
                if comes_back:
                    c.start_proxy(2)
                else:
                    say(f"  p3 is killed, its session ends in {SESSION_S} s")
                seen = all_of.wait(SESSION_S + WORKS_S, (0, jobs, 0, 0))
                until("looks", 30, lambda: all(o.looks[-1].sent > seen + 1 for o in all_of.all))
            event.seen(seen - killed, all_of.all_or_nothing((0, 0, jobs, 0), {(0, jobs, 0, 0)}, killed))
            check(comes_back or seen - killed >= SESSION_S - 2, "its clients had the time that was promised")
        if comes_back:
            until("a connection to p3", 30, lambda: connects(c, 2))
        for client in clients:
            client.close()
        until("its connections are gone", WORKS_S, lambda: connections(c) == OTHERS, every=0.2)
        counts_everywhere(c, "held", counts(ready=jobs, **{"total-jobs": jobs}))
        s = take_best(c, "held", best)
        equal([s["reserves"], s["releases"], s["timeouts"]], [2, 0, 0],
              "reserves, releases, timeouts of a job that came back")
        counts_everywhere(c, "held", counts(ready=jobs - 1, **{"total-jobs": jobs}))


def connects(c, proxy):
    try:
        c.client(proxy).close()
        return True
    except Closed:
        return False


def session_ends(options):
    proxy_dies(options, "long-session", "proxy killed, session ends", False)


def taken_over(options):
    proxy_dies(options, "long-over", "proxy killed, comes back", True)


def table():
    if not ROWS:
        return
    rows = [HEAD, HEAD2, *[[str(v) for v in row] for row in ROWS]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    print()
    for row in rows:
        first, *rest = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(value.rjust(width) for value, width in rest)]))
    print(f"""
load: a client that puts, reserves and deletes up to {RATE} jobs a second. status: the node that took longest.
machine late: how much longer than asked a process slept, {SLEEP_S * MS:.0f} ms at a time.
""", flush=True)


if __name__ == "__main__":
    parser = testing.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=1000000, help="that become due, or are kicked")
    parser.add_argument("--held", type=int, default=100000, help="that the killed proxy holds")
    parser.add_argument("--spread-ms", type=int, default=250, help="of the time at which delays end")
    parser.add_argument("--lead", type=float, default=0, help="seconds until they end (default: by trial)")
    options = testing.parse(parser)
    testing.end_by_sigterm()
    try:
        testing.main([due, kick, session_ends, taken_over], options)
    finally:
        table()
