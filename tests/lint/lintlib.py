"""What the lint scripts share: the list of files, the report, the frame of a self-test."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(root, *suffixes):
    """The files of a git tree that are tracked or would be, or all files where there is no git."""
    git = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z"]
    listed = subprocess.run(git + ["--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = list(root.rglob("*"))
    return sorted(p for p in set(paths) if p.is_file() and (not suffixes or p.suffix in suffixes))


def read(path):
    """The text of a file; None for a binary one."""
    data = path.read_bytes()
    return None if b"\0" in data else data.decode("utf-8", "replace")


def self_test(check, good, bad):
    """Runs `check(root)` over planted trees.

    `good` is a tree {path: text} without a finding. `bad` is a list of (name, {path: text}, expected):
    a tree that differs from the good one by these files, and a part of the one finding it must give.
    """
    failed = 0
    for name, planted, expected in [("a clean tree", {}, None)] + bad:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in {**good, **planted}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            found = check(root)
        right = not found if expected is None else len(found) == 1 and expected in found[0]
        if not right:
            failed += 1
            print(f"self-test '{name}': wanted {expected!r}, found {found}")
    print(f"self-test: {len(bad) + 1 - failed} of {len(bad) + 1} as wanted")
    return 1 if failed else 0


def main(check, good, bad):
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test(check, good, bad))
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    found = check(root)
    for line in found:
        print(line)
    print(f"{len(found)} findings")
    sys.exit(1 if found else 0)
