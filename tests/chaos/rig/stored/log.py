"""The raft log on disk, as libraft's uv_segment.c, uv_metadata.c and uv_snapshot.c write it (0.22.1), little-endian.

    FIRST-LAST               a closed segment: u64 1 | batches up to its end
    open-N                   one that is written: the same, then zeros up to its size; or all zeros, prepared
    term-vote                ours (replica_vote.c): 8 bytes | u64 1 | u64 term | u64 vote | u64 checksum
    metadata1, metadata2     u64 1 | u64 version | u64 term | u64 vote; the greater version counts for libraft
    snapshot-TERM-INDEX-MS   the marker (design D7); beside it .meta with the members

A batch is u32 crc of its head | u32 crc of its entries | the head: u64 n, n times { u64 term | u8 kind | 3 bytes |
u32 size } | the entries. What is live:

- of closed segments all: a start reads each of those that lead without a gap to the newest one, from end to end;
- of open ones the batches and the format, not the zeros behind them;
- of term and vote all of our file, which counts, and the metadata with the greater version, all of it: what libraft
  would go by. The other one of these would be used by it where it does not find this one: it is no copy, but the term
  and the vote of before;
- of the markers the newest, with its .meta. The one before is read only where this one is refused.
"""

import re
from typing import NamedTuple

from rig.stored.piece import Piece, u32, u64

CLOSED = re.compile(r"(\d{16})-(\d{16})")
OPEN = re.compile(r"open-(\d+)")
MARKER = re.compile(r"snapshot-(\d+)-(\d+)-(\d+)")
FORMAT_SIZE, CRC_SIZE, ENTRY_HEAD, SIZE_AT = 8, 8, 16, 12
METADATA_SIZE = 32
TERM_VOTE = "term-vote"
METADATA = [("the format", 0), ("the version", 8), ("the term", 16), ("the vote", 24)]


class Batch(NamedTuple):
    at: int       # of its checksums
    entries: int  # where these begin
    end: int
    count: int


def batches(data):
    at = FORMAT_SIZE
    while at + CRC_SIZE + 8 <= len(data):
        count = u64(data, at + CRC_SIZE)
        entries = at + CRC_SIZE + 8 + count * ENTRY_HEAD
        if count == 0 or entries > len(data):
            return
        head = at + CRC_SIZE + 8
        end = entries + sum(u32(data, head + i * ENTRY_HEAD + SIZE_AT) for i in range(count))
        yield Batch(at, entries, end, count)
        at = end


def pieces_of(path, first):
    """(pieces, index of the entry behind it)"""
    pieces = [Piece(path, 0, FORMAT_SIZE, "the format", first)]
    for batch in batches(path.read_bytes()):
        pieces.append(Piece(path, batch.at, batch.entries - batch.at, "a batch's head", first))
        pieces.append(Piece(path, batch.entries, batch.end - batch.entries, "entries", first))
        first += batch.count
    return (pieces, first) if len(pieces) > 1 else ([], first)


def closed_names(raft):
    """[(first, last, path)] of those without a gap up to the newest."""
    found = sorted((int(m[1]), int(m[2]), p) for p in raft.iterdir() if (m := CLOSED.fullmatch(p.name)))
    start = len(found) - 1
    while start > 0 and found[start - 1][1] + 1 == found[start][0]:
        start -= 1
    return found[max(start, 0):]


def closed(raft):
    return [piece for first, _, path in closed_names(raft) for piece in pieces_of(path, first)[0]]


def opened(raft):
    segments = closed_names(raft)
    first = segments[-1][1] + 1 if segments else newest_marker_index(raft) + 1
    pieces = []
    for path in sorted((p for p in raft.glob("open-*") if OPEN.fullmatch(p.name)), key=lambda p: int(p.name[5:])):
        more, first = pieces_of(path, first)
        pieces += more
    return pieces


def metadata(raft):
    paths = [p for p in (raft / "metadata1", raft / "metadata2") if p.exists() and p.stat().st_size == METADATA_SIZE]
    if not paths:
        return []
    newest = max(paths, key=lambda p: u64(p.read_bytes(), 8))
    return [Piece(newest, at, 8, what) for what, at in METADATA]


def term_vote(raft):
    path = raft / TERM_VOTE
    return [Piece(path, 0, path.stat().st_size, "term and vote with their checksum")]


def term_and_vote(raft):
    data = (raft / TERM_VOTE).read_bytes()
    return u64(data, 16), u64(data, 24)


def markers(raft):
    """The paths of those that are whole, the newest last."""
    found = [(tuple(map(int, m.groups())), p) for p in raft.iterdir()
             if (m := MARKER.fullmatch(p.name)) and p.with_name(p.name + ".meta").exists()]
    return [path for _, path in sorted(found)]


def newest_marker_index(raft):
    there = markers(raft)
    return int(MARKER.fullmatch(there[-1].name)[2]) if there else 0


def marker(raft):
    return [Piece(p, 0, p.stat().st_size, "the marker") for p in markers(raft)[-1:]]


def marker_members(raft):
    paths = [p.with_name(p.name + ".meta") for p in markers(raft)[-1:]]
    return [Piece(p, 0, p.stat().st_size, "its members") for p in paths]
