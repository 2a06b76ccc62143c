"""Work beside a test, in a thread of its own.

    class Load(Background):
        def step(self): ...

    with Load() as load:
        ...
"""

import threading


class Background:
    """`step` again and again until the end of the block or `stop`; what it raised is raised there, unless the block has failed."""

    def __init__(self):
        self.over, self.error = False, None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self.over:
                self.step()
        except Exception as error:  # told by whoever asked for the work
            self.error = error

    def stop(self):
        self.over = True
        self.thread.join()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None and self.error is not None:
            raise self.error
