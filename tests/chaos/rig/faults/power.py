"""The power of all nodes fails at once: SIGKILL, and what was not synced is gone, or torn by sectors (lossfs)."""

import signal

from rig.faults.kill_all import Fault as KillAll


class Fault(KillAll):
    NAME = "power"
    WEIGHT = 2
    DISKS = ("loss",)
    LOW, HIGH = 0.05, 1.0

    def draw(self, rng):
        self.is_torn = rng.random() < 0.5

    def details(self):
        return "half of what was not synced is on disk" if self.is_torn else "nothing that was not synced is on disk"

    def harm(self, rig):
        super().harm(rig)
        for disk in rig.disks.values():
            disk.lose(signal.SIGUSR1 if self.is_torn else signal.SIGKILL)
