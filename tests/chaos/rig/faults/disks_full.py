"""Two disks at once have less room than the reserve: puts are refused, everything else goes on (design D9). What came
of it says room.py."""

from rig.faults.base import Base


class Fault(Base):
    NAME = "disks-full"
    WEIGHT = 1
    DISKS = ("full",)
    LOW, HIGH = 4.0, 10.0

    def draw(self, rng):
        # Below the reserve (cluster.py), with room for segments of the log: that is what the reserve is for. Disks that
        # have nothing left at once are in tests/e2e/full_disk.py.
        self.leave = rng.choice((20 << 20, 24 << 20, 28 << 20))
        self.place = rng.randrange(1 << 30)
        self.other = None

    def details(self):
        return f"{self.leave} bytes left there and at {self.other or 'another'}"

    def harm(self, rig):
        others = sorted(n for n in rig.nodes if n != self.target)
        self.other = others[self.place % len(others)]
        for name in (self.target, self.other):
            rig.disks[name].fill(self.leave)

    def mend(self, rig):
        for name in (self.target, self.other):
            rig.disks[name].empty()
        rig.watch()
