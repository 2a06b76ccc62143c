#!/usr/bin/env python3
"""The long runs of the simulator, one line of JSON each in ledger.jsonl, and what they add up to.

usage: ledger.py state FILE | add STATE JSON COMPILER | sum | compare JSON | --self-test

A run counts for the sources that it ran: `src` is a hash of the files of src/ as they were, whether or not they were
committed by then, and `sim` is one of the simulator, which decides what a seed means. `state` writes both and the
commit (with + when src/ or the simulator differed from it) to FILE before a run, `add` puts the run's line into the
ledger, `sum` shows what the runs of the sources as they are now add up to. `digest` is that of all runs of a line: with
the same sources `coolbeans-sim --first FIRST_SEED --count SEEDS --json FILE` gives it again, on any machine: `compare`
fails when a run whose seeds are those of a line has another digest than that, so that a machine which runs the same seeds
differently is found.
"""

import fnmatch
import hashlib
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lint"))

import lintlib  # noqa: E402, its folder is in the path only now

LEDGER = HERE / "ledger.jsonl"
SRC = ["src"]
SIM = ["tests/sim/*.[ch]", "tests/support", "tests/history", "tests/model"]
HEAD = ["first_seed", "seeds", "failed", "cluster_hours", "node_hours", "real_seconds", "cpu_seconds", "cores"]

# What issue 3 asks of the runs on the final code.
TARGETS = [
    ("node-hours", "node_hours", 3000),
    ("seeds", "seeds", 50000),
    ("elections", "sim.elections", 50000),
    ("crashes", "sim.crashes", 50000),
    ("installs", "replica.installs", 10000),
]
CLUSTER_HOURS_PER_CORE_HOUR = 500


def git(*arguments):
    command = ["git", "-C", str(ROOT), "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names_of(paths):
    """Of the tree's files, those that match one, or lie below it."""
    names = [str(path.relative_to(ROOT)) for path in lintlib.files(ROOT)]
    return [n for n in names if any(fnmatch.fnmatchcase(n, p) or n.startswith(p + "/") for p in paths)]


def digest_of(paths):
    """Of names and contents in the work tree, so that a commit of them changes nothing."""
    whole = hashlib.sha256()
    for name in sorted(names_of(paths)):
        whole.update(f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:12]


def sources():
    return {"src": digest_of(SRC), "sim": digest_of(SIM)}


def state():
    dirty = git("status", "--porcelain", "--", *SRC, *SIM).strip()
    return {"commit": git("rev-parse", "--short", "HEAD").strip() + ("+" if dirty else ""), **sources()}


def line_of(run, where, compiler, when):
    line = {"date": when, **where, "compiler": compiler}
    line.update({name: run[name] for name in HEAD})
    line["digest"] = run["digest"]
    line["counters"] = {name: value for name, value in run.items() if "." in name}
    return line


def read(path=LEDGER):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def total(runs):
    """One line that is all of them."""
    whole = {name: sum(run[name] for run in runs) for name in HEAD if name not in ("first_seed", "cores")}
    whole["counters"] = {}
    for run in runs:
        for name, value in run["counters"].items():
            whole["counters"][name] = whole["counters"].get(name, 0) + value
    return whole


def tell_target(name, value, wanted):
    print(f"  {name:<28} {value:>14,.0f}  of {wanted:>7,}  {'reached' if value >= wanted else 'not yet'}")


def tell(runs):
    whole = total(runs)
    print(f"  {'runs':<28} {len(runs):>14,}")
    print(f"  {'failed seeds':<28} {whole['failed']:>14,}  {'may not be' if whole['failed'] else 'none may be'}")
    for name, key, wanted in TARGETS:
        tell_target(name, whole.get(key, whole["counters"].get(key, 0)), wanted)
    speed = whole["cluster_hours"] * 3600 / max(whole["cpu_seconds"], 1)
    tell_target("cluster-hours per core-hour", speed, CLUSTER_HOURS_PER_CORE_HOUR)
    zero = sorted(name for name, value in whole["counters"].items() if value == 0)
    print(f"  counters at zero: {', '.join(zero) if zero else 'none'}")


def tell_sum():
    runs, now = read(), state()
    here = [run for run in runs if run["src"] == now["src"]]
    print(f"The sources as they are now (src {now['src']}, commit {now['commit']}):")
    if here:
        tell(here)
        older = sum(run["sim"] != now["sim"] for run in here)
        if older:
            print(f"  {older} of them by an earlier state of the simulator")
    else:
        print("  no run yet: make sim")
    for src in dict.fromkeys(run["src"] for run in runs if run["src"] != now["src"]):
        those = [run for run in runs if run["src"] == src]
        whole = total(those)
        print(f"Earlier: src {src}, commits {', '.join(dict.fromkeys(run['commit'] for run in those))}: "
              f"{whole['seeds']:,} seeds, {whole['failed']} failed, {whole['node_hours']:,.0f} node-hours")


def differing(run, where, runs):
    """(lines of the same sources and seeds, those of them that have another digest)."""
    same = [line for line in runs if all(line[name] == where[name] for name in ("src", "sim"))
            and all(line[name] == run[name] for name in ("first_seed", "seeds"))]
    return same, [line for line in same if line["digest"] != run["digest"]]


def compare(run, where, runs):
    same, others = differing(run, where, runs)
    for line in others:
        print(f"ledger: seeds {run['first_seed']} and on give {run['digest']} here, and gave {line['digest']} to "
              f"{line['compiler']} on {line['date']}: the simulator is not the same on every machine")
    if not others:
        print(f"ledger: {len(same)} lines of these sources have the same seeds, and the same digest")
    return 1 if others else 0


def self_test():
    run = {"first_seed": 1, "seeds": 5, "digest": "a"}
    where = {"src": "s", "sim": "t", "commit": "c"}
    line = {**run, **where, "compiler": "cc", "date": "today"}
    cases = [([], 0), ([line], 0), ([{**line, "digest": "b"}], 1), ([line, {**line, "digest": "b"}], 1),
             ([{**line, "digest": "b", "src": "x"}], 0), ([{**line, "digest": "b", "sim": "x"}], 0),
             ([{**line, "digest": "b", "seeds": 6}], 0), ([{**line, "digest": "b", "first_seed": 2}], 0)]
    wrong = [n for n, (runs, wanted) in enumerate(cases) if compare(run, where, runs) != wanted]
    print(f"self-test: {len(cases) - len(wrong)} of {len(cases)} as wanted")
    return 1 if wrong else 0


def main(arguments):
    if arguments[:1] == ["state"] and len(arguments) == 2:
        pathlib.Path(arguments[1]).write_text(json.dumps(state()))
    elif arguments[:1] == ["add"] and len(arguments) == 4:
        where, run = (json.loads(pathlib.Path(name).read_text()) for name in arguments[1:3])
        line = line_of(run, where, arguments[3], time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()))
        with open(LEDGER, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        print("ledger: " + ", ".join(f"{name} {line[name]}" for name in ("date", "commit", *HEAD)))
    elif arguments == ["sum"]:
        tell_sum()
    elif arguments[:1] == ["compare"] and len(arguments) == 2:
        return compare(json.loads(pathlib.Path(arguments[1]).read_text()), sources(), read())
    elif arguments == ["--self-test"]:
        return self_test()
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
