#!/usr/bin/env python3
"""What goes wrong at a start or comes from a broken peer: a clear sentence, nothing harmed, never a crash."""

import pathlib
import random
import signal
import socket
import subprocess

from lib import rpc, testing
from lib.beanstalk import Client
from lib.cluster import Cluster, free_port, sanitizer_lines
from lib.testing import check, equal, say, until

START_S = 30


def run(options, program, *words):
    """(exit status, stdout, stderr) of a program that is expected to end by itself."""
    done = subprocess.run([options.bin / program, *map(str, words)], capture_output=True, text=True, timeout=START_S,
                          check=False, stdin=subprocess.DEVNULL)
    check(done.returncode >= 0, f"{program} {words}: ended by signal {-done.returncode}\n{done.stderr}")
    return done.returncode, done.stdout, done.stderr


def node_words(directory, name="n1", ports=None):
    """A three-node command line of which only this node is ever started."""
    ports = ports or [free_port() for _ in range(3)]
    cluster = ",".join(f"n{i + 1}=127.0.0.1:{port}" for i, port in enumerate(ports))
    return ["--name", name, "--data-dir", directory, "--cluster", cluster]


WRONG_NODE = [
    ["--nonsense"], ["--name"], [], ["--name", "n1"], ["--election-ms", "x"], ["--election-ms", "1"],
    ["--session-timeout", "-1s"], ["--listen", "0.0.0.0:7"], ["--listen", "nowhere"], ["--name", "n9"],
    ["--cluster", "n1"], ["--cluster", "n1=127.0.0.1:99999"], ["--cluster", "n1=127.0.0.1:5000,n1=127.0.0.1:6000"],
    ["operand"],
]
WRONG_PROXY = [
    ["--nonsense"], [], ["--nodes", ""], ["--nodes", "127.0.0.1"], ["--nodes", "127.0.0.1:1", "-p", "70000"],
    ["--nodes", "127.0.0.1:1", "-z", "x"], ["--nodes", "127.0.0.1:1", "-p"],
]
WRONG_TOOL = [
    [], ["nonsense"], ["dev", "--nonsense"], ["dev", "--nodes", "2"], ["dev", "--nodes", "x"], ["dev", "kill"],
    ["dev", "nonsense"], ["status", "--nodes", "nowhere"], ["status", "--nonsense"],
]


def expect_usage_error(options, program, words):
    code, _, said = run(options, program, *words)
    what = f"{program} {' '.join(map(str, words))}"
    equal(code, 2, f"exit status of '{what}' ({said.strip()})")
    if words or program != "coolbeans":  # the tool alone shows its commands
        equal(len(said.splitlines()), 1, f"lines that '{what}' says: {said!r}")


def wrong_options(options):
    directory = options.work / "wrong-options"
    for words in WRONG_NODE:
        base = node_words(directory) if words and words != ["--name", "n1"] else []
        expect_usage_error(options, "coolbeans-node", base + words)
    check(not directory.exists(), "a node with wrong options made its directory")
    for words in WRONG_PROXY:
        expect_usage_error(options, "coolbeans-proxy", words)
    for words in WRONG_TOOL:
        expect_usage_error(options, "coolbeans", words)
    for program in ("coolbeans-node", "coolbeans-proxy", "coolbeans"):
        code, said, _ = run(options, program, "--help")
        check(code == 0 and "usage" in said.lower(), f"{program} --help: exit {code}, {said[:200]!r}")


def expect_refusal(options, words, *wanted, program="coolbeans-node"):
    """Ends at once, not by a crash, with a sentence that has these words."""
    code, _, said = run(options, program, *words)
    check(code not in (0, 134, 139), f"exit {code} of {program}: {said}")
    for word in wanted:
        check(word.lower() in said.lower(), f"{program} does not name {word!r}: {said!r}")
    say(said.strip().splitlines()[-1][-200:])


def port_in_use(options):
    directory = options.work / "port-in-use"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        expect_refusal(options, node_words(directory, ports=[port, free_port(), free_port()]), str(port))
        expect_refusal(options, ["--nodes", "127.0.0.1:1", "-l", "127.0.0.1", "-p", port], str(port),
                       program="coolbeans-proxy")
    check(not list(directory.glob("**/data.mdb")), "the node wrote to its directory before it had its port")


def words_of(c, name):
    """The command line of a node of the cluster."""
    nodes = c.layout()["nodes"]
    node = next(n for n in nodes if n["name"] == name)
    return ["--name", name, "--data-dir", node["dir"], "--cluster",
            ",".join(f"{n['name']}={n['grpc']}" for n in nodes)], node


def another_list_is_not_looked_at(options, c, name):
    """Whom its cluster is made of stands in its directory (ADR 11)."""
    words, node = words_of(c, name)
    foreign = ",".join(f"n{i}=127.0.0.1:{free_port()}" for i in range(1, 6))
    process = subprocess.Popen([options.bin / "coolbeans-node", *words, "--listen", node["grpc"], "--cluster", foreign])
    try:
        until("its cluster's leader", START_S, lambda: rpc.status(node["grpc"])["leader"] != 0)
    finally:
        process.kill()
        process.wait()


