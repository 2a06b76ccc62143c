"""A proxy is cut off from all nodes; clients reach it."""

from rig.faults.base import ProxyFault
from rig.faults.filter import Filter


class Fault(ProxyFault):
    NAME = "proxy-cut"
    LOW, HIGH = 1.0, 45.0

    def harm(self, rig):
        self.filter = Filter(rig, self.target)
        self.filter.drop([rig.net.hosts[n] for n in rig.nodes])

    def mend(self, rig):
        self.filter.remove()
