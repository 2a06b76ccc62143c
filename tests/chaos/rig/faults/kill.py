"""SIGKILL of a node; it is started again afterwards."""

from rig.faults.base import Base


class Fault(Base):
    NAME = "kill"
    WEIGHT = 5
    LOW, HIGH = 0.05, 8.0

    def harm(self, rig):
        self.at_ns = rig.daemon(self.target).kill()

    def mend(self, rig):
        rig.daemon(self.target).start()
