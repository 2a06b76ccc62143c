#!/usr/bin/env python3
"""Clients that use, watch, wait and hold, and then look whether the cluster still says so.

usage: view.py HOST:PORT. Prints "ready" when all is set up. Each line on standard input is a question: what the cluster
says now is held against what the clients did, and answered "same" or with what differs. At the end of the input the
waiting clients get one job each, and what is held is deleted.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from lib.beanstalk import Client  # noqa: E402  (the path is needed first)

USERS = {"view-a": 3, "view-b": 2}
WAITERS, HELD, TTR = 4, 3, 3600
GLOBAL = ("current-connections", "current-workers", "current-producers")


class View:
    def __init__(self, address):
        self.asker = Client(address, 60)
        self.users = {tube: [self._user(address, tube) for _ in range(n)] for tube, n in USERS.items()}
        self.holder, self.held = self._holder(address)
        self.waiters = [self._waiter(address) for _ in range(WAITERS)]
        self.first = None

    @staticmethod
    def _user(address, tube):
        client = Client(address, 60)
        client.use(tube)
        return client

    def _holder(self, address):
        client = Client(address, 60)
        client.use("view-held")
        client.watch_only(["view-held"])
        ids = [client.put(b"held %d" % i, ttr=TTR) for i in range(HELD + 2)]
        return client, [client.reserve(10)[0] for _ in ids[:HELD]]

    @staticmethod
    def _waiter(address):
        client = Client(address, 60)
        client.watch_only(["view-wait"])
        client.send(b"reserve\r\n")
        return client

    def wanted(self):
        seen = {tube: {"current-using": n, "current-watching": 0, "current-waiting": 0} for tube, n in USERS.items()}
        seen["view-held"] = {"current-using": 1, "current-watching": 1, "current-waiting": 0,
                             "current-jobs-reserved": HELD, "current-jobs-ready": 2}
        seen["view-wait"] = {"current-using": 0, "current-watching": WAITERS, "current-waiting": WAITERS}
        seen["used"] = sorted(t for tube, n in USERS.items() for t in [tube] * n)
        seen["watched by the holder"] = ["view-held"]
        seen["held"] = ["reserved"] * HELD
        return seen

    def seen(self):
        seen = {}
        for tube, fields in self.wanted().items():
            if isinstance(fields, dict):
                stats = self.asker.stats_tube(tube)
                seen[tube] = {name: stats[name] for name in fields}
        seen["used"] = sorted(c.list_tube_used() for clients in self.users.values() for c in clients)
        seen["watched by the holder"] = self.holder.list_tubes_watched()
        seen["held"] = [self.asker.stats_job(job)["state"] for job in self.held]
        return seen

    def compare(self):
        """None, or what differs. The counts of all clients, those of the load too, are held against the first."""
        wanted, seen = self.wanted(), self.seen()
        stats = self.asker.stats()
        counts = {name: stats[name] for name in GLOBAL}
        self.first = self.first or counts
        differs = {key: (wanted[key], seen[key]) for key in wanted if wanted[key] != seen[key]}
        if counts != self.first:
            differs["stats"] = (self.first, counts)
        return differs or None

    def end(self):
        """Each waiting client gets one job, the holder's jobs are still its own."""
        self.asker.use("view-wait")
        ids = [self.asker.put(b"for a waiter") for _ in self.waiters]
        got = [w.job_reply("RESERVED", ())[0] for w in self.waiters]
        if sorted(got) != sorted(ids):
            return f"the waiting clients got {got}, the jobs were {ids}"
        for client, job in [*zip(self.waiters, got), *((self.holder, job) for job in self.held)]:
            client.delete(job)
        for _ in range(2):
            self.holder.delete(self.holder.reserve(10)[0])
        return None


def main():
    view = View(sys.argv[1])
    print("ready", flush=True)
    for _ in sys.stdin:
        differs = view.compare()
        print(f"differs: {differs}" if differs else "same", flush=True)
    trouble = view.end()
    print(trouble or "same", flush=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
