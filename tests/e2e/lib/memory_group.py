"""A memory cgroup for one process and all that it keeps in the page cache (v1 or v2), as a machine of that size.

Made below the caller's own group, so that its limits hold as well. In v2 a group that has processes may have no such
child: then below the nearest group above that hands memory on. None of this needs systemd; it needs the right to make
folders there, which root has and a container often has not.
"""

import contextlib
import pathlib
import resource
import time

MOUNTS = pathlib.Path("/proc/self/mounts")
OWN = pathlib.Path("/proc/self/cgroup")
GOES_S = 10


class Impossible(Exception):
    """No group can be made here; the text says why."""


def _mounted(kind, option=None):
    for line in MOUNTS.read_text().splitlines():
        _, where, found, options = line.split()[:4]
        if found == kind and (option is None or option in options.split(",")):
            return pathlib.Path(where)
    return None


def _own(controller):
    """The caller's group; "" is the controller's name in v2."""
    for line in OWN.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""


def _parent_v1():
    mount = _mounted("cgroup", "memory")
    if mount is None:
        raise Impossible("cgroup v1 has no memory controller here")
    own = mount / _own("memory")
    return own if own.is_dir() else mount  # in a container the path may be the host's


def _parent_v2():
    mount = _mounted("cgroup2")
    if mount is None:
        raise Impossible("no cgroup v2")
    group = mount / _own("")
    group = group if group.is_dir() else mount
    while True:
        if "memory" in (group / "cgroup.subtree_control").read_text().split():
            return group
        if group == mount:
            raise Impossible(f"no group in {mount} hands the memory controller on (cgroup.subtree_control)")
        group = group.parent


class MemoryGroup:
    """Raises Impossible."""

    def __init__(self, name, limit):
        reasons = []
        for parent, files in ((_parent_v2, V2), (_parent_v1, V1)):
            try:
                self.path = parent() / name
                self.path.mkdir()
            except (Impossible, OSError) as error:
                reasons.append(str(error))
                continue
            self.files = files
            try:
                (self.path / files.limit).write_text(str(limit))
                for file, value in files.also.items():
                    if (self.path / file).exists():  # not where swap is not counted
                        (self.path / file).write_text(value or str(limit))
            except OSError as error:
                self.path.rmdir()
                reasons.append(str(error))
                continue
            return
        raise Impossible("; ".join(reasons))

    def command(self):
        """What runs a program in the group, under the same process id."""
        return ["/bin/sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$0" "$@"']

    def _number(self, file, key=None):
        """0 where the kernel does not have it."""
        try:
            text = (self.path / file).read_text()
        except OSError:
            return 0
        if key is None:
            return int(text)
        return next((int(line.split()[1]) for line in text.splitlines() if line.split()[0] == key), 0)

    def used(self):
        """Bytes, page cache included."""
        return self._number(self.files.used)

    def most(self):
        return self._number(self.files.most)

    def cache(self):
        return self._number("memory.stat", self.files.cache)

    def read_again(self):
        """Bytes of files that were read from the disk again because their pages had been taken back. v1 has no count of
        that: memory.failcnt stays 0 when swap is bounded as well."""
        return self._number("memory.stat", "workingset_refault_file") * resource.getpagesize()

    def killed(self):
        """Processes that the kernel ended for want of memory."""
        return self._number(*self.files.killed)

    def remove(self):
        """Once its processes have ended, which the kernel notices a little later."""
        end = time.monotonic() + GOES_S
        while self.path.exists():
            try:
                self.path.rmdir()
            except OSError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.05)


class V1:
    name = "v1"
    limit, used, most, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "cache"
    killed = ("memory.oom_control", "oom_kill")
    also = {"memory.memsw.limit_in_bytes": None, "memory.swappiness": "0"}  # no swap beyond it


class V2:
    name = "v2"
    limit, used, most, cache = "memory.max", "memory.current", "memory.peak", "file"
    killed = ("memory.events", "oom_kill")
    also = {"memory.swap.max": "0"}


def groups(names, limit):
    """{name: group}, all of them or Impossible."""
    made = {}
    try:
        for name, group in names.items():
            made[name] = MemoryGroup(group, limit)
    except Impossible:
        for group in made.values():
            with contextlib.suppress(OSError):
                group.remove()
        raise
    return made
