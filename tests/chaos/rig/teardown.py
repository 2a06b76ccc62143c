"""Removes all that a run made: processes, mounts, namespaces. It is found by the run's own prefix and folder.

usage: teardown.py PREFIX DIR, with a pipe from the driver as standard input. Its end is the driver's end, however that
came about (also by SIGKILL); the line "ended" before it says that nothing is left to do.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

NETNS = pathlib.Path("/run/netns")


def output(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout


def spaces(prefix):
    return sorted(p.name for p in NETNS.glob(prefix + "*")) if NETNS.is_dir() else []


def processes(prefix):
    """Those in the namespaces of that run: nobody else can be there."""
    return [int(pid) for space in spaces(prefix) for pid in output("ip", "netns", "pids", space).split()]


def kill_all(prefix):
    end = time.monotonic() + 20
    while (pids := processes(prefix)) and time.monotonic() < end:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def mounts_below(directory):
    """The last mounted first."""
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return [p for p in reversed(places) if p.startswith(f"{directory}/")]


def tear_down(prefix, directory):
    kill_all(prefix)
    for place in mounts_below(directory):
        output("umount", place)
    for place in mounts_below(directory):
        output("umount", "-l", place)
    for space in spaces(prefix):
        output("ip", "netns", "del", space)


def main():
    prefix, directory = sys.argv[1:]
    if os.fork() > 0:  # so that who ends the driver's children does not end this one
        return
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != b"ended\n":
        tear_down(prefix, directory)


if __name__ == "__main__":
    main()
