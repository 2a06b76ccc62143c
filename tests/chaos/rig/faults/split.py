"""A leader and one proxy on one side, everybody else on the other: for a while there may be two leaders, each with
clients that ask it."""

from rig.faults.base import Base
from rig.faults.filter import Filter


class Fault(Base):
    NAME = "split"
    WEIGHT = 2
    LOW, HIGH = 0.5, 10.0

    def draw(self, rng):
        self.place = rng.randrange(1 << 30)
        self.proxy = None

    def details(self):
        return f"with {self.proxy or 'a proxy'}"

    def harm(self, rig):
        proxies = sorted(rig.proxies)
        self.proxy = proxies[self.place % len(proxies)]
        others = [rig.net.hosts[n] for n in rig.nodes if n != self.target]
        rest = [rig.net.hosts[p] for p in proxies if p != self.proxy]
        self.filters = [Filter(rig, self.target), Filter(rig, self.proxy)]
        for one, peers in zip(self.filters, (others + rest, others)):
            one.drop(peers)

    def mend(self, rig):
        for one in self.filters:
            one.remove()
