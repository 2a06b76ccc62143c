#!/usr/bin/env python3
"""The readers of rig/stored call live what a node would use and nothing else; the judges of damage and of two full
disks refuse what must not be."""

import pathlib
import random
import struct
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from rig import damage, room  # noqa: E402  (the path is needed first)
from rig.faults.damage import Closed, Hit  # noqa: E402
from rig.stored import log, piece  # noqa: E402
from rig.stored.state import BRANCH, LEAF, MAGIC, META, NONE, OVERFLOW, State  # noqa: E402

PAGE = 4096
MIB = 1 << 20


def batch(*sizes):
    head = struct.pack("<Q", len(sizes)) + b"".join(struct.pack("<QB3xI", 1, 1, size) for size in sizes)
    return bytes(8) + head + b"e" * sum(sizes)


def segment(*batches, size=0):
    data = struct.pack("<Q", 1) + b"".join(batches)
    return data + bytes(max(0, size - len(data)))


def live_bytes(pieces):
    return sorted(at for p in pieces for at in range(p.at, p.at + p.length))


class Folder(unittest.TestCase):
    def setUp(self):
        self.keep = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.keep.name)

    def tearDown(self):
        self.keep.cleanup()

    def write(self, name, data):
        (self.dir / name).write_bytes(data)
        return self.dir / name


class Log(Folder):
    def test_all_of_closed_segments_without_a_gap(self):
        self.write(f"{1:016}-{1:016}", segment(batch(8)))
        self.write(f"{5:016}-{6:016}", segment(batch(8, 16)))
        newest = self.write(f"{7:016}-{8:016}", segment(batch(8), batch(8)))
        pieces = log.closed(self.dir)
        self.assertEqual({p.path.name[15] for p in pieces}, {"5", "7"})
        self.assertEqual(live_bytes(p for p in pieces if p.path == newest), list(range(newest.stat().st_size)))
        self.assertEqual([p.index for p in pieces if p.path == newest and p.what == "entries"], [7, 8])

    def test_an_open_segment_up_to_its_last_batch(self):
        self.write(f"{1:016}-{4:016}", segment(batch(8, 8, 8, 8)))
        written = segment(batch(8), batch(24, 8))
        first = self.write("open-9", written + bytes(1000))
        second = self.write("open-10", segment(batch(8), size=1000))
        self.write("open-11", bytes(1000))
        pieces = log.opened(self.dir)
        self.assertEqual(live_bytes(p for p in pieces if p.path == first), list(range(len(written))))
        entries = [(p.path, p.index) for p in pieces if p.what == "entries"]
        self.assertEqual(entries, [(first, 5), (first, 6), (second, 8)])

    def test_the_newer_metadata(self):
        self.write("metadata1", struct.pack("<4Q", 1, 9, 4, 2))
        self.write("metadata2", struct.pack("<4Q", 1, 8, 4, 0))
        self.assertEqual({p.path.name for p in log.metadata(self.dir)}, {"metadata1"})
        self.assertEqual(live_bytes(log.metadata(self.dir)), list(range(32)))

    def test_our_own_term_and_vote(self):
        self.write("term-vote", b"coolvote" + struct.pack("<4Q", 1, 9, 2, 77))
        self.assertEqual(live_bytes(log.term_vote(self.dir)), list(range(40)))
        self.assertEqual(log.term_and_vote(self.dir), (9, 2))

    def test_the_newest_marker(self):
        for name in ("snapshot-2-900-5", "snapshot-10-100-7", "snapshot-9-99-8"):
            self.write(name, bytes(24))
            if name != "snapshot-9-99-8":
                self.write(name + ".meta", bytes(64))
        self.assertEqual([p.path.name for p in log.marker(self.dir)], ["snapshot-10-100-7"])
        self.assertEqual([p.path.name for p in log.marker_members(self.dir)], ["snapshot-10-100-7.meta"])


def page(number, kind, *nodes):
    """A page of a tree."""
    data = bytearray(PAGE)
    upper, places = PAGE, []
    for node in nodes:
        upper -= len(node) + len(node) % 2
        data[upper:upper + len(node)] = node
        places.append(upper)
    struct.pack_into("<QHHHH", data, 0, number, 0, kind, 16 + 2 * len(nodes), upper)
    struct.pack_into(f"<{len(places)}H", data, 16, *places)
    return bytes(data)


def leaf_node(key, value, flags=0, size=None):
    size = len(value) if size is None else size
    return struct.pack("<HHHH", size & 0xffff, size >> 16, flags, len(key)) + key + value


def branch_node(key, number):
    return struct.pack("<IHH", number, 0, len(key)) + key


def table(root):
    return struct.pack("<IHHQQQQQ", 0, 0, 1, 0, 1, 0, 1, root)


def root_page(number, txn, main):
    data = bytearray(PAGE)
    struct.pack_into("<QHH", data, 0, number, 0, META)
    struct.pack_into("<IIQQ", data, 16, MAGIC, 1, 0, MIB)
    data[40:88] = struct.pack("<IHHQQQQQ", PAGE, 8, 0, 0, 0, 0, 0, NONE)
    data[88:136] = table(main)
    struct.pack_into("<QQ", data, 136, 9, txn)
    return bytes(data)


