"""What became of the damage to stored bytes (faults/damage.py): counts for each place, and what was not found."""

from rig.faults.damage import BAD, FAULTS, FOUND

NAMES = [f.NAME for f in FAULTS]


def counts(faults):
    """{place: {how it was found: rounds}}"""
    found = {}
    for fault in faults:
        if fault.NAME in NAMES:
            row = found.setdefault(fault.NAME, {})
            row[fault.found] = row.get(fault.found, 0) + 1
    return found


def problems(faults):
    return [f"{f.NAME} of {f.target}: {f.found}: {f.hit}" + (f": {f.said}" if f.said else "") for f in faults
            if f.NAME in NAMES and f.found not in FOUND]


def rows(found):
    """For people."""
    words = [w for w in [*FOUND, *BAD] if any(w in row for row in found.values())]
    yield f"  {'damage':<16} {'rounds':>6}   " + "".join(f"{w:>10}" for w in words)
    for name, row in found.items():
        yield f"  {name:<16} {sum(row.values()):>6}   " + "".join(f"{row.get(w, 0):>10}" for w in words)
