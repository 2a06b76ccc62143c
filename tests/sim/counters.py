#!/usr/bin/env python3
"""Does a long run of the simulator reach what it is for?

usage: counters.py [--at-least SEEDS] JSON | --self-test

JSON is what `coolbeans-sim --json` wrote. In a run of that many seeds (1,000 unless told) every counter must be above
zero, but for those in unreached.txt beside this file: one that is listed there as `never` must be zero, so that the
list stays true; one that is `rare` may be either. A shorter run proves nothing and passes.

Exit status 1: a counter is not as it must be, or the list is not of its form.
"""

import argparse
import json
import pathlib
import sys

AT_LEAST = 1000
LIST = pathlib.Path(__file__).with_name("unreached.txt")
KINDS = ("never", "rare")


def counters_of(run):
    return {name: value for name, value in run.items() if "." in name}


def parse_list(text):
    """{name: kind}; ValueError for a line of another form."""
    kinds = {}
    for number, line in enumerate(text.splitlines(), 1):
        words, _, reason = line.partition("#")
        words = words.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in KINDS or not reason.strip():
            raise ValueError(f"unreached.txt:{number}: not of the form NAME never|rare  # REASON")
        kinds[words[0]] = words[1]
    return kinds


def wrong_counters(counters, kinds):
    """Sentences, none when all is as it must be."""
    wrong = [f"{name} is listed and there is no such counter" for name in kinds if name not in counters]
    for name, value in counters.items():
        kind = kinds.get(name)
        if value == 0 and kind is None:
            wrong.append(f"{name} is zero: nothing of the run reached it")
        if value > 0 and kind == "never":
            wrong.append(f"{name} is {value}, yet the list says that nothing reaches it")
    return wrong


def check(run, text, at_least):
    try:
        kinds = parse_list(text)
    except ValueError as error:
        print(error)
        return 1
    if run["seeds"] < at_least:
        print(f"counters: {run['seeds']} seeds are too few to tell; they are looked at from {at_least} on")
        return 0
    wrong = wrong_counters(counters_of(run), kinds)
    for line in wrong:
        print(f"counters: {line}")
    print(f"counters: {len(wrong)} of {len(counters_of(run))} not as they must be")
    return 1 if wrong else 0


def self_test():
    run = {"seeds": 10, "a.x": 1, "a.y": 0, "a.z": 0}
    cases = [
        ("all as it must be", "a.y never # why\na.z rare # why", 10, 0),
        ("a zero that is not listed", "a.y never # why", 10, 1),
        ("a run too short", "", 11, 0),
        ("listed, yet reached", "a.x never # why\na.y never # why\na.z rare # why", 10, 1),
        ("rare and reached", "a.x rare # why\na.y never # why\na.z rare # why", 10, 0),
        ("no such counter", "a.w never # why\na.y never # why\na.z rare # why", 10, 1),
        ("no reason", "a.y never\na.z rare # why", 10, 1),
        ("another word", "a.y seldom # why\na.z rare # why", 10, 1),
    ]
    failed = [name for name, text, at_least, wanted in cases if check(run, text, at_least) != wanted]
    print(f"self-test: {len(cases) - len(failed)} of {len(cases)} as wanted", *failed)
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    parser.add_argument("--at-least", type=int, default=AT_LEAST)
    parser.add_argument("json", type=pathlib.Path)
    arguments = parser.parse_args()
    return check(json.loads(arguments.json.read_text()), LIST.read_text(), arguments.at_least)


if __name__ == "__main__":
    sys.exit(main())
