r"""Runs scenarios/*.bt: one behaviour each, as a dialogue, against both sides.

  # items: 37 38           which lines of the checklist it shows (required)
  # fresh                  wants servers on which nothing has happened (skipped with --target)
  c1> watch a              sends the line with CRLF; $name is replaced by what was captured
  c1>> ab\r\ncd            sends these bytes; \\r \\n \\0 \\xNN, and {x*300} for 300 times x
  c1< WATCHING 2           the next line must be this; $name captures a word (or must equal it),
                           $(name+2) is the number captured plus 2
  c1< ~ pattern            the next line must match
  c1<list default a        the next reply is this list
  c1<yaml pri=5 age=*      the next reply is a dictionary with these values (* any); quotes do not count
  c1<keys a b c            the keys of the next dictionary, all of them, in order
  c1< nothing              no byte comes within 0.3 s
  c1< EOF                  the server closes the connection
  c1 half-close; c1 close
  sleep 1.1
  beanstalkd[54]: c1< X    a line for one side only, and the item of exceptions.txt that it belongs to
  coolbeans[54]: c1< Y

Connections open at their first use. `waiting 2` waits for current-waiting to be 2."""

import os
import re
import time

from server import Beanstalkd, Cluster
from wire import Closed, Timeout, yaml_body

REPLY_SECONDS = 5.0
SIDE = re.compile(r"^(beanstalkd|coolbeans)\[(\d+)\]: (.*)$")
ACTION = re.compile(r"^(c\d+)(>>|>|<list|<yaml|<keys|<| )\s?(.*)$")


class Failure(Exception):
    """An expectation did not hold."""


def unescape(text):
    text = re.sub(r"\{(.)\*(\d+)\}", lambda m: m.group(1) * int(m.group(2)), text)
    text = re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), text)
    for short, char in (("\\r", "\r"), ("\\n", "\n"), ("\\0", "\0"), ("\\t", "\t")):
        text = text.replace(short, char)
    return text.encode("latin-1")


class Scenario:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-3]
        with open(path, encoding="utf-8") as file:
            self.lines = [line.rstrip("\n") for line in file]
        header = [line for line in self.lines if line.startswith("# items:")]
        if not header:
            raise ValueError("%s: no '# items:' line" % path)
        self.items = [int(word) for word in header[0].split(":")[1].split()]
        self.fresh = "# fresh" in self.lines
        self.differs = {int(m.group(2)) for m in map(SIDE.match, self.lines) if m}


