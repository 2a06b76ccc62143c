"""The power of all nodes fails at once: SIGKILL, and what was not synced is gone, or torn by sectors (lossfs). The one
that led may come back last: what it confirmed must be known without it. The disks of the others may be slow just then, so
that much of what they have is not synced."""

import signal
import time

from rig.faults.kill_all import Fault as KillAll
from rig.faults.tracer import Tracer

LAST_NS = 3_000_000_000
SLOW_CALLS, SLOW = ["pwritev2", "pwrite64", "fdatasync", "io_submit"], "delay_enter=60000"
SLOW_S = 1.0


class Fault(KillAll):
    NAME = "power"
    WEIGHT = 2
    DISKS = ("loss",)
    LOW, HIGH = 0.05, 1.0

    def draw(self, rng):
        self.is_torn = rng.random() < 0.5
        self.leader_is_last = rng.random() < 0.5
        self.is_slow = self.leader_is_last and rng.random() < 0.5
        self.wants_leader = True  # that is who choose() names
        self.last = None

    def details(self):
        disk = "half of what was not synced is on disk" if self.is_torn else "nothing that was not synced is on disk"
        return disk + (f", {self.last or 'the leader'} comes back last" if self.leader_is_last else "") + (
            ", the others' disks were slow" if self.is_slow else "")

    def harm(self, rig):
        if self.leader_is_last:
            self.last = self.choose(rig)
        if self.is_slow:
            for name in rig.nodes:
                if name != self.last:
                    Tracer(rig, name, SLOW_CALLS, SLOW)  # it ends with the node
            time.sleep(SLOW_S)
        super().harm(rig)
        for disk in rig.disks.values():
            disk.lose(signal.SIGUSR1 if self.is_torn else signal.SIGKILL)

    def mend(self, rig):
        for name, node in rig.nodes.items():
            if name == self.last:
                node.start_at(time.monotonic_ns() + LAST_NS)
            else:
                node.start()
