"""What is run: named experiments, each a row of what issue 4 asks, and the mixed run by a seed."""

import dataclasses
import random
import time
from collections.abc import Callable

from lib.testing import check, say, until
from rig import damage, fence, room, schedule, verdict
from rig.cluster import Rig
from rig.faults import FAULTS
from rig.faults.clock import environment as clock_environment
from rig.faults.damage import NODE_WORDS, STOPPED
from rig.ledger import state
from rig.libraries import Libraries
from rig.load import Load
from rig.viewer import Viewer

PUTS_BETWEEN = 400  # acknowledged, before the next fault of a kind
NOTHING = {"lost": 0, "duplicated": 0, "errors": 0, "misfits": 0}
UNSEEN = {**NOTHING, "closed": 0}
# All that may be mixed. The clock is a mix of its own, see faults/clock.py.
MIXED = ["kill", "kill-all", "pause", "restart", "partition", "loss", "slow", "power", "proxy-kill", "proxy-restart",
         "proxy-cut", "proxy-pause", "delay", "proxy-delay", "split", "reset"]
DISKS = ["kill", "pause", "partition", "restart", "disk-full", "disks-full", "io-error"]
CLOCKS = ["clock", "clock-lead", "pause", "partition", "loss", "slow", "delay"]


@dataclasses.dataclass
class Experiment:
    """`count` faults, those named in turns, each when the one before is over; or, without it, all mixed for `seconds`."""
    text: str
    faults: list
    count: int = 0
    seconds: float = 0
    leader: bool = None          # True: every one of them hits the leader
    low: float = None            # of each fault, in seconds
    high: float = None
    goals: dict = dataclasses.field(default_factory=dict)
    is_quiet: bool = False       # nothing goes wrong, so nothing may be seen
    has_view: bool = False       # clients whose state must stay as it is: view.py
    has_room: bool = False       # room.py judges what clients saw of two full disks
    has_kept: bool = False       # jobs that stay, and must stay as they are: keep.py
    has_libraries: bool = False  # client libraries beside the load, which see no error and no end of a connection
    has_fence: bool = False      # fence.py judges what its proxies did
    lengths: Callable = None     # instead of low and high: (rng, its number, its name, timeout of sessions) -> seconds
    load: tuple = ()             # more options of chaos_load
    node: tuple = ()             # and of each node


def length_beside_fence(rng, number, fault, timeout):
    """A cut is beyond the timeout: a minute for one of 30 s, as line 3 of issue 4 wants it. A pause is well below the
    fence or beyond it, in turns."""
    if fault == "proxy-cut":
        return max(timeout + 1.5, 3 * timeout - 30)
    low, high = (0.1, fence.FENCE * timeout - fence.EARLY_S - 0.5) if number % 2 == 0 else (0.85 * timeout, 1.2 * timeout)
    return round(rng.uniform(low, high), 3)


