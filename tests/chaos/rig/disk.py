"""The disk of a node: a folder; or a small file system of its own that can get full; on it, where asked, lossfs, which
forgets what was not synced.

    full   loop-mounted ext4
    loss   lossfs
"""

import errno
import os
import subprocess

from lib import small_disks
from lib.testing import until
from rig.shell import run

SIZE_MIB = 512
BLOCK = 4096


class Disk:
    def __init__(self, rig, name, kinds):
        self.rig, self.name, self.kinds = rig, name, kinds
        self.base = rig.dir / f"{name}.disk"
        self.data = rig.dir / f"{name}.data" if "loss" in kinds else self.base / "data"
        self.image = rig.dir / f"{name}.img"
        self.lossfs = None

    def make(self):
        self.base.mkdir()
        if "full" in self.kinds:
            self._mount_ext4()
        if "loss" in self.kinds:
            (self.base / "data").mkdir()
            self.data.mkdir()
            self.mount_lossfs()

    def _mount_ext4(self):
        with self.image.open("wb") as f:
            f.truncate(SIZE_MIB << 20)
        run("mkfs.ext4", "-q", "-m", "0", self.image)
        run("mount", "-o", "loop", self.image, self.base)

    # ---- full ----

    def fill(self, leave_bytes):
        """Takes all but that much. The filler lies beside the node's folder. How much there really is shows only when it
        is taken: the file system keeps some for itself."""
        with (self.base / "filler").open("wb") as f:
            end, piece = 0, SIZE_MIB << 20
            while piece >= BLOCK:
                try:
                    os.posix_fallocate(f.fileno(), end, piece)
                    end += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
            f.truncate(max(0, end - leave_bytes))

    def empty(self):
        (self.base / "filler").unlink(missing_ok=True)

    def flip_below(self, path, offset, bit):
        """On the disk, not in the page cache."""
        small_disks.flip_below(self.image, path, offset, bit)

    # ---- loss ----

    def libraries(self):
        """To be preloaded by who runs on it: lossfs has no unnamed files."""
        return [str(self.rig.options.tools / "libchaos_tmpfile.so")] if "loss" in self.kinds else []

    def mount_lossfs(self):
        log = (self.rig.dir / f"{self.name}.lossfs.log").open("ab")
        self.lossfs = subprocess.Popen(
            self.rig.net.within(self.name) + [self.rig.options.tools / "lossfs", str(self.base / "data"), str(self.data)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        until(f"lossfs of {self.name}", 10, lambda: os.path.ismount(self.data))

    def lose(self, number):
        """The power fails: what was not synced is gone, when `number` is the number of SIGUSR1 (torn) all but half
        of its sectors. The node must have ended before."""
        self.lossfs.send_signal(number)
        self.lossfs.wait(30)
        run("umount", "-l", self.data)
        self.mount_lossfs()
