"""SIGSTOP of a node: it wakes up believing what it believed."""

from rig.faults.base import Base


class Fault(Base):
    NAME = "pause"
    WEIGHT = 4
    LOW, HIGH = 0.1, 30.0

    def harm(self, rig):
        self.process = rig.daemon(self.target).process
        rig.daemon(self.target).pause()

    def mend(self, rig):
        node = rig.daemon(self.target)
        if node.process is self.process:
            node.resume()
