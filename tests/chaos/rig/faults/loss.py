"""Packets of a node are lost at random, both ways."""

from rig.faults.base import Base
from rig.faults.filter import Filter


class Fault(Base):
    NAME = "loss"
    WEIGHT = 2
    LOW, HIGH = 1.0, 15.0

    def draw(self, rng):
        self.percent = rng.choice((2, 5, 10, 20, 30))

    def details(self):
        return f"{self.percent} %"

    def harm(self, rig):
        self.filter = Filter(rig, self.target)
        self.filter.drop(None, percent=self.percent)

    def mend(self, rig):
        self.filter.remove()
