"""The disk of a node is full, all but a little. A node that runs goes on, and one starts."""

from rig.faults.base import Base


class Fault(Base):
    NAME = "disk-full"
    WEIGHT = 2
    DISKS = ("full",)
    LOW, HIGH = 1.0, 15.0

    def draw(self, rng):
        self.leave = rng.choice((0, 4096, 1 << 20))

    def details(self):
        return f"{self.leave} bytes left"

    def harm(self, rig):
        rig.disks[self.target].fill(self.leave)

    def mend(self, rig):
        rig.disks[self.target].empty()
        rig.watch()
