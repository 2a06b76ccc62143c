"""What faults share: whom they hit, how long they last."""

import math
import time

LEADER_BIAS = 0.6


def log_uniform(rng, low, high):
    """Short ones are as likely as long ones."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))), 3)


class Base:
    """A fault of one node, the leader more often than not. `weight`: how often it is drawn."""

    NAME = ""
    WEIGHT = 1
    DISKS = ()        # what the nodes' disks must be able to do
    CLOCKS = False    # the nodes' wall clocks must be ours
    LOW, HIGH = 0.5, 10.0  # seconds, unless told
    HITS_ALL = False
    SPANS = False     # it does no harm alone: others come while it lasts

    def __init__(self, rng, seconds=None, leader=None):
        self.wants_leader = rng.random() < LEADER_BIAS if leader is None else leader
        self.pick = rng.randrange(1 << 30)
        self.seconds = log_uniform(rng, self.LOW, self.HIGH) if seconds is None else seconds
        self.target = None
        self.at_ns = self.made_ns = self.undone_ns = None
        self.draw(rng)

    def draw(self, rng):
        """Draws what else there is to say of it."""

    def details(self):
        return ""

    def aims_at(self):
        return "all" if self.HITS_ALL else "leader" if self.wants_leader else "follower"

    def choose(self, rig):
        """The leader as it is now; a follower when that was drawn, or when nobody leads."""
        names = sorted(rig.nodes)
        members = [m for m in rig.status()["members"] if m["alive"] and m["role"] == "leader"]
        leader = max(members, key=lambda m: m["term"])["name"] if members else None
        if self.wants_leader and leader:
            return leader
        others = [n for n in names if n != leader]
        return others[self.pick % len(others)]

    def start(self, rig):
        self.target = "all" if self.HITS_ALL else self.choose(rig)
        self.at_ns = time.monotonic_ns()
        self.harm(rig)
        self.made_ns = time.monotonic_ns()

    def undo(self, rig):
        self.undone_ns = time.monotonic_ns()
        self.mend(rig)

    def harm(self, rig):
        raise NotImplementedError

    def mend(self, rig):
        pass

    def __str__(self):
        more = self.details()
        return f"{self.NAME} of {self.target or self.aims_at()} for {self.seconds:.1f} s" + (f", {more}" if more else "")


class ProxyFault(Base):
    """A fault of one proxy."""

    def aims_at(self):
        return "proxy"

    def choose(self, rig):
        names = sorted(rig.proxies)
        return names[self.pick % len(names)]
