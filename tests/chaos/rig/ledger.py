"""The long runs of the rig, one line of JSON each in tests/chaos/ledger.jsonl, and what they add up to."""

import collections
import hashlib
import json
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
LEDGER = HERE / "ledger.jsonl"
SUMS = ["seconds", "commands", "acked", "deleted", "lost", "duplicated", "errors", "closed", "misfits", "unanswered"]


def git(*arguments):
    done = subprocess.run(["git", "-C", str(ROOT), "-c", "safe.directory=*", *arguments], capture_output=True, text=True,
                          check=False)
    return done.stdout


def digest_of(paths):
    """Of names and contents in the work tree, so that a commit of them changes nothing."""
    whole = hashlib.sha256()
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths).split("\0")
    for name in sorted(set(names) - {""}):
        if (ROOT / name).is_file():
            whole.update(f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:12]


def state():
    """A run counts for the sources that it ran: `src` is a hash of src/ as it was, committed or not."""
    dirty = git("status", "--porcelain", "--", "src").strip()
    return {"commit": git("rev-parse", "--short", "HEAD").strip() + ("+" if dirty else ""), "src": digest_of(["src"])}


def line_of(result):
    names = ["experiment", "commit", "src", "seed", "rate", *SUMS, "elections", "violations", "stalls"]
    line = {"date": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()), **{n: result[n] for n in names}}
    if result["found"]:
        line["found"] = result["found"]
    line["problems"] = len(result["problems"])
    return line


def add(result):
    with LEDGER.open("a", encoding="utf-8") as f:
        f.write(json.dumps(line_of(result)) + "\n")


def read():
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


def tell_sum():
    """Of each state of src/, by experiment."""
    now = state()["src"]
    rows = {}
    for line in read():
        rows.setdefault((line["src"] != now, line["src"], line["experiment"]), []).append(line)
    for (_, src, name), lines in sorted(rows.items()):
        total = {n: sum(line[n] for line in lines) for n in SUMS}
        faults = {}
        for line in lines:
            for fault, both in line["stalls"].items():
                faults[fault] = faults.get(fault, 0) + both["next"]["count"]
        found = collections.Counter()
        for row in (row for line in lines for row in line.get("found", {}).values()):
            found.update(row)
        print(f"{'now ' if src == now else ''}src {src} {name}: {len(lines)} runs, {total['seconds']:.0f} s, "
              f"{total['acked']} puts, lost {total['lost']}, duplicated {total['duplicated']}, errors "
              f"{total['errors']}, closed {total['closed']}; "
              + ", ".join(f"{n} x {fault}" for fault, n in sorted(faults.items()))
              + ("; damage: " + ", ".join(f"{n} {word}" for word, n in sorted(found.items())) if found else ""))
