"""What every driver shares: options, deadlines, the verdict. A driver ends with testing.main(...)."""

import argparse
import os
import pathlib
import random
import signal
import sys
import time
import traceback


class Failure(AssertionError):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def until(what, seconds, condition, every=0.02):
    """The first true value of condition(), asked again and again; a failure after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failure(f"{what}: not within {seconds} s (last: {value!r})")
        time.sleep(every)


_began = time.monotonic()


def say(text):
    """One line with the seconds since the start: long steps show that they move."""
    print(f"[{time.monotonic() - _began:6.1f}] {text}", flush=True)


def parser(description):
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tests", nargs="*", help="names of tests; all when none is given")
    p.add_argument("--bin", type=pathlib.Path, required=True, help="the folder of the built programs")
    p.add_argument("--work", type=pathlib.Path, help="folder for the clusters (default: ../e2e beside --bin)")
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.getrandbits(31))
    p.add_argument("--keep", action="store_true", help="keep the clusters' folders")
    return p


def parse(p):
    options = p.parse_args()
    options.bin = options.bin.resolve()
    options.work = (options.work or options.bin.parent / "e2e").resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    print(f"SEED={options.seed}", flush=True)
    return options


def end_by_sigterm():
    """For drivers that are run under timeout(1): what they have started ends with them."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _run(test, options):
    name = test.__name__
    say(f"--- {name}")
    try:
        test(options)
    except Exception:  # the verdict of one test must not keep the next from running
        traceback.print_exc()
        sys.stderr.flush()
        say(f"FAILED {name}")
        return False
    say(f"ok {name}")
    return True


def main(tests, options):
    """Runs the tests that were asked for, all of them even after a failure; exits with the verdict."""
    chosen = [t for t in tests if not options.tests or t.__name__ in options.tests]
    unknown = set(options.tests) - {t.__name__ for t in tests}
    if unknown or not chosen:
        print(f"no such test: {', '.join(sorted(unknown))}; there are: {', '.join(t.__name__ for t in tests)}")
        sys.exit(2)
    failed = [t.__name__ for t in chosen if not _run(t, options)]
    say(f"{len(chosen) - len(failed)} of {len(chosen)} passed" + (f", failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)
