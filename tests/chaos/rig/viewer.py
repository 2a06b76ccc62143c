"""Drives view.py: its answers after a change of leader must be those from before."""

import pathlib
import subprocess
import sys

from lib.testing import check, say

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "view.py"


class Viewer:
    def __init__(self, rig):
        self.process = subprocess.Popen(rig.net.within("client") + [sys.executable, str(PROGRAM), rig.listen()[0]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("ready")
        self._ask()

    def _expect(self, wanted):
        line = self.process.stdout.readline().strip()
        check(line == wanted, f"view.py says {line!r}, wanted {wanted!r}")

    def _ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        self._expect("same")

    def end(self):
        """Looks once more, and lets its clients end."""
        self._ask()
        self.process.stdin.close()
        self._expect("same")
        check(self.process.wait(60) == 0, "view.py failed")
        say("what clients use, watch, wait for and hold is as before")
