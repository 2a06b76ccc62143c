#!/usr/bin/env python3
"""The checker finds each violation when it is planted, and none in histories of a correct queue."""

import argparse
import os
import random
import sys

from lib import checker
from lib.history import Event, History, make_body, read_body
from lib.testing import check, equal


def clean():
    """Two jobs: one goes the straight way, one is released and then deleted by another connection."""
    h = History()
    h.add(Event("put", 1, 0.0, 0.1, "ok", id=1, token="a"))
    h.add(Event("put", 1, 0.2, 0.3, "ok", id=2, token="b"))
    h.add(Event("reserve", 2, 0.4, 0.5, "ok", id=1, token="a", ttr=60))
    h.add(Event("delete", 2, 0.6, 0.7, "ok", id=1))
    h.add(Event("reserve", 2, 0.8, 0.9, "ok", id=2, token="b", ttr=60))
    h.add(Event("release", 2, 1.0, 1.1, "ok", id=2))
    h.add(Event("reserve", 3, 0.95, 1.12, "ok", id=2, token="b", ttr=60))
    h.add(Event("delete", 3, 1.2, 1.3, "ok", id=2))
    return h


def change(index, **values):
    def plant(h):
        for name, value in values.items():
            setattr(h.events[index], name, value)
    return plant


def add(*args, **values):
    return lambda h: h.add(Event(*args, **values))


def held_again(h):
    """What a connection does with a job that it has got for the second time says nothing of the first."""
    h.events[4].ttr = 0.05
    del h.events[5:]
    h.add(Event("reserve", 3, 0.86, 0.91, "ok", id=2, token="b", ttr=0.05))
    h.add(Event("reserve", 2, 0.97, 0.98, "ok", id=2, token="b", ttr=60))
    h.add(Event("touch", 2, 0.99, 1.0, "ok", id=2))
    h.add(Event("delete", 2, 1.1, 1.2, "ok", id=2))


PLANTED = [
    ("an illegal reply", change(3, result="illegal reply: 'OK'"), "illegal"),
    ("a lost job", change(3, result="none"), "lost: job 1"),
    ("a lost job behind a reused id", change(2, token="b"), "lost: job 1"),
    ("a job put twice", add("reserve", 2, 2.0, 2.1, "ok", id=7, token="a", ttr=60), "duplicated: a"),
    ("a job nobody put", add("reserve", 2, 2.0, 2.1, "ok", id=7, token="z", ttr=60), "invented: job 7"),
    ("a changed body", change(2, intact=False), "wrong body: job 1"),
    ("a job after its deletion", add("reserve", 2, 2.0, 2.1, "ok", id=1, token="a", ttr=60), "resurrected: job 1"),
    ("a second deletion", add("delete", 3, 2.0, 2.1, "ok", id=1), "resurrected: job 1"),
    ("an id given twice", change(1, id=1), "reused: id 1"),
    ("an id that goes back", change(0, id=5), "order: put at 0.200 got id 2"),
    ("a job held by two", change(6, end=0.95), "held twice: job 2"),
    ("a holder without rights", change(3, result="none"), "authority: delete of job 1"),
]

# What looks alike and is right.
ALLOWED = [
    ("a delete without a reply", change(3, result="unknown", end=float("inf"))),
    ("a put without a reply that did not happen", add("put", 1, 2.0, token="c")),
    ("a reserve that ended by its time", add("reserve", 1, 2.0, 3.0, "none")),
    ("a job of a lost connection, given again", lambda h: (change(6, end=0.95)(h), h.lost.update({2: 0.92}))),
    ("a job whose ttr has run out", lambda h: (change(4, ttr=0.1)(h), change(6, end=0.95)(h))),
    ("a job that a connection got twice", held_again),
    ("puts at the same time, answered the other way round", lambda h: (change(0, id=2, end=0.25)(h),
                                                                      change(1, id=1, start=0.2)(h),
                                                                      change(2, id=2)(h), change(3, id=2)(h),
                                                                      [setattr(e, "id", 1) for e in h.events[4:]])),
]


def random_history(rng):
    """A correct queue: one clock, each command takes effect at one moment between start and end."""
    h, now, held, ready, ids = History(), 0.0, {}, [], 0
    for step in range(400):
        now += 1
        start, end, conn = now - rng.uniform(0, 0.4), now + rng.uniform(0, 0.4), rng.randrange(5)
        if conn in held:
            job, token = held.pop(conn)
            op = rng.choice(("delete", "release"))
            if op == "release":
                ready.append((job, token))
            h.add(Event(op, conn, start, end, "ok", id=job))
        elif ready and rng.random() < 0.5:
            held[conn] = ready.pop(rng.randrange(len(ready)))
            h.add(Event("reserve", conn, start, end, "ok", id=held[conn][0], token=held[conn][1], ttr=1000))
        else:
            ids += 1
            ready.append((ids, f"t{ids}"))
            h.add(Event("put", conn, start, end, "ok", id=ids, token=f"t{ids}"))
    for conn, (job, _) in held.items():
        h.add(Event("delete", conn, now + 1, now + 1.1, "ok", id=job))
    for job, token in ready:
        now += 1
        h.add(Event("reserve", 9, now, now + 0.1, "ok", id=job, token=token, ttr=1000))
        h.add(Event("delete", 9, now + 0.2, now + 0.3, "ok", id=job))
    return h


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.getrandbits(31))
    seed = p.parse_args().seed
    print(f"SEED={seed}")
    equal(checker.check(clean()), [], "a clean history")
    for name, plant, wanted in PLANTED:
        h = clean()
        plant(h)
        found = checker.check(h)
        check(any(wanted in line for line in found), f"{name}: {wanted!r} is not in {found}")
    for name, plant in ALLOWED:
        h = clean()
        plant(h)
        equal(checker.check(h), [], name)
    for i in range(50):
        equal(checker.check(random_history(random.Random(seed + i))), [], f"random history of seed {seed + i}")
    body = make_body("token-1", 300)
    equal(read_body(body), ("token-1", True), "a body")
    equal(read_body(body[:50] + b"?" + body[51:]), ("token-1", False), "a changed body")
    print(f"{len(PLANTED)} planted violations found, {len(ALLOWED)} lookalikes and 50 random histories passed")


if __name__ == "__main__":
    sys.exit(main())
