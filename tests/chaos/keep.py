#!/usr/bin/env python3
"""Jobs that stay while nodes are damaged: what is stored of them stays where it is on the disks, and nobody may ever be
given other bytes.

usage: keep.py HOST:PORT. Prints "ready" when all are put. Each line on standard input is a question: all are peeked at,
and the answer is "same" or what differs. At the end of the input they are deleted, and the answer is "same" again.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from lib.beanstalk import Client  # noqa: E402  (the path is needed first)

COUNT, SIZE = 60, 40_000  # pages of their own, in LMDB
TUBE = "kept"


def body_of(number):
    return (b"kept body %06d " % number * (SIZE // 17 + 1))[:SIZE]


def compare(client, jobs):
    wrong = [job for job, body in jobs.items() if client.peek(job) != (job, body)]
    return f"other bytes: jobs {wrong}" if wrong else "same"


def main():
    client = Client(sys.argv[1], 60)
    client.use(TUBE)
    bodies = [body_of(number) for number in range(COUNT)]
    jobs = {client.put(body): body for body in bodies}
    print("ready", flush=True)
    for _ in sys.stdin:
        print(compare(client, jobs), flush=True)
    for job in jobs:
        client.delete(job)
    print("same", flush=True)


if __name__ == "__main__":
    main()
