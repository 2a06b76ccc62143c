"""One bit of what a node stored is another, or a file of it has lost its end: the node is killed, bytes are changed, it
is started. A class for each place where live bytes lie (rig/stored says which those are).

It must be found, before anybody is served by it. How it was, a word of FOUND:

    refused   the node does not start, and its sentence names the file
    unnamed   the same, and the sentence names what is damaged (the log, the marker), not the file
    ended     it started, and ended with a sentence that names the file before its scrub had made a pass: by the scrub,
              or where it met the damage itself
    torn      of an open segment: it started without the entries from there on, as after a crash in the middle of a
              write. Right only where the node had not noted them in its state (`appended_index`, every 200 ms, design
              D12). The others have what was acknowledged of them
    older     it started from what was stored before, which is kept on purpose: the marker before (libraft skips one
              whose checksum is wrong and says nothing; the log still reaches back that far), the state before the last
              commit (LMDB's other root page; a crash within the commit leaves the same, and the log has the rest)
    overruled of libraft's files with term and vote: its log says that it started with those that it had stored, by the
              file of our own that has a checksum

Anything else makes the run fail:

    MISSED    it started, and a whole pass of its scrub said nothing
    STUCK     it neither followed nor ended
    CRASHED   it ended by a signal, or without a sentence

Then the data are again what they were when the node was killed, if it took no part meanwhile. Some of those nodes are
replaced by a new one under a new id instead, as the sentence tells the operator. A node that took part and is well goes
on: it may have voted and written, so that to put the old bytes back would be another damage. One that took part and is
not well is replaced, so that later rounds do not meet its damage again.
"""

import json
import random
import shutil
import time
from typing import NamedTuple

from lib.testing import check, until
from rig.cluster import GRPC
from rig.faults.base import Base
from rig.shell import Failed, run
from rig.stored import log, piece
from rig.stored.state import BIG_VALUE, State

FOUND = ["refused", "unnamed", "ended", "torn", "older", "overruled"]
MISSED, STUCK, CRASHED = "MISSED", "STUCK", "CRASHED"
BAD = [MISSED, STUCK, CRASHED]
HTTP = "127.0.0.1:11380"  # in each node's own namespace
NODE_WORDS = ("--http", HTTP, "--scrub", "64m")
STARTS_S, PASS_S = 60, 90
LOOK_EVERY_S = 0.1
REPLACE_S, REPLACE_ONCE_S = 180, 30
NEAR = 1000  # entries: it follows
CUT_SHARE, REPLACE_SHARE, OURS_SHARE = 0.35, 0.1, 0.5
KEPT = b"kept body"  # keep.py
SENTENCE, TAKES_PART = "fatal: ", "raft.role "  # how lines of a log begin


class Hit(NamedTuple):
    piece: piece.Piece
    byte: int
    bit: int  # None: the file ends there

    def __str__(self):
        where = f"byte {self.byte} of {self.piece.path.name} ({self.piece.what})"
        return f"it ends before {where}" if self.bit is None else f"bit {self.bit} of {where}"

    def make(self):
        with self.piece.path.open("r+b") as f:
            if self.bit is None:
                f.truncate(self.byte)
                return
            f.seek(self.byte)
            value = f.read(1)[0]
            f.seek(self.byte)
            f.write(bytes([value ^ 1 << self.bit]))


