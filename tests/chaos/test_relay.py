#!/usr/bin/env python3
"""chaos_relay delays what it is told to, loses and changes nothing, and keeps the order unless told.

usage: test_relay.py RELAY
"""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from rig import net  # noqa: E402  (the path is needed first)
from rig.relay import Relay  # noqa: E402

SKIPPED, PORT, LENGTH = 77, 7000, 16 << 20
DATA = hashlib.shake_256(b"relay").digest(LENGTH)
QUIET_S, LOST_S = 0.2, 5
libc = ctypes.CDLL(None, use_errno=True)


def in_thread(act):
    """Runs it in a thread of its own; a function that waits for what it returns."""
    done = []
    thread = threading.Thread(target=lambda: done.append(act()), daemon=True)
    thread.start()

    def wait():
        thread.join(30)
        assert done, "a thread failed, or does not end"
        return done[0]
    return wait


class Pair:
    """Two hosts, h1 with the relay in its link."""

    def __init__(self, program):
        self.net, self.program = net.Net(), program

    def make(self):
        self.net.make()
        for name, number in (("h1", 11), ("h2", 12)):
            self.net.add(name, number)

    def socket(self, host, kind):
        """A thread may be on another host than its process, and a socket stays where it was made."""
        def make():
            with (net.NETNS / self.net.space(host)).open() as space:
                assert libc.setns(space.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            return socket.socket(socket.AF_INET, kind)
        return in_thread(make)()

    @contextlib.contextmanager
    def relay(self, *words):
        between = Relay(self.net, self.program, "h1", words)
        between.begin()
        try:
            yield
        finally:
            between.end()

    def ask(self, count):
        """That many packets at once: seconds until the first was there, their numbers in their order. A while after the
        last of them for those that come twice."""
        with self.socket("h1", socket.SOCK_DGRAM) as near, self.socket("h2", socket.SOCK_DGRAM) as far:
            far.bind((self.net.hosts["h2"], PORT))
            near.connect(far.getsockname())
            begin, first, got = time.monotonic(), None, []
            for i in range(count):
                near.send(b"%d" % i)
            with contextlib.suppress(TimeoutError):
                while True:
                    far.settimeout(QUIET_S if len(got) >= count else LOST_S)
                    got.append(int(far.recv(100)))
                    first = first or time.monotonic() - begin
        return first, got

    def carry(self):
        """One stream of all the data: seconds."""
        with self.socket("h1", socket.SOCK_STREAM) as near, self.socket("h2", socket.SOCK_STREAM) as server:
            server.bind((self.net.hosts["h2"], PORT))
            server.listen()

            def take():
                far, _ = server.accept()
                with far:
                    whole = hashlib.sha256()
                    while piece := far.recv(1 << 16):
                        whole.update(piece)
                return whole.digest()
            wait, begin = in_thread(take), time.monotonic()
            near.connect(server.getsockname())
            near.sendall(DATA)
            near.shutdown(socket.SHUT_WR)
            assert wait() == hashlib.sha256(DATA).digest(), "other bytes came"
        return time.monotonic() - begin


def check(pair):
    everything = list(range(100))
    plain, numbers = pair.ask(100)
    assert numbers == everything, numbers
    for words, least in (["--delay=0"], 0), (["--delay=40000"], 0.04), (["--delay=10000", "--jitter=30000"], 0.01):
        with pair.relay(*words):
            first, numbers = pair.ask(100)
        print(f"{' '.join(words)}: {first * 1e3:.1f} ms, {plain * 1e3:.1f} without it")
        assert first >= least and numbers == everything, (words, first, numbers)
    with pair.relay("--delay=1000", "--jitter=20000", "--overtake=30", "--seed=1"):
        _, numbers = pair.ask(100)
    assert sorted(numbers) == everything and numbers != everything, numbers
    with pair.relay("--delay=1000", "--twice=20", "--seed=1"):
        _, numbers = pair.ask(100)
    assert sorted(set(numbers)) == everything and len(numbers) > 110, numbers
    with pair.relay("--delay=2000", "--jitter=1000"):
        print(f"{LENGTH / pair.carry() / 1e6:.0f} MB/s through it")
    print(f"{LENGTH / pair.carry() / 1e6:.0f} MB/s without it")
    assert pair.ask(100)[1] == everything  # it left nothing behind


def main():
    why_not = "network namespaces need root" if os.geteuid() != 0 else net.can_make()
    if why_not:
        print(f"skipped: {why_not}")
        return SKIPPED
    pair = Pair(sys.argv[1])
    guard = subprocess.Popen([sys.executable, HERE / "rig/teardown.py", pair.net.prefix, "/nonexistent"],
                             stdin=subprocess.PIPE)
    guard.wait()  # it goes on in a session of its own, and removes all that is left when this ends in whatever way
    pair.make()
    check(pair)
    return 0


if __name__ == "__main__":
    sys.exit(main())
