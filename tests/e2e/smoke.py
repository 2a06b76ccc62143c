#!/usr/bin/env python3
"""A three-node cluster comes up, answers every command, shows its members, loses one, and ends without a trace."""

import signal
import socket

from lib import testing
from lib.beanstalk import Client, Refused, parse_address
from lib.cluster import Cluster
from lib.testing import Failure, check, equal, until


def refused(word, call, *args):
    try:
        call(*args)
    except Refused as error:
        equal(error.word, word, call.__name__)
    else:
        raise Failure(f"{call.__name__}{args}: no {word}")


def one_job(c):
    c.use("smoke")
    equal(c.list_tube_used(), "smoke", "list-tube-used")
    equal(c.watch("smoke"), 2, "watch")
    equal(c.ignore("default"), 1, "ignore")
    refused("NOT_IGNORED", c.ignore, "smoke")
    equal(c.list_tubes_watched(), ["smoke"], "list-tubes-watched")
    body = b"hello \0\r\n end"
    job = c.put(body, pri=7, ttr=60)
    equal(c.peek(job), (job, body), "peek")
    equal(c.peek_state("ready"), (job, body), "peek-ready")
    equal(c.reserve(), (job, body), "reserve")
    c.touch(job)
    c.release(job, pri=3, delay=600)
    equal(c.peek_state("delayed"), (job, body), "peek-delayed")
    refused("TIMED_OUT", c.reserve, 0)
    equal(c.reserve_job(job), (job, body), "reserve-job")
    c.bury(job, 9)
    equal(c.peek_state("buried"), (job, body), "peek-buried")
    equal(c.kick(10), 1, "kick")
    equal(c.reserve(5), (job, body), "reserve-with-timeout")
    c.bury(job, 9)
    c.kick_job(job)
    stats = c.stats_job(job)
    equal([stats[k] for k in ("tube", "state", "pri", "ttr", "reserves", "releases", "buries", "kicks", "timeouts")],
          ["smoke", "ready", 9, 60, 3, 1, 2, 2, 0], "stats-job")
    return job


def every_command(c):
    job = one_job(c)
    c.pause_tube("smoke", 600)
    refused("TIMED_OUT", c.reserve, 0)
    stats = c.stats_tube("smoke")
    equal([stats[k] for k in ("pause", "cmd-pause-tube", "current-jobs-ready", "total-jobs", "current-using")],
          [600, 1, 1, 1, 1], "stats-tube")
    c.pause_tube("smoke", 0)
    c.delete(job)
    for call in (c.delete, c.peek, c.touch, c.release, c.bury, c.kick_job, c.reserve_job, c.stats_job):
        refused("NOT_FOUND", call, job)
    equal(c.list_tubes(), ["default", "smoke"], "list-tubes")
    stats = c.stats()
    equal([stats[k] for k in ("cmd-put", "cmd-bury", "cmd-kick", "total-jobs", "current-jobs-ready", "version")],
          [1, 3, 1, 1, 0, "1.13"], "stats")
    c.ask("put 0 0 0 70000\r\n" + "x" * 70000, "JOB_TOO_BIG")
    c.ask("nonsense", "UNKNOWN_COMMAND")
    c.ask("delete x", "BAD_FORMAT")
    c.send(b"put 0 0 1 3\r\nabcde")
    c.reply("EXPECTED_CRLF")


def half_close(address):
    """What is sent before the end of input is answered, then the connection ends."""
    with socket.create_connection(parse_address(address), timeout=10) as s:
        s.sendall(b"use a\r\nreserve\r\nlist-tube-used\r\n")
        s.shutdown(socket.SHUT_WR)
        data = b""
        while more := s.recv(1000):
            data += more
    equal(data, b"USING a\r\nTIMED_OUT\r\nUSING a\r\n", "answers after half-close")


def table(c):
    rows = c.run("status", "--dir", c.dir).splitlines()
    for name in c.nodes():
        check(any(name in row.split() for row in rows), f"no row for {name} in the table:\n" + "\n".join(rows))
    status = c.status()
    equal([status["survives"], sorted(m["name"] for m in status["members"] if m["alive"])], [1, c.nodes()], "status")
    equal([m["name"] for m in status["members"] if m["role"] == "leader"], [status["leader"]], "the leader's row")


def smoke(options):
    with Cluster(options, "smoke") as c:
        with Client(c.listen) as client:
            every_command(client)
            client.quit()
        half_close(c.listen)
        c.wait_whole()
        table(c)


def tool(options):
    """kill, start, pause and resume do what they say, and are no error when it is already so."""
    with Cluster(options, "tool") as c:
        victim = c.leader()
        c.dev("kill", "leader")
        c.dev("kill", victim)
        check(not c.is_alive(victim), "the killed leader lives")
        until("a row of a dead member", 10, lambda: [m["name"] for m in c.status()["members"] if not m["alive"]] == [victim])
        other = c.leader(10)
        check(other != victim, f"{victim} leads though it is dead")
        equal(c.status()["survives"], 0, "survives")
        c.start(victim)
        c.start(victim)
        c.wait_whole()
        follower = next(n for n in c.nodes() if n != c.leader())
        c.dev("pause", follower)
        with Client(c.listen) as client:
            client.put(b"while one is paused")
        c.dev("resume", follower)
        c.dev("resume", follower)
        c.wait_whole()
        c.signal("p1", signal.SIGKILL)
        until("the proxy's end", 5, lambda: c.is_gone("p1"))
        c.start("p1")
        with Client(c.listen) as client:
            until("the job", 10, lambda: client.stats()["current-jobs-ready"] == 1)


if __name__ == "__main__":
    testing.main([smoke, tool], testing.parse(testing.parser(__doc__)))
