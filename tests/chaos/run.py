#!/usr/bin/env python3
"""The chaos rig: real daemons in network namespaces under faults, and checkers of what their clients saw.

usage: run.py [EXPERIMENT...] --bin DIR [OPTIONS]      run.py --list      run.py --ledger-sum

    run.py leader-kills --count 200
    run.py mixed --seconds 300 --seed 7       the same seed has the same schedule
    run.py mixed --seconds 60 --faults kill,partition

Exit status: 0, 1 when something was seen that must not be, 77 when this machine cannot do it.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from rig import ledger, libraries, net  # noqa: E402  (first: it knows where the shared library lies)
from lib.testing import Failure, say  # noqa: E402
from rig.experiments import EXPERIMENTS, run  # noqa: E402
from rig.faults import FAULTS  # noqa: E402
from rig.shell import Failed  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("experiments", nargs="*", default=["mixed"], metavar="EXPERIMENT")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="the folder of the daemons")
    p.add_argument("--work", type=pathlib.Path, help="folder for the runs (default: ../chaos-runs beside --bin)")
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or "0") or random.getrandbits(31))
    p.add_argument("--count", type=int, help="of the faults of an experiment that repeats one")
    p.add_argument("--seconds", type=float, help="of an experiment that mixes them")
    p.add_argument("--faults", type=lambda text: text.split(","), help=f"instead of its own: {','.join(FAULTS)}")
    p.add_argument("--rate", type=float, default=2400, help="jobs put a second")
    p.add_argument("--session-timeout", type=int, default=30, metavar="SECONDS",
                   help="of the nodes; the longest faults of proxies go by it (default: 30)")
    p.add_argument("--json", type=pathlib.Path, help="the results as JSON go there too")
    p.add_argument("--ledger", action="store_true", help="adds the runs to ledger.jsonl")
    p.add_argument("--keep", action="store_true", help="keep the histories and logs")
    p.add_argument("--list", action="store_true")
    p.add_argument("--missing-libraries", action="store_true", help="names the client libraries that are not here")
    p.add_argument("--ledger-sum", action="store_true")
    options = p.parse_args()
    for names, known in ((options.experiments, EXPERIMENTS), (options.faults or [], FAULTS)):
        for name in set(names) - set(known):
            p.error(f"there is no {name}; there are: {', '.join(known)}")
    options.bin = options.bin.resolve()
    options.tools = options.bin.parent / "chaos"
    options.work = (options.work or options.bin.parent / "chaos-runs").resolve()
    return options


def run_one(name, options):
    """True: nothing was seen that must not be."""
    keep = options.keep
    try:
        result = run(name, options)
    except Exception as error:  # the verdict of one run must not keep the next from running
        if not isinstance(error, (Failure, Failed)):
            traceback.print_exc()
        say(f"FAILED {name}, seed {options.seed}: {error}")
        return False, None
    finally:
        options.keep = keep
    if options.ledger:
        ledger.add(result)
    return not result["problems"], result


def cannot_run(options):
    """None, or what this machine lacks. The conditions of tests/skips.txt are the same."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    kinds = {kind for name in options.experiments for fault in options.faults or EXPERIMENTS[name].faults
             for kind in FAULTS[fault].DISKS}
    missing = [path for path in ("/dev/fuse", "/dev/loop-control") if kinds and not os.path.exists(path)]
    if missing:
        return f"its disks need {', '.join(missing)}"
    if any(EXPERIMENTS[name].has_libraries for name in options.experiments) and libraries.missing():
        return f"these client libraries are not here: {', '.join(libraries.missing())}"
    why_not = net.can_make()
    return why_not and f"network namespaces cannot be made here: {why_not}"


def main():
    options = parse()
    if options.list:
        for name, e in EXPERIMENTS.items():
            print(f"{name:18} {e.text} ({f'{e.count} times' if e.count else f'{e.seconds} s'})")
        return 0
    if options.missing_libraries:
        print(*libraries.missing())
        return 0
    if options.ledger_sum:
        ledger.tell_sum()
        return 0
    why_not = cannot_run(options)
    if why_not:
        print(f"skipped: {why_not}")
        return SKIPPED
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    options.work.mkdir(parents=True, exist_ok=True)
    print(f"SEED={options.seed}", flush=True)
    done = [run_one(name, options) for name in options.experiments]
    if options.json:
        options.json.write_text(json.dumps([result for _, result in done], indent=1) + "\n")
    return 0 if all(good for good, _ in done) else 1


if __name__ == "__main__":
    sys.exit(main())
