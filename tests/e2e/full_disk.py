#!/usr/bin/env python3
"""Full disks (design D9): one changes nothing; two make puts be refused while all else goes on, and only until there is room;
a node starts on one, takes part or says that it waits, and goes on by itself. Where disks of their own cannot be made for the
nodes, the test is skipped."""

import time

from lib import small_disks
from lib.beanstalk import Refused
from lib.small_disks import RESERVE_MIB, Rig
from lib.testing import check, equal, say, until


def put(c, body=b"x"):
    """The answer's word."""
    try:
        c.put(body)
        return "INSERTED"
    except Refused as refusal:
        return refusal.word


def work(c, seconds):
    """Jobs go through, and none waits for long."""
    end, longest, count = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        began = time.monotonic()
        equal(put(c), "INSERTED", "a put")
        c.delete(c.reserve(0)[0])
        longest = max(longest, time.monotonic() - began)
        count += 1
    say(f"{count} jobs, the longest {longest:.3f} s")
    check(longest < 2, f"a job took {longest:.3f} s")


def one_full_disk(options):
    """Of a follower, for so long that it has no segment of its log left; then it goes on by itself. Of the leader."""
    with Rig(options, "one") as rig:
        c = rig.client()
        full, other = rig.followers()
        full.disk.fill()
        work(c, 1)
        many = 28  # MiB: more than the log has prepared
        for _ in range(many):
            c.send(b"put 0 0 60 %d\r\n%s\r\n" % (1 << 20, bytes(1 << 20)))
        jobs = [c.reply(r"INSERTED (\d+)")[1] for _ in range(many)]
        until("the full node says what it waits for", 10, lambda: "to write its log" in (full.status()["waits"] or ""))
        equal(full.healthz()[0], 503, "its health")
        check(str(full.disk.data) in full.healthz()[1], full.healthz()[1])
        check(not rig.leader().status()["puts_refused"], "puts are refused for one full disk")
        for job in jobs:
            c.delete(job)
        full.disk.empty()
        began = time.monotonic()
        other.kill()  # so that nothing goes without what this one writes
        equal(put(c), "INSERTED", "a put")
        took = time.monotonic() - began
        say(f"it went on {took:.1f} s after there was room")
        check(took < 5, f"its log went on {took:.1f} s after there was room")
        until("its health", 5, lambda: full.healthz()[0] == 200)
        other.start()
        c.delete(c.reserve(0)[0])
        rig.wait_caught_up(other)
        rig.leader().disk.fill()
        work(c, 1)


def two_full_disks(options):
    with Rig(options, "two") as rig:
        c = rig.client()
        for i in range(6):
            c.put(b"%d" % i)
        low = rig.followers()
        for node in low:
            node.disk.fill()
        until("a refused put", 10, lambda: put(c) == "OUT_OF_MEMORY", every=0.1)
        equal(put(c, b""), "OUT_OF_MEMORY", "an empty put")
        job, _ = c.reserve(0)
        c.touch(job)
        c.release(job)
        job, _ = c.reserve(0)
        c.bury(job)
        equal(c.kick(1), 1, "kicked")
        for _ in range(3):
            c.delete(c.reserve(0)[0])
        said = rig.ctl()
        for word in ["OUT_OF_MEMORY", f"{RESERVE_MIB}.0M"] + [f"  {n.name} has " for n in low]:
            check(word in said, f"status does not say {word!r}: {said}")
        check(rig.leader().status()["puts_refused"], "/status does not say that puts are refused")
        low[0].disk.fill(RESERVE_MIB << 20)  # room, but a quarter more is wanted
        time.sleep(2.5)
        equal(put(c), "OUT_OF_MEMORY", "a put with a little more room")
        low[0].disk.empty()
        until("a put", 10, lambda: put(c) == "INSERTED", every=0.1)
        low[1].disk.empty()
        work(c, 1)
        check("OUT_OF_MEMORY" not in rig.ctl(), "status still says that puts are refused")


def start_on_a_full_disk(options):
    with Rig(options, "start") as rig:
        c = rig.client()
        node = rig.followers()[0]
        ballast = node.disk.data / "ballast"
        until("the ballast", 5, ballast.exists)
        node.kill()
        node.disk.fill()
        work(c, 0.5)
        node.start()
        until("it follows", 10, lambda: node.status()["role"] == "follower")
        rig.wait_caught_up(node)  # its unused segments are room enough for that
        equal(put(c), "INSERTED", "a put")
        check("the ballast is given up" in node.log.read_text(), "no word of the ballast in the log")

        say("without a ballast")
        node.kill()
        ballast.unlink(missing_ok=True)
        node.disk.fill()
        node.start()
        until("it waits", 10, lambda: "before it can open its log" in (node.status()["waits"] or ""))
        equal(node.status()["role"], "starting", "its role")
        equal(node.healthz()[0], 503, "its health")
        check(f"{node.name}: the disk of {node.disk.data} is full" in rig.ctl(), f"status does not say so: {rig.ctl()}")
        work(c, 0.5)
        check("space.none" in node.log.read_text(), "no word of it in the log")
        node.disk.empty()
        until("its health", 5, lambda: node.healthz()[0] == 200)
        rig.wait_caught_up(node)

        say("all at once, two on full disks")
        for n in rig.nodes:
            n.kill()
        for n in rig.nodes[:2]:
            n.disk.fill()
        for n in rig.nodes:
            n.start()
        until("a refused put", 20, lambda: put(c) == "OUT_OF_MEMORY", every=0.1)
        c.delete(c.reserve(0)[0])
        for n in rig.nodes:
            n.disk.empty()
        until("a put", 10, lambda: put(c) == "INSERTED", every=0.1)


if __name__ == "__main__":
    small_disks.main([one_full_disk, two_full_disks, start_on_a_full_disk], __doc__)
