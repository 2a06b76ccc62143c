"""A leader and one proxy on one side, everybody else on the other: for a while there may be two leaders, each with
clients that ask it. Where the nodes' connections to the leader are refused (a firewall that rejects), they take it for dead
and elect another at once, long before it gives up."""

from rig.faults.base import Base
from rig.faults.filter import Filter


class Fault(Base):
    NAME = "split"
    WEIGHT = 2
    LOW, HIGH = 0.5, 10.0

    def draw(self, rng):
        self.place = rng.randrange(1 << 30)
        self.is_refused = rng.random() < 0.5
        self.proxy = None

    def details(self):
        return f"with {self.proxy or 'a proxy'}{', refused' if self.is_refused else ''}"

    def harm(self, rig):
        proxies = sorted(rig.proxies)
        self.proxy = proxies[self.place % len(proxies)]
        nodes = [n for n in rig.nodes if n != self.target]
        rest = [rig.net.hosts[p] for p in proxies if p != self.proxy]
        self.filters = []
        self._cut(rig, self.proxy, [rig.net.hosts[n] for n in nodes])
        self._cut(rig, self.target, rest)
        for node in nodes:
            self._cut(rig, node, [rig.net.hosts[self.target]], refuse=self.is_refused)
        for node in nodes if self.is_refused else []:
            rig.net.break_connections(node, [rig.net.hosts[self.target]])

    def _cut(self, rig, host, peers, refuse=False):
        self.filters.append(Filter(rig, host))
        self.filters[-1].drop(peers, refuse=refuse)

    def mend(self, rig):
        for one in self.filters:
            one.remove()