class Damage(Base):
    LOW, HIGH = 0.3, 1.5
    FILE = None  # what the sentence has to name; None: the file that was hit

    def draw(self, rng):
        self.rng = random.Random(rng.getrandbits(64))
        self.is_cut = self.rng.random() < CUT_SHARE
        self.wants_new = self.rng.random() < REPLACE_SHARE
        self.hit = self.found = None
        self.said = ""

    def details(self):
        return f"{self.hit}: {self.found}" if self.found else f"{self.hit or ''}"

    # ---- the place ----

    def is_there(self, data):
        """Whether the running node has such bytes, near enough."""
        return True

    def live(self, data):
        """[Piece], of a node that does not run."""
        raise NotImplementedError

    def excuse(self, rig):
        """None, or the word for why the node may have started."""
        return None

    def is_borne_out(self, lines):
        """Whether the log of a node that has started bears that word out."""
        return True

    # ---- the harm ----

    def start(self, rig):
        until(f"{self.NAME}: what is to be damaged", 60, lambda: all(self.is_there(d.data) for d in rig.disks.values()),
              every=0.1)
        super().start(rig)

    def harm(self, rig):
        self.node = rig.nodes[self.target]
        self.at_ns = self.node.kill()
        self.data = rig.disks[self.target].data
        self.whole = self.data.with_name("whole")
        run("cp", "-a", "--sparse=always", self.data, self.whole)
        pieces = self.live(self.data)
        check(pieces, f"{self.NAME}: {self.target} has no such bytes")
        found, byte = piece.draw_byte(pieces, self.rng) if self.is_cut else piece.draw(pieces, self.rng)
        self.hit = Hit(found, byte, None if self.is_cut else self.rng.randrange(8))
        self.hit.make()

    # ---- what the node makes of it ----

    def mend(self, rig):
        self.log_begins = self.node.log.stat().st_size
        excuse = self.excuse(rig)
        self.node.start()
        self.node.wanted = False  # it is not started again by rig.watch()
        came = self.wait(rig, STARTS_S, lambda: self.follows(rig))
        if came and came != "ended" and not (excuse and self.is_borne_out(self.lines())):
            came = self.wait(rig, PASS_S, lambda: self.passed(rig))
            excuse = MISSED
        lines = self.lines()
        took_part = any(line.startswith(TAKES_PART) for line in lines)
        self.found = STUCK if came is None else excuse if came != "ended" else self.word_of_end(lines, took_part)
        rig.expected.add(self.said)
        self.go_on(rig, took_part)

    def wait(self, rig, seconds, condition):
        """True, "ended" with the node, None when it is too late."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rig.watch()
            if not self.node.is_alive():
                return "ended"
            if condition():
                return True
            time.sleep(LOOK_EVERY_S)
        return None

    def follows(self, rig):
        members = {m["name"]: m for m in rig.status()["members"] if m["alive"]}
        return self.target in members and members[self.target]["role"] in ("follower", "leader") and \
            members[self.target]["applied"] >= max(m["applied"] for m in members.values()) - NEAR

    def passed(self, rig):
        try:
            status = json.loads(run(*rig.net.within(self.target), "curl", "-s", f"http://{HTTP}/status"))
            return status["counters"]["scrub_passes"] > 0
        except (Failed, ValueError):
            return False

    def lines(self):
        with self.node.log.open("rb") as f:
            f.seek(self.log_begins)
            return f.read().decode(errors="replace").splitlines()

    def word_of_end(self, lines, took_part):
        said = [line for line in lines if line.startswith(SENTENCE)]
        if self.node.process.returncode != 1 or not said:
            self.said = f"exit {self.node.process.returncode}: {lines[-1]}"
            return CRASHED
        self.said = said[-1]
        is_named = (self.FILE or self.hit.piece.path.name) in self.said
        return "unnamed" if not is_named else "ended" if took_part else "refused"

    # ---- afterwards ----

    def go_on(self, rig, took_part):
        is_well = self.node.is_alive() and self.found not in BAD
        if self.found == STUCK or (not is_well if took_part else self.wants_new):
            self.replace(rig)
        elif not took_part:
            shutil.rmtree(self.data)
            self.whole.rename(self.data)
        shutil.rmtree(self.whole, ignore_errors=True)
        self.node.wanted = True
        self.node.start()

    def replace(self, rig):
        """By a new node of the same name at the same address, with a new id and nothing on its disk."""
        self.node.kill()
        shutil.rmtree(self.data)
        rig.join(self.target)
        self.node.start()
        words = [*rig.net.within("client"), rig.bin / "coolbeans", "replace", self.target,
                 f"{self.target}={rig.net.hosts[self.target]}:{GRPC}", "--nodes", rig.grpc()]

        def is_replaced():
            rig.watch()
            try:
                return run(*words, timeout=REPLACE_ONCE_S) is not None
            except Failed:  # nobody leads just now, or it takes longer; what is done already stays done
                return False
        until(f"{self.target} is replaced", REPLACE_S, is_replaced, every=0.5)


class Closed(Damage):
    """Of a closed segment of the log."""
    NAME = "damage-closed"

    def is_there(self, data):
        return bool(log.closed_names(data / "raft"))

    def live(self, data):
        return log.closed(data / "raft")


class Opened(Damage):
    """Of a segment that is written."""
    NAME = "damage-open"

    def live(self, data):
        return log.opened(data / "raft")

    def excuse(self, rig):
        state = State(self.whole / "state/db/data.mdb")
        state.tables()  # it meets the number on the way
        return "torn" if self.hit.piece.index > state.appended else None


class Votes(Damage):
    """Of the term and the vote, in our file or in libraft's."""
    NAME = "damage-vote"

    def is_there(self, data):
        return (data / "raft" / log.TERM_VOTE).exists()

    def live(self, data):
        return log.term_vote(data / "raft") if self.rng.random() < OURS_SHARE else log.metadata(data / "raft")

    def excuse(self, rig):
        return None if self.hit.piece.path.name == log.TERM_VOTE else "overruled"

    def is_borne_out(self, lines):
        term, vote = log.term_and_vote(self.whole / "raft")
        said = [line for line in lines if line.startswith("raft.vote ")]
        return bool(said) and said[0].endswith(f" term={term} vote={vote}")


