"""SIGTERM of a proxy and its start."""

from lib.testing import check
from rig.faults.base import ProxyFault


class Fault(ProxyFault):
    NAME = "proxy-restart"
    LOW, HIGH = 0.05, 1.0

    def harm(self, rig):
        status = rig.proxies[self.target].terminate()
        check(status == 0, f"{self.target} ended with {status} after SIGTERM: {rig.proxies[self.target].last_words()}")

    def mend(self, rig):
        rig.proxies[self.target].start()
