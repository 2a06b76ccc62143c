"""System calls of a node fail with EIO from the nth on (strace). A node must end at once and say why; it is started
again, as systemd would."""

import time

from rig.faults.base import Base
from rig.faults.tracer import Tracer

# Seen, not explained (`disks --faults io-error --seconds 15 --seed 5 --rate 1000`): a write is never finished when this
# call failed, so that the node's watchdog over log writes ends it, 10 s after the write was asked for.
UNFINISHED_NS = 15_000_000_000


class Fault(Base):
    NAME = "io-error"
    WEIGHT = 1
    LOW, HIGH = 1.0, 4.0

    def draw(self, rng):
        self.call = rng.choice(("fdatasync", "pwrite64", "io_submit", "io_getevents", "pwritev2"))
        self.when = rng.choice((1, 2, 10))

    def details(self):
        return f"{self.call} from call {self.when} on"

    def harm(self, rig):
        self.node = rig.nodes[self.target]
        self.node.may_die += 1
        self.tracer = Tracer(rig, self.target, [self.call], f"error=EIO:when={self.when}+")

    def mend(self, rig):
        self.tracer.end()
        rig.watch()
        self.node.may_die -= 1
        if self.call == "io_getevents":
            self.node.excused_until_ns = time.monotonic_ns() + UNFINISHED_NS
