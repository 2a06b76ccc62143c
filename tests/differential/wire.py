"""A client's side of the beanstalkd protocol, as bytes: what was sent, and the replies one by one."""

import select
import socket
import time

# Replies that a body follows: the length is their last number.
BODY_WORDS = (b"RESERVED", b"FOUND", b"OK")
CRLF = b"\r\n"


class Closed(Exception):
    """The server closed the connection."""


class Timeout(Exception):
    """No reply came in time."""


class Connection:
    """One connection. `eof` is True once the server has closed it and all bytes were read."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = b""
        self.eof = False

    def send(self, data):
        self.socket.setblocking(True)
        try:
            self.socket.sendall(data)
        finally:
            self.socket.setblocking(False)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def fill(self, timeout):
        """Reads what is there, or waits up to `timeout` for something. False when nothing came."""
        if self.eof:
            return False
        ready, _, _ = select.select([self.socket], [], [], max(0, timeout))
        if not ready:
            return False
        try:
            data = self.socket.recv(1 << 20)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.eof = True
        self.buffer += data
        return True

    def _complete(self):
        """The length of the first reply in the buffer, 0 when it is not complete."""
        end = self.buffer.find(CRLF)
        if end < 0:
            return 0
        words = self.buffer[:end].split(b" ")
        size = end + 2
        if words[0] in BODY_WORDS and words[-1].isdigit():
            size += int(words[-1]) + 2
        return size if len(self.buffer) >= size else 0

    def poll(self):
        """The next reply if it is here, else None."""
        while self.fill(0):
            pass
        return self._take()

    def _take(self):
        size = self._complete()
        if size == 0:
            return None
        reply, self.buffer = self.buffer[:size], self.buffer[size:]
        return reply

    def _wait(self, take, timeout):
        deadline = time.monotonic() + timeout
        while True:
            taken = take()
            if taken is not None:
                return taken
            if self.eof:
                raise Closed(self.buffer)
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(self.buffer)
            self.fill(left)

    def reply(self, timeout=10.0):
        """The next reply, with its body."""
        return self._wait(self._take, timeout)

    def _take_line(self):
        end = self.buffer.find(CRLF)
        if end < 0:
            return None
        line, self.buffer = self.buffer[: end + 2], self.buffer[end + 2 :]
        return line

    def line(self, timeout=10.0):
        """The next line, whatever it is."""
        return self._wait(self._take_line, timeout)

    def rest(self, timeout=10.0):
        """Everything up to the end of the connection."""
        deadline = time.monotonic() + timeout
        while not self.eof:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(self.buffer)
            self.fill(left)
        rest, self.buffer = self.buffer, b""
        return rest

    def ask(self, line, timeout=10.0):
        self.send(line + CRLF)
        return self.reply(timeout)


def yaml_body(reply):
    """The lines of a reply `OK <n>` between `---` and its end; None for another reply."""
    if not reply.startswith(b"OK "):
        return None
    head, body = reply.split(CRLF, 1)
    if int(head[3:]) != len(body) - 2 or not body.startswith(b"---\n"):
        return None
    return body[4:-2].decode("latin-1").splitlines()


def yaml_dict(reply):
    lines = yaml_body(reply)
    if lines is None:
        raise ValueError("no dictionary: %r" % reply)
    return dict(line.split(": ", 1) for line in lines)


def yaml_list(reply):
    lines = yaml_body(reply)
    if lines is None:
        raise ValueError("no list: %r" % reply)
    return [line[2:] for line in lines]
