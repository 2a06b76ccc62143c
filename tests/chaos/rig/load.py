"""Drives chaos_load: its status lines, its end."""

import subprocess
import threading
import time

from lib.testing import Failure, check, until

STOP_S = 240


class Load:
    """`words`: more options of chaos_load."""

    def __init__(self, rig, seed, rate, words=()):
        self.rig = rig
        self.history = rig.dir / "history"
        self.errors = rig.dir / "load.log"
        to = [w for address in rig.listen() for w in ("--to", address)]
        self.words = [rig.options.tools / "chaos_load", *to, "--history", self.history, "--seed", seed, "--rate", rate,
                      *words]
        self.status = {"phase": "starts", "acked": 0, "newest": 0, "now": 0}
        self.process = self.reader = None

    def start(self):
        with self.errors.open("wb") as log:
            self.process = subprocess.Popen(self.rig.net.within("client") + [str(w) for w in self.words],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            now, phase, *fields = line.split()
            status = {"now": int(now), "phase": phase}
            status.update((name, int(value)) for name, value in (f.split("=") for f in fields))
            self.status = status

    def acked(self):
        return self.status["acked"]

    def check_alive(self):
        check(self.process.poll() is None, f"chaos_load ended with {self.process.poll()}: see {self.errors}")

    def wait_acked(self, more, seconds=60):
        goal = self.acked() + more

        def reached():
            self.rig.watch()
            self.check_alive()
            return self.acked() >= goal
        until(f"{more} more acknowledged puts", seconds, reached)

    def wait_put_after(self, moment_ns, seconds=90):
        """A put that was sent after that is acknowledged."""
        def reached():
            self.rig.watch()
            self.check_alive()
            return self.status["newest"] >= moment_ns
        until("an acknowledged put after the fault", seconds, reached, every=0.01)

    def stop(self, tell):
        """Ends the work and drains; the last status."""
        self.process.stdin.write("stop\n")
        self.process.stdin.close()
        end, told = time.monotonic() + STOP_S, 0
        while self.process.poll() is None:
            self.rig.watch()
            if time.monotonic() > end:
                self.process.kill()
                raise Failure("chaos_load did not come to its end")
            if time.monotonic() > told + 10:
                told = time.monotonic()
                tell(f"load {self.status['phase']}: {self.status['acked'] - self.status.get('deleted', 0)} jobs left")
            time.sleep(0.02)
        self.reader.join(10)
        return dict(self.status, exit=self.process.returncode)
