"""The connections between a leader and its proxies break, for less than an election takes.

    requests   while the leader gets nothing through to the other nodes: what it took and has not applied is sent again,
               to the same leader
    results    when for a moment nothing of it has come to the proxies: what it answered must be answered again
"""

import time

from rig.faults.base import Base
from rig.faults.filter import Filter

GATHER_S = 0.05  # they come in meanwhile


class Fault(Base):
    NAME = "reset"
    WEIGHT = 1
    LOW, HIGH = 0.1, 0.3

    def draw(self, rng):
        self.what = rng.choice(("requests", "results"))

    def details(self):
        return f"{self.what} on their way"

    def harm(self, rig):
        self.filter = Filter(rig, self.target)
        proxies = [rig.net.hosts[p] for p in rig.proxies]
        if self.what == "requests":
            self.filter.drop([rig.net.hosts[n] for n in rig.nodes if n != self.target])
        else:
            self.filter.drop(proxies, comes_in=False)
        time.sleep(GATHER_S)
        if self.what == "requests":
            rig.net.break_connections(self.target, proxies)
        for proxy in rig.proxies if self.what == "results" else []:
            rig.net.break_connections(proxy, [rig.net.hosts[self.target]])

    def mend(self, rig):
        self.filter.remove()
