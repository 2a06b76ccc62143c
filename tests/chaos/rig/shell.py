"""Commands of the system: what fails says which one it was."""

import subprocess


class Failed(Exception):
    """A command that the rig needs did not work; its text is a sentence."""


def run(*words, text=None, check=True, timeout=30):
    """What the command printed; `text` goes to its standard input."""
    words = [str(w) for w in words]
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{' '.join(words)}: {error}") from error
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout
