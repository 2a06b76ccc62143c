"""The connections of a leader to its proxies break while it gets nothing through to the other nodes, for less than an
election takes: what it took and has not applied is sent again by the proxies, to the same leader."""

import time

from rig.faults.base import Base
from rig.faults.filter import Filter
from rig.shell import run

GATHER_S = 0.05  # requests come in meanwhile


class Fault(Base):
    NAME = "reset"
    WEIGHT = 1
    LOW, HIGH = 0.1, 0.3

    def harm(self, rig):
        self.filter = Filter(rig, self.target)
        self.filter.drop([rig.net.hosts[n] for n in rig.nodes if n != self.target])
        time.sleep(GATHER_S)
        proxies = " or ".join(f"dst {rig.net.hosts[p]}" for p in rig.proxies)
        run(*rig.net.within(self.target), "ss", "-K", "-t", f"( {proxies} )")

    def mend(self, rig):
        self.filter.remove()
