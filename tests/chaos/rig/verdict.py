"""What a run was: the checkers' word on its history, counts, stalls; for people and as JSON."""

import collections
import json
import re
import statistics
import subprocess

from rig import damage
from rig.shell import Failed, run

CHECK_S = 3600
PROPERTY = re.compile(r"^(P\d+) (.{1,17}?) +(\d+) +(\d+)$", re.M)
# The cluster's clock may lag, never be ahead by more than what clocks drift in one ttr: a larger bound would hide a delay of
# a second that is ignored.
CLOCK_ERROR_MS = 300
# How soon a client of the rig sees that its proxy has closed; to be added: how long a proxy stood still.
CLOSE_NOTICE_MS = 2000


def close_notice_ms(faults):
    return CLOSE_NOTICE_MS + max(((f.undone_ns - f.at_ns) // 1_000_000 for f in faults if f.NAME == "proxy-pause"),
                                 default=0)


def check_history(options, history, is_drained, notice_ms, extra=()):
    """({property: (judged, violations)}, what the checker says)"""
    words = [options.bin.parent / "tests" / "history_check", *(["--drained"] if is_drained else []), f"--clock-error={CLOCK_ERROR_MS}",
             f"--close-notice={notice_ms}", *extra, history]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=CHECK_S, check=False)
    found = {name: (int(judged), int(wrong)) for name, _, judged, wrong in PROPERTY.findall(done.stdout)}
    if done.returncode not in (0, 1) or len(found) < 13:
        raise Failed(f"history_check: exit {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return found, done.stdout


def measure(options, history, faults):
    path = history.with_suffix(".faults")
    path.write_text("".join(f"{f.at_ns} {f.made_ns}\n" for f in faults))
    return json.loads(run(options.tools / "chaos_measure", history, path, timeout=CHECK_S))


def stalls(measured, faults):
    """[{fault, target, seconds, next, longest}]"""
    return [{"fault": f.NAME, "target": f.target, "seconds": f.seconds, "details": f.details(),
             "lasted": round((f.undone_ns - f.at_ns) / 1e9, 3), "next": m["next"], "longest": m["longest"]}
            for f, m in zip(faults, measured.pop("faults"))]


def summary_of(values):
    known = [v for v in values if v is not None]
    if not known:
        return None
    return {"count": len(values), "median": round(statistics.median(known), 3), "max": round(max(known), 3),
            "never": len(values) - len(known)}


def judge(options, rig, faults, load_status, notes, extra=()):
    """The result of a run as a dictionary; `problems` says what must not be, and begins with those of `notes`."""
    faults = sorted((f for f in faults if f.undone_ns is not None), key=lambda f: f.at_ns)
    properties, said = check_history(options, rig.dir / "history", load_status["phase"] == "ended" and
                                     load_status["exit"] == 0, close_notice_ms(faults), extra)
    (rig.dir / "check.txt").write_text(said)
    measured = measure(options, rig.dir / "history", faults)
    each = stalls(measured, faults)
    result = {**notes, **measured, "lost": properties["P1"][1], "duplicated": properties["P2"][1],
              "misfits": load_status.get("misfits", 0), "unanswered": load_status["unanswered"], "out_of_order": said.count("the answer came before that"),
              "drained": load_status["exit"] == 0,
              "violations": {name: wrong for name, (_, wrong) in properties.items() if wrong},
              "judged": {name: judged for name, (judged, _) in properties.items()},
              "stalls": {name: {"next": summary_of([s["next"] for s in each if s["fault"] == name]),
                                "longest": summary_of([s["longest"] for s in each if s["fault"] == name])}
                         for name in dict.fromkeys(s["fault"] for s in each)},
              "faults": each}
    result["problems"] = notes["problems"] + problems(result, rig, said)
    return result


def problems(result, rig, said):
    """What no run may show, whatever its faults are."""
    found = [f"{name}: {wrong} violations" for name, wrong in result["violations"].items()]
    if found:
        found.append("\n".join(said.splitlines()[:40]))
    if not result["drained"]:
        found.append(f"the queue was not drained, or {result['unanswered']} commands were never answered: "
                     f"see {rig.dir / 'load.log'}")
    if result["misfits"]:
        found.append(f"{result['misfits']} answers that are none to the command whose turn it was")
    ends = collections.Counter(f"{e['name']} ended by itself with {e['status']}: {e['said']}"
                               for d in rig.daemons() for e in d.ends if not e["excused"])
    found += [f"{text} ({n} times)" for text, n in ends.items()]
    return found + rig.reports() + [f"{n} ended with {s} after SIGTERM" for n, s in result.pop("bad_ends").items()]


# ---- for people ----


def line_of_goal(name, got, wanted):
    word = "reached" if got is not None and got <= wanted else "NOT YET"
    return f"  {name:<44} {got!s:>10}  at most {wanted:<6} {word}"


def goals_of(result, goals):
    """[(what, got, wanted)] of the lines of issue 4; they are told, and do not decide over the run."""
    rows = []
    for key, wanted in goals.items():
        if "." in key:
            fault, kind, number = key.split(".")
            entry = (result["stalls"].get(fault) or {}).get(kind)
            rows.append((f"stall after {fault}, {kind}, {number}, s", entry and entry[number], wanted))
        else:
            rows.append((key, result[key], wanted))
    return rows


def tell(result, goals, say):
    say(f"seed {result['seed']}, commit {result['commit']}: {result['experiment']}, {result['seconds']:.0f} s")
    print(f"  {result['acked']} puts acknowledged, {result['puts_per_s']:.0f} a second, {result['deleted']} deleted; put "
          f"p50 {result['put_p50'] * 1e3:.2f} ms, p99 {result['put_p99'] * 1e3:.1f} ms, longest {result['put_max']:.3f} s")
    print(f"  lost {result['lost']}, duplicated {result['duplicated']}, error replies {result['errors']}, closed by the "
          f"server {result['closed']}, misfits {result['misfits']}, never answered {result['unanswered']}")
    if result["stalls"]:
        print(f"  {'fault':<14} {'count':>5}   {'next put: median':>16} {'greatest':>9}   {'one put: median':>16} {'greatest':>9}")
    for name, both in result["stalls"].items():
        after, longest = both["next"], both["longest"]
        if after:
            print(f"  {name:<14} {after['count']:>5}   {after['median']:>14.3f} s {after['max']:>7.3f} s   "
                  f"{longest['median']:>14.3f} s {longest['max']:>7.3f} s")
    for row in damage.rows(result["found"]) if result["found"] else []:
        print(row)
    for row in goals_of(result, goals):
        print(line_of_goal(*row))
    for problem in result["problems"]:
        print(f"  PROBLEM {problem}")
    print("  " + ("no violation" if not result["problems"] else "FAILED"), flush=True)
