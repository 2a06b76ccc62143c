"""Which faults come when: all of it from the seed, so that the seed is the schedule."""

import heapq
import random
import time

from rig.faults import FAULTS

GAP_MEAN_S = 1.5
OVERLAP = 0.25  # how often a fault begins before the one before it is over


def draw(seed, seconds, names):
    """[(seconds from the begin, fault)]; all are over by `seconds`."""
    rng = random.Random(f"schedule {seed}")
    weights = [FAULTS[n].WEIGHT for n in names]
    planned, at, last_end = [], 1.0, 0.0
    while True:
        fault = FAULTS[rng.choices(names, weights)[0]](random.Random(rng.getrandbits(64)))
        overlaps, gap = rng.random() < OVERLAP, rng.expovariate(1 / GAP_MEAN_S)
        at = at + gap if overlaps else max(at + gap, last_end + gap)
        if at + 1 >= seconds:
            return planned
        fault.seconds = min(fault.seconds, seconds - at)
        planned.append((round(at, 3), fault))
        last_end = max(last_end, at + (0 if fault.SPANS else fault.seconds))


def show(planned, tell):
    for at, fault in planned:
        tell(f"  at {at:6.1f} s: {fault}")


def run(planned, rig, load, tell):
    """All faults in their order, and each one's mending when its time is over."""
    begin = time.monotonic()
    todo = [(at, i, fault.start) for i, (at, fault) in enumerate(planned)]
    heapq.heapify(todo)
    try:
        while todo:
            at, i, act = heapq.heappop(todo)
            while (left := begin + at - time.monotonic()) > 0:
                rig.watch()
                load.check_alive()
                time.sleep(min(left, 0.02))
            fault = planned[i][1]
            act(rig)
            if fault.undone_ns is None:
                tell(f"{i + 1}/{len(planned)} {fault}; {load.acked()} acknowledged")
                heapq.heappush(todo, (time.monotonic() - begin + fault.seconds, i, fault.undo))
    finally:
        mend_all([f for _, f in planned], rig)


def mend_all(faults, rig):
    for fault in faults:
        if fault.at_ns is not None and fault.undone_ns is None:
            fault.undo(rig)
