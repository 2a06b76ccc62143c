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


def load_agrees_with_beanstalkd(seed):
    port = free_port()
    server = subprocess.Popen([shutil.which("beanstalkd", path="/usr/bin:/usr/local/bin:/usr/sbin") or "beanstalkd",
                               "-l", "127.0.0.1", "-p", str(port)])
    try:
        def answers():
            try:
                with Client(f"127.0.0.1:{port}") as c:
                    return c.stats()
            except Closed:
                return None

        until("beanstalkd's answer", 10, answers)
        with Load(f"127.0.0.1:{port}", seed) as load:
            load.wait_acked(500)
        history = load.drain(30)
        equal(checker.check(history), [], "the history of beanstalkd")
        check(len(history.events) > 1000, "hardly anything happened")
        print(f"{load.acked} puts acknowledged, {len(history.events)} events without a violation")
    finally:
        server.kill()
        server.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.getrandbits(31))
    seed = p.parse_args().seed
    print(f"SEED={seed}")
    client_is_strict()
    load_agrees_with_beanstalkd(seed)


if __name__ == "__main__":
    sys.exit(main())