EXPERIMENTS = {
    "leader-kills": Experiment("SIGKILL of the leader", ["kill"], 200, leader=True, low=0.3, high=3,
                               goals={**UNSEEN, "kill.next.median": 1.0, "kill.longest.max": 2.5}),
    "planned-restarts": Experiment("SIGTERM of the leader", ["restart"], 50, leader=True, low=0.05, high=0.5,
                                   goals={**UNSEEN, "restart.longest.max": 0.3}),
    "leader-pauses": Experiment("SIGSTOP of the leader", ["pause"], 100, leader=True, low=0.5, high=10,
                                goals={**UNSEEN, "pause.longest.max": 2.5}),
    "leader-partitions": Experiment("the leader cut off, also one way", ["partition"], 100, leader=True, low=0.5, high=10,
                                    goals={**UNSEEN, "partition.longest.max": 2.5}),
    "proxy-kills": Experiment("SIGKILL of a proxy", ["proxy-kill"], 50, low=0.05, high=2, goals=NOTHING),
    "power-failures": Experiment("all nodes lose power", ["power"], 50, low=0.05, high=1, goals=NOTHING),
    "proxy-cut-off": Experiment("a proxy cut off from all nodes for a minute", ["proxy-cut"], 1,
                                lengths=length_beside_fence, has_fence=True, goals=NOTHING),
    "proxy-pauses": Experiment("SIGSTOP of a proxy, below its fence and beyond it in turns", ["proxy-pause"], 10,
                               lengths=length_beside_fence, has_fence=True, goals=NOTHING),
    "client-libraries": Experiment("SIGKILL of the leader under unmodified client libraries", ["kill"], 20, leader=True,
                                   low=0.3, high=2, has_libraries=True, goals=UNSEEN),
    "delays": Experiment("packets of a node late, overtaken, twice", ["delay"], 50, low=1, high=10, goals=NOTHING),
    "splits": Experiment("the leader and a proxy on one side, all others on the other", ["split"], 50, leader=True,
                         low=2, high=5, load=("--readers", "48"), node=("--election-ms", "1500"), goals=NOTHING),
    "resets": Experiment("what a leader took and has not applied is sent again", ["reset"], 100, leader=True, low=0.3,
                         high=1, node=("--election-ms", "3000"), goals=NOTHING),
    "clock-leads": Experiment("wall clocks step while nobody leads", ["clock-lead"], 50, leader=True, low=1.5, high=4,
                              goals=NOTHING),
    "same-view": Experiment("what clients use, watch, wait for and hold, after changes of leader", ["kill"], 20,
                            leader=True, low=0.3, high=2, has_view=True, goals=UNSEEN),
    "quiet": Experiment("no faults: no election, nothing to be seen", [], seconds=600, is_quiet=True,
                        goals={**UNSEEN, "elections": 0}),
    "damage": Experiment("a bit of what a node stored is another, or a file of it has lost its end",
                         [f.NAME for f in STOPPED], 100, low=0.3, high=1.5, has_kept=True, node=NODE_WORDS,
                         goals=NOTHING),
    "damage-running": Experiment("a bit of a node's state is another below the page cache, and it goes on",
                                 ["damage-running"], 20, low=0.3, high=1.5, has_kept=True, node=NODE_WORDS,
                                 goals=NOTHING),
    "full-disks": Experiment("two disks are full at once", ["disks-full"], 10, low=4, high=10, has_room=True,
                             goals=NOTHING),
    "mixed": Experiment("all that may come together", MIXED, seconds=300, goals=NOTHING),
    "disks": Experiment("disks that are full or fail", DISKS, seconds=300, goals=NOTHING),
    "clocks": Experiment("wall clocks that step", CLOCKS, seconds=300, goals=NOTHING),
}


def chosen(experiment, options):
    """The experiment with what the command line says instead."""
    changes = {name: getattr(options, name) for name in ("count", "seconds") if getattr(options, name) is not None}
    if options.faults:
        changes["faults"] = options.faults
    if experiment.count:
        changes["seconds"] = 0
    elif len(changes.get("faults", experiment.faults)) != 1:
        changes["count"] = 0
    return dataclasses.replace(experiment, **changes)


def make_rig(options, name, e):
    classes = [FAULTS[f] for f in e.faults]
    clocks = any(c.CLOCKS for c in classes)
    rig = Rig(options, name, disks={d for c in classes for d in c.DISKS}, clocks=clocks, node_words=e.node)
    return rig, clocks


def repeat(e, options, rig, load, view):
    """`count` faults; between them all becomes one again."""
    rng = random.Random(f"repeat {options.seed}")
    faults = []
    for i in range(e.count):
        load.wait_acked(PUTS_BETWEEN)
        name = e.faults[i % len(e.faults)]
        seconds = e.lengths(rng, i, name, rig.session_timeout) if e.lengths else round(rng.uniform(e.low, e.high), 3)
        fault = FAULTS[name](rng, seconds=seconds, leader=e.leader)
        faults.append(fault)
        if e.leader:
            rig.leader()
        fault.start(rig)
        try:
            hold(fault, rig, load)
        finally:
            fault.undo(rig)
        load.wait_put_after(fault.at_ns)
        took = (time.monotonic_ns() - fault.at_ns) / 1e9
        rig.wait_whole()
        if e.has_kept:
            view.ask()
        say(f"{i + 1}/{e.count} {fault}; puts went on within {took:.2f} s")
    return faults