class Database(Folder):
    def setUp(self):
        super().setUp()
        meta = leaf_node(b"meta", struct.pack("<I10QQ", 1, *range(100, 110), 0))
        big = leaf_node(b"big", struct.pack("<Q", 7), flags=1, size=5000)
        pages = [root_page(0, 4, NONE), root_page(1, 5, 2),
                 page(2, LEAF, leaf_node(b"node", table(3), flags=2), leaf_node(b"records", table(4), flags=2)),
                 page(3, LEAF, meta),
                 page(4, BRANCH, branch_node(b"xx", 5), branch_node(b"b", 6)),
                 page(5, LEAF, leaf_node(b"a", b"value")), page(6, LEAF, big),
                 struct.pack("<QHHI", 7, 0, OVERFLOW, 2) + b"v" * 5000 + bytes(2 * PAGE - 5016),
                 page(9, LEAF, leaf_node(b"freed", b"value"))]
        self.state = State(self.write("data.mdb", b"".join(pages)))
        self.live = live_bytes(self.state.tables())

    def test_what_the_tables_lead_to(self):
        self.assertEqual(self.state.root.txn, 5)
        self.assertEqual({at // PAGE for at in self.live}, set(range(2, 9)))
        self.assertEqual(len(self.live), len(set(self.live)))
        self.assertEqual([at for at in self.live if at >= 7 * PAGE][-1], 7 * PAGE + 16 + 5000 - 1)
        self.assertEqual(self.state.appended, 106)

    def test_what_nobody_reads(self):
        head = 5 * PAGE
        self.assertNotIn(head + 8, self.live)    # pad
        self.assertNotIn(head + 18, self.live)   # the room between
        self.assertNotIn(4 * PAGE + PAGE - 1, self.live)  # the first key of a branch
        self.assertEqual({p.path for p in self.state.free_list()}, set())

    def test_the_root_that_counts(self):
        self.assertEqual({p.at // PAGE for p in self.state.roots()}, {1})
        data = bytearray(self.state.data)
        data[PAGE + 144] = 1  # its transaction
        self.assertEqual(self.state.newest_root(data).page, 0)
        data[PAGE + 10] = 0
        self.assertIsNone(self.state.newest_root(data))

    def test_of_one_moment(self):
        self.assertTrue(self.state.is_of_one_moment())
        self.write("data.mdb", root_page(0, 8, 2) + self.state.data[PAGE:])
        self.assertFalse(self.state.is_of_one_moment())


class Changes(Folder):
    def test_one_bit_and_an_end(self):
        path = self.write("file", bytes(100))
        place = piece.Piece(path, 10, 50, "x")
        Hit(place, 20, 3).make()
        self.assertEqual(path.read_bytes(), bytes(20) + b"\x08" + bytes(79))
        Hit(place, 20, 3).make()
        Hit(place, 30, None).make()
        self.assertEqual(path.read_bytes(), bytes(30))

    def test_each_byte_may_be_drawn(self):
        path = pathlib.Path("x")
        pieces = [piece.Piece(path, 0, 2, "a"), piece.Piece(path, 5, 1, "b"), piece.Piece(path, 8, 2, "a")]
        rng = random.Random(1)
        for draw in (piece.draw, piece.draw_byte):
            self.assertEqual({draw(pieces, rng)[1] for _ in range(200)}, {0, 1, 5, 8, 9})


class Judges(Folder):
    def fault(self, found):
        fault = Closed(random.Random(1), seconds=1)
        fault.found, fault.target, fault.hit = found, "n1", Hit(piece.Piece(pathlib.Path("x"), 0, 9, "entries"), 4, 1)
        return fault

    def test_what_was_found(self):
        faults = [self.fault(word) for word in ("refused", "refused", "torn")]
        self.assertEqual(damage.counts(faults), {"damage-closed": {"refused": 2, "torn": 1}})
        self.assertEqual(damage.problems(faults), [])

    def test_what_was_not(self):
        for word in ("MISSED", "STUCK", "CRASHED", None):
            self.assertEqual(len(damage.problems([self.fault(word)])), 1)

    def end(self, status, *lines):
        fault = self.fault(None)
        fault.node = types.SimpleNamespace(process=types.SimpleNamespace(returncode=status))
        return fault.word_of_end(["node.listens", *lines], False)

    def test_its_last_words(self):
        self.assertEqual(self.end(1, "fatal: segment x is damaged"), "refused")
        self.assertEqual(self.end(1, "fatal: the log is damaged"), "unnamed")
        self.assertEqual(self.end(1), "CRASHED")
        self.assertEqual(self.end(-11), "CRASHED")
        self.assertEqual(self.end(-6, "fatal: segment x is damaged"), "CRASHED")

    def room(self, *lines):
        lines = ["coolbeans-history 1", "10 20 1 put ok id=1", *lines]
        self.write("history", "".join(f"{line}\n" for line in lines).encode())
        fault = types.SimpleNamespace(made_ns=100, undone_ns=200)
        return room.judge(types.SimpleNamespace(dir=self.dir), [fault])[0]

    def test_two_full_disks(self):
        refused, deleted, again = "110 120 1 put no-room", "130 140 1 delete ok id=1", "210 220 1 put ok id=2"
        self.assertEqual(self.room(refused, deleted, again), [])
        for lines in ((deleted, again), (refused, again), (refused, deleted),
                      (refused, deleted, again.replace("220", str(20 * 10**9)))):
            self.assertEqual(len(self.room(*lines)), 1, lines)


if __name__ == "__main__":
    unittest.main()
