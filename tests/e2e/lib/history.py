"""What the clients of a run did and saw: the only thing that the checker looks at."""

import dataclasses
import json
import zlib

FOREVER = float("inf")


@dataclasses.dataclass(slots=True)
class Event:
    """One command of one connection. Times are of one monotonic clock, in seconds."""
    op: str                    # put, reserve, delete, release, bury, touch, kick
    conn: int
    start: float
    end: float = FOREVER       # of the reply; for ever when it never came
    result: str = "unknown"    # ok, none (TIMED_OUT, NOT_FOUND ...), unknown, or the text of an illegal reply
    id: int | None = None
    token: str | None = None   # of the body
    intact: bool = True        # reserve: the body is what was put under this token
    ttr: float = 0             # reserve: how long the job is ours at least


def make_body(token, size):
    """A body that names its token and carries its own checksum."""
    start = f"{token} ".encode()
    filler = (token.encode() * (size // len(token) + 1))[:max(0, size - len(start) - 9)]
    return start + filler + b" %08x" % zlib.crc32(start + filler)


def read_body(body):
    """(token, whether the body is intact)."""
    token = body.split(b" ", 1)[0].decode("ascii", "replace")
    return token, body[-9:] == b" %08x" % zlib.crc32(body[:-9])


class History:
    def __init__(self):
        self.events = []       # list.append is atomic: threads share it
        self.lost = {}         # conn -> when it was last known to live, for those that did not end by us

    def add(self, event):
        self.events.append(event)
        return event

    def write(self, path):
        with open(path, "w", encoding="ascii") as out:
            for event in self.events:
                out.write(json.dumps(dataclasses.asdict(event)) + "\n")
            out.write(json.dumps({"lost": self.lost}) + "\n")
