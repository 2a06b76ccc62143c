#!/usr/bin/env python3
"""Planted faults: is each of them found by the simulator, and how soon?

usage: mutants.py [--seeds N] [--jobs N] [--dir DIR] [--root DIR] [--sane N] [--list] [NAME...]

A mutant is a patch NAME.patch beside this file: a small unified diff against the tree, below a head of lines

    # breaks: what it does to the product, or to the ground it stands on
    # property: which checks of the simulator should see it, with commas
    # options: more options for the simulator (may be missing)

Sources are copied to DIR/tree (default build/mutants), where one patch after the other is laid on, built, run and
taken off again. What the simulator cannot find because the product does not need it stands in needless.txt, with
the reason; one that is found all the same has no place there.

Exit status 1: the simulator fails without any mutant, a patch does not apply or build, or a mutant is not found.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
COPIED = ["CMakeLists.txt", "cmake", "deploy", "proto", "scripts", "src", "tests"]
FAILED = re.compile(r"^seed (\d+): (?:VIOLATION (.+?) at \d+\.\d+ s: |(CRASH .+?)$)(.*)", re.MULTILINE)
HISTORY = re.compile(r"\bP\d+\b")
ASSERTED = re.compile(r"^(?:BUG|fatal): .*", re.MULTILINE)


class Broken(Exception):
    """What keeps the mutants from being tried; its text is a sentence."""


class Mutant:
    def __init__(self, name, path):
        self.name = name
        self.path = path
        head = {}
        self.files = []
        with open(path, encoding="utf-8") as f:
            for line in f:
                m = re.match(r"# (\w+): (.*)", line)
                if m and not self.files:
                    head[m.group(1)] = m.group(2).strip()
                m = re.match(r"\+\+\+ b/(\S+)", line)
                if m:
                    self.files.append(m.group(1))
        if "breaks" not in head or "property" not in head or not self.files:
            raise Broken(f"{path} has no head with 'breaks' and 'property', or no diff against a/ and b/.")
        self.breaks = head["breaks"]
        self.properties = [p.strip() for p in head["property"].split(",")]
        self.options = head.get("options", "").split()


def read_mutants():
    names = sorted(f[: -len(".patch")] for f in os.listdir(HERE) if f.endswith(".patch"))
    return [Mutant(n, os.path.join(HERE, n + ".patch")) for n in names]


def read_needless(names):
    """Name -> reason. A line is 'NAME: reason'; one that is indented goes on with the reason."""
    needless = {}
    last = None
    with open(os.path.join(HERE, "needless.txt"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace() and last:
                needless[last] += " " + line.strip()
                continue
            last, _, reason = line.partition(":")
            if last not in names:
                raise Broken(f"needless.txt names {last}, but there is no {last}.patch.")
            needless[last] = reason.strip()
    return needless


# ---- the tree ----


def put_file(src, dst):
    """Leaves a file alone that is the same: it need not be built again."""
    with open(src, "rb") as f:
        new = f.read()
    if os.path.exists(dst):
        with open(dst, "rb") as f:
            if f.read() == new:
                return
    os.makedirs(os.path.dirname(dst), exist_ok=True)
    with open(dst, "wb") as f:
        f.write(new)
    shutil.copymode(src, dst)


def files_below(root):
    for top in COPIED:
        path = os.path.join(root, top)
        if os.path.isfile(path):
            yield top
        for folder, dirs, files in os.walk(path):
            dirs[:] = [d for d in dirs if d not in ("__pycache__", "node_modules", "mutants")]
            for f in files:
                yield os.path.relpath(os.path.join(folder, f), root)


def run(command, what, **kw):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **kw)
    if r.returncode != 0:
        raise Broken(f"{what}:\n{r.stdout[-3000:]}")


class Tree:
    def __init__(self, root, base, jobs):
        self.root = root
        self.path = os.path.join(base, "tree")
        self.build_path = os.path.join(base, "build")
        self.jobs = jobs
        self.program = os.path.join(self.build_path, "tests", "coolbeans-sim")

    def sync(self):
        here = set(files_below(self.root))
        for f in here:
            put_file(os.path.join(self.root, f), os.path.join(self.path, f))
        for f in set(files_below(self.path)) - here:
            os.remove(os.path.join(self.path, f))

    def configure(self):
        run(["cmake", "-S", self.path, "-B", self.build_path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
             "-DCB_WERROR=OFF"], "The copied tree cannot be configured")

    def build(self, what):
        run(["ninja", "-C", self.build_path, "-j", str(self.jobs), "coolbeans-sim"], f"{what} does not build")

    def lay_on(self, m):
        run(["patch", "-p1", "--no-backup-if-mismatch", "-i", m.path],
            f"{m.name}.patch does not apply any more: lay it out anew for the code as it is now", cwd=self.path)

    def take_off(self, m):
        for f in m.files:
            src = os.path.join(self.root, f)
            if os.path.exists(src):
                put_file(src, os.path.join(self.path, f))
            for left in (".orig", ".rej"):
                if os.path.exists(os.path.join(self.path, f + left)):
                    os.remove(os.path.join(self.path, f + left))


# ---- runs ----


class Found:
    """The first seed that fails, by which check, and its sentence."""

    def __init__(self, seed, by, text):
        self.seed = seed
        self.by = by
        self.text = text


def simulate(tree, count, options):
    """Returns the first failure, or None."""
    r = subprocess.run(
        [tree.program, "--first", "1", "--count", str(count), "--jobs", str(tree.jobs), "-q", "--stop-at-first"]
        + options, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    first = None
    for m in FAILED.finditer(r.stderr):
        seed = int(m.group(1))
        if first is None or seed < first.seed:
            by, text = m.group(2) or m.group(3), m.group(4)
            if by == "history":
                p = HISTORY.search(r.stderr, m.start(4))
                by = p.group(0) if p else by
            elif m.group(3):
                a = ASSERTED.search(r.stderr)
                by, text = "crash", m.group(3) + (": " + a.group(0) if a else "")
            first = Found(seed, by, text.strip())
    if first is None and r.returncode != 0:
        raise Broken(f"The simulator ends with {r.returncode}: {r.stderr[-1000:]}")
    return first


def try_one(tree, m, args, reason):
    """Prints a row; True when all is as it should be."""
    start = time.monotonic()
    try:
        tree.lay_on(m)
        tree.build(m.name)
        built = time.monotonic()
        found = simulate(tree, args.seeds, m.options)
    finally:
        tree.take_off(m)
    seconds = f"{built - start:6.1f} {time.monotonic() - built:7.1f}"
    if found is None:
        good = reason is not None
        print(f"{m.name:34} {'needless' if good else 'NOT FOUND':>9} {'':16} {seconds}  {reason or m.breaks}", flush=True)
        return good
    note = "" if found.by in m.properties else f"  (expected {', '.join(m.properties)})"
    good = reason is None
    if not good:
        note = "  IS FOUND, but stands in needless.txt"
    print(f"{m.name:34} {found.seed:9} {found.by:16} {seconds}  {found.text[:args.width]}{note}", flush=True)
    return good


def must_be_clean(tree, count):
    tree.build("The tree without a mutant")
    found = simulate(tree, count, [])
    if found is not None:
        raise Broken(f"The simulator without a mutant fails at seed {found.seed} ({found.by}: {found.text}): "
                     "mend that first.")


def try_all(mutants, needless, args):
    tree = Tree(os.path.abspath(args.root), os.path.abspath(args.dir), args.jobs)
    tree.sync()
    tree.configure()
    start = time.monotonic()
    must_be_clean(tree, args.sane)
    print(f"without a mutant: {args.sane} seeds, clean, {time.monotonic() - start:.0f} s\n")
    print(f"{'mutant':34} {'seed':>9} {'found by':16} {'build':>6} {'run':>7}  ", flush=True)
    bad = []
    for m in mutants:
        try:
            if not try_one(tree, m, args, needless.get(m.name)):
                bad.append(m.name)
        except Broken as e:
            print(f"{m.name:34} {e}", flush=True)
            bad.append(m.name)
    tree.build("The tree without a mutant")
    print(f"\n{len(mutants)} mutants, {len(bad)} not as they should be{': ' if bad else ''}{', '.join(bad)}; "
          f"{time.monotonic() - start:.0f} s")
    return not bad


def main():
    p = argparse.ArgumentParser(description="Planted faults: does the simulator find them?")
    p.add_argument("--seeds", type=int, default=1000, help="how many a mutant has to survive to count as not found")
    p.add_argument("--sane", type=int, default=50, help="seeds that must be clean before")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--dir", default=os.path.join(ROOT, "build", "mutants"))
    p.add_argument("--root", default=ROOT, help="the sources to copy, when not those around this file")
    p.add_argument("--width", type=int, default=100, help="of the sentences")
    p.add_argument("--list", action="store_true", help="names and what they break, and no runs")
    p.add_argument("names", nargs="*", metavar="NAME", help="only these")
    args = p.parse_args()
    mutants = read_mutants()
    names = {m.name for m in mutants}
    needless = read_needless(names)
    unknown = [n for n in args.names if n not in names]
    if unknown:
        raise Broken(f"There is no mutant {unknown[0]}; --list names them all.")
    mutants = [m for m in mutants if not args.names or m.name in args.names]
    if args.list:
        for m in mutants:
            print(f"{m.name:34} {m.breaks} [{', '.join(m.properties)}]"
                  + (f" needless: {needless[m.name]}" if m.name in needless else ""))
        return True
    return try_all(mutants, needless, args)


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except Broken as e:
        sys.exit(f"{e}")
