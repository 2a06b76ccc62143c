#!/usr/bin/env python3
"""fence.py accepts what a proxy may do, and refuses each thing that it may not."""

import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from rig import fence  # noqa: E402  (the path is needed first)

TIMEOUT = 30
ADDRESS = {"10.77.0.21:11300": "p1", "10.77.0.22:11300": "p2"}
BEGIN = 100  # seconds: the fault


def ns(seconds):
    return int(seconds * 1e9)


def fault(kind, seconds, target="p1"):
    return types.SimpleNamespace(NAME=kind, target=target, at_ns=ns(BEGIN), undone_ns=ns(BEGIN + seconds))


class Lines:
    """A history by hand: connection 1 at p1 puts and holds job 7 with a ttr of two minutes, 2 is at p2."""

    def __init__(self, hold=True):
        self.lines = ["coolbeans-history 1"]
        for number, host in ((1, 21), (2, 22)):
            self.lines += [f"# conn {number} 10.77.0.{host}:11300", f"{ns(90)} {ns(90)} {number} connect unknown"]
        self.add(95, 95.1, 1, "put ok tube=red id=7 ttr=120")
        if hold:
            self.add(96, 96.1, 1, "reserve ok id=7 timeout=2")

    def add(self, invoke, complete, conn, rest):
        self.lines.append(f"{ns(invoke)} {'-' if complete is None else ns(complete)} {conn} {rest}")
        return self

    def closed(self, at, conn=1):
        return self.add(at, None, conn, "close unknown by=server")

    def taken(self, at):
        return self.add(at - 1, at, 2, "reserve ok id=7 timeout=2")

    def judge(self, of):
        j = fence.Judge(fence.History(self.lines, ADDRESS), TIMEOUT)
        j.judge(of)
        return j.problems


class Cut(unittest.TestCase):
    cut = fault("proxy-cut", 60)

    def wrong(self, lines, word):
        problems = lines.judge(self.cut)
        self.assertTrue(any(word in p for p in problems), problems)

    def test_closed_in_time_and_handed_over_after_that(self):
        self.assertEqual(Lines().closed(124).taken(131).judge(self.cut), [])

    def test_not_closed(self):
        self.wrong(Lines().taken(131), "were not closed")

    def test_closed_too_late(self):
        self.wrong(Lines().closed(131).taken(132), "were not closed")

    def test_closed_too_early(self):
        self.wrong(Lines().closed(110).taken(131), "too early")

    def test_handed_over_before_the_close(self):
        self.wrong(Lines().closed(124).taken(123.5), "before its holder was closed")

    def test_nobody_got_it(self):
        self.wrong(Lines().closed(124), "proves nothing")

    def test_nothing_was_held(self):
        self.wrong(Lines(hold=False).closed(124), "held nothing")

    def test_a_job_that_was_given_back_is_not_handed_over(self):
        self.wrong(Lines().add(99, None, 1, "release unknown id=7").closed(124).taken(131), "held nothing")

    def test_the_other_proxy_keeps_its_clients(self):
        problems = Lines().closed(124, conn=2).taken(131).judge(fault("proxy-cut", 60))
        self.assertTrue(any("were not closed" in p for p in problems), problems)

    def test_a_length_in_between_says_nothing(self):
        self.assertEqual(Lines().judge(fault("proxy-cut", 25)), [])


class Pause(unittest.TestCase):
    def test_short(self):
        self.assertEqual(Lines().judge(fault("proxy-pause", 15)), [])

    def test_short_and_closed(self):
        problems = Lines().closed(115.5).judge(fault("proxy-pause", 15))
        self.assertTrue(any("without need" in p for p in problems), problems)

    def test_short_and_closed_by_the_client(self):
        self.assertEqual(Lines().add(115.5, None, 1, "close unknown").judge(fault("proxy-pause", 15)), [])

    def test_beyond_the_fence(self):
        self.assertEqual(Lines().closed(126.1).judge(fault("proxy-pause", 26)), [])

    def test_beyond_and_not_closed(self):
        problems = Lines().judge(fault("proxy-pause", 26))
        self.assertTrue(any("were not closed" in p for p in problems), problems)

    def test_beyond_and_answered(self):
        lines = Lines().add(110, 126.05, 1, "touch ok id=7").closed(126.1)
        problems = lines.judge(fault("proxy-pause", 26))
        self.assertTrue(any("answered after it woke up" in p for p in problems), problems)


if __name__ == "__main__":
    unittest.main()
