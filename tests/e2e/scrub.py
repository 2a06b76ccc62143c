#!/usr/bin/env python3
"""What changes on the disk under a node that runs, and that its memory still has as it was, is found: a record of the state ends
the node with a sentence, before it could serve it; a segment of the log is reported. The others go on. Where disks of their own
cannot be made for the nodes, the test is skipped."""

from lib import small_disks
from lib.small_disks import Rig
from lib.testing import check, equal, until

MARK = b"the mark that is looked for"
FOUND_S = 25  # a pass takes a moment, a rest 10 s
WORDS = ["--scrub", "64m"]


def places_of(path, mark):
    data = path.read_bytes()
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def the_state(options):
    with Rig(options, "scrub-state", WORDS) as rig:
        c = rig.client()
        body = bytes(50000) + MARK  # in pages of its own, which no other record's commit writes anew
        job = c.put(body)
        node = rig.followers()[0]
        goal = rig.leader().status()["applied"]
        until("it is stored", 10, lambda: node.status()["durable"] >= goal)
        until("a pass", FOUND_S, lambda: node.status()["counters"]["scrub_passes"] > 0)
        file = node.disk.data / "state" / "db" / "data.mdb"
        for at in list(places_of(file, MARK)):
            node.disk.flip_below(file, at + 5)
        check(any(True for _ in places_of(file, MARK)), "the page cache has the changed bytes: this shows nothing")
        equal(node.process.wait(FOUND_S), 1, "exit status")
        said = node.log.read_text()
        for word in ["/state/db", "does not match its checksum on the disk", "rebuild this node under a new id"]:
            check(word in said, f"it does not say {word!r}: {said[-2000:]}")
        equal(c.peek(job), (job, body), "the job, from the others")


def the_log(options):
    with Rig(options, "scrub-log", WORDS) as rig:
        c = rig.client()
        for _ in range(12):
            c.delete(c.put(bytes(900000) + MARK))
        node = rig.followers()[0]

        def closed():
            return [p for p in (node.disk.data / "raft").glob("*-0*") if not p.name.startswith("open") and any(places_of(p, MARK))]

        file = until("a closed segment", 10, closed)[0]
        node.disk.flip_below(file, next(places_of(file, MARK)) + 5)
        until("it is found", FOUND_S, lambda: node.status()["counters"]["scrub_damaged_segments"] == 1)
        check(f"{file}, at byte" in node.log.read_text(), "the log does not name the file")
        check(node.lives(), "it has ended")
        c.delete(c.put(b"x"))


if __name__ == "__main__":
    small_disks.main([the_state, the_log], __doc__)
