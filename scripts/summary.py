#!/usr/bin/env python3
"""Adds up the runs of ctest and holds the skips against tests/skips.txt.

usage: summary.py SKIPS_FILE FOLDER | --self-test
FOLDER has NAME.junit.xml of each run and PRESET.tests.json, the tests that each preset has. The last
line printed is `N passed, N failed, N skipped`; exit 1 when a test failed, a skip is not as listed, or
no test ran.
"""

import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree


def output_of(*command, seconds=10):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return None


def has_clang_format_14():
    runs = [output_of(name, "--version") for name in ("clang-format-14", "clang-format")]
    return any(run and "version 14." in run.stdout for run in runs)


def has_netns():
    run = output_of("unshare", "--net", "true") if shutil.which("ip") else None
    return run is not None and run.returncode == 0


def has_test_disks():
    """What the chaos rig makes small and lossy disks of."""
    return os.geteuid() == 0 and all(os.path.exists(path) for path in ("/dev/fuse", "/dev/loop-control"))


def has_client_libraries():
    """Those of the chaos rig, tests/chaos/rig/libraries.py."""
    here = pathlib.Path(__file__).resolve().parents[1]
    run = output_of(sys.executable, here / "tests/chaos/run.py", "--missing-libraries", seconds=60)
    return run is not None and run.returncode == 0 and not run.stdout.strip()


CONDITIONS = {
    "if-no-clang-format-14": lambda: not has_clang_format_14(),
    "if-no-netns": lambda: not has_netns(),
    "if-no-netns-or-disks": lambda: not has_netns() or not has_test_disks(),
    "if-no-netns-or-libraries": lambda: not has_netns() or not has_client_libraries(),
    "if-not-root": lambda: os.geteuid() != 0,
}


def expected_skips(text):
    """({names that must be skipped here}, {all names listed}); ValueError for a line of another form."""
    expected, listed = set(), set()
    for number, line in enumerate(text.splitlines(), 1):
        words, _, reason = line.partition("#")
        words = words.split()
        if not words:
            continue
        if len(words) > 2 or not reason.strip() or (len(words) == 2 and words[1] not in CONDITIONS):
            raise ValueError(f"skips, line {number}: not of the form NAME [CONDITION]  # REASON")
        listed.add(words[0])
        if len(words) == 1 or CONDITIONS[words[1]]():
            expected.add(words[0])
    return expected, listed


def outcome(case):
    """passed, failed or skipped. A test that is disabled or that ctest could not start has failed."""
    skipped = case.find("skipped")
    if case.get("status") == "run" and skipped is None:
        return "passed"
    if skipped is not None and "SKIP_RETURN_CODE" in (skipped.get("message") or ""):
        return "skipped"
    return "failed"


def read_runs(folder):
    """{outcome: [run: test]} and the skipped and run names."""
    cases = {"passed": [], "failed": [], "skipped": []}
    for path in sorted(folder.glob("*.junit.xml")):
        run = path.name[:-len(".junit.xml")]
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            cases[outcome(case)].append((run, case.get("name")))
    return cases


def known_tests(folder):
    names = set()
    for path in folder.glob("*.tests.json"):
        names |= {test["name"] for test in json.loads(path.read_text())["tests"]}
    return names


def check_skips(text, cases, known):
    try:
        expected, listed = expected_skips(text)
    except ValueError as error:
        return [str(error)]
    skipped = {name for _, name in cases["skipped"]}
    ran = {name for _, name in cases["passed"] + cases["failed"]}
    return ([f"{name} was skipped and is not in the list for this machine" for name in sorted(skipped - expected)]
            + [f"{name} ran, yet the list says that it is skipped here" for name in sorted(ran & expected)]
            + [f"{name} is in the list and there is no such test" for name in sorted(listed - known)])


def summarise(skips_text, folder):
    cases = read_runs(folder)
    for run, name in cases["failed"]:
        print(f"failed: {name} ({run})")
    for run, name in cases["skipped"]:
        print(f"skipped: {name} ({run})")
    wrong = check_skips(skips_text, cases, known_tests(folder)) if any(cases.values()) else ["no test ran"]
    for line in wrong:
        print(f"skips: {line}")
    print(", ".join(f"{len(cases[kind])} {kind}" for kind in ("passed", "failed", "skipped")), flush=True)
    return 1 if cases["failed"] or wrong else 0


SELF = """<testsuite><testcase name="a" status="run"/><testcase name="b" status="%s">%s</testcase></testsuite>"""
SKIP = '<skipped message="SKIP_RETURN_CODE=77"/>'
GONE = '<skipped message="Unable to find executable: b"/>'


def self_test():
    cases = [
        ("all pass", "run", "", "", 0),
        ("a failure", "fail", "<failure/>", "", 1),
        ("no executable", "notrun", GONE, "", 1),
        ("a listed skip", "notrun", SKIP, "b  # why", 0),
        ("an unlisted skip", "notrun", SKIP, "", 1),
        ("a skip that no longer happens", "run", "", "b  # why", 1),
        ("a listed test that is gone", "run", "", "c if-not-root  # why", 1),
        ("a skip without a reason", "notrun", SKIP, "b", 1),
        ("an unknown condition", "notrun", SKIP, "b if-rain  # why", 1),
    ]
    wrong = 0
    for name, ran, inside, skips, wanted in cases:
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place)
            (folder / "x.junit.xml").write_text(SELF % (ran, inside))
            (folder / "x.tests.json").write_text(json.dumps({"tests": [{"name": "a"}, {"name": "b"}]}))
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                status = summarise(skips, folder)
            if status != wanted:
                print(f"self-test '{name}': wanted exit {wanted}, it said:\n{said.getvalue()}")
                wrong += 1
    print(f"self-test: {len(cases) - wrong} of {len(cases)} as wanted")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(summarise(pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2])))
