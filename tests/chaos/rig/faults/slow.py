"""A node's link is slow and has a long queue (tc tbf)."""

from rig.faults.base import Base


class Fault(Base):
    NAME = "slow"
    WEIGHT = 2
    LOW, HIGH = 1.0, 15.0
    busy = set()  # hosts whose link has a queue already: there is one at a time

    def draw(self, rng):
        self.mbit = rng.choice((1, 4, 16))

    def details(self):
        return f"{self.mbit} Mbit/s"

    def harm(self, rig):
        self.is_mine = (rig.net.prefix, self.target) not in self.busy
        if self.is_mine:
            self.busy.add((rig.net.prefix, self.target))
            rig.net.tc(self.target, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", f"{self.mbit}mbit",
                       "burst", "32kb", "latency", "300ms")

    def mend(self, rig):
        if self.is_mine:
            rig.net.tc(self.target, "qdisc", "del", "dev", "eth0", "root")
            self.busy.discard((rig.net.prefix, self.target))
