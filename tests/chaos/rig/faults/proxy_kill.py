"""SIGKILL of a proxy; its clients see that, and what they held is ready again."""

from rig.faults.base import ProxyFault


class Fault(ProxyFault):
    NAME = "proxy-kill"
    WEIGHT = 1
    LOW, HIGH = 0.05, 4.0

    def harm(self, rig):
        self.at_ns = rig.proxies[self.target].kill()

    def mend(self, rig):
        rig.proxies[self.target].start()
