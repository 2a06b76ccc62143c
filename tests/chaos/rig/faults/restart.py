"""SIGTERM of a node and its start: what an operator does to install a new version."""

from lib.testing import check
from rig.faults.base import Base


class Fault(Base):
    NAME = "restart"
    LOW, HIGH = 0.05, 1.0

    def harm(self, rig):
        status = rig.daemon(self.target).terminate()
        check(status == 0, f"{self.target} ended with {status} after SIGTERM: {rig.daemon(self.target).last_words()}")

    def mend(self, rig):
        rig.daemon(self.target).start()
