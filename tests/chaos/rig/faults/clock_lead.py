"""The wall clocks of the other nodes step while nobody leads: who leads next goes on from the cluster's clock, whatever
its own shows (design D2). No node ends, see clock.py."""

from rig.faults.base import Base
from rig.faults.clock import clock_file
from rig.faults.filter import Filter


class Fault(Base):
    NAME = "clock-lead"
    WEIGHT = 1
    CLOCKS = True
    LOW, HIGH = 1.5, 4.0

    def draw(self, rng):
        self.steps = [rng.choice((60, 3600, 3600, -3600)) for _ in range(8)]

    def details(self):
        return f"steps of {', '.join(f'{s:+} s' for s in self.steps[:2])}"

    def harm(self, rig):
        self.filter = Filter(rig, self.target)
        self.filter.drop(None)
        self.others = [n for n in sorted(rig.nodes) if n != self.target]
        for name, step in zip(self.others, self.steps):
            clock_file(rig, name).write_text(f"{step:+}\n")

    def mend(self, rig):
        self.filter.remove()
        for name in self.others:
            clock_file(rig, name).write_text("+0\n")
