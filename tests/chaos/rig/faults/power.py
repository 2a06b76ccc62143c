"""The power of all nodes fails at once: SIGKILL, and what was not synced is gone, or torn by sectors (lossfs). The one
that led may come back last: what it confirmed must be known without it."""

import signal
import time

from rig.faults.kill_all import Fault as KillAll

LAST_NS = 3_000_000_000


class Fault(KillAll):
    NAME = "power"
    WEIGHT = 2
    DISKS = ("loss",)
    LOW, HIGH = 0.05, 1.0

    def draw(self, rng):
        self.is_torn = rng.random() < 0.5
        self.leader_is_last = rng.random() < 0.5
        self.wants_leader = True  # that is who choose() names
        self.last = None

    def details(self):
        disk = "half of what was not synced is on disk" if self.is_torn else "nothing that was not synced is on disk"
        return disk + (f", {self.last or 'the leader'} comes back last" if self.leader_is_last else "")

    def harm(self, rig):
        if self.leader_is_last:
            self.last = self.choose(rig)
        super().harm(rig)
        for disk in rig.disks.values():
            disk.lose(signal.SIGUSR1 if self.is_torn else signal.SIGKILL)

    def mend(self, rig):
        for name, node in rig.nodes.items():
            if name == self.last:
                node.start_at(time.monotonic_ns() + LAST_NS)
            else:
                node.start()
