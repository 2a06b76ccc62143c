"""A node's packets come late, both ways, by times that vary; some overtake others, or come twice (relay.c)."""

from rig.faults.base import Base
from rig.relay import Relay


class Fault(Base):
    NAME = "delay"
    WEIGHT = 3
    LOW, HIGH = 1.0, 15.0
    busy = set()  # hosts whose link has a relay already: there is one at a time

    def draw(self, rng):
        self.ms = rng.choice((2, 10, 40, 100, 250))
        self.jitter = round(self.ms * rng.uniform(0, 1))
        self.overtake = rng.choice((0, 0, 5, 30))
        self.twice = rng.choice((0, 0, 2))

    def details(self):
        more = [text for percent, text in ((self.overtake, f"{self.overtake} % overtake"),
                                           (self.twice, f"{self.twice} % come twice")) if percent]
        return ", ".join([f"{self.ms} ms and up to {self.jitter} more", *more])

    def harm(self, rig):
        self.is_mine = (rig.net.prefix, self.target) not in self.busy
        if self.is_mine:
            self.busy.add((rig.net.prefix, self.target))
            self.relay = Relay(rig.net, rig.options.tools / "chaos_relay", self.target,
                               [f"--delay={self.ms * 1000}", f"--jitter={self.jitter * 1000}",
                                f"--overtake={self.overtake}", f"--twice={self.twice}", f"--seed={self.pick}"])
            self.relay.begin()

    def mend(self, rig):
        if self.is_mine:
            self.relay.end()
            self.busy.discard((rig.net.prefix, self.target))
