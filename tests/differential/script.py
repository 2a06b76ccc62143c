"""Random scripts of several connections: what is done, without the ids and states of any server.

A step is a tuple (number, kind, connection, ...). A job is named by the number of the step that put it, or
as the last one that the connection reserved, so that a script stays meaningful when steps are taken out."""

import random

WORDS = [b"put", b"stats-job", b"reserve-job", b"delete", b"kick", b"use", b"pause-tube"]

# Lines that every version answers alike, each with the reply list-tube-used after it as the marker.
MALFORMED = [
    b"", b"foo", b"PUT 0 0 1 1", b" stats", b"stats ", b"statsx", b"reservefoo", b"list-tubesx",
    b"list-tube", b"list-tube-used ", b"peek-readyx", b"put", b"put ", b"put -1 0 1 1\r\nx",
    b"put 0 0 1", b"put 0 0 1 x", b"put 4294967296 0 1 1\r\nx", b"put 0 0 1 1 zz\r\nx",
    b"put 0 0 1 70000 zz\r\n" + b"y" * 70000, b"put 0 0 1 65536\r\n" + b"y" * 65536,
    b"put 0 0 1 3\r\nabcdef", b"put 0 0 1 3\r\nabcde", b"put +1 0 1 1\r\nx", b"put 0x1 0 1 1\r\nx",
    b"put 1.5 0 1 1\r\nx", b"put 0\t0 1 1\r\nx", b"delete", b"delete ", b"delete x", b"delete -1",
    b"delete 1 ", b"delete 1x", b"delete +1", b"delete 18446744073709551615",
    b"delete 18446744073709551616", b"delete  000", b"delete 0", b"peek", b"peek 0", b"peek x",
    b"peek 18446744073709551616", b"touch 9999999999 ", b"touch 99999999999", b"bury 1", b"bury 1 2 3",
    b"bury 99999999999 4294967296", b"release 1", b"release 1 2", b"release 99999999999 1 1 1",
    b"release 99999999999 1 4294967296", b"release 99999999999 1 1", b"kick", b"kick x", b"kick ",
    b"kick 12345678901234567890123", b"kick-job", b"kick-job x", b"kick-job 0", b"reserve-job",
    b"reserve-job x", b"reserve-job 0", b"reserve-job 1x", b"stats-job", b"stats-job x", b"stats-job 0",
    b"stats-job 1 2", b"stats-tube", b"stats-tube ", b"stats-tube -a", b"stats-tube a:b",
    b"stats-tube nowhere-at-all", b"use", b"use ", b"use a b", b"use a ", b"use  a", b"use -a",
    b"use a,b", b"use " + b"n" * 201, b"use " + b"n" * 300, b"watch", b"watch ", b"watch a:b",
    b"watch " + b"n" * 201, b"ignore", b"ignore ", b"ignore @", b"ignore nowhere-at-all",
    b"pause-tube", b"pause-tube nowhere-at-all 5", b"pause-tube -a 0", b"pause-tube a:b 0",
    b"pause-tube default x", b"pause-tube default 4294967296", b"pause-tube default 1 2",
    b"pause-tubedefault 0", b"pause-tube  default  0", b"use a\0b", b"a" * 222, b"a" * 224,
    b"a" * 1000, b"stats\nfoo", b"reserve-with-timeout 0 1", b"reserve-with-timeout 0x",
    b"\xc3\xa4", b"kick 0x", b"kick 4294967296", b"touch", b"touch ", b"release", b"bury", b"ignore  a",
]

# How often each kind of step is made.
WEIGHTS = {
    "put": 26, "reserve": 10, "reserve-0": 10, "reserve-job": 6, "delete": 12, "release": 9, "bury": 9,
    "touch": 4, "kick": 6, "kick-job": 5, "use": 8, "watch": 7, "ignore": 5, "peek": 4, "peek-head": 5,
    "stats-job": 8, "stats-tube": 7, "stats": 4, "list": 7, "pause": 3, "malformed": 7, "bad-body": 2,
    "pipeline": 3, "half-close": 2, "close": 3, "quit": 1, "delay": 1,
}


class Maker:
    """Makes one script from its seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.steps = []
        self.puts = []
        self.connections = self.random.randint(2, 5)
        self.tubes = [b"default"] + [b"t%d" % i for i in range(self.random.randint(1, 4))]
        self.weights = dict(WEIGHTS)
        for kind in self.random.sample(sorted(self.weights), 6):
            self.weights[kind] *= self.random.choice([0, 3, 6])
        if seed % 10 != 0:
            self.weights["delay"] = 0

    def tube(self):
        return self.random.choice(self.tubes)

    def job(self):
        if self.random.random() < 0.4:
            return "held"
        if self.puts and self.random.random() < 0.95:
            return self.random.choice(self.puts[-8:] if self.random.random() < 0.7 else self.puts)
        return -1

    def put_line(self):
        r = self.random
        pri = r.choice([0, 1, 10, 10, 10, 1023, 1024, 4294967295])
        delay = r.choice([0, 0, 0, 0, 1000, 2000, 4294967295])
        ttr = r.choice([1000, 1000, 2000, 4294967295])
        body = bytes(r.choice(b"abcdefgh\r\n\0 ") for _ in range(r.choice([0, 1, 5, 30, 300])))
        return b"put %d %d %d %d\r\n%s\r\n" % (pri, delay, ttr, len(body), body)

    def priority(self):
        return self.random.choice([0, 5, 10, 1023, 1024, 4294967295])

    def detail(self, kind, number):
        """What follows (number, kind, connection)."""
        r = self.random
        if kind == "put":
            self.puts.append(number)
            return (self.put_line(), r.random() < 0.1)
        if kind in ("reserve-job", "delete", "touch", "kick-job", "peek", "stats-job"):
            return (self.job(),)
        if kind == "release":
            return (self.job(), self.priority(), r.choice([0, 0, 0, 1000]))
        if kind == "bury":
            return (self.job(), self.priority())
        if kind == "kick":
            return (r.choice([0, 1, 1, 2, 5, 4294967295]),)
        if kind in ("use", "watch", "ignore", "stats-tube"):
            return (self.tube(),)
        if kind == "peek-head":
            return (r.choice([b"peek-ready", b"peek-delayed", b"peek-buried"]),)
        if kind == "list":
            return (r.choice([b"list-tubes", b"list-tube-used", b"list-tubes-watched"]),)
        if kind == "pause":
            return (self.tube(), r.choice([0, 0, 1000]))
        if kind == "malformed":
            return (r.choice(MALFORMED),)
        if kind == "pipeline":
            return ([self.inner(number) for _ in range(r.randint(2, 12))],)
        return ()

    def inner(self, number):
        """One command of a pipeline: answers with one reply, waits for nothing, names no job."""
        r = self.random
        choices = [
            b"use " + self.tube(), b"list-tube-used", b"list-tubes", b"kick 1", b"peek-ready",
            b"reserve-with-timeout 0", b"stats-tube " + self.tube(), b"delete 0", b"peek-buried",
            b"pause-tube " + self.tube() + b" 0", b"foo",
        ]
        return r.choice(choices) + b"\r\n"

    def make(self):
        for number in range(self.random.randint(20, 120)):
            kinds = sorted(self.weights)
            weights = [self.weights[kind] for kind in kinds]
            kind = self.random.choices(kinds, weights)[0]
            connection = self.random.randrange(self.connections)
            self.steps.append((number, kind, connection) + self.detail(kind, number))
        return self.steps


def make(seed):
    return Maker(seed).make()
