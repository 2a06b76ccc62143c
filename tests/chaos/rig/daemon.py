"""A program on a host of the rig, with a log file, that is started again and again."""

import os
import signal
import subprocess
import time

from lib.testing import until

READY_S = 60
RESTART_NS = 300_000_000  # as RestartSec= of a unit would be
START_NS = 2_000_000_000


class Daemon:
    """`wanted` is whether it should run: one that has ended while it should is started again, as systemd would."""

    def __init__(self, rig, name, words):
        self.rig, self.name, self.words = rig, name, words
        self.log = rig.dir / f"{name}.log"
        self.ready_file = rig.dir / f"{name}.ready"
        self.environment = {}
        self.process = None
        self.wanted = False
        self.is_stopped = False  # by SIGSTOP
        self.may_die = 0         # faults under way that are a reason to end,
        self.may_not_start = 0   # or to end right after the start
        self.excused_until_ns = 0
        self.started_ns = self.again_ns = 0
        self.ends = []           # (when, status) of ends that nobody asked for
        self.starts = 0

    def start(self):
        """Without waiting for it."""
        if self.is_alive():
            return
        self.wanted, self.is_stopped, self.again_ns = True, False, 0
        self.starts += 1
        self.started_ns = time.monotonic_ns()
        self.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts} at {time.monotonic():.3f}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                self.rig.net.within(self.name) + [str(w) for w in self.words] + ["--ready-file", str(self.ready_file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment})

    def start_at(self, when_ns):
        """By a later watch()."""
        if not self.is_alive():
            self.wanted, self.again_ns = True, when_ns

    def wait_ready(self, seconds=READY_S):
        until(f"{self.name} is ready", seconds, lambda: self.ready_file.exists() or not self.is_alive())

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; waits until the kernel has let go of it. The moment before."""
        self.wanted = False
        before = time.monotonic_ns()
        if self.is_alive():
            self.process.kill()
            self.process.wait(30)
        return before

    def terminate(self, seconds=30):
        """SIGTERM, and waits; its exit status."""
        self.wanted = False
        if self.is_alive():
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
                return "SIGTERM had no effect"
        return self.process.returncode if self.process else 0

    def pause(self):
        if self.is_alive():
            self.process.send_signal(signal.SIGSTOP)
            self.is_stopped = True

    def resume(self):
        if self.is_alive() and self.is_stopped:
            self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def watch(self):
        """Starts it again, soon, when it has ended by itself, and notes that."""
        now = time.monotonic_ns()
        if self.again_ns and now >= self.again_ns:
            self.again_ns = 0
            if self.wanted:
                self.start()
        elif self.wanted and not self.again_ns and self.process.poll() is not None:
            at_start = now - self.started_ns < START_NS
            self.ends.append({"name": self.name, "at_ns": now, "status": self.process.returncode,
                              "excused": self.may_die > 0 or now < self.excused_until_ns or
                              (self.may_not_start > 0 and at_start),
                              "said": self.last_words()})
            self.again_ns = now + RESTART_NS

    def last_words(self):
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4000))
            lines = log.read().decode(errors="replace").splitlines()
        told = [line for line in lines if "BUG:" in line or "fatal:" in line or "cannot" in line] or lines
        return told[-1] if told else ""
