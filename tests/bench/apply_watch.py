"""What long_apply.py measures and sees: processes of their own, which nothing in it delays, and clients that look."""

import collections
import multiprocessing
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib import rpc  # noqa: E402
from lib.background import Background  # noqa: E402
from lib.beanstalk import Client, Refused  # noqa: E402
from lib.testing import Failure, check, equal, until  # noqa: E402

STATUS_EVERY_S = 0.025
LOOK_EVERY_S = 0.003
SLEEP_S = 0.005
WORKS_S = 600     # until it is done, on a slow machine
BODY = b"0123456789"
MS = 1000

SPAWN = multiprocessing.get_context("spawn")  # gRPC does not go through a fork
Look = collections.namedtuple("Look", "sent answered value")



# ---- processes of their own, which nothing in this one delays ----

class Helper:
    """Runs target(pipe, ...), which answers each word in the pipe with what it has seen since the one before."""

    def __init__(self, target, *words):
        self.name = target.__name__
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=target, args=(theirs, *words), daemon=True)
        self.process.start()
        theirs.close()

    def cut(self):
        try:
            self.pipe.send("cut")
            check(self.pipe.poll(WORKS_S), f"{self.name} says nothing")
            return self.pipe.recv()
        except (BrokenPipeError, EOFError):
            raise Failure(f"{self.name} has ended; above it says why") from None

    def end(self):
        self.process.kill()
        self.process.join()


def run_load(pipe, address, rate):
    client = Client(address, timeout=WORKS_S)
    client.use("load")
    client.watch_only(["load"])
    seen, at = collections.Counter(), time.monotonic()

    def ask(what):
        began = time.monotonic()
        result = what()
        seen["longest"] = max(seen["longest"], time.monotonic() - began)
        return result

    while True:
        if pipe.poll():
            pipe.recv()
            pipe.send(dict(seen))
            seen.clear()
        put = ask(lambda: client.put(BODY))
        job, body = ask(lambda: client.reserve(WORKS_S))
        equal([job, body], [put, BODY], "the load's job")
        ask(lambda: client.delete(job))
        seen["jobs"] += 1
        now = time.monotonic()
        at = max(at + 1 / rate, now)
        time.sleep(at - now)  # the load's rate


def run_sleep(pipe):
    """How late the machine lets a process run that does nothing."""
    late = 0
    while True:
        if pipe.poll():
            pipe.recv()
            pipe.send(late)
            late = 0
        began = time.monotonic()
        time.sleep(SLEEP_S)  # what is measured
        late = max(late, time.monotonic() - began - SLEEP_S)


def run_status(pipe, addresses):
    """{name: the longest answer, terms, leaders, times without an answer}"""
    lock, seen = threading.Lock(), {}

    def fresh():
        seen.update({n: {"longest": 0, "terms": set(), "leaders": set(), "silent": 0} for n in addresses})

    def ask(name, address):
        with rpc.Asker(address) as asker:
            while True:
                began = time.monotonic()
                try:
                    status = asker.status()
                except rpc.grpc.RpcError:
                    status = None
                took = time.monotonic() - began
                with lock:
                    one = seen[name]
                    one["longest"] = max(one["longest"], took)
                    if status is None:
                        one["silent"] += 1
                    else:
                        one["terms"].add(status["term"])
                        one["leaders"].add(status["leader"])
                time.sleep(STATUS_EVERY_S)  # so that asking is no load

    fresh()
    for name, address in addresses.items():
        threading.Thread(target=ask, args=(name, address), daemon=True).start()
    while True:
        pipe.recv()
        with lock:
            pipe.send({name: dict(one) for name, one in seen.items()})
            fresh()


# ---- what clients see ----

class Observer(Background):
    """Looks at a tube through one of the proxies again and again."""

    def __init__(self, c, proxy, tube, what):
        super().__init__()
        self.client, self.tube, self.looks = c.client(proxy, WORKS_S), tube, []
        self.client.use(tube)
        self.what, self.name = {"counts": self.counts, "peek": self.peek}[what], f"{what} through p{proxy + 1}"

    def counts(self):
        stats = self.client.stats_tube(self.tube)
        return tuple(stats[f"current-jobs-{state}"] for state in ("delayed", "ready", "reserved", "buried"))

    def peek(self):
        try:
            self.client.peek_state("ready")
            return True
        except Refused:
            return False

    def step(self):
        sent = time.monotonic()
        value = self.what()
        self.looks.append(Look(sent, time.monotonic(), value))
        time.sleep(LOOK_EVERY_S)  # so that looking is no load

    def last(self):
        return self.looks[-1].value if self.looks else None


class Observers:
    def __init__(self, c, tube, *, peek):
        self.all = [Observer(c, proxy, tube, "counts") for proxy in (0, 1)]
        if peek:
            self.all.append(Observer(c, 1, tube, "peek"))

    def __enter__(self):
        for o in self.all:
            o.__enter__()
        return self

    def __exit__(self, *words):
        for o in self.all:
            o.over = True
        for o in self.all:
            o.__exit__(*words)
            o.client.close()

    def wait(self, seconds, value):
        """Until all of them have seen it, who count; when."""
        until("that all is seen", seconds, lambda: all(o.error or o.last() in (value, True) for o in self.all))
        for o in self.all:
            if o.error:
                raise o.error
        return max(next(look.answered for look in o.looks if look.value in (value, True)) for o in self.all)

    def all_or_nothing(self, before, after, not_before=0.0, not_after=None):
        """No answer that is between the two; none from before to who asked after anybody saw it done, or after
        `not_after`; none of after until `not_before`."""
        looks = [(o, look) for o in self.all for look in o.looks]
        done = [(o, look) for o, look in looks if look.value is True or look.value in after]
        undone = [(o, look) for o, look in looks if look.value is False or look.value == before]
        odd = [(o.name, look.value) for o, look in looks if look.value not in {True, False, before, *after}]
        check(not odd, f"{len(odd)} answers are neither before nor after: {odd[:5]}")
        check(done and undone, f"it was seen: {len(undone)} answers before, {len(done)} after")
        seen = min(look.answered for _, look in done)
        check(seen >= not_before, f"seen as done {(not_before - seen) * MS:.1f} ms before it could be")
        end = seen if not_after is None else min(seen, not_after)
        late = [(o.name, f"{(look.sent - end) * MS:.1f} ms") for o, look in undone if look.sent > end]
        check(not late, f"{len(late)} answers show nothing of it to who asked after it was done: {late[:5]}")
        between = min(look.answered for _, look in done) - max(look.sent for _, look in undone)
        return (f"{len(undone)} answers before, {len(done)} after, none between; {between * MS:+.1f} ms from the last"
                f" before to the first after")

    def one_by_one(self, chunks, count):
        """Delays that end: no job before its time, none back again, none missing at any time."""
        for o in self.all:
            ready = 0
            for look in o.looks:
                delayed, now, reserved, buried = look.value
                equal((delayed + now, reserved, buried), (count, 0, 0),
                      f"jobs delayed or ready, reserved, buried ({o.name})")
                check(now >= ready, f"{ready} jobs were ready, {now} are ({o.name})")
                ready = now
                due = sum(c.count for c in chunks if c.sent + c.delay <= look.answered)
                check(now <= due, f"{now} jobs are ready, but {due} can be due at most ({o.name})")
        looks = sum(len(o.looks) for o in self.all)
        return f"{looks} answers, in each all jobs are there, none before its time or back again"
