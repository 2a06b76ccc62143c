"""Tests the harness itself: beanstalkd against beanstalkd must be equal, and against beanstalkd behind a
relay that changes its answers a little, the change must be found and shrunk."""

import re
import socket
import threading

import script
import tandem
from server import Beanstalkd, Server

# A change of the answers, and what it must do to be seen.
PLANTS = [
    ("touch always succeeds", lambda data: data.replace(b"TOUCHED\r\n", b"NOT_FOUND\r\n")),
    ("kick counts one too few", lambda data: re.sub(rb"KICKED 1\r\n", b"KICKED 0\r\n", data)),
    ("a counter is lost", lambda data: re.sub(rb"buries: 1\n", b"buries: 0\n", data)),
    ("the order of the list", lambda data: data.replace(b"- default\n- t1\n- t0\n", b"- default\n- t0\n- t1\n")),
    ("a key too many", lambda data: data.replace(b"reserves: ", b"reserved: ")),
]


class Relay:
    """Passes bytes between clients and a server, changing what the server says."""

    def __init__(self, target, change):
        self.target = target
        self.change = change
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for a, b, change in ((client, server, None), (server, client, self.change)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pump, args=(a, b, change), daemon=True).start()

    @staticmethod
    def pump(source, sink, change):
        try:
            while True:
                data = source.recv(1 << 20)
                if not data:
                    break
                sink.sendall(change(data) if change else data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is gone already

    def close(self):
        self.listener.close()


def finds(left, real, name, change):
    """True when a random script differs within 60 seeds."""
    relay = Relay(real.address, change)
    right = Server("changed", relay.address)
    try:
        for seed in range(1, 61):
            steps = script.make(seed)
            difference, _ = tandem.run(left, right, steps)
            if difference is None:
                continue
            shorter = tandem.shrink(left, right, steps)
            difference, last = tandem.run(left, right, shorter)
            print("planted '%s': found by seed %d, %d steps" % (name, seed, len(shorter)))
            for line in last.transcript:
                print("    " + line)
            return difference is not None
        print("planted '%s': not found" % name)
        return False
    finally:
        right.stop()
        relay.close()


def self_test():
    left, real = Beanstalkd(), Beanstalkd()
    failed = 0
    try:
        for seed in range(1, 41):
            difference, _ = tandem.run(left, real, script.make(seed))
            if difference is not None:
                print("seed %d: beanstalkd differs from itself: %s" % (seed, difference))
                failed += 1
        for name, change in PLANTS:
            real.control.close()
            failed += not finds(left, real, name, change)
            real.control = real.connect()
    finally:
        left.stop()
        real.stop()
    print("self-test: %s" % ("%d failures" % failed if failed else "passed"))
    return 1 if failed else 0
