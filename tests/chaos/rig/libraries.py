"""Unmodified client libraries beside chaos_load: tests/chaos/clients. What they saw joins the load's history, so that the
checkers judge them together; a command that failed and a connection that ended are told of each."""

import collections
import pathlib
import shutil
import subprocess
import time

from lib.testing import check

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"
NODE_CLIENTS = CLIENTS.parents[1] / "e2e/clients/node"
FIRST_CONN = 4_000_000_000  # chaos_load counts from 1
ENOUGH = 50                 # commands of one connection: fewer prove nothing
ENOUGH_S, STOP_S = 20, 20

# name: (the command, what loads the library alone, see missing)
PROGRAMS = {
    "beaneater": (["ruby", CLIENTS / "beaneater.rb"], ["ruby", "-e", "require 'beaneater'"]),
    "pheanstalk": (["php", CLIENTS / "pheanstalk.php"], ["php", "-r", "require_once 'Pheanstalk/autoload.php';"]),
    "fivebeans": (["node", "--no-deprecation", CLIENTS / "fivebeans.js"],
                  ["node", "--no-deprecation", "-e", f"require('{NODE_CLIENTS}/node_modules/fivebeans')"]),
}


def missing():
    """The libraries that this machine lacks. The condition of tests/skips.txt is the same."""
    def loads(words):
        return shutil.which(words[0]) and subprocess.run(words, capture_output=True, check=False).returncode == 0
    return [name for name, (_, probe) in PROGRAMS.items() if not loads(probe)]


class Client:
    """One connection of a library to one proxy."""

    def __init__(self, rig, name, number, seed):
        self.name, self.number = name, number
        self.proxy = sorted(rig.proxies)[number % len(rig.proxies)]
        self.file = rig.dir / f"history.{name}-{number}"
        self.log = rig.dir / f"{name}-{number}.log"
        host, port = rig.listen()[number % len(rig.proxies)].split(":")
        words = [*rig.net.within("client"), *PROGRAMS[name][0], host, port, FIRST_CONN + number, seed + number]
        with self.file.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=out, stderr=log)

    def lines(self):
        return self.file.read_text().splitlines()

    def counts(self):
        """{op: how many}, also "errors" and "closed"."""
        counts = collections.Counter()
        for words in (line.split() for line in self.lines()):
            counts[words[3]] += 1
            counts["errors"] += words[4] == "error"
            counts["closed"] += words[3] == "close" and "by=server" in words
        return counts

    def problems(self):
        counts, who = self.counts(), f"{self.name} at {self.proxy}"
        found = [f"{who}: {counts[what]} {text}" for what, text in
                 (("errors", "commands were answered with an error"), ("closed", "connections ended")) if counts[what]]
        if self.process.returncode != 0:
            found.append(f"{who} ended with {self.process.returncode}: {self.log.read_text()[-300:].strip()}")
        few = [op for op in ("put", "reserve", "delete", "touch", "release", "bury", "kick") if not counts[op]]
        if few or sum(counts.values()) < ENOUGH:
            found.append(f"{who} made {sum(counts.values())} commands, no {', no '.join(few) or 'kind missing'}")
        return found


class Libraries:
    def __init__(self, rig, seed):
        names = [name for name in PROGRAMS for _ in rig.proxies]
        self.clients = [Client(rig, name, i, seed) for i, name in enumerate(names)]

    def stop(self):
        """When each has done enough, while the load still works: who waits for a job gets one. One that does not end is
        killed, and problems() says so."""
        end = time.monotonic() + ENOUGH_S
        while time.monotonic() < end and any(c.process.poll() is None and len(c.lines()) < ENOUGH for c in self.clients):
            time.sleep(0.2)
        for client in self.clients:
            client.process.stdin.close()
        end = time.monotonic() + STOP_S
        for client in self.clients:
            try:
                client.process.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                client.process.kill()
                client.process.wait()

    def join(self, history):
        """Puts their lines at the end of the load's, when that has ended."""
        with history.open("a", encoding="utf-8") as f:
            for client in self.clients:
                lines = client.lines()
                check(lines, f"{client.name} saw nothing: see {client.log}")
                f.write("".join(f"{line}\n" for line in lines))

    def tell(self, say):
        for client in self.clients:
            counts = client.counts()
            say(f"{client.name} at {client.proxy}: {sum(counts.values())} commands, {counts['errors']} errors, "
                f"{counts['closed']} connections ended")

    def problems(self):
        return [problem for client in self.clients for problem in client.problems()]