class Marker(Damage):
    """Of the newest marker (raft's snapshot)."""
    NAME = "damage-marker"

    def is_there(self, data):
        return bool(log.markers(data / "raft"))

    def live(self, data):
        return log.marker(data / "raft")

    def excuse(self, rig):
        is_empty = self.hit.piece.path.stat().st_size == 0  # a crash can leave that, says libraft
        return "older" if is_empty and len(log.markers(self.whole / "raft")) > 1 else None


class MarkerMembers(Marker):
    """Of the members beside it."""
    NAME = "damage-members"

    def live(self, data):
        return log.marker_members(data / "raft")

    def excuse(self, rig):
        return "older" if len(log.markers(self.whole / "raft")) > 1 else None


class Identity(Damage):
    """Of the file that says whose data these are."""
    NAME = "damage-identity"

    def live(self, data):
        path = data / "state/identity"
        return [piece.Piece(path, 0, path.stat().st_size, "the identity")]


class Tables(Damage):
    """Of a page of the state."""
    NAME = "damage-state"
    FILE = "state/db"

    def live(self, data):
        return State(data / "state/db/data.mdb").tables()


class Root(Tables):
    """Of LMDB's root page that counts."""
    NAME = "damage-root"

    def draw(self, rng):
        super().draw(rng)
        self.is_cut = False  # there is nothing before it; behind it is what damage-state cuts

    def live(self, data):
        return State(data / "state/db/data.mdb").roots()

    def excuse(self, rig):
        whole = State(self.whole / "state/db/data.mdb")
        now = whole.newest_root((self.data / "state/db/data.mdb").read_bytes())
        return "older" if now and now.page != whole.root.page else None


class Running(Tables):
    """Of a value of the state, below the page cache of a node that goes on: memory has the right bytes, and only who
    reads past the cache can see it. Of the jobs that stay (keep.py) alone: their pages are not written anew before a
    pass ends."""
    NAME = "damage-running"
    DISKS = ("full",)

    def harm(self, rig):
        self.node, disk = rig.nodes[self.target], rig.disks[self.target]
        self.at_ns = time.monotonic_ns()
        self.log_begins = self.node.log.stat().st_size
        self.data = self.whole = disk.data
        pieces = until(f"a state of {self.target} of one moment", 10, lambda: self.live(self.data))
        found, byte = piece.draw(pieces, self.rng)
        self.hit = Hit(found, byte, self.rng.randrange(8))
        before = found.path.read_bytes()[byte]
        self.node.wanted = False  # it is to end
        self.flip(rig)
        check(found.path.read_bytes()[byte] == before, "the page cache has the changed byte: this shows nothing")

    def flip(self, rig):
        rig.disks[self.target].flip_below(self.hit.piece.path, self.hit.byte, self.hit.bit)

    def live(self, data):
        state = State(data / "state/db/data.mdb")
        found = [p for p in state.tables() if p.what == BIG_VALUE and KEPT in state.data[p.at:p.at + p.length]]
        return found if state.is_of_one_moment() else None

    def mend(self, rig):
        came = self.wait(rig, PASS_S, lambda: False)
        self.found = MISSED if came is None else self.word_of_end(self.lines(), True)
        rig.expected.add(self.said)
        if self.found in BAD or self.wants_new:
            self.replace(rig)
        else:
            self.flip(rig)
        self.node.wanted = True
        self.node.start()


class FreeList(Tables):
    """Of LMDB's list of free pages."""
    NAME = "damage-free"

    def live(self, data):
        return State(data / "state/db/data.mdb").free_list()


STOPPED = [Closed, Opened, Tables, Marker, MarkerMembers, Identity, Root, Votes, FreeList]
FAULTS = [*STOPPED, Running]
