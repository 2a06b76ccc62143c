"""A node is cut off: in both directions or in one, from the other nodes alone or from proxies and clients too."""

from rig.faults.base import Base
from rig.faults.filter import Filter


class Fault(Base):
    NAME = "partition"
    WEIGHT = 5
    LOW, HIGH = 0.2, 20.0

    def draw(self, rng):
        self.way = rng.choice(("both ways", "nothing comes in", "nothing goes out"))
        self.others = rng.choice(("nodes", "everybody"))

    def details(self):
        return f"{self.way}, from {self.others}"

    def harm(self, rig):
        peers = [rig.net.hosts[n] for n in rig.nodes if n != self.target] if self.others == "nodes" else None
        self.filter = Filter(rig, self.target)
        self.filter.drop(peers, comes_in=self.way != "nothing goes out", goes_out=self.way != "nothing comes in")

    def mend(self, rig):
        self.filter.remove()
