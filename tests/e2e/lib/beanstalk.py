"""A strict client of the beanstalkd protocol: any reply but the ones that the protocol allows is an error.

One socket, one command at a time, no reconnecting: what happens to the connection is part of the test.
"""

import re
import socket


class Closed(Exception):
    """The connection ended; whether an unanswered command happened is unknown."""


class Unexpected(Exception):
    """A reply that the protocol does not allow here."""


class Refused(Exception):
    """A defined reply that is not success: NOT_FOUND, TIMED_OUT, DEADLINE_SOON, ..."""

    def __init__(self, word):
        super().__init__(word)
        self.word = word


LINE_MAX = 300  # no reply line of the protocol is longer


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Client:
    """`last_reply` of a lost connection is when it was last known to live: set by who keeps time."""

    def __init__(self, address, timeout=30):
        try:
            self.sock = socket.create_connection(parse_address(address), timeout=timeout)
        except OSError as error:
            raise Closed(f"connect: {error}") from error
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ---- bytes ----

    def send(self, data):
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(f"send: {error}") from error

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(f"receive: {error}") from error
        if not data:
            raise Closed("end of file")
        self.buffer += data

    def line(self):
        """The next reply line without its CR LF."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > LINE_MAX:
                raise Unexpected(f"a reply line of over {LINE_MAX} bytes: {self.buffer[:80]!r}")
            self._more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Unexpected(f"a reply line that does not end in one CR LF: {line!r}")
        return line[:-1].decode("ascii")

    def body(self, length):
        """The next `length` bytes, which CR LF must follow."""
        while len(self.buffer) < length + 2:
            self._more()
        body, end = self.buffer[:length], self.buffer[length:length + 2]
        self.buffer = self.buffer[length + 2:]
        if end != b"\r\n":
            raise Unexpected(f"{end!r} after a body of {length} bytes")
        return body

    # ---- replies ----

    def reply(self, pattern, refusals=()):
        """The match of the whole next reply line; Refused for one of the words."""
        line = self.line()
        match = re.fullmatch(pattern, line, re.ASCII)
        if match:
            return match
        if line in refusals:
            raise Refused(line)
        raise Unexpected(f"{line!r}, wanted {pattern}")

    def ask(self, command, pattern, refusals=()):
        self.send(command.encode() + b"\r\n")
        return self.reply(pattern, refusals)

    def _number(self, command, pattern, refusals=()):
        return int(self.ask(command, pattern, refusals)[1])

    def job_reply(self, word, refusals):
        match = self.reply(word + r" (\d+) (\d+)", refusals)
        return int(match[1]), self.body(int(match[2]))

    def _job(self, command, word, refusals):
        self.send(command.encode() + b"\r\n")
        return self.job_reply(word, refusals)

    # ---- commands ----

    def put(self, body, pri=1000, delay=0, ttr=120):
        self.send(b"put %d %d %d %d\r\n%s\r\n" % (pri, delay, ttr, len(body), body))
        return int(self.reply(r"INSERTED (\d+)", ("DRAINING", "JOB_TOO_BIG", "OUT_OF_MEMORY"))[1])

    def reserve(self, timeout=None):
        """(id, body); without a timeout it waits as long as the connection's timeout."""
        command = "reserve" if timeout is None else f"reserve-with-timeout {timeout}"
        return self._job(command, "RESERVED", ("TIMED_OUT", "DEADLINE_SOON"))

    def reserve_job(self, job):
        return self._job(f"reserve-job {job}", "RESERVED", ("NOT_FOUND",))

    def delete(self, job):
        self.ask(f"delete {job}", "DELETED", ("NOT_FOUND",))

    def release(self, job, pri=1000, delay=0):
        self.ask(f"release {job} {pri} {delay}", "RELEASED", ("NOT_FOUND",))

    def bury(self, job, pri=1000):
        self.ask(f"bury {job} {pri}", "BURIED", ("NOT_FOUND",))

    def touch(self, job):
        self.ask(f"touch {job}", "TOUCHED", ("NOT_FOUND",))

    def kick(self, bound):
        return self._number(f"kick {bound}", r"KICKED (\d+)")

    def kick_job(self, job):
        self.ask(f"kick-job {job}", "KICKED", ("NOT_FOUND",))

    def peek(self, job):
        return self._job(f"peek {job}", "FOUND", ("NOT_FOUND",))

    def peek_state(self, state):
        return self._job(f"peek-{state}", "FOUND", ("NOT_FOUND",))

    def use(self, tube):
        self.ask(f"use {tube}", "USING " + re.escape(tube))

    def watch(self, tube):
        return self._number(f"watch {tube}", r"WATCHING (\d+)")

    def ignore(self, tube):
        return self._number(f"ignore {tube}", r"WATCHING (\d+)", ("NOT_IGNORED",))

    def watch_only(self, tubes):
        for tube in tubes:
            self.watch(tube)
        if "default" not in tubes:
            self.ignore("default")

    def pause_tube(self, tube, seconds):
        self.ask(f"pause-tube {tube} {seconds}", "PAUSED", ("NOT_FOUND",))

    def list_tube_used(self):
        return self.ask("list-tube-used", r"USING (\S+)")[1]

    def quit(self):
        """The server closes, and says nothing before it."""
        self.send(b"quit\r\n")
        try:
            self._more()
        except Closed:
            return
        raise Unexpected(f"{self.buffer!r} after quit")

    # ---- YAML ----

    def _yaml(self, command):
        length = self._number(command, r"OK (\d+)", ("NOT_FOUND",))
        text = self.body(length).decode("ascii")
        if not text.startswith("---\n") or not text.endswith("\n"):
            raise Unexpected(f"not the YAML of beanstalkd: {text!r}")
        return text[4:].splitlines()

    def _dict(self, command):
        result = {}
        for line in self._yaml(command):
            key, colon, value = line.partition(": ")
            if not colon:
                raise Unexpected(f"not 'key: value': {line!r}")
            value = value.strip('"')
            result[key] = int(value) if re.fullmatch(r"-?\d+", value) else value
        return result

    def _list(self, command):
        lines = self._yaml(command)
        if not all(line.startswith("- ") for line in lines):
            raise Unexpected(f"not a list: {lines!r}")
        return [line[2:] for line in lines]

    def stats(self):
        return self._dict("stats")

    def stats_tube(self, tube):
        return self._dict(f"stats-tube {tube}")

    def stats_job(self, job):
        return self._dict(f"stats-job {job}")

    def list_tubes(self):
        return self._list("list-tubes")

    def list_tubes_watched(self):
        return self._list("list-tubes-watched")
