#!/usr/bin/env python3
"""lossfs forgets what was not synced, and nothing else.

It has no unnamed files: a node says so and does not start, but with the library that makes them of named ones.

usage: test_lossfs.py LOSSFS LIBRARY NODE
"""

import mmap
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
LENGTH = 64 * 1024


class Mount:
    def __init__(self, program, folder):
        self.program, self.backing, self.place = program, folder / "backing", folder / "mount"
        self.backing.mkdir()
        self.place.mkdir()
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, self.backing, self.place])
        end = time.monotonic() + 10
        while not os.path.ismount(self.place):
            assert time.monotonic() < end and self.process.poll() is None, "lossfs does not mount"
            time.sleep(0.01)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(10)
        subprocess.run(["umount", "-l", self.place], check=True)

    def fail(self, number=signal.SIGKILL):
        self.end(number)
        self.start()

    def open(self, name, flags=0):
        return os.open(self.place / name, os.O_RDWR | os.O_CREAT | flags, 0o600)

    def read(self, name):
        return (self.place / name).read_bytes()


def synced_stays_unsynced_goes(m):
    fd = m.open("a")
    os.pwrite(fd, b"s" * LENGTH, 0)
    os.fdatasync(fd)
    os.pwrite(fd, b"u" * 1000, 100)
    os.pwrite(fd, b"v" * LENGTH, LENGTH)
    assert m.read("a") == b"s" * 100 + b"u" * 1000 + b"s" * (LENGTH - 1100) + b"v" * LENGTH, "a reader sees all"
    os.close(fd)
    m.fail()
    assert m.read("a") == b"s" * LENGTH + bytes(LENGTH), "what was synced, and zeros where the file has grown"


def a_synced_write_is_on_disk(m):
    """With O_DIRECT and RWF_DSYNC, as libraft writes its log. The kernel makes a sync of the whole file of it."""
    page = mmap.mmap(-1, 4096)
    fd = m.open("b", os.O_DIRECT)
    page[:] = b"d" * 4096
    os.pwritev(fd, [page], 0, os.RWF_DSYNC)
    page[:] = b"u" * 4096
    os.pwritev(fd, [page], 4096)
    os.close(fd)
    m.fail()
    assert m.read("b") == b"d" * 4096 + bytes(4096)


def a_torn_write_keeps_whole_sectors(m):
    fd = m.open("c")
    os.pwrite(fd, b"s" * LENGTH, 0)
    os.fsync(fd)
    os.pwrite(fd, b"t" * LENGTH, 0)
    os.close(fd)
    m.fail(signal.SIGUSR1)
    data = m.read("c")
    sectors = [data[i:i + 512] for i in range(0, LENGTH, 512)]
    assert all(s in (b"s" * 512, b"t" * 512) for s in sectors), "a sector is old or new"
    assert 0 < sectors.count(b"t" * 512) < len(sectors), "some of them are new"


def a_power_failure_is_seen_at_any_moment(m):
    """Also while the last request, the end of a file, is still answered."""
    for _ in range(40):
        fd = m.open("z")
        os.pwrite(fd, b"z" * 4096, 0)
        os.close(fd)
        m.fail(signal.SIGUSR1)


def truncate_and_rename_hold(m):
    fd = m.open("d")
    os.pwrite(fd, b"x" * 5000, 0)
    os.ftruncate(fd, 100)
    os.ftruncate(fd, 5000)
    os.rename(m.place / "d", m.place / "e")
    os.pwrite(fd, b"y" * 10, 0)
    assert m.read("e") == b"y" * 10 + b"x" * 90 + bytes(4900), "no old bytes behind the end"
    os.fsync(fd)
    os.close(fd)
    m.fail()
    assert m.read("e")[:100] == b"y" * 10 + b"x" * 90 and not (m.place / "d").exists()


MAKE_UNNAMED = """
import os, sys
fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_WRONLY, 0o600)
os.write(fd, b"hidden")
os.link(f"/proc/self/fd/{fd}", sys.argv[1] + "/f", src_dir_fd=0, follow_symlinks=True)  # by linkat, as libraft does
"""


def unnamed_files_come_with_the_library(m):
    make = [sys.executable, "-c", MAKE_UNNAMED, str(m.place)]
    assert subprocess.run(make, stderr=subprocess.DEVNULL, check=False).returncode != 0, "lossfs has them itself"
    subprocess.run(make, env={**os.environ, "LD_PRELOAD": sys.argv[2]}, check=True)
    assert m.read("f") == b"hidden" and not list(m.place.glob("tmp-*"))


def a_node_does_not_start_without(m):
    words = [sys.argv[3], "--name", "n1", "--data-dir", str(m.place / "node"), "--cluster", "n1=127.0.0.1:1", "--insecure"]
    r = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert r.returncode == 1 and "has no unnamed files" in r.stderr, r.stderr


def main():
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "true"], check=False).returncode != 0 \
            or not all(os.path.exists(path) for path in ("/dev/fuse", "/dev/loop-control")):
        print("skipped: not a machine for the rig's disks")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        mount = Mount(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        try:
            for test in (synced_stays_unsynced_goes, a_synced_write_is_on_disk,
                         a_torn_write_keeps_whole_sectors, a_power_failure_is_seen_at_any_moment, truncate_and_rename_hold,
                         unnamed_files_come_with_the_library, a_node_does_not_start_without):
                test(mount)
                print(f"ok {test.__name__}", flush=True)
        finally:
            mount.end(signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
