#!/usr/bin/env python3
"""Members come and go under load: a new node is added, gets the state and leads; one is removed and says so; one that has
lost its directory is refused under its old id and replaced. Proxies that were told of the first three find the others."""

import shutil
import signal
import subprocess
import time

from lib import testing
from lib.background import Background
from lib.beanstalk import Client
from lib.cluster import free_port
from lib.nodes import Nodes
from lib.testing import check, equal, say, until

ENDS_S = 20
JOBS = 500


class Cluster(Nodes):
    """Nodes of a first list, and those that are added; one proxy, which knows the first list alone."""

    def __init__(self, options, name):
        super().__init__(options, name)
        self.first, self.port = list(self.names), self.ports[0]

    def addresses(self, *names):
        return ",".join(self.grpc[name] for name in names)

    def start(self, name, directory=None):
        self.spawn(name, "coolbeans-node", "--name", name, "--data-dir", self.dir / (directory or name), "--cluster",
                   ",".join(f"{n}={self.grpc[n]}" for n in self.first))

    def start_to_join(self, name, directory=None):
        is_new = name not in self.grpc
        self.grpc.setdefault(name, f"127.0.0.1:{free_port()}")
        self.spawn(name, "coolbeans-node", "--name", name, "--data-dir", self.dir / (directory or name),
                   "--join", self.addresses(*[n for n in self.grpc if n != name]), "--listen", self.grpc[name])
        if is_new:
            self.names.append(name)  # now that it has a process, for who looks from another thread

    def forget(self, name):
        self.names.remove(name)
        del self.grpc[name]

    def last_words(self, name):
        """Of one that ends by itself."""
        equal(self.process[name].wait(ENDS_S), 1, f"the exit status of {name}")
        return (self.dir / f"{name}.log").read_text().splitlines()[-1]

    # ---- the tool ----

    def run(self, *words, ask=None, code=0):
        run = subprocess.run([self.bin / "coolbeans", *words, "--nodes", ask or self.addresses(*self.grpc)],
                             capture_output=True, text=True, timeout=300, check=False)
        equal(run.returncode, code, f"exit status of coolbeans {' '.join(words)}\n{run.stdout}{run.stderr}")
        return run.stdout if code == 0 else run.stderr

    def members(self):
        """{name: (votes, role)}"""
        lines = self.run("members").splitlines()[1:]
        return {line.split()[0]: tuple(line.split()[1:3]) for line in lines}

    def leader(self):
        return until("a leader", ENDS_S, lambda: next((n for n, m in self.members().items() if m[1] == "leader"), None))

    def add(self, name):
        self.start_to_join(name)
        return self.run("add", f"{name}={self.grpc[name]}")


class Load(Background):
    """Puts jobs, one after the other; each that was acknowledged is to be there in the end, once."""

    def __init__(self, cluster):
        super().__init__()
        self.client = Client(f"127.0.0.1:{cluster.port}")
        self.client.use("load")
        self.count = 0

    def step(self):
        self.client.put(b"%d" % self.count)
        self.count += 1
        time.sleep(0.002)  # some hundred a second


def look(cluster, count):
    c = Client(f"127.0.0.1:{cluster.port}")
    c.watch_only(["load"])
    seen = set()
    for _ in range(count):
        job, body = c.reserve(10)
        check(int(body) not in seen, f"number {body} came twice")
        seen.add(int(body))
        c.delete(job)
    equal(seen, set(range(count)), "the jobs that are there")


def all_are_exchanged(options):
    """One after the other is added and removed until none of the first is left."""
    with Cluster(options, "members") as c, Load(c) as load:
        for new, old in (("n4", "n1"), ("n5", "n2"), ("n6", "n3")):
            began = time.monotonic()
            c.add(new)
            equal(c.members()[new][0], "voter", f"{new} in the end")
            added = time.monotonic() - began
            c.run("transfer-leader", new)
            equal(c.leader(), new, "the leader")
            c.run("remove", old)
            equal(set(c.members()), {n for n in c.grpc if n != old}, "the members")
            check("was removed from its cluster" in c.last_words(old), f"{old} says why it ends")
            c.forget(old)
            say(f"{new} had a vote after {added:.1f} s, {old} is gone; {load.count} puts until now")
        c.kill(c.leader())
        before = load.count
        until("puts after the leader's end", ENDS_S, lambda: load.count > before + 20)
        for name in (n for n in c.grpc if c.process[n].poll() is None):
            until(f"{name} that has compared its state", ENDS_S, lambda: c.counter(name, "digests_same"))
        load.stop()
        look(c, load.count)


def a_lost_directory_is_replaced(options):
    with Cluster(options, "replace") as c, Load(c) as load:
        until("some jobs", ENDS_S, lambda: load.count > JOBS)
        victim = next(n for n in c.first if n != c.leader())
        c.kill(victim)
        shutil.rmtree(c.dir / victim)
        c.start(victim)
        words = c.last_words(victim)
        check(f"coolbeans replace {victim} {victim}={c.grpc[victim]}" in words, f"{victim} says what to run: {words}")
        c.start_to_join(victim)
        c.run("replace", victim, f"{victim}={c.grpc[victim]}")
        equal({n: m[0] for n, m in c.members().items()}, dict.fromkeys(c.first, "voter"), "the members")
        other = next(n for n in c.first if n not in (victim, c.leader()))
        c.kill(other)  # now it is needed
        before = load.count
        until("puts without the third node", ENDS_S, lambda: load.count > before + 20)
        c.start(other)
        load.stop()
        look(c, load.count)


def what_cannot_be_is_refused(options):
    with Cluster(options, "refused") as c:
        check("no node answers" in c.run("add", "n4=127.0.0.1:1", code=1), "an address where nobody is")
        check("there is no member" in c.run("remove", "n9", code=1), "a name that nobody has")
        leader = c.leader()
        dead, alive = (n for n in c.first if n != leader)
        c.kill(dead)
        time.sleep(1)  # until the leader knows
        check("there would be no majority" in c.run("remove", alive, code=1), "a removal that would stop the cluster")
        c.start_to_join("n4")
        check("is n4, not n5" in c.run("add", f"n5={c.grpc['n4']}", code=1), "a node of another name")
        c.run("add", f"n4={c.grpc['n4']}")
        c.run("add", f"n4={c.grpc['n4']}")  # again: it is so
        c.run("remove", dead)
        equal(set(c.members()), {leader, alive, "n4"}, "the members")


def a_joined_node_restarts(options):
    with Cluster(options, "restart") as c, Load(c) as load:
        c.add("n4")
        for number in (signal.SIGKILL, signal.SIGTERM):
            c.process["n4"].send_signal(number)
            c.process["n4"].wait()
            c.start_to_join("n4")
            until("n4 again", ENDS_S, lambda: c.members()["n4"][1] in ("follower", "leader"))
        before = load.count
        until("puts", ENDS_S, lambda: load.count > before + 20)


if __name__ == "__main__":
    testing.main([all_are_exchanged, a_lost_directory_is_replaced, what_cannot_be_is_refused, a_joined_node_restarts],
                 testing.parse(testing.parser(__doc__)))
