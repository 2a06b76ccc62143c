#!/usr/bin/env python3
"""The tests' own tools: the client refuses what is not the protocol, and load, history and checker agree with
Debian's beanstalkd, which loses nothing while it runs."""

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import threading

from lib import checker
from lib.beanstalk import Client, Closed, Refused, Unexpected
from lib.cluster import free_port
from lib.load import Load
from lib.testing import Failure, check, equal, until

WRONG = [
    ("a bare LF", b"DELETED\n"),
    ("a CR within", b"DEL\rETED\r\n"),
    ("another word", b"TOUCHED\r\n"),
    ("a blank at the end", b"DELETED \r\n"),
    ("a line without end", b"D" * 400),
]


def scripted_server(reply):
    """The address of a server that answers the first command of one connection with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as peer:
            peer.recv(1000)
            peer.sendall(reply)
            peer.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


def raises(kind, call, what):
    try:
        call()
    except kind:
        return
    raise Failure(f"{what}: no {kind.__name__}")


def client_is_strict():
    for name, reply in WRONG:
        with Client(scripted_server(reply), 5) as c:
            raises(Unexpected, lambda: c.delete(1), name)
    with Client(scripted_server(b"RESERVED 1 3\r\nabcd\r\n"), 5) as c:
        raises(Unexpected, c.reserve, "a body longer than it says")
    with Client(scripted_server(b"NOT_FOUND\r\n"), 5) as c:
        raises(Refused, lambda: c.delete(1), "NOT_FOUND")
    with Client(scripted_server(b""), 5) as c:
        c.sock.shutdown(socket.SHUT_WR)
        raises(Closed, lambda: c.delete(1), "a connection that ends")


class Beanstalkd:
    """Debian's, without its log: what it holds is gone when it is killed."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self):
        program = shutil.which("beanstalkd", path=f"/usr/bin:/usr/sbin:{os.environ['PATH']}")
        self.process = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(self.port)])
        until("beanstalkd's answer", 10, self.answers)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answers(self):
        try:
            with Client(self.address) as c:
                return c.stats()
        except Closed:
            return None


def load_agrees_with_beanstalkd(seed):
    with Beanstalkd() as server:
        with Load(server.address, seed) as load:
            load.wait_acked(500)
        history = load.drain(30)
        equal(checker.check(history), [], "the history of beanstalkd")
        check(len(history.events) > 1000, "hardly anything happened")
        print(f"{load.acked} puts acknowledged, {len(history.events)} events without a violation")


def load_sees_a_queue_that_forgets(seed):
    """The same, with a kill -9 in between: jobs are lost and ids begin anew, and the checker says so."""
    server = Beanstalkd()
    with server, Load(server.address, seed) as load:
        load.wait_acked(300)
        server.__exit__()
        with server:
            load.wait_acked(300)
            load.stopping.set()
            for worker in load.workers:
                worker.join()
            found = checker.check(load.drain(30))
    for word in ("lost:", "reused:", "order:"):
        check(any(line.startswith(word) for line in found), f"no violation '{word}' in {found}")
    print(f"{len(found)} violations found in the history of a server that forgot")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.getrandbits(31))
    seed = p.parse_args().seed
    print(f"SEED={seed}")
    client_is_strict()
    load_agrees_with_beanstalkd(seed)
    load_sees_a_queue_that_forgets(seed)


if __name__ == "__main__":
    sys.exit(main())
