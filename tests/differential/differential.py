#!/usr/bin/env python3
"""Proves that coolbeans answers what beanstalkd answers: random scripts of several connections and the
scenarios of the checklist, each against both, compared byte for byte (ids, times, the process's own masked).

  differential.py --seeds 200 [--start N]         random scripts against a cluster of `coolbeans dev`
  differential.py --scenarios [NAME ...]          scenarios/*.bt
  differential.py --target HOST:PORT ...          a cluster that runs already
  differential.py --coolbeans PATH ...            the program that starts one
  differential.py --beanstalkd-twice ...          beanstalkd on both sides: tests this harness
  differential.py --self-test                     also plants divergences, which must be found

Without --seeds and --scenarios it runs both. Exit status 1 when something differs."""

import argparse
import os
import sys
import time

import planted
import scenario
import script
import tandem
from server import Beanstalkd, Cluster, Target

HERE = os.path.dirname(os.path.abspath(__file__))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, help="how many random scripts")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--scenarios", nargs="*", metavar="NAME", help="scenarios (all without a name)")
    parser.add_argument("--target", help="HOST:PORT of a running proxy that nobody else uses")
    parser.add_argument("--coolbeans", help="the coolbeans program", default=os.environ.get("COOLBEANS"))
    parser.add_argument("--beanstalkd-twice", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    return parser.parse_args()


def program(arguments):
    if arguments.coolbeans:
        return arguments.coolbeans
    for preset in ("release", "debug"):
        path = os.path.join(HERE, "..", "..", "build", preset, "bin", "coolbeans")
        if os.path.exists(path):
            return os.path.normpath(path)
    sys.exit("no coolbeans program: build it, or give --coolbeans, --target or --beanstalkd-twice")


def other_side(arguments):
    if arguments.beanstalkd_twice:
        return Beanstalkd()
    if arguments.target:
        return Target(arguments.target)
    return Cluster(program(arguments))


def repeat_line(arguments, seed):
    words = [a for a in sys.argv[1:] if a in ("--beanstalkd-twice",) or a.startswith("--coolbeans=")]
    if arguments.target:
        words.append("--target " + arguments.target)
    if arguments.coolbeans and "--coolbeans" in sys.argv:
        words.append("--coolbeans " + arguments.coolbeans)
    return " ".join(["tests/differential/differential.py --seeds 1 --start %d" % seed] + words)


def random_scripts(left, right, arguments):
    """How many scripts differed, and the exceptions that were seen."""
    failed, saw = 0, set()
    began = time.monotonic()
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        steps = script.make(seed)
        difference, first = tandem.run(left, right, steps)
        saw |= first.saw
        if difference is not None:
            failed += 1
            print("seed %d differs: %s" % (seed, difference))
            shorter = tandem.shrink(left, right, steps)
            difference, last = tandem.run(left, right, shorter)
            print("  the shortest script found:")
            for line in last.transcript if difference else first.transcript[-30:]:
                print("    " + line)
            print("  again: " + repeat_line(arguments, seed), flush=True)
        if seed % 50 == 0:
            print("seed %d, %.0f s" % (seed, time.monotonic() - began), flush=True)
    print("%d random scripts, %d differ" % (arguments.seeds, failed), flush=True)
    return failed, saw


def exceptions():
    """Item -> reason."""
    found = {}
    with open(os.path.join(HERE, "exceptions.txt"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                item, reason = line.strip().split(" ", 1)
                found[int(item)] = reason
    return found


def unexplained(saw, arguments):
    """Complains about items that differ without being in the list, and those listed that do not differ."""
    if arguments.beanstalkd_twice:
        return 0
    listed = exceptions()
    new = sorted(saw - set(listed))
    gone = sorted(set(listed) - saw)
    for item in new:
        print("item %d differs and is not in exceptions.txt" % item)
    whole = arguments.scenarios == [] and arguments.seeds
    for item in gone if whole else []:
        print("item %d is in exceptions.txt and does not differ any more" % item)
    return len(new) + (len(gone) if whole else 0)


def main():
    arguments = parse()
    if arguments.self_test:
        return planted.self_test()
    if arguments.seeds is None and arguments.scenarios is None:
        arguments.seeds, arguments.scenarios = 200, []
    left, right = Beanstalkd(), other_side(arguments)
    failed, saw = 0, set()
    try:
        left.clean()
        right.clean()
        if arguments.scenarios is not None:
            fails, saw_there = scenario.run_all(HERE, arguments.scenarios, left, right)
            failed, saw = failed + fails, saw | saw_there
        if arguments.seeds:
            fails, saw_there = random_scripts(left, right, arguments)
            failed, saw = failed + fails, saw | saw_there
    finally:
        left.stop()
        right.stop()
    return 1 if failed + unexplained(saw, arguments) else 0


if __name__ == "__main__":
    sys.exit(main())
