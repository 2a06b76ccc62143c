"""System calls of a node fail with EIO from the nth on (strace). A node must end at once and say why; it is started
again, as systemd would."""

import signal
import subprocess

from rig.faults.base import Base


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
        self.strace = None
        if self.node.is_alive():
            self.strace = subprocess.Popen(
                rig.net.within(self.target) + ["strace", "-f", "-qq", "-o", "/dev/null", "-p",
                                               str(self.node.process.pid), "-e", f"trace={self.call}", "-e",
                                               f"inject={self.call}:error=EIO:when={self.when}+"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mend(self, rig):
        if self.strace and self.strace.poll() is None:
            self.strace.send_signal(signal.SIGINT)  # it lets go of the node
            self.strace.wait(30)
        rig.watch()
        self.node.may_die -= 1
