#!/usr/bin/env python3
"""The smallest run of a failing seed that still fails in the same way.

usage: shrink.py [--binary PATH] SEED [options of coolbeans-sim to begin with] | --self-test

Ends the faults earlier, leaves out classes of faults, single faults, clients and proxies, one after the other and as
long as the run still ends with the same word (the property that was violated, or where it crashed). What is left
keeps its kind and its time, but whatever else happens draws other numbers: a smaller run may pass though the defect is
there. So what is found is small, not the smallest there is.

Exit status 1: the seed does not fail.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIOLATION = re.compile(r"^seed \d+: VIOLATION (.+?) at (\d+\.\d+) s: (.*)", re.M)
CRASH = re.compile(r"^seed \d+: (CRASH .*)", re.M)
BUG = re.compile(r"^BUG: (?:\S*/)?([^/\s:]+):\d+: (\w+): (.*)", re.M)
FAULT = re.compile(r"^ *\d+\.\d+ fault (\d+): ", re.M)
DRAWN = re.compile(r"^seed \d+: .*?(\d+) proxies, (\d+) clients, (\d+) s, .* ms: (.*)", re.M)
TIMEOUT_S = 300

# word: what two runs have in common that fail alike; at_ms: when, None for a crash; text: the whole sentence
Failure = collections.namedtuple("Failure", "word at_ms text")


def failure_of(stderr):
    """None when the run was good."""
    found = VIOLATION.search(stderr)
    if found:
        word, at, text = found.groups()
        judged = re.search(r"\bP\d+\b", text) if word == "history" else None
        return Failure(f"{word} {judged[0]}" if judged else word, int(float(at) * 1000), found[0])
    found = CRASH.search(stderr)
    if found:
        bug = BUG.search(stderr)
        return Failure(f"{bug[1]} {bug[2]}" if bug else found[1], None, (bug or found)[0])
    return None


class Run:
    """What of the seed is left."""

    def __init__(self, without=(), skip=(), clients=0, proxies=0, cut_ms=0):
        self.without, self.skip = tuple(without), tuple(skip)
        self.clients, self.proxies, self.cut_ms = clients, proxies, cut_ms

    def but(self, **changes):
        return Run(**{**vars(self), **changes})

    def options(self):
        given = {"--without": ",".join(self.without),
                 "--skip": ",".join(sorted(self.skip, key=int)), "--clients": self.clients,
                 "--proxies": self.proxies, "--cut": self.cut_ms}
        return [str(word) for option, value in given.items() if value for word in (option, value)]


class Shrinker:
    def __init__(self, binary, seed, given):
        self.command = [binary, "--seed", str(seed), *given]
        self.runs = 0

    def run(self, run):
        self.runs += 1
        done = subprocess.run(self.command + ["-q"] + run.options(), stdout=subprocess.DEVNULL, check=False,
                              stderr=subprocess.PIPE, text=True, errors="replace", timeout=TIMEOUT_S)
        return failure_of(done.stderr)

    def trace(self, run):
        """(how it was drawn, the numbers of its faults, lines of its trace)"""
        with subprocess.Popen(self.command + ["-q", "-v"] + run.options(), stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, errors="replace") as child:
            first, faults, lines = child.stdout.readline(), [], 1
            for line in child.stdout:
                lines += 1
                faults += FAULT.findall(line)
            return DRAWN.search(first), faults, lines

    def still_fails(self, run):
        failure = self.run(run)
        if failure is None or failure.word != self.wanted.word:
            return False
        self.last = failure
        print(f"  {self.runs:3} runs: {' '.join(run.options())}", flush=True)
        return True

    def leave_out(self, run, name, there):
        """More of what --without or --skip names: halves first, then one at a time, until none can go."""
        size = max(1, len(there) // 2)
        while size > 0:
            left = [word for word in there if word not in getattr(run, name)]
            parts = [left[i:i + size] for i in range(0, len(left), size)]
            smaller = next((r for r in (run.but(**{name: (*getattr(run, name), *part)}) for part in parts)
                            if self.still_fails(r)), None)
            run, size = (smaller, size) if smaller else (run, size // 2)
        return run

    def try_fewer(self, run, name, drawn):
        for n in range(1, getattr(run, name) or drawn):
            smaller = run.but(**{name: n})
            if self.still_fails(smaller):
                return smaller
        return run

    def try_shorter(self, run, drawn_ms):
        """By halves, to within 100 ms; a failure during the faults says itself where to begin."""
        longest, shortest = run.cut_ms or drawn_ms, 0
        if self.last.at_ms is not None and self.last.at_ms + 1 < longest:
            at_once = run.but(cut_ms=self.last.at_ms + 1)
            if self.still_fails(at_once):
                run, longest = at_once, at_once.cut_ms
        while longest - shortest > 100:
            middle = (longest + shortest) // 2
            if self.still_fails(run.but(cut_ms=middle)):
                run, longest = run.but(cut_ms=middle), middle
            else:
                shortest = middle
        return run

    def shrink(self):
        self.last = self.wanted = self.run(Run())
        if self.wanted is None:
            return None
        drawn, _, self.lines = self.trace(Run())
        proxies, clients, seconds = (int(n) for n in drawn.groups()[:3])
        self.classes = [] if drawn[4] == "none" else drawn[4].split()
        print(f"{self.wanted.text}\n  as drawn: {proxies} proxies, {clients} clients, {seconds} s, faults: "
              f"{' '.join(self.classes) or 'none'}", flush=True)
        run, before = Run(), None
        while before != run.options():
            before = run.options()
            run = self.try_shorter(run, seconds * 1000)
            run = self.leave_out(run, "without", self.classes)
            run = self.leave_out(run, "skip", self.trace(run)[1])
            run = self.try_fewer(run, "clients", clients)
            run = self.try_fewer(run, "proxies", proxies)
        return run


class Planned(Shrinker):
    """For the self-test: what a run does is known."""

    def __init__(self):
        super().__init__("none", 1, [])

    def run(self, run):
        self.runs += 1
        alike = (not {"crash", "loss"} & set(run.without) and not {"5", "8"} & set(run.skip)
                 and run.clients in (0, 3, 4) and (run.cut_ms == 0 or run.cut_ms >= 7000))
        text = f"VIOLATION {'P1' if alike else 'P2'} at 42.500 s: it is planned"
        return failure_of(f"some line\nseed 1: {text}\n") if alike or "loss" in run.without else None

    def trace(self, run):
        drawn = "seed 1: 3 nodes, 3 proxies, 4 clients, 60 s, a fault every 3 ms: crash loss lag pause"
        return DRAWN.search(drawn), [str(n) for n in range(10) if str(n) not in run.skip], 1


def self_test():
    run = Planned().shrink()
    wanted = ["--without", "lag,pause", "--skip", "0,1,2,3,4,6,7,9", "--clients", "3", "--proxies", "1", "--cut"]
    bug = "BUG: /a/b/c.c:12: f: assertion failed: x\nseed 4: CRASH by signal 6\n"
    checks = [
        run.options()[:-1] == wanted and 7000 <= run.cut_ms <= 7100,
        failure_of("seed 1: VIOLATION history at 1.5 s: P14 invisible: it took 6 s\n")[:2] == ("history P14", 1500),
        failure_of(bug)[:2] == ("c.c f", None),
        failure_of("seed 4: CRASH by signal 11\n").word == "CRASH by signal 11",
        failure_of("a line of a log\n") is None,
    ]
    print(f"self-test: {sum(checks)} of {len(checks)} as wanted")
    return 0 if all(checks) else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    parser.add_argument("--binary", default=str(ROOT / "build/release/tests/coolbeans-sim"))
    parser.add_argument("seed", type=int)
    arguments, given = parser.parse_known_args()
    shrinker = Shrinker(arguments.binary, arguments.seed, given)
    run = shrinker.shrink()
    if run is None:
        print(f"seed {arguments.seed} does not fail")
        return 1
    again, (_, faults, lines) = shrinker.run(run), shrinker.trace(run)
    left = [name for name in shrinker.classes if name not in run.without]
    options = " ".join(given + run.options())
    print(f"\n{again.text if again else 'it passed the second time: the simulator is not deterministic'}\n"
          f"  {len(faults)} faults are left, of the classes: {' '.join(left) or 'none'}\n"
          f"  trace: {lines:,} lines, {shrinker.lines:,} as drawn\n\n"
          f"coolbeans-sim --seed {arguments.seed} {options}\n"
          f"make sim SEED={arguments.seed} V=1 ARGS='{options}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
