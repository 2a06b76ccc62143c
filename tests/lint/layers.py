#!/usr/bin/env python3
"""Includes point down: which folder of src/ may know which, and who may see a third-party header.

usage: layers.py [ROOT] | --self-test

The tables below are the architecture. A new arrow is a decision: it belongs here with a reason.
"""

import re

import lintlib

# Folder of src/ -> the folders whose headers it may include (its own always).
BASE = ["common/base"]
COMMON = ["common/base", "common/sys", "common/wire", "common/rpc"]
NODE = ["node/jsm", "node/entry", "node/store", "node/link", "node/replica", "node/proposer", "node/core",
        "node/service", "node/http"]
PROXY = ["proxy/protocol", "proxy/engine", "proxy/server", "proxy/upstream"]
MAY_SEE = {
    "common/base": [],
    "common/sys": BASE,
    "common/wire": BASE + ["common/sys"],
    "common/rpc": BASE + ["common/sys", "common/wire"],
    # The pure machines: what they need comes as arguments, what they want leaves as values.
    "node/jsm": BASE,
    "node/entry": BASE + ["node/jsm"],
    # The messages of a stream are plain structs of common/wire, which alone knows of protobuf; both
    # ends of it are pure.
    "node/proposer": BASE + ["common/wire", "node/jsm", "node/entry"],
    "proxy/protocol": BASE,
    "proxy/engine": BASE + ["common/wire", "proxy/protocol"],
    # The glue: each owns one library.
    "node/store": BASE + ["common/sys"],
    "node/link": BASE + ["common/sys"],
    "node/replica": BASE + ["common/sys", "node/link"],
    "node/http": BASE + ["common/sys"],
    "node/service": COMMON + ["node/proposer", "node/jsm"],
    # A member without sockets and libuv: a daemon and a simulation run the same one.
    "node/core": BASE + ["common/sys", "common/wire", "node/jsm", "node/entry", "node/store", "node/replica",
                         "node/proposer"],
    "proxy/server": BASE + ["common/sys", "proxy/protocol", "proxy/engine"],
    "proxy/upstream": COMMON,
    # Composition: the only places that know everything of their daemon.
    "node": COMMON + NODE,
    "proxy": COMMON + PROXY,
    "ctl": COMMON,
}

# Single headers beyond that, for their types alone: a clock as a struct of functions, the interfaces behind
# the log. Nothing there is linked: the purity test sees to it.
MAY_SEE_HEADER = {
    "node/proposer": ["common/sys/cb_clock.h", "node/store/store.h", "node/replica/replica.h"],
}

# Third-party headers, by pattern -> the only folders that may include them.
THIRD_PARTY = [
    (r"uv\.h", ["common/sys", "common/rpc", "proxy/server", "node/link", "node/replica",
                "node/http", "node", "proxy", "ctl"]),
    (r"raft(/.*)?\.h", ["node/replica"]),
    (r"lmdb\.h", ["node/store"]),
    (r"grpc/.*", ["common/rpc"]),
    (r"(google/)?protobuf-c/.*|.*\.pb-c\.h", ["common/wire"]),
    (r"xxhash\.h", ["common/base"]),
    (r"ut(hash|list|array|string)\.h", ["node/jsm"]),
    (r"jansson\.h", ["ctl", "node"]),
    (r"microhttpd\.h", ["node/http"]),
    (r"systemd/.*", ["common/sys"]),
    (r"getopt\.h", ["common/sys"]),
]

