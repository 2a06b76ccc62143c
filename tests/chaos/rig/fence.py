"""What proxies did that could not speak with the nodes for a while, from the history and the moments of the faults
(design D3): cut off, or frozen.

A session ends when the leader has heard nothing of it for its timeout T; its proxy closes all its clients when 0.8 T have
passed since it sent what was confirmed last. So

  short   a fault that ends well before 0.8 T closes nothing;
  cut     a proxy that is cut off for longer than T closes each client by then, and not much before 0.8 T; what they held
          goes to others, each job after its holder was closed;
  frozen  one that stands still for longer than 0.8 T closes each client when it wakes up, and tells them nothing more.

That no job is held by two clients is for history_check (P5, P6) to judge. A fault that put nothing to the test is a
problem too: it proves nothing.
"""

import bisect
import dataclasses

FENCE = 0.8
EARLY_S = 2.0   # the last message that was confirmed may be that much older than the fault
WOKE_S = 2.0    # a process that wakes up has closed its clients by then
TTR_S = 100     # jobs with less are not ours to judge: their ttr may run out first
ENDS = ("delete", "release", "bury")
NS = 1e9


@dataclasses.dataclass
class Hold:
    job: int
    since: int
    ended: int = None  # its holder sent what ends it


@dataclasses.dataclass
class Conn:
    proxy: str
    opened: int
    closed: int = None
    by_server: bool = False
    holds: list = dataclasses.field(default_factory=list)
    answers: list = dataclasses.field(default_factory=list)  # when they came

    def is_open(self, at):
        return self.opened <= at and (self.closed is None or self.closed > at)

    def held(self, at):
        return [h for h in self.holds if h.since <= at and (h.ended is None or h.ended > at)]


class History:
    def __init__(self, lines, proxies):
        """`proxies`: {address: name}"""
        self.proxies = proxies
        self.at, self.conns, self.reserves, self.ttrs = {}, {}, {}, {}
        for line in lines:
            words = line.split()
            if words[:2] == ["#", "conn"]:
                self.at[words[2]] = proxies[words[3]]
            elif words and words[0].isdigit():
                self._take(*words[:5], dict(w.split("=") for w in words[5:]))

    def _take(self, invoke, complete, conn, op, result, more):
        if op == "connect":
            self.conns[conn] = Conn(self.at.get(conn), int(invoke))
            return
        c = self.conns[conn]
        if op == "close":
            c.closed, c.by_server = int(invoke), more.get("by") == "server"
            return
        if complete != "-":
            c.answers.append(int(complete))
        if op == "put" and result == "ok":
            self.ttrs[more["id"]] = int(more.get("ttr", 0))
        elif op == "reserve" and result == "ok":
            c.holds.append(Hold(more["id"], int(complete)))
            self.reserves.setdefault(more["id"], []).append((int(complete), conn))
        elif op in ENDS:
            for hold in c.holds[::-1]:
                if hold.job == more["id"] and hold.ended is None:
                    hold.ended = int(invoke)
                    break

    def of(self, proxy, at):
        """Its clients that are connected then, and do not leave by themselves."""
        return {n: c for n, c in self.conns.items() if c.proxy == proxy and c.is_open(at)}

    def next_holder(self, hold, conn):
        """When another connection got the job, after that hold began; None: never."""
        later = self.reserves[hold.job]
        place = bisect.bisect_right(sorted(later), (hold.since, "~"))
        return next((at for at, other in sorted(later)[place:] if other != conn), None)


class Judge:
    def __init__(self, history, timeout_s):
        self.history, self.timeout = history, timeout_s
        self.problems, self.told = [], []

    def judge(self, fault):
        seconds = (fault.undone_ns - fault.at_ns) / NS
        clients = self.history.of(fault.target, fault.at_ns)
        if seconds < FENCE * self.timeout - EARLY_S:
            self._short(fault, clients)
        elif fault.NAME == "proxy-pause" and seconds > FENCE * self.timeout + 0.1:
            self._frozen(fault, clients)
        elif fault.NAME == "proxy-cut" and seconds > self.timeout + 1:
            self._cut(fault, clients)

    def wrong(self, fault, text):
        self.problems.append(f"{fault}: {text}")

    def _short(self, fault, clients):
        closed = [n for n, c in clients.items() if c.by_server and c.closed and c.closed < fault.undone_ns + WOKE_S * NS]
        self.told.append(f"{fault}: {len(clients)} clients, {len(closed)} closed")
        if closed:
            self.wrong(fault, f"connection {closed[0]} and {len(closed) - 1} more were closed without need")
        if not clients:
            self.wrong(fault, "it had no clients, so this proves nothing")

    def _left(self, fault, clients, by_ns):
        """Those that the server should have closed by then, and has not."""
        left = [n for n, c in clients.items() if c.closed is None or c.closed > by_ns]
        if left:
            self.wrong(fault, f"connection {left[0]} and {len(left) - 1} more were not closed")
        if not any(c.held(fault.at_ns) for c in clients.values()):
            self.wrong(fault, "its clients held nothing, so this proves nothing")

    def _frozen(self, fault, clients):
        self._left(fault, clients, fault.undone_ns + WOKE_S * NS)
        late = {n: [a for a in c.answers if a > fault.undone_ns] for n, c in clients.items()}
        spoken = [n for n, answers in late.items() if answers]
        if spoken:
            self.wrong(fault, f"connection {spoken[0]} and {len(spoken) - 1} more were answered after it woke up")
        self.told.append(f"{fault}: {len(clients)} clients, all closed" if not spoken else f"{fault}: spoke")

    def _cut(self, fault, clients):
        self._left(fault, clients, fault.at_ns + self.timeout * NS)
        by_server = {n: c for n, c in clients.items() if c.by_server}
        early = [n for n, c in by_server.items() if c.closed < fault.at_ns + (FENCE * self.timeout - EARLY_S) * NS]
        if early:
            self.wrong(fault, f"connection {early[0]} and {len(early) - 1} more were closed too early")
        gaps = [gap for n, c in by_server.items() for gap in self._gaps(n, c)]
        if any(gap <= 0 for gap in gaps):
            self.wrong(fault, f"a job went to another client {-min(gaps):.3f} s before its holder was closed")
        if not gaps:
            self.wrong(fault, "nothing that its clients held went to others, so this proves nothing")
            return
        first = min(c.closed for c in by_server.values())
        self.told.append(f"{fault}: {len(by_server)} clients closed after {(first - fault.at_ns) / NS:.1f} s; {len(gaps)} jobs "
                         f"went to others, the first {min(gaps):.1f} s after its holder was closed")

    def _gaps(self, number, conn):
        """Seconds from the close of the connection to when others got what it held."""
        for hold in conn.held(conn.closed):
            if self.history.ttrs.get(hold.job, 0) >= TTR_S and hold.since + TTR_S * NS > conn.closed:
                at = self.history.next_holder(hold, number)
                if at is not None:
                    yield (at - conn.closed) / NS


def judge(rig, faults):
    """(problems, what to tell) of the faults that are about this."""
    proxies = {address: name for name, address in zip(sorted(rig.proxies), rig.listen())}
    with (rig.dir / "history").open(encoding="utf-8") as lines:
        j = Judge(History(lines, proxies), rig.session_timeout)
    for fault in faults:
        if fault.NAME in ("proxy-cut", "proxy-pause"):
            j.judge(fault)
    return j.problems, j.told
