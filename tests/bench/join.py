#!/usr/bin/env python3
"""An empty node joins a cluster that has a backlog, under load: how long it takes, what the load notices, and memory.

    tests/bench/join.py --bin build/release/bin [--mib 1024] [--body 16384] [--rate 2400]

Three nodes and a proxy on one machine, a backlog of that size, puts and reservations at that rate beside it. Required on
two cores with 1 GiB: at most 90 s until the new node has a vote, the load's rate in no 2 s under 60 % of the rate before, RssAnon of
the leader and of the new node at most 256 MiB above the usual (what a node had before; the new one: what the others have).
"""

import pathlib
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib import testing  # noqa: E402
from lib.nodes import Peaks  # noqa: E402
from lib.testing import check, say, until  # noqa: E402
from members import Cluster  # noqa: E402

BEFORE_S = 15
WINDOW_S = 2
JOIN_MAX_S, RATE_MIN, EXTRA_MAX_MIB = 90, 0.6, 256


class Load:
    """Counts the acknowledged puts of chaos_load, which says them ten times a second."""

    def __init__(self, options, cluster):
        self.samples, self.errors = [], 0
        words = [options.bin.parent / "chaos" / "chaos_load", "--to", f"127.0.0.1:{cluster.port}", "--history",
                 cluster.dir / "history", "--rate", options.rate, "--plain"]
        with (cluster.dir / "load.log").open("wb") as log:
            self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            fields = dict(f.split("=") for f in line.split()[2:])
            self.samples.append((time.monotonic(), int(fields["acked"])))
            self.errors = int(fields["errors"])

    def rate(self, start, end):
        inside = [s for s in self.samples if start <= s[0] <= end]
        check(len(inside) > 1, "the load says nothing")
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def lowest(self, start, end):
        """Of all windows in between."""
        return min(self.rate(at, at + WINDOW_S) for at in range(int(start) + 1, int(end - WINDOW_S) + 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def anonymous_mib(cluster, name):
    return cluster.memory(name)[0] / 1024 / 1024


def fill(options, cluster):
    jobs = options.mib * 1024 * 1024 // options.body
    say(f"filling in {jobs} jobs of {options.body} bytes")
    began = time.monotonic()
    subprocess.run([options.bin.parent / "bench" / "coolbeans_load", "-p", str(cluster.port), "-P", "8", "-n", str(jobs), "-b",
                    str(options.body), "fill"], check=True, stdout=subprocess.DEVNULL)
    say(f"filled in {time.monotonic() - began:.0f} s")


def an_empty_node_joins(options):
    with Cluster(options, "join") as c:
        fill(options, c)
        with Load(options, c) as load:
            until("the load", 30, lambda: load.samples and load.samples[-1][1] > options.rate)
            began = time.monotonic()
            time.sleep(BEFORE_S)  # the measurement itself
            before = load.rate(began, time.monotonic())
            usual = {name: anonymous_mib(c, name) for name in c.first}
            with Peaks(c) as peaks:
                start = time.monotonic()
                say(c.add("n4").strip() or "added")
                check(c.members()["n4"][0] == "voter", "n4 has a vote")
                end = time.monotonic()
                time.sleep(5)  # what comes after it counts too
            lowest = load.lowest(start, time.monotonic() - 1)
            errors = load.errors
    say(f"voter after {end - start:.1f} s (at most {JOIN_MAX_S}); {before:.0f} puts/s before, lowest in {WINDOW_S} s"
        f" {lowest:.0f} ({100 * lowest / before:.0f} %, at least {100 * RATE_MIN:.0f}); errors {errors}")
    base = statistics.median(usual.values())
    extra = {name: round(most / 1024 / 1024 - usual.get(name, base)) for name, most in peaks.anon.items()}
    say(f"RssAnon before {', '.join(f'{n} {m:.0f}' for n, m in usual.items())} MiB; above that: "
        f"{', '.join(f'{n} {m:+}' for n, m in extra.items())} MiB (at most {EXTRA_MAX_MIB})")
    check(errors == 0, "errors of the load")
    check(end - start <= JOIN_MAX_S and lowest >= RATE_MIN * before and max(extra.values()) <= EXTRA_MAX_MIB,
          "all figures as required")


if __name__ == "__main__":
    parser = testing.parser(__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--body", type=int, default=16384)
    parser.add_argument("--rate", type=int, default=2400)
    testing.main([an_empty_node_joins], testing.parse(parser))