class Player:
    """Plays one scenario against one server."""

    def __init__(self, scenario, server):
        self.scenario = scenario
        self.server = server
        self.connections = {}
        self.words = {}
        self.transcript = []

    def get(self, name):
        if name not in self.connections:
            self.connections[name] = self.server.connect()
        return self.connections[name]

    def fill_in(self, text):
        text = re.sub(
            r"\$\((\w+)\+(\d+)\)", lambda m: str(int(self.words[m.group(1)]) + int(m.group(2))), text)
        return re.sub(r"\$(\w+)", lambda m: self.words.get(m.group(1), m.group(0)), text)

    def match(self, expected, got):
        """True when equal; a $name that is not known yet takes the word at its place."""
        if expected.startswith("~ "):
            return re.fullmatch(self.fill_in(expected[2:]), got) is not None
        want, have = self.fill_in(expected).split(" "), got.split(" ")
        if len(want) != len(have):
            return False
        for i, word in enumerate(want):
            if word.startswith("$"):
                self.words[word[1:]] = have[i]
            elif word != have[i]:
                return False
        return True

    def expect(self, name, expected):
        connection = self.get(name)
        if expected == "EOF":
            rest = connection.rest(REPLY_SECONDS)
            if rest:
                raise Failure("got %r before the end" % rest)
            return
        if expected == "nothing":
            connection.fill(0.3)
            if connection.buffer or connection.eof:
                raise Failure("got %r" % connection.buffer)
            return
        got = connection.line(REPLY_SECONDS)
        wanted = unescape(expected).decode("latin-1") if not expected.startswith("~") else expected
        if not self.match(wanted, got[:-2].decode("latin-1")):
            raise Failure("got %r" % got)

    def expect_yaml(self, name, kind, expected):
        reply = self.get(name).reply(REPLY_SECONDS)
        lines = yaml_body(reply)
        if lines is None:
            raise Failure("got %r" % reply)
        if kind == "<list":
            if [line[2:] for line in lines] != expected.split():
                raise Failure("got %r" % lines)
            return
        got = dict(line.split(": ", 1) for line in lines)
        if kind == "<keys":
            if list(got) != expected.split():
                raise Failure("got %r" % list(got))
            return
        for pair in self.fill_in(expected).split():
            key, value = pair.split("=", 1)
            if key not in got or (value != "*" and got[key].strip('"') != value):
                raise Failure("%s is %r" % (key, got.get(key)))

    def until_waiting(self, count):
        deadline = time.monotonic() + REPLY_SECONDS
        while int(self.server.stats()["current-waiting"]) != count:
            if time.monotonic() > deadline:
                raise Failure("current-waiting is not %d" % count)
            time.sleep(0.002)  # polls, up to its deadline

    def act(self, name, kind, rest):
        if kind == ">":
            self.get(name).send(unescape(self.fill_in(rest)) + b"\r\n")
        elif kind == ">>":
            self.get(name).send(unescape(self.fill_in(rest)))
        elif kind == "<":
            self.expect(name, rest)
        elif kind in ("<list", "<yaml", "<keys"):
            self.expect_yaml(name, kind, unescape(rest).decode("latin-1"))
        elif rest == "half-close":
            self.get(name).half_close()
        elif rest == "close":
            before = int(self.server.stats()["current-connections"])
            self.connections.pop(name).close()
            deadline = time.monotonic() + REPLY_SECONDS
            while int(self.server.stats()["current-connections"]) >= before:
                if time.monotonic() > deadline:
                    raise Failure("the closed connection stays")
        else:
            raise ValueError("%s: %r" % (self.scenario.name, rest))

    def line(self, line):
        words = line.split()
        match = ACTION.match(line)
        if words[0] == "sleep":
            time.sleep(float(words[1]))  # what the scenario asks for
        elif words[0] == "waiting":
            self.until_waiting(int(words[1]))
        elif match:
            self.act(*match.groups())
        else:
            raise ValueError("%s: no such line: %r" % (self.scenario.name, line))

    def play(self):
        """None, or what went wrong."""
        for line in self.scenario.lines:
            side = SIDE.match(line)
            if side and side.group(1) != self.server.kind:
                continue
            line = side.group(3) if side else line
            if not line.strip() or line.startswith("#"):
                continue
            self.transcript.append(line)
            try:
                self.line(line)
            except (Failure, Closed, Timeout) as error:
                return "%s: %r: %s %s" % (
                    self.server.kind, line, type(error).__name__, error)
        return None

    def end(self):
        for connection in self.connections.values():
            connection.close()
        self.server.clean()


def play(scenario, server):
    player = Player(scenario, server)
    try:
        return player.play()
    finally:
        player.end()


def start_another(server):
    """A fresh server of the same kind; None when that is not possible."""
    if isinstance(server, Beanstalkd):
        return Beanstalkd(server.kind)
    if isinstance(server, Cluster):
        return Cluster(server.program)
    return None


def play_on(scenario, server):
    if not scenario.fresh:
        return play(scenario, server)
    fresh = start_another(server)
    if fresh is None:
        print("scenario %s: skipped, it wants a fresh server" % scenario.name)
        return None
    try:
        return play(scenario, fresh)
    finally:
        fresh.stop()


def run_all(folder, names, left, right):
    """How many scenarios failed, and the items in which the sides differed as written down."""
    failed, saw, played = 0, set(), 0
    folder = os.path.join(folder, "scenarios")
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".bt") or (names and file[:-3] not in names):
            continue
        scenario = Scenario(os.path.join(folder, file))
        played += 1
        wrong = [play_on(scenario, server) for server in (left, right)]
        for what in filter(None, wrong):
            failed += 1
            print("scenario %s (items %s): %s" % (
                scenario.name, " ".join(map(str, scenario.items)), what), flush=True)
        if wrong == [None, None]:
            saw |= scenario.differs
    print("%d scenarios, %d failures" % (played, failed), flush=True)
    return failed, saw