def wrong_directories(options):
    with Cluster(options, "wrong-dir") as c:
        words, node = words_of(c, "n1")
        listen = ["--listen", f"127.0.0.1:{free_port()}"]
        expect_refusal(options, words + listen, node["dir"])  # a second daemon on it
        check(c.is_alive("n1"), "the first daemon ended")
        c.kill("n2")
        _, other = words_of(c, "n2")
        expect_refusal(options, words + listen + ["--data-dir", other["dir"]], other["dir"], "n2")
        another_list_is_not_looked_at(options, c, "n2")
        c.start("n2")
        c.wait_whole()


def flip_bits(path, rng):
    """Some in every page; the size stays as it is."""
    data = bytearray(path.read_bytes())
    for page in range(0, len(data), 4096):
        for _ in range(8):
            data[page + rng.randrange(min(4096, len(data) - page))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path, _):
    """To pages that are all in use: the file is longer than its content."""
    with path.open("r+b") as f:
        f.truncate(10 * 4096)


def damaged_store(options, name, damage):
    """The node says what is wrong and does not serve; the other two go on."""
    with Cluster(options, name) as c:
        with Client(c.listen) as client:
            for i in range(200):
                client.put(b"%d" % i * 100)
            c.wait_whole()
            victim = next(n for n in c.nodes() if n != c.leader())
            c.signal(victim, signal.SIGTERM)
            until("its end", 10, lambda: c.is_gone(victim))
            words, node = words_of(c, victim)
            files = list(pathlib.Path(node["dir"]).glob("**/data.mdb"))
            equal(len(files), 1, f"LMDB files in {node['dir']}")
            damage(files[0], random.Random(options.seed))
            expect_refusal(options, words, str(files[0].parent.parent))  # the folder of the state
            client.put(b"the others go on")


def corrupt_store(options):
    damaged_store(options, "corrupt", flip_bits)


def truncated_store(options):
    damaged_store(options, "truncated", cut)


def attach(number, version=1):
    """A first message of a stream (proto/queue.proto); `number` rises from stream to stream."""
    body = (rpc.field(1, version) + rpc.field(2, b"tester") + rpc.field(3, 1) + rpc.field(4, 1)
            + rpc.field(5, b"127.0.0.1:1") + rpc.field(7, number))
    return rpc.field(1, 1) + rpc.field(2, body)


def request(op):
    return rpc.field(1, 2) + rpc.field(4, rpc.field(1, 1) + rpc.field(2, 1) + rpc.field(3, op))


def bad_messages(rng):
    """(what it is, messages, status of the stream)"""
    invalid = "INVALID_ARGUMENT"
    yield "no protobuf", [b"\xff\xff\xff\xff"], invalid
    yield "a cut field", [attach(1)[:-3]], invalid
    yield "no attach", [rpc.field(1, 1)], invalid
    yield "an empty message", [b""], invalid
    yield "an unknown version", [attach(1, version=99)], "UNIMPLEMENTED"
    yield "a second attach", [attach(1), attach(2)], invalid
    yield "garbage behind a good message", [attach(3), b"\x0a"], invalid
    yield "an unknown operation", [attach(4), request(200)], invalid
    for i in range(20):
        yield f"random bytes {i}", [rng.randbytes(rng.randrange(1, 200))], invalid


def refusals(address):
    """Messages that were no protobuf, and those that said nothing sensible."""
    counters = rpc.status(address)["counters"]
    return counters["service_malformed"] + counters["proposer_streams_refused"]


def malformed_stream(options):
    """Each bad message ends its stream with a status and is counted; the daemon and its clients live on."""
    with Cluster(options, "malformed") as c, Client(c.listen) as client:
        address = c.daemons()[c.leader()]["grpc"]
        for name, messages, wanted in bad_messages(random.Random(options.seed)):
            before = refusals(address)
            code, text, _ = rpc.send_session(address, messages)
            equal(code, wanted, f"status of the stream after {name} ({text})")
            equal(refusals(address), before + 1, f"refusals counted after {name}")
            client.put(name.encode())
        check(all(c.is_alive(name) for name in c.pids()), "a daemon ended")
        equal(sanitizer_lines(c.dir), [], "reports")


def garbage_on_grpc_port(options):
    """What is no HTTP/2 at all."""
    with Cluster(options, "garbage") as c, Client(c.listen) as client:
        rng = random.Random(options.seed)
        for node in c.layout()["nodes"]:
            host, port = node["grpc"].split(":")
            for _ in range(20):
                with socket.create_connection((host, int(port)), timeout=5) as s:
                    s.sendall(bytes(rng.randrange(256) for _ in range(300)))
            check(c.is_alive(node["name"]), f"{node['name']} ended")
        client.put(b"still there")


if __name__ == "__main__":
    testing.main([wrong_options, port_in_use, wrong_directories, corrupt_store, truncated_store, malformed_stream,
                  garbage_on_grpc_port], testing.parse(testing.parser(__doc__)))
