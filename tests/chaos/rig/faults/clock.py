"""The wall clock of a node steps, and steps back (libfaketime's file). Its monotonic clocks are real: they are what the
product may rely on.

Drawn without those that end nodes: after a majority was down two wall clocks that were put forward are believed
(docs/GUARANTEES.md, "Not promised"). The simulator mixes them, and knows when that was so.
"""

import pathlib

from rig.faults.base import Base

LIBRARY = "/usr/lib/*-linux-gnu/faketime/libfaketimeMT.so.1"


def clock_file(rig, name):
    return rig.dir / f"{name}.clock"


def environment(rig, name):
    """Of a node whose wall clock can be set. The library looks at the file each time."""
    libraries = sorted(pathlib.Path("/").glob(LIBRARY[1:]))
    clock_file(rig, name).write_text("+0\n")
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(clock_file(rig, name)),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}


class Fault(Base):
    NAME = "clock"
    WEIGHT = 4
    CLOCKS = True
    SPANS = True
    LOW, HIGH = 5.0, 30.0

    def draw(self, rng):
        self.step = rng.choice((-3600, -60, -2, 2, 60, 3600))

    def details(self):
        return f"a step of {self.step:+} s"

    def harm(self, rig):
        clock_file(rig, self.target).write_text(f"{self.step:+}\n")

    def mend(self, rig):
        clock_file(rig, self.target).write_text("+0\n")
