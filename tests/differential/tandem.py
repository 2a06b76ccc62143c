"""Runs one random script against two servers, step by step, and compares what they answer.

One command is outstanding over all connections, except blocked reserves. A reserve counts as blocked on a
side when that side's `stats` shows one more waiting connection; a grant is collected when it shows one less.
So nothing here waits for a time to pass, except the steps that are about time."""

import re
import time

from mask import Mask, Ids
from wire import Closed, Timeout

SYNC_SECONDS = 5.0


class Divergence(Exception):
    """The two sides answered differently; the message says where."""


class Side:
    """One server, while it runs one script."""

    def __init__(self, server):
        self.server = server
        self.connections = {}
        self.blocked = []
        self.ids = Ids()
        self.mask = Mask(self.ids, server.stats())
        self.held = {}

    def waiting(self):
        return int(self.server.stats()["current-waiting"])

    def get(self, name):
        if name not in self.connections:
            self.connections[name] = self.server.connect()
            self.connections[name].ask(b"list-tube-used")
        return self.connections[name]

    def drop(self, name):
        self.connections.pop(name).close()
        self.held.pop(name, None)
        if name in self.blocked:
            self.blocked.remove(name)
        self.until(lambda: int(self.server.stats()["current-connections"]) == 1 + len(self.connections))

    def until(self, condition):
        deadline = time.monotonic() + SYNC_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise Divergence("%s: what should happen did not" % self.server.kind)

    def note(self, name, put, reply):
        """Learns ids from a reply; gives it back, masked later."""
        words = reply.split(b"\r\n", 1)[0].split(b" ")
        if words[0] == b"INSERTED" and put is not None:
            self.ids.add(put, words[1])
        if words[0] == b"RESERVED":
            self.held[name] = words[1]

    def settle(self, name, put, blocking):
        """The reply of the command just sent on `name`; None when it blocks."""
        connection = self.connections[name]
        if not blocking:
            reply = connection.reply(SYNC_SECONDS)
            self.note(name, put, reply)
            return reply
        deadline = time.monotonic() + SYNC_SECONDS
        while time.monotonic() < deadline:
            waiting = self.waiting()
            reply = connection.poll()
            if reply is not None:
                self.note(name, put, reply)
                return reply
            if waiting == len(self.blocked) + 1:
                self.blocked.append(name)
                return None
        raise Divergence("%s: a reserve neither waits nor is answered" % self.server.kind)

    def collect(self):
        """The answers to blocked reserves that came meanwhile, by connection."""
        answers = {}
        if not self.blocked:
            return answers
        waiting = self.waiting()
        deadline = time.monotonic() + SYNC_SECONDS
        while len(self.blocked) > waiting:
            for name in list(self.blocked):
                reply = self.connections[name].poll()
                if reply is not None:
                    self.note(name, None, reply)
                    self.blocked.remove(name)
                    answers[name] = self.mask.reply(reply, b"")
            if time.monotonic() > deadline:
                raise Divergence("%s: a waiter was served without an answer" % self.server.kind)
        return answers

    def end(self):
        for name in list(self.connections):
            self.connections.pop(name).close()
        self.server.clean()


