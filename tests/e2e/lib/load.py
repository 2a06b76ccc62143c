"""Producers and consumers with unique tokens, that reconnect when they are closed, and keep a history.

    with Load(address, seed) as load:
        ...faults...
    history = load.drain(60)
"""

import itertools
import random
import threading
import time

from lib.beanstalk import Client, Closed, Refused, Unexpected
from lib.history import Event, FOREVER, History, make_body, read_body
from lib.testing import Failure, check, until

TUBES = ("default", "load-a", "load-b")
TTR = 120
RECONNECT_S = 0.02
ANSWER_S = 60  # longer than any fault of these tests: no answer by then is a failure


class Worker(threading.Thread):
    """One client after another: `work` runs on a connection until it ends or the load stops."""

    def __init__(self, load, number, work):
        super().__init__(daemon=True)
        self.load, self.work = load, work
        self.random = random.Random(f"{load.seed}/{number}")
        self.failure = None
        self.client = self.conn = self.last_reply = None

    def run(self):
        try:
            while not self.load.stopping.is_set():
                self._connection()
        except Exception as error:  # reported by Load.stop, in the driver's thread
            self.failure = error

    def _connection(self):
        try:
            self.client = Client(self.load.address, ANSWER_S)
        except Closed:
            self.load.stopping.wait(RECONNECT_S)
            return
        self.conn = next(self.load.conns)
        self.last_reply = time.monotonic()
        try:
            self.work(self)
            # Jobs that this connection still holds go back when it ends: by us, from now on.
            self.load.history.lost[self.conn] = self.last_reply
        except Closed:
            self.load.history.lost[self.conn] = self.last_reply
            self.load.closed += 1
        finally:
            self.client.close()

    def do(self, op, command, **known):
        """Runs the command and notes it; the event."""
        event = self.load.history.add(Event(op, self.conn, time.monotonic(), **known))
        try:
            value = command()
            result = "ok"
        except Refused as error:
            value, result = None, "none" if op != "put" else error.word
        except Unexpected as error:
            value, result = None, f"illegal reply: {error}"
        event.end = self.last_reply = time.monotonic()
        if op == "put" and result == "ok":
            event.id = value
        elif op == "reserve" and result == "ok":
            event.id, event.ttr = value[0], TTR
            event.token, event.intact = read_body(value[1])
        event.result = result  # last: who reads along sees a whole event
        if result not in ("ok", "none"):
            raise Failure(f"{op}: {result}")
        return event


def produce(w):
    w.client.use(w.random.choice(TUBES))
    while not w.load.stopping.is_set():
        token = f"{w.load.seed:08x}-{next(w.load.tokens)}"
        body = make_body(token, w.random.randrange(40, 400))
        pri, delay = w.random.randrange(2000), w.random.choice((0,) * 9 + (1,))
        event = w.do("put", lambda: w.client.put(body, pri, delay, TTR), token=token)
        w.load.acked += 1
        w.load.newest = max(w.load.newest, event.start)
        if w.load.pace:
            w.load.stopping.wait(w.random.uniform(0, 2 * w.load.pace))


def consume(w):
    w.client.watch_only(TUBES)
    w.client.use(w.random.choice(TUBES))
    while not w.load.stopping.is_set():
        got = w.do("reserve", lambda: w.client.reserve(1))
        if got.result == "ok":
            _finish(w, got.id)
        if w.random.random() < 0.02:
            w.do("kick", lambda: w.client.kick(20))


def _finish(w, job):
    """Mostly delete; at times touch, release, bury, or leave the job to the end of the connection."""
    luck = w.random.random()
    if luck < 0.05:
        w.do("touch", lambda: w.client.touch(job), id=job)
    if luck < 0.80:
        w.do("delete", lambda: w.client.delete(job), id=job)
    elif luck < 0.90:
        w.do("release", lambda: w.client.release(job, w.random.randrange(2000), w.random.choice((0, 0, 1))), id=job)
    elif luck < 0.97:
        w.do("bury", lambda: w.client.bury(job, w.random.randrange(2000)), id=job)


class Load:
    def __init__(self, address, seed, producers=4, consumers=4, pace=0.004):
        self.address, self.seed, self.pace = address, seed, pace
        self.history = History()
        self.stopping = threading.Event()
        self.conns, self.tokens = itertools.count(1), itertools.count(1)
        self.acked, self.newest, self.closed = 0, -FOREVER, 0  # counts are for waiting and for show
        self.workers = ([Worker(self, i, produce) for i in range(producers)]
                        + [Worker(self, producers + i, consume) for i in range(consumers)])

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for worker in self.workers:
            worker.join(ANSWER_S + 10)
        if kind is None:
            self.check_workers()

    def check_workers(self):
        for worker in self.workers:
            if worker.failure:
                raise Failure(f"client {worker.work.__name__}: {worker.failure!r}") from worker.failure
            check(not (self.stopping.is_set() and worker.is_alive()), "a client never came back")

    def wait_acked(self, more, seconds=30):
        goal = self.acked + more

        def reached():
            self.check_workers()
            return self.acked >= goal

        until(f"{more} more acknowledged puts", seconds, reached)

    def stall_since(self, before, gone, seconds=60):
        """Seconds from the fault, at `before`, to the first acknowledgement of a put that began when it was done."""
        def answered():
            self.check_workers()
            return self.newest >= gone

        until("an acknowledged put after the fault", seconds, answered, every=0.01)
        return min(e.end for e in self.history.events
                   if e.op == "put" and e.result == "ok" and e.start >= gone) - before

    def drain(self, seconds=90):
        """Takes out all that is left, until stats say that nothing is; the whole history."""
        worker = Worker(self, -1, None)
        worker.client, worker.conn = Client(self.address, ANSWER_S), next(self.conns)
        worker.client.watch_only(TUBES)
        end = time.monotonic() + seconds
        while _left(worker.client) > 0:
            check(time.monotonic() < end, f"not drained within {seconds} s: {worker.client.stats()}")
            for tube in TUBES:
                worker.client.use(tube)
                worker.do("kick", lambda: worker.client.kick(1000000))
            while (got := worker.do("reserve", lambda: worker.client.reserve(1))).result == "ok":
                worker.do("delete", lambda: worker.client.delete(got.id), id=got.id)
        worker.client.close()
        return self.history


def _left(client):
    stats = client.stats()
    return sum(stats[f"current-jobs-{state}"] for state in ("ready", "reserved", "delayed", "buried"))
