"""SIGKILL of all nodes at once; what they wrote is still there."""

import time

from rig.faults.base import Base


class Fault(Base):
    NAME = "kill-all"
    HITS_ALL = True
    LOW, HIGH = 0.05, 2.0

    def harm(self, rig):
        self.at_ns = time.monotonic_ns()
        for node in rig.nodes.values():
            node.wanted = False
            if node.is_alive():
                node.process.kill()
        for node in rig.nodes.values():
            node.kill()  # waits

    def mend(self, rig):
        for node in rig.nodes.values():
            node.start()
