#!/usr/bin/env python3
"""Measures what a cluster of three nodes and a proxy must show on two cores, each line on a fresh cluster.

    tests/bench/acceptance.py --bin build/release/bin [--json FILE] [LINE...]

LINE is 3, 4, 5 or 6; all of them when none is given. It takes about 15 minutes and prints a table.
"""

import dataclasses
import json
import pathlib
import re
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
sys.path.insert(0, str(E2E))

from lib import rpc, testing  # noqa: E402
from lib.beanstalk import Client, parse_address  # noqa: E402
from lib.cluster import Cluster  # noqa: E402
from lib.testing import check, say, until  # noqa: E402

IDLE_CLIENTS, IDLE_S = 1000, 30
MANY_JOBS = 1_000_000
KIB_PER_MB = 1000 * 1000 / 1024
TICKS = 100  # a second, of /proc/PID/stat; the kernel's USER_HZ


@dataclasses.dataclass
class Row:
    line: int
    what: str
    required: str
    measured: str
    passed: bool


def row(line, what, unit, measured, at_most=None, at_least=None):
    required = f"at most {at_most} {unit}" if at_most is not None else f"at least {at_least} {unit}"
    passed = measured <= at_most if at_most is not None else measured >= at_least
    result = Row(line, what, required.strip(), f"{measured:.10g} {unit}".strip(), passed)
    say(f"line {line}: {what}: {result.measured} ({result.required})")
    return result


# ---- the load generator ----

def load_command(options, c, mode, *words):
    host, port = parse_address(c.listen)
    return [options.bin.parent / "bench" / "coolbeans_load", "-a", host, "-p", str(port), *map(str, words), mode]


def parse_load(text):
    """{command: {rate, p50, p99, max}} and the count of errors."""
    rows = {}
    for m in re.finditer(r"^(\w+) +(\d+) +(\d+)/s +p50 +(\d+) us +p99 +(\d+) us +max +(\d+) us$", text, re.M):
        rows[m[1]] = dict(zip(("count", "rate", "p50", "p99", "max"), map(int, m.groups()[1:])))
    return rows, int(re.search(r"^errors (\d+)", text, re.M)[1])


def load(options, c, mode, *words, timeout=600):
    done = subprocess.run(load_command(options, c, mode, *words), capture_output=True, text=True, timeout=timeout,
                          check=False)
    print(done.stdout, end="", flush=True)
    check("errors" in done.stdout, f"coolbeans_load {mode}: {done.stderr}")
    rows, errors = parse_load(done.stdout)
    check(errors == 0, f"coolbeans_load {mode}: {errors} errors\n{done.stderr}")
    return rows


# ---- /proc ----

def cpu_seconds(c):
    total = 0
    for pid in c.pids().values():
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / TICKS


