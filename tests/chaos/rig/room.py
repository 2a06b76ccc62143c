"""What the clients saw while two of three disks were full (faults/disks_full.py): puts were refused, deletes were not,
and once there was room puts went on by themselves. From the history alone."""

from collections import namedtuple

RECOVERS_S = 10
Answer = namedtuple("Answer", "asked answered op result")


def answers(history):
    """Of puts and deletes."""
    with history.open(encoding="ascii") as lines:
        for line in lines:
            words = line.split(maxsplit=5)
            if len(words) >= 5 and words[3] in ("put", "delete") and words[1] != "-":
                yield Answer(int(words[0]), int(words[1]), words[3], words[4])


def judge(rig, faults):
    """(problems, lines for people)"""
    all_of_it = list(answers(rig.dir / "history"))
    found, told = [], []
    for fault in faults:
        refused = [a for a in all_of_it if a.result == "no-room" and fault.made_ns <= a.asked < fault.undone_ns]
        first = min((a.answered for a in refused), default=fault.undone_ns)
        deleted = sum(a.op == "delete" and a.result == "ok" and first <= a.asked and a.answered < fault.undone_ns
                      for a in all_of_it)
        again = min((a.answered for a in all_of_it
                     if a.op == "put" and a.result == "ok" and a.asked >= fault.undone_ns), default=None)
        took = None if again is None else (again - fault.undone_ns) / 1e9
        told.append(f"{fault}: {len(refused)} puts refused, the first after {(first - fault.made_ns) / 1e9:.2f} s; "
                    f"{deleted} deletes meanwhile; puts again "
                    + ("never" if took is None else f"{took:.2f} s after there was room"))
        found += [f"{fault}: {text}" for is_wrong, text in (
            (not refused, "no put was refused"), (refused and not deleted, "nothing could be deleted"),
            (took is None or took > RECOVERS_S, "puts did not go on")) if is_wrong]
    return found, told
