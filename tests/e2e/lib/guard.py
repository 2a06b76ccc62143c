"""Ends a cluster when the driver that started it is gone, however it went (also by SIGKILL of ctest).

usage: guard.py BIN DIR, with a pipe from the driver as standard input: its end is the driver's end.
"""

import os
import signal
import subprocess
import sys


def main():
    program, directory = sys.argv[1:]
    if os.fork() > 0:  # so that who ends the driver's children does not end this one
        return
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == b"ended\n":
        return
    subprocess.run([program, "dev", "stop", "--dir", directory], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120, check=False)


if __name__ == "__main__":
    main()
