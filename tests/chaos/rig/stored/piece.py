"""A run of bytes that a node would use, and a byte drawn from several of them."""

import pathlib
import struct
from typing import NamedTuple


class Piece(NamedTuple):
    path: pathlib.Path
    at: int
    length: int
    what: str        # for people; pieces of the same kind are drawn together
    index: int = 0   # of the first entry of the batch, in a segment of the log


def draw(pieces, rng):
    """(piece, byte of its file). Each kind is as likely as the others, however few bytes it has: else hardly anything
    but the bodies of jobs would be hit."""
    what = rng.choice(sorted({p.what for p in pieces}))
    return draw_byte([p for p in pieces if p.what == what], rng)


def draw_byte(pieces, rng):
    """The same, each byte as likely as the others."""
    n = rng.randrange(sum(p.length for p in pieces))
    for piece in pieces:
        if n < piece.length:
            return piece, piece.at + n
        n -= piece.length
    raise AssertionError("there are no bytes")


def u16(data, at):
    return struct.unpack_from("<H", data, at)[0]


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]