def load_words(e):
    """Whose jobs are not all in the history must not be counted: `stats` counts those of view.py and keep.py too."""
    looks = [] if not (e.has_view or e.has_kept) else ["--lookers", "0"]
    return ["--plain", *looks] if e.has_view or e.is_quiet else [*looks, *e.load]


def hold(fault, rig, load):
    end = time.monotonic() + fault.seconds

    def is_over():
        rig.watch()
        load.check_alive()
        return time.monotonic() >= end
    until("the end of the fault", fault.seconds + 30, is_over)


def mixed(e, options, rig, load, _):
    planned = schedule.draw(options.seed, e.seconds, e.faults)
    say(f"the schedule of seed {options.seed}:")
    schedule.show(planned, say)
    schedule.run(planned, rig, load, say)
    return [fault for _, fault in planned]


def quiet(e, _, rig, load, __):
    end, told = time.monotonic() + e.seconds, time.monotonic()
    while time.monotonic() < end:
        rig.watch()
        load.check_alive()
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"{end - told:.0f} s to go, {load.acked()} acknowledged, term {rig.terms()}")
        time.sleep(0.1)
    return []


def environment(rig, name, clocks):
    """Of a node: with the libraries that its clock and its disk need."""
    env = clock_environment(rig, name) if clocks else {}
    libraries = rig.disks[name].libraries() + ([env["LD_PRELOAD"]] if clocks else [])
    return {**env, "LD_PRELOAD": ":".join(libraries)} if libraries else {}


def start_again(rig):
    """One node after the other: only one that started with a state knows of a wall clock that it could go by."""
    for node in rig.nodes.values():
        check(node.terminate() == 0, f"{node.name} did not end well after SIGTERM")
        node.start()
        rig.wait_whole()


def run(name, options):
    """The result of the experiment, told and kept in options.work."""
    e = chosen(EXPERIMENTS[name], options)
    rig, clocks = make_rig(options, name, e)
    act = quiet if e.is_quiet else repeat if e.count else mixed
    with rig:
        for node in rig.nodes.values():
            node.environment = environment(rig, node.name, clocks)
        say(f"--- {name}: {e.text}; seed {options.seed}; {rig.dir}")
        rig.start()
        load = Load(rig, options.seed, options.rate, load_words(e))
        load.start()
        load.wait_acked(PUTS_BETWEEN)
        if clocks:
            start_again(rig)
        term = rig.terms()
        view = Viewer(rig) if e.has_view else Viewer(rig, "keep.py", "what is kept") if e.has_kept else None
        libraries = Libraries(rig, options.seed) if e.has_libraries else None
        faults = act(e, options, rig, load, view)
        if view:
            view.end()
        result = finish(name, e, options, rig, load, libraries, faults, term)
        options.keep = options.keep or bool(result["problems"])
    return result


def more_problems(e, rig, libraries, faults):
    """What history_check does not look for, and this experiment must not show."""
    found, told = [], []
    if e.has_fence:
        found, told = fence.judge(rig, faults)
    if e.has_room:
        found, told = room.judge(rig, faults)
    for line in told:
        say(line)
    if libraries:
        libraries.tell(say)
        found += libraries.problems()
    return found + damage.problems(faults)


def finish(name, e, options, rig, load, libraries, faults, term):
    rig.wait_whole()
    load.wait_acked(PUTS_BETWEEN)
    elections = rig.terms() - term
    if libraries:
        libraries.stop()
    status = load.stop(say)
    if libraries:
        libraries.join(load.history)
    rig.check_alive()
    notes = {"experiment": name, "seed": options.seed, **state(), "rate": options.rate, "elections": elections,
             "found": damage.counts(faults),
             "ends": [end for d in rig.daemons() for end in d.ends],
             "bad_ends": rig.stop(),
             "problems": more_problems(e, rig, libraries, faults)}
    extra = ["--closes-allowed=0", "--stall-max=2000"] if e.is_quiet else []
    result = verdict.judge(options, rig, faults, status, notes, extra)
    verdict.tell(result, e.goals, say)
    return result