# All that a pure folder may include of the system: no clock, no file, no thread, no errno.
PURE = ["node/jsm", "node/entry", "node/proposer", "proxy/protocol", "proxy/engine"]
PURE_SYSTEM = {"stddef.h", "stdint.h", "stdbool.h", "string.h", "inttypes.h", "limits.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
LIBRARY = re.compile(r"cb_library\(\s*(\w+)(.*?)\)", re.S)


def folder_of(path):
    return path.rsplit("/", 1)[0] if "/" in path else ""


def allowed_folder(folder, other):
    return other == folder or other in MAY_SEE[folder]


def third_party_folders(header):
    for pattern, folders in THIRD_PARTY:
        if re.fullmatch(pattern, header):
            return folders
    return None


def check_include(where, folder, own, header):
    third = third_party_folders(header)
    if third is not None:
        if folder not in third:
            return [f"{where}: <{header}> belongs to {', '.join(third)}, not to {folder}"]
    elif own:
        other = folder_of(header)
        if other not in MAY_SEE:
            return [f'{where}: "{header}" is in no folder of src/; includes are rooted there']
        if not allowed_folder(folder, other) and header not in MAY_SEE_HEADER.get(folder, []):
            return [f'{where}: {folder} may not see {other} ("{header}")']
    elif folder in PURE and header not in PURE_SYSTEM:
        return [f"{where}: {folder} is pure and may not include <{header}>"]
    return []


def check_sources(root):
    found = []
    for path in lintlib.files(root, ".c", ".h", ".def"):
        name = path.relative_to(root).as_posix()
        if not name.startswith("src/"):
            continue
        folder = folder_of(name[len("src/"):])
        if folder not in MAY_SEE:
            found.append(f"{name}: the folder has no row in tests/lint/layers.py")
            continue
        text = lintlib.read(path) or ""
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found += check_include(f"{name}:{line}", folder, match[1] == '"', match[2])
    return found


def check_libraries(root):
    """The same arrows between the static libraries, so that the linker holds them too."""
    owner, uses = {}, []
    for path in lintlib.files(root, ".txt"):
        name = path.relative_to(root).as_posix()
        if not re.fullmatch(r"src/.*/CMakeLists\.txt", name):
            continue
        folder = folder_of(name[len("src/"):])
        text = re.sub(r"#.*", "", lintlib.read(path) or "")
        for library, arguments in LIBRARY.findall(text):
            owner[library] = folder
            uses.append((name, folder, arguments.split()))
    found = []
    for name, folder, words in uses:
        for word in words:
            if word in owner and folder in MAY_SEE and not allowed_folder(folder, owner[word]):
                found.append(f"{name}: {folder} may not link {word} of {owner[word]}")
    return found


def check(root):
    return check_sources(root) + check_libraries(root)


GOOD = {
    "src/common/base/cb_x.h": "#include <stdio.h>\n#include <xxhash.h>\n",
    "src/common/base/CMakeLists.txt": "cb_library(cb_base SOURCES cb_x.c)\n",
    "src/common/sys/CMakeLists.txt": "cb_library(cb_sys SOURCES cb_y.c LINK cb_base)\n",
    "src/node/jsm/jsm.c": '#include "node/jsm/jsm.h"\n#include <string.h>\n#include "common/base/cb_x.h"\n',
    "src/node/proposer/p.c": '#include "node/store/store.h"\n',
    "src/node/node.c": '#include "node/replica/replica.h"\n#include <uv.h>\n#include <time.h>\n',
    "tests/unit/t.c": "#include <lmdb.h>\n",
}
BAD = [
    ("an arrow up", {"src/common/base/a.c": '#include "common/sys/cb_log.h"\n'}, "may not see common/sys"),
    ("proxy sees node", {"src/proxy/a.c": '#include "node/jsm/jsm.h"\n'}, "may not see node/jsm"),
    ("node sees proxy", {"src/node/a.c": '#include "proxy/engine/px.h"\n'}, "may not see proxy/engine"),
    ("a clock in the machine", {"src/node/jsm/a.c": "#include <time.h>\n"}, "may not include <time.h>"),
    ("a library elsewhere", {"src/node/service/a.c": "# include <lmdb.h>\n"}, "belongs to node/store"),
    ("raft in the proposer", {"src/node/proposer/a.h": "#include <raft/uv.h>\n"}, "belongs to node/replica"),
    ("libuv in the core", {"src/node/core/a.c": "#include <uv.h>\n"}, "not to node/core"),
    ("another header of store", {"src/node/proposer/a.c": '#include "node/store/store_key.h"\n'},
     "may not see node/store"),
    ("a new folder", {"src/node/new/a.c": "\n"}, "has no row"),
    ("an unrooted include", {"src/node/jsm/a.c": '#include "jsm.h"\n'}, "is in no folder"),
    ("a library that links up", {"src/common/base/CMakeLists.txt": "cb_library(cb_base SOURCES a.c LINK cb_sys)\n"},
     "may not link cb_sys"),
]

if __name__ == "__main__":
    lintlib.main(check, GOOD, BAD)