def anonymous_mb(c, name):
    text = pathlib.Path(f"/proc/{c.pids()[name]}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)[1]) / KIB_PER_MB


# ---- the lines ----

def line_3(options):
    rows = []
    for test, kills, what in (("kill_leader", options.kills, "leader"), ("kill_all", options.all_kills, "all nodes")):
        figures = options.work / f"{test}.json"
        figures.unlink(missing_ok=True)
        subprocess.run([sys.executable, E2E / "kill.py", test, "--bin", options.bin, "--work", options.work,
                        "--kills", str(kills), "--json", figures, "--seed", str(options.seed)], check=False)
        check(figures.exists(), f"{test} came to no figures")
        result = json.loads(figures.read_text())
        rows.append(row(3, f"{kills} x kill -9 of {what} under load: violations (jobs lost, ids reused, ...)", "",
                        result["violations"], at_most=0))
        if test == "kill_leader":
            rows.append(row(3, "longest time to the next acknowledged put", "s", result["stall_max"], at_most=3))
        else:
            say(f"line 3: longest recovery from the loss of all nodes: {result['stall_max']} s")
    return rows


def commit_index(c):
    return max(rpc.status(node["grpc"])["commit"] for node in c.layout()["nodes"])


def settled_index(c):
    """The commit index once it has stopped moving."""
    last = None

    def still():
        nonlocal last
        before, last = last, commit_index(c)
        return last if last == before else None

    return until("a commit index that stays", 30, still, every=2)


def line_4(options):
    with Cluster(options, "idle") as c:
        waiting = subprocess.Popen(load_command(options, c, "wait", "-C", IDLE_CLIENTS, "-t", 600))
        try:
            with Client(c.listen) as client:
                until("the waiting clients", 60, lambda: client.stats()["current-waiting"] == IDLE_CLIENTS, every=0.5)
                index, cpu, start = settled_index(c), cpu_seconds(c), time.monotonic()
                say(f"{IDLE_CLIENTS} clients wait; watching for {IDLE_S} s")
                time.sleep(IDLE_S)  # the measurement itself
                used = (cpu_seconds(c) - cpu) / (time.monotonic() - start)
                entries = commit_index(c) - index
                check(waiting.poll() is None, "the waiting clients ended")
        finally:
            waiting.kill()
            waiting.wait()
    return [row(4, f"idle with {IDLE_CLIENTS} waiting clients: log entries in {IDLE_S} s", "", entries, at_most=0),
            row(4, "CPU of all daemons together", "% of a core", round(100 * used, 2), at_most=1)]


def restart_seconds(c, name):
    """From the start of the program until it has applied all that the others had."""
    c.kill(name)
    goal = commit_index_of_others(c, name)
    address = c.daemons()[name]["grpc"]
    start = time.monotonic()
    c.start(name)
    until(f"{name} at entry {goal}", 120, lambda: rpc.status(address)["applied"] >= goal, every=0.1)
    return time.monotonic() - start


def commit_index_of_others(c, name):
    return max(rpc.status(n["grpc"])["commit"] for n in c.layout()["nodes"] if n["name"] != name)


def restart_all_seconds(c):
    """From the start of the first until a read through the proxy is answered: a leader serves."""
    c.kill(*c.nodes())
    start = time.monotonic()
    c.start(*c.nodes())
    with Client(c.listen, timeout=120) as client:
        ready = client.stats()["current-jobs-ready"]
    check(ready >= MANY_JOBS, f"{ready} of {MANY_JOBS} jobs after the restart")
    return time.monotonic() - start


def line_5(options):
    rows = []
    with Cluster(options, "million") as c:
        empty = load(options, c, "latency", "-t", 5)
        say(f"filling in {MANY_JOBS} jobs")
        load(options, c, "fill", "-P", 16, "-n", MANY_JOBS)
        full = load(options, c, "latency", "-t", 5)
        c.wait_whole()
        memory = {name: anonymous_mb(c, name) for name in c.nodes()}
        say("anonymous memory: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items()))
        rows.append(row(5, f"{MANY_JOBS} ready jobs of 100 bytes: RssAnon of a node", "MB",
                        round(max(memory.values())), at_most=400))
        for command in ("put", "reserve"):
            rows.append(row(5, f"p50 of {command} against an empty queue ({empty[command]['p50']} us)", "times",
                            round(full[command]["p50"] / empty[command]["p50"], 2), at_most=1.5))
        follower = next(n for n in c.nodes() if n != c.leader())
        rows.append(row(5, "a killed follower restarted from disk is level again after", "s",
                        round(restart_seconds(c, follower), 2), at_most=10))
        rows.append(row(5, "all nodes killed and restarted: serving after", "s",
                        round(restart_all_seconds(c), 2), at_most=10))
        after = max(anonymous_mb(c, name) for name in c.nodes())
        rows.append(row(5, "RssAnon of a node after the restart", "MB", round(after), at_most=400))
    return rows


def line_6(options):
    with Cluster(options, "throughput") as c:
        rows = load(options, c, "cycle", "-P", 64, "-C", 64, "-b", 100, "-t", options.seconds)
    with Cluster(options, "latency") as c:
        alone = load(options, c, "latency", "-t", 5)
    return [row(6, "64 producers, 64 consumers: jobs put, reserved and deleted", "per s", rows["delete"]["rate"],
                at_least=8000),
            row(6, "one client alone: put p50", "ms", alone["put"]["p50"] / 1000, at_most=1)]


LINES = {"3": line_3, "4": line_4, "5": line_5, "6": line_6}


def table(rows):
    cells = [("line", "what", "required", "measured", "verdict")]
    cells += [(str(r.line), r.what, r.required, r.measured, "ok" if r.passed else "MISSED") for r in rows]
    widths = [max(len(c[i]) for c in cells) for i in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(c, widths)).rstrip() for c in cells)


def raise_descriptors():
    """The load has a socket for each client, and daemons inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    p = testing.parser(__doc__)
    p.add_argument("--kills", type=int, default=50, help="of the leader")
    p.add_argument("--all-kills", type=int, default=20, help="of all nodes at once")
    p.add_argument("--seconds", type=int, default=20, help="of the throughput run")
    p.add_argument("--json", type=pathlib.Path)
    options = testing.parse(p)
    unknown = set(options.tests) - set(LINES)
    if unknown:
        p.error(f"no line {', '.join(sorted(unknown))}; there are {', '.join(LINES)}")
    raise_descriptors()
    rows, failed = [], []
    for line in options.tests or LINES:
        try:
            rows += LINES[line](options)
        except Exception as error:  # one line that cannot be measured must not hide the others
            say(f"line {line} was not measured: {error}")
            failed.append(Row(int(line), f"not measured: {str(error).splitlines()[0][:80]}", "", "", False))
    rows += failed
    print("\n" + table(rows))
    print("Lines 1 and 2 are shown by scripts/test, scripts/run --check and ctest -L differential.")
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(r) for r in rows], indent=2) + "\n")
    sys.exit(0 if all(r.passed for r in rows) else 1)


if __name__ == "__main__":
    main()
