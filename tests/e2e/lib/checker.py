"""Violations of what coolbeans promises, from the history alone (shared/reliability.md names them P1-P8).

A command without a reply may or may not have happened: no check takes either for granted.
"""

import collections
import dataclasses

from lib.history import FOREVER

SHOWN = 10  # of each kind; the rest is counted


def check(history):
    """A list of violations, one line each. The history must end with a drain that found nothing more."""
    found = []
    for rule in RULES:
        lines = list(rule(history))
        found += lines[:SHOWN]
        if len(lines) > SHOWN:
            found.append(f"... and {len(lines) - SHOWN} more of {rule.__name__}")
    return found


def _of(history, op, result=None):
    return [e for e in history.events if e.op == op and (result is None or e.result == result)]


def illegal_reply(history):
    for e in history.events:
        if e.result not in ("ok", "none", "unknown"):
            yield f"{e.op} at {e.start:.3f}: {e.result}"


def lost_job(history):
    """P1: an acknowledged job was reserved, with its own body, and deleted in the end, by a delete that was
    answered or may have happened."""
    reserved, deleted = {}, set()
    for e in history.events:
        if e.op == "reserve" and e.result == "ok":
            reserved[e.conn, e.id] = e.token
        elif e.op == "delete" and e.result in ("ok", "unknown"):
            deleted.add(reserved.get((e.conn, e.id)))
    for e in _of(history, "put", "ok"):
        if e.token not in deleted:
            yield f"lost: job {e.id} ({e.token}), acknowledged at {e.end:.3f}"


def duplicated_token(history):
    """P2: what was put once is there once."""
    ids = collections.defaultdict(set)
    for e in history.events:
        if e.op in ("put", "reserve") and e.result == "ok":
            ids[e.token].add(e.id)
    for token, seen in ids.items():
        if len(seen) > 1:
            yield f"duplicated: {token} is jobs {sorted(seen)}"


def invented_job(history):
    """P3: what is read was put, with this body."""
    put = {e.token for e in _of(history, "put")}
    for e in _of(history, "reserve", "ok"):
        if e.token not in put:
            yield f"invented: job {e.id} has the token {e.token[:60]!r}, which nobody put"
        elif not e.intact:
            yield f"wrong body: job {e.id} ({e.token})"


def resurrected_job(history):
    """P4: after DELETED nobody gets the job, and nobody deletes it again."""
    gone = {}
    for e in _of(history, "delete", "ok"):
        gone[e.id] = min(e.end, gone.get(e.id, FOREVER))
    for e in history.events:
        if e.op in ("reserve", "delete", "release", "bury") and e.result == "ok" and e.start > gone.get(e.id, FOREVER):
            yield f"resurrected: job {e.id} was deleted at {gone[e.id]:.3f}, {e.op} at {e.start:.3f} found it"


def reused_id(history):
    """P8: an id is of one job for ever."""
    tokens = collections.defaultdict(set)
    for e in _of(history, "put", "ok"):
        tokens[e.id].add(e.token)
    for job, seen in tokens.items():
        if len(seen) > 1:
            yield f"reused: id {job} was given to {sorted(seen)}"


def id_out_of_order(history):
    """P8: a put that begins after another was answered has the larger id."""
    puts = _of(history, "put", "ok")
    largest, at = 0, 0
    by_end = sorted(puts, key=lambda e: e.end)
    for e in sorted(puts, key=lambda e: e.start):
        while at < len(by_end) and by_end[at].end < e.start:
            largest = max(largest, by_end[at].id)
            at += 1
        if e.id <= largest:
            yield f"order: put at {e.start:.3f} got id {e.id}, though {largest} was answered before"


@dataclasses.dataclass(slots=True)
class Hold:
    """A connection certainly holds the job from `since` until the earlier of `end` and `limit`."""
    conn: int
    since: float
    end: float    # its own delete, release or bury
    limit: float  # the lease, or when the connection was last known to live


def _holds(history):
    """{id: [Hold]} by time."""
    ends = collections.defaultdict(list)
    touches = collections.defaultdict(list)
    reserves = collections.defaultdict(list)
    for e in history.events:
        if e.op in ("delete", "release", "bury"):
            ends[e.conn, e.id].append(e.start)
        elif e.op == "touch" and e.result == "ok":
            touches[e.conn, e.id].append(e.start)
        elif e.op == "reserve" and e.result == "ok":
            reserves[e.conn, e.id].append(e.end)
    holds = collections.defaultdict(list)
    for e in sorted(_of(history, "reserve", "ok"), key=lambda e: e.end):
        key = e.conn, e.id
        end = min((t for t in ends[key] if t >= e.end), default=FOREVER)
        end = min([end] + [t for t in reserves[key] if t > e.end])  # it had run out when that one got it again
        lease = max([e.start] + [t for t in touches[key] if e.end <= t < end]) + e.ttr
        holds[e.id].append(Hold(e.conn, e.end, end, min(lease, history.lost.get(e.conn, FOREVER))))
    return holds


def held_twice(history):
    """P5, P6: a reservation does not come while another connection certainly holds the job."""
    for job, holds in _holds(history).items():
        for one, other in zip(holds, holds[1:]):
            if other.since < min(one.end, one.limit) and one.conn != other.conn:
                yield (f"held twice: job {job} by {one.conn} until {min(one.end, one.limit):.3f} "
                       f"and by {other.conn} from {other.since:.3f}")


def lost_authority(history):
    """P7: who certainly holds a job may delete, release, bury and touch it."""
    holds = _holds(history)
    for e in history.events:
        if e.op in ("delete", "release", "bury", "touch") and e.result == "none":
            for hold in holds[e.id]:
                if hold.conn == e.conn and hold.since <= e.start <= hold.end and e.end < hold.limit:
                    yield f"authority: {e.op} of job {e.id} at {e.start:.3f} by its holder: NOT_FOUND"


RULES = [illegal_reply, lost_job, duplicated_token, invented_job, resurrected_job, reused_id, id_out_of_order,
         held_twice, lost_authority]
