"""What is not compared: ids become the order in which they appeared, times and the process's own become *."""

import re

from wire import yaml_body

# Keys of `stats` that are the answering process's own, or moved by this harness's own polling.
OWN = {
    "pid", "version", "rusage-utime", "rusage-stime", "uptime", "binlog-oldest-index",
    "binlog-current-index", "binlog-records-migrated", "binlog-records-written", "binlog-max-size",
    "id", "hostname", "os", "platform", "cmd-stats",
}
# Keys that grow as long as the server runs: compared as the difference since the script began.
GROWING = re.compile(r"^(cmd-.*|job-timeouts|total-jobs|total-connections)$")
TIMES = {"age", "time-left", "pause-time-left", "file"}


class Ids:
    """The ids of one side, by the put that made them."""

    def __init__(self):
        self.by_put = {}
        self.puts = {}

    def add(self, put, job):
        self.by_put[put] = job
        self.puts[job] = put

    def id_of(self, put):
        return self.by_put.get(put, b"8888888888888888")

    def name_of(self, job):
        return b"#%d" % self.puts[job] if job in self.puts else b"?" + job


class Mask:
    """Masks the replies of one side. `quotes` says whether item 9 (a) was seen."""

    def __init__(self, ids, base):
        self.ids = ids
        self.base = base
        self.saw_quotes = False
        self.saw_no_quotes = False

    def _line(self, line, of_server):
        key, _, value = line.partition(": ")
        if value.startswith('"') and key in ("name", "tube"):
            self.saw_quotes = True
            value = value.strip('"')
        elif key in ("name", "tube"):
            self.saw_no_quotes = True
        if key in TIMES or (of_server and key in OWN):
            value = "*"
        elif key == "id":
            value = self.ids.name_of(value.encode()).decode()
        elif of_server and GROWING.match(key):
            value = "+%d" % (int(value) - int(self.base.get(key, 0)))
        elif key == "total-jobs" and self.base.get("in default"):
            value = "*"
        return key + ": " + value

    def _yaml(self, lines, command):
        if lines and lines[0].startswith("- "):
            return lines
        of_server = command == b"stats"
        if lines and lines[0] in ("name: default", 'name: "default"'):
            lines = [self._default(line) for line in lines]
        return [self._line(line, of_server) for line in lines]

    @staticmethod
    def _default(line):
        """The tube default outlives a script, and with it its counters."""
        key = line.partition(": ")[0]
        return key + ": *" if key in ("total-jobs", "cmd-delete", "cmd-pause-tube") else line

    def reply(self, reply, command):
        """`command` is the line that was answered, without CRLF."""
        if reply is None:
            return None
        lines = yaml_body(reply)
        if lines is not None:
            return b"OK:\n" + "\n".join(self._yaml(lines, command)).encode()
        words = reply.split(b"\r\n", 1)[0].split(b" ")
        if len(words) > 1 and words[0] in (b"INSERTED", b"RESERVED", b"FOUND", b"BURIED"):
            return reply.replace(words[1], self.ids.name_of(words[1]), 1)
        return reply
