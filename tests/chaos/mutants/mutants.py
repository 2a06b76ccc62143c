#!/usr/bin/env python3
"""Planted faults: does the chaos rig find each of them?

usage: mutants.py [--dir DIR] [--jobs N] [--tries N] [--seed N] [--list] [NAME...]

mutants.txt beside this file names them and the run of the rig that must find them. Sources are copied to DIR/tree
(default build/chaos-mutants), where one patch after the other is laid on, built, run and taken off again. Without
any, a first run there must find nothing; what the tests with the label chaos show is the same for all kinds of them.

Exit status 1: that run finds something, a patch does not apply or build, or a mutant is not found.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SIM = ROOT / "tests/sim/mutants"
TARGETS = ["coolbeans-node", "coolbeans-proxy", "coolbeans", "chaos_load", "chaos_measure", "chaos_relay", "chaos_tmpfile", "lossfs",
           "history_check"]
RUN_S = 900
SANE = ["mixed", "--faults", "kill,power,delay", "--seconds", "12"]

spec = importlib.util.spec_from_file_location("sim_mutants", SIM / "mutants.py")
sim = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sim)


class Tree(sim.Tree):
    """The copied tree of the simulator's mutants, with the rig's programs built in it."""

    def sync(self):
        super().sync()
        modules = pathlib.Path(self.path, "tests/e2e/clients/node/node_modules")
        if not modules.is_symlink():  # which scripts/setup installs, and nobody copies
            modules.symlink_to(ROOT / modules.relative_to(self.path))

    def build(self, what):
        sim.run(["ninja", "-C", self.build_path, "-j", str(self.jobs), *TARGETS], f"{what} does not build")


def read_list():
    """{name: words of the run}"""
    lines = (HERE / "mutants.txt").read_text().splitlines()
    rows = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): run.split() for name, _, run in rows}


def mutant(name):
    path = HERE / f"{name}.patch"
    return sim.Mutant(name, str(path if path.exists() else SIM / f"{name}.patch"))


def try_once(tree, words, seed):
    """What was found: the names of the properties, or the first problem. None: nothing."""
    result = pathlib.Path(tree.path).parent / "result.json"
    result.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, os.path.join(tree.path, "tests/chaos/run.py"), *words, "--bin",
                           os.path.join(tree.build_path, "bin"), "--seed", str(seed), "--json", str(result)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=RUN_S, check=False)
    if done.returncode == 0:
        return None
    if done.returncode == 77:
        raise sim.Broken(done.stdout.strip())
    runs = json.loads(result.read_text()) if result.exists() else [None]
    if runs[0] is None:
        failed = re.search(r"FAILED .*", done.stdout)
        return failed[0] if failed else done.stdout[-300:]
    wrong = ", ".join(f"{name} x {n}" for name, n in runs[0]["violations"].items())
    return wrong or runs[0]["problems"][0]


def try_one(tree, name, words, args):
    """Prints a row; True when it was found."""
    m, start, found = mutant(name), time.monotonic(), None
    try:
        tree.lay_on(m)
        tree.build(name)
        for i in range(args.tries):
            found = try_once(tree, words, args.seed + i)
            if found:
                break
    finally:
        tree.take_off(m)
    text = f"seed {args.seed + i}: {found}" if found else "NOT FOUND"
    print(f"{name:24} {time.monotonic() - start:5.0f} s  {' '.join(words)}\n{'':33}{text[:160]}", flush=True)
    return found is not None


def main():
    p = argparse.ArgumentParser(description="Planted faults: does the chaos rig find them?")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--tries", type=int, default=3, help="seeds for each")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--dir", default=str(ROOT / "build/chaos-mutants"))
    p.add_argument("--list", action="store_true", help="names and what they break, and no runs")
    p.add_argument("names", nargs="*", metavar="NAME", help="only these")
    args = p.parse_args()
    rows = read_list()
    for name in args.names:
        if name not in rows:
            raise sim.Broken(f"There is no mutant {name}; --list names them all.")
    chosen = args.names or list(rows)
    if args.list:
        for name in chosen:
            print(f"{name:24} {mutant(name).breaks}")
        return True
    tree = Tree(str(ROOT), args.dir, args.jobs)
    tree.sync()
    tree.configure()
    tree.build("The copied tree")
    found = try_once(tree, SANE, args.seed)
    if found:
        raise sim.Broken(f"Without any mutant: {found}")
    missed = []
    for name in chosen:
        try:
            if not try_one(tree, name, rows[name], args):
                missed.append(name)
        except sim.Broken as error:
            print(f"{name:24} {error}", flush=True)
            missed.append(name)
    print(f"\n{len(chosen)} mutants, {len(missed)} not found{': ' if missed else ''}{', '.join(missed)}")
    return not missed


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except sim.Broken as error:
        sys.exit(f"{error}")
