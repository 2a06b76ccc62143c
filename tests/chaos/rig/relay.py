"""A host's link with a relay in it (relay.c), for as long as its packets shall come late."""

import subprocess

from lib.testing import check

END_S = 10


class Relay:
    """`words`: options of chaos_relay. The host keeps its connections; in the moments when the relay comes and goes a few
    of its packets are lost."""

    def __init__(self, net, program, host, words):
        self.net, self.host = net, host
        self.words = [str(program), host, f"d-{host}", *words]
        self.process = None

    def begin(self):
        self.net.split_link(f"d-{self.host}", f"e-{self.host}")
        self.process = subprocess.Popen(self.net.within_switch() + self.words, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self._expect("ready")
        self.net.unplug(self.host)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self._expect("on")

    def _expect(self, word):
        check(self.process.stdout.readline() == f"{word}\n", f"chaos_relay of {self.host} does not say '{word}'")

    def end(self):
        """What still waits is sent first."""
        if self.process is None:
            return
        self.process.stdin.close()
        status = self.process.wait(END_S)
        self.process.stdout.close()
        self.process = None
        self.net.plug(self.host)
        self.net.join_link(f"d-{self.host}")
        check(status == 0, f"chaos_relay of {self.host} ended with {status}")
