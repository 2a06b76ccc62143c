"""strace at a node, which does something to some of its system calls."""

import signal
import subprocess


class Tracer:
    """`inject`: what strace's option of that name wants, behind the names of the calls."""

    def __init__(self, rig, name, calls, inject):
        self.process = None
        node = rig.nodes[name]
        if node.is_alive():
            self.process = subprocess.Popen(
                rig.net.within(name) + ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(node.process.pid), "-e",
                                        f"trace={','.join(calls)}", "-e", f"inject={','.join(calls)}:{inject}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # it lets go of the node
            self.process.wait(30)
