"""Drives view.py and keep.py: their answers after a fault must be those from before."""

import pathlib
import subprocess
import sys

from lib.testing import check, say

HERE = pathlib.Path(__file__).resolve().parents[1]


class Viewer:
    """`program` looks at what `what` names."""

    def __init__(self, rig, program="view.py", what="what clients use, watch, wait for and hold"):
        self.program, self.what = program, what
        words = rig.net.within("client") + [sys.executable, str(HERE / program), rig.listen()[0]]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")
        self.ask()

    def _expect(self, wanted):
        line = self.process.stdout.readline().strip()
        check(line == wanted, f"{self.program} says {line!r}, wanted {wanted!r}")

    def ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        self._expect("same")

    def end(self):
        """Looks once more, and lets its clients end."""
        self.ask()
        self.process.stdin.close()
        self._expect("same")
        check(self.process.wait(60) == 0, f"{self.program} failed")
        say(f"{self.what} is as before")