class Tandem:
    """Both sides and the transcript."""

    def __init__(self, left, right):
        self.sides = [Side(left), Side(right)]
        self.watched = {}
        self.transcript = []
        self.saw = set()

    # ---- doing the same on both sides ----

    def compare(self, what, answers):
        self.transcript.append("%s -> %r" % (what, answers[0]))
        if answers[0] != answers[1]:
            raise Divergence("%s\n  %s: %r\n  %s: %r" % (
                what, self.sides[0].server.kind, answers[0], self.sides[1].server.kind, answers[1]))
        return answers[0]

    def command(self, name, make_data, put=None, blocking=False, split=False):
        """`make_data(side)` gives the bytes for one side. The masked reply, None when it blocks."""
        answers = []
        for side in self.sides:
            connection = side.get(name)
            data = make_data(side)
            line = data.split(b"\r\n", 1)[0]
            try:
                for part in ([data[:3], data[3:-1], data[-1:]] if split else [data]):
                    connection.send(part)
                answers.append(side.mask.reply(side.settle(name, put, blocking), line))
            except Closed as closed:
                answers.append("closed after %r" % closed.args)
            except Timeout as late:
                answers.append("no reply, but %r" % late.args)
        what = "c%d> %s" % (name, printable(make_data(self.sides[0])))
        reply = self.compare(what, answers)
        self.grants()
        return reply

    def grants(self):
        answers = [side.collect() for side in self.sides]
        if answers[0] or answers[1]:
            self.compare("  granted", answers)

    def job(self, side, name, ref):
        if ref == "held":
            return side.held.get(name, b"8888888888888888")
        return side.ids.id_of(ref)

    # ---- the kinds of steps ----

    def run(self, steps):
        for step in steps:
            number, kind, name = step[:3]
            if name in self.sides[0].blocked and kind not in ("half-close", "close"):
                continue
            self.watched.setdefault(name, {b"default"})
            getattr(self, "do_" + kind.replace("-", "_"))(number, name, *step[3:])

    def do_put(self, number, name, data, split):
        self.command(name, lambda side: data, put=number, split=split)

    def do_bad_body(self, _number, name):
        data = b"put 0 0 1 3\r\nabcdef\r\nlist-tube-used\r\n"
        self.several(name, lambda side: data)

    def do_reserve(self, _number, name):
        others = [self.watched[other] for other in self.sides[0].blocked]
        if any(self.watched[name] & other for other in others):
            self.do_reserve_0(_number, name)
        else:
            self.command(name, lambda side: b"reserve\r\n", blocking=True)

    def do_reserve_0(self, _number, name):
        self.command(name, lambda side: b"reserve-with-timeout 0\r\n")

    def on_job(self, word, name, ref, rest=b""):
        self.command(
            name, lambda side: word + b" " + self.job(side, name, ref) + rest + b"\r\n")

    def do_reserve_job(self, _number, name, ref):
        self.on_job(b"reserve-job", name, ref)

    def do_delete(self, _number, name, ref):
        self.on_job(b"delete", name, ref)

    def do_touch(self, _number, name, ref):
        self.on_job(b"touch", name, ref)

    def do_kick_job(self, _number, name, ref):
        self.on_job(b"kick-job", name, ref)

    def do_peek(self, _number, name, ref):
        self.on_job(b"peek", name, ref)

    def do_stats_job(self, _number, name, ref):
        self.on_job(b"stats-job", name, ref)

    def do_release(self, _number, name, ref, pri, delay):
        self.on_job(b"release", name, ref, b" %d %d" % (pri, delay))

    def do_bury(self, _number, name, ref, pri):
        self.on_job(b"bury", name, ref, b" %d" % pri)

    def do_kick(self, _number, name, bound):
        self.command(name, lambda side: b"kick %d\r\n" % bound)

    def do_use(self, _number, name, tube):
        self.command(name, lambda side: b"use " + tube + b"\r\n")

    def do_watch(self, _number, name, tube):
        self.command(name, lambda side: b"watch " + tube + b"\r\n")
        self.watched[name].add(tube)

    def do_ignore(self, _number, name, tube):
        reply = self.command(name, lambda side: b"ignore " + tube + b"\r\n")
        if reply.startswith(b"WATCHING"):
            self.watched[name].discard(tube)

    def do_stats_tube(self, _number, name, tube):
        self.command(name, lambda side: b"stats-tube " + tube + b"\r\n")

    def do_stats(self, _number, name):
        self.command(name, lambda side: b"stats\r\n")

    def do_peek_head(self, _number, name, line):
        self.command(name, lambda side: line + b"\r\n")

    def do_list(self, _number, name, line):
        self.command(name, lambda side: line + b"\r\n")

    def do_pause(self, _number, name, tube, seconds):
        self.command(name, lambda side: b"pause-tube %s %d\r\n" % (tube, seconds))

    def do_delay(self, number, name):
        data = b"put 5 1 1000 1\r\nd\r\n"
        self.command(name, lambda side: data, put=number)
        time.sleep(1.3)  # the delay of a second itself
        self.grants()

    def several(self, name, make_data):
        """Data with an unknown number of replies, the last of them to list-tube-used."""
        answers = []
        for side in self.sides:
            connection = side.get(name)
            connection.send(make_data(side))
            replies = []
            try:
                while not replies or not replies[-1].startswith(b"USING"):
                    reply = connection.reply(SYNC_SECONDS)
                    side.note(name, None, reply)
                    replies.append(side.mask.reply(reply, b""))
            except (Closed, Timeout) as error:
                replies.append("%s %r" % (type(error).__name__, error.args))
            answers.append(replies)
        self.compare("c%d> %s" % (name, printable(make_data(self.sides[0]))), answers)
        self.grants()

    def do_malformed(self, _number, name, line):
        self.several(name, lambda side: line + b"\r\nlist-tube-used\r\n")

    def do_pipeline(self, _number, name, lines):
        used = [line for line in lines if not line.startswith(b"use ")] + [b"list-tube-used\r\n"]
        used = [line for line in used[:-1] if line != b"list-tube-used\r\n"] + used[-1:]
        self.several(name, lambda side: b"".join(used))

    def leave(self, name, how, ask):
        answers = []
        for side in self.sides:
            connection = side.get(name)
            ask(connection)
            try:
                answers.append(side.mask.reply(connection.rest(SYNC_SECONDS), b""))
            except Timeout as late:
                answers.append("still open after %r" % late.args)
            side.drop(name)
        self.watched.pop(name)
        self.compare("c%d %s" % (name, how), answers)
        self.grants()

    def do_half_close(self, _number, name):
        self.leave(name, "half-close", lambda connection: connection.half_close())

    def do_quit(self, _number, name):
        self.leave(name, "> quit", lambda connection: connection.send(b"quit\r\n"))

    def do_close(self, _number, name):
        for side in self.sides:
            side.get(name)
            side.drop(name)
        self.watched.pop(name)
        self.transcript.append("c%d close" % name)
        self.grants()

    def end(self):
        for side in self.sides:
            side.end()
        quotes = [side.mask.saw_quotes for side in self.sides]
        bare = [side.mask.saw_no_quotes for side in self.sides]
        if quotes[0] != quotes[1] and bare[0] != bare[1]:
            self.saw.add(9)


def printable(data):
    """One line; long runs are cut."""
    text = repr(data)[2:-1]
    return re.sub(r"(.)\1{40,}", lambda m: m.group(1) + "*%d" % len(m.group(0)), text)


def run(left, right, steps):
    """None when equal, else the divergence with the transcript up to it; and the exceptions seen."""
    tandem = Tandem(left, right)
    try:
        tandem.run(steps)
        return None, tandem
    except Divergence as found:
        return str(found), tandem
    finally:
        tandem.end()


def shrink(left, right, steps, seconds=40):
    """Takes out steps as long as the script still diverges and there is time."""
    deadline = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while size >= 1 and time.monotonic() < deadline:
        at = 0
        while at < len(steps) and time.monotonic() < deadline:
            shorter = steps[:at] + steps[at + size :]
            if run(left, right, shorter)[0] is not None:
                steps = shorter
            else:
                at += size
        size //= 2
    return steps
