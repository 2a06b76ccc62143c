#!/usr/bin/env python3
"""The rules of CONTRIBUTING.md that a program can check, beyond what clang-format does.

usage: style.py [ROOT] | --self-test
"""

import re

import lintlib

COLUMNS = 100
FILE_LINES = 700
FUNCTION_LINES = 100
FUNCTION_LINES_SOFT = 70

# Spelled so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}*-])/(work|root|home)/\w")
REGISTRY = re.compile(
    r"\b(deb|ftp|security|snapshot|archive)\.(\w+\.)?(debian|ubuntu)\.\w+"
    r"|\bregistry\.\w+\.(org|com)|\b(pypi|crates)\.(org|io)|\bproxy\.golang\.\w+"
    r"|\bfiles\.pythonhosted\.\w+", re.I)


def check_text(name, lines):
    """For every tracked text file but the inputs of the fuzzers, which are data."""
    if name.startswith("tests/fuzz/corpus/"):
        return []
    found = []
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        if UNFINISHED.search(line):
            found.append(f"{where}: unfinished; do it now or file an issue")
        if MACHINE_PATH.search(line):
            found.append(f"{where}: a path of one machine")
        if REGISTRY.search(line):
            found.append(f"{where}: the host of a package registry")
        if line != line.rstrip() and not name.endswith((".md", ".patch")):
            found.append(f"{where}: space at the end of the line")
    return found


def functions(lines):
    """(line, name, length): clang-format puts the braces of a function, and nothing else, in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            yield start, function_name(lines, start), number - start + 1
            start = None


def function_name(lines, start):
    for line in reversed(lines[:start - 1]):
        match = re.match(r"[^\s/#].*?(\w+)\(", line)
        if match:
            return match[1]
    return "?"


def check_c(name, lines):
    found = []
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            found.append(f"{name}:{number}: {len(line)} columns, at most {COLUMNS}")
        if "\t" in line:
            found.append(f"{name}:{number}: a tab")
    if len(lines) > FILE_LINES:
        found.append(f"{name}: {len(lines)} lines, at most {FILE_LINES}: split it")
    for number, function, length in functions(lines):
        if length > FUNCTION_LINES:
            found.append(f"{name}:{number}: {function} has {length} lines, at most {FUNCTION_LINES}")
        elif length > FUNCTION_LINES_SOFT:
            print(f"note: {name}:{number}: {function} has {length} lines, aim under {FUNCTION_LINES_SOFT}")
    return found


def in_tree(name):
    """The path that an include names: src/ and tests/ are the roots of includes."""
    return re.sub(r"^(src|tests)/", "", name)


def is_public(name, text):
    """Declares a function for other folders. What has only types or inline helpers owns nothing."""
    return (name.startswith("src/") and not name.endswith("_internal.h")
            and re.search(r"^(?!static|typedef|#)[a-z][\w \*]*\([^;{]*\);", text, re.M))


def check_header(name, text):
    found = []
    guard = re.sub(r"\W", "_", in_tree(name)).upper()
    match = re.search(r"^#ifndef (\w+)\n#define (\w+)\n", text, re.M)
    if not match or match[1] != match[2] or not re.fullmatch(f"CB_(TESTS_)?{guard}", match[1]):
        found.append(f"{name}: the header guard is not CB_{guard}")
    opening = re.match(r"/\*(.*?)\*/", text, re.S)
    if not opening:
        found.append(f"{name}: does not open with a comment that says what it is for")
    elif is_public(name, text) and not re.search(r"\b(Owns|Threads?):", opening[1]):
        found.append(f"{name}: the opening comment says neither 'Owns:' nor 'Threads:'")
    return found


def check_first_include(name, text, headers):
    own = re.sub(r"\.c$", ".h", name)
    first = re.search(r'^#include [<"]([^>"]+)', text, re.M)
    if own in headers and (not first or first[1] != in_tree(own)):
        return [f'{name}: the first include is not "{in_tree(own)}"']
    return []


def check(root):
    found = []
    paths = {p.relative_to(root).as_posix(): p for p in lintlib.files(root)}
    for name, path in paths.items():
        text = lintlib.read(path)
        if text is None:
            continue
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        found += check_text(name, lines)
        if path.suffix in (".c", ".h"):
            found += check_c(name, lines)
        if path.suffix == ".h":
            found += check_header(name, text)
        if path.suffix == ".c":
            found += check_first_include(name, text, paths)
    return found


HEADER = """/* Things.
 *
 * Owns:     nothing.
 * Threads:  one. */
#ifndef CB_NODE_A_H
#define CB_NODE_A_H
%s
#endif
"""
BODY = "#include \"node/a.h\"\n\nint a_f(void)\n{\n%s}\n"
GOOD = {"src/node/a.h": HEADER % "int a_f(void);", "src/node/a.c": BODY % "    return 0;\n", "README.md": "two  \n"}
BAD = [
    ("a long line", {"src/node/a.c": BODY % ("    /* " + "x" * 100 + " */\n")}, "columns"),
    ("a tab", {"src/node/a.c": BODY % "\treturn 0;\n"}, "a tab"),
    ("a trailing space", {"scripts/x": "echo \n"}, "end of the line"),
    ("a long function", {"src/node/a.c": BODY % ("    f();\n" * 99)}, "a_f has 101 lines"),
    ("a long file", {"src/node/a.c": BODY % "" + "int x;\n" * 700}, "split it"),
    ("a wrong guard", {"src/node/a.h": (HEADER % "").replace("NODE_A_H", "A_H")}, "header guard"),
    ("no opening comment", {"src/node/a.h": "#ifndef CB_NODE_A_H\n#define CB_NODE_A_H\n#endif\n"}, "does not open"),
    ("an opening without owner", {"src/node/a.h": re.sub(r" \*\n \* Owns.*\n.*\n", " */\n", HEADER % "int a_f(void);")},
     "neither"),
    ("another first include", {"src/node/a.c": "#include <stdio.h>\n"}, "first include"),
    ("unfinished", {"README.md": "TO" + "DO: all\n"}, "unfinished"),
    ("a machine's path", {"README.md": "see /" + "work/main\n"}, "one machine"),
    ("a registry", {"README.md": "from deb." + "debian.org\n"}, "package registry"),
]

if __name__ == "__main__":
    lintlib.main(check, GOOD, BAD)
