# SPDX-License-Identifier: MIT
"""table - what people say about the hot path: hot.txt

    root   FUNCTION                  where it begins; <ringhost/queue.h> is
                                     all that this header exports
    call   FILE POINTER = FUNCTION...  who is called where FILE's source calls
                                     through POINTER
    cold   FUNCTION REASON           reached, but not for a request
    breaks FUNCTION REASON           reached for requests, against the rule
    may    FILE NAME REASON          FILE's functions may call NAME, which is
                                     none of ours; "lock:or" is an atomic or
    aside  FUNCTION... = REASON      called through pointers, never from the
                                     hot path; FILE:* is all of a file

A FUNCTION is named alone, or with its file where others have its name
(server/worker.c:run_thread). A line that begins with blanks goes on.
"""
import os
import sys

SYMBOLS = "tests/style/symbols.txt"


class Table:
    def __init__(self, place="hot.txt"):
        self.place = place
        self.roots = []
        self.calls = {}  # (file, pointer): [function]
        self.cold = {}  # function: reason
        self.breaks = {}  # function: reason
        self.may = {}  # (file, name): reason
        self.aside = {}  # function: reason


def logical_lines(text):
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and found:
            found[-1] += " " + line.strip()
        else:
            found.append(line.strip())
    return found


def fail(table, line):
    sys.exit(f"Bail out! {table.place}: cannot be read: {line}")


def add_line(table, line):
    kind, _, rest = line.partition(" ")
    words = rest.split()
    left, equals, right = (part.split() for part in rest.partition("="))
    if kind == "root" and len(words) == 1:
        table.roots.append(words[0])
    elif kind == "call" and len(left) == 2 and right:
        table.calls[tuple(left)] = right
    elif kind in ("cold", "breaks") and len(words) > 1:
        getattr(table, kind)[words[0]] = " ".join(words[1:])
    elif kind == "may" and len(words) > 2:
        table.may[words[0], words[1]] = " ".join(words[2:])
    elif kind == "aside" and left and equals and right:
        table.aside.update({name: " ".join(right) for name in left})
    else:
        fail(table, line)


def parse(text, place="hot.txt"):
    table = Table(place)
    for line in logical_lines(text):
        add_line(table, line)
    return table


def exported(root, header):
    """The functions that the reviewed list has below a header's name."""
    with open(os.path.join(root, SYMBOLS), encoding="utf-8") as file:
        sections = file.read().split("\n# ")
    for section in sections:
        lines = section.splitlines()
        if lines and lines[0].strip() == header:
            return [line.strip() for line in lines[1:] if line.strip()]
    sys.exit(f"Bail out! {SYMBOLS} has nothing of {header}")


def read(root, path):
    with open(path, encoding="utf-8") as file:
        table = parse(file.read(), os.path.relpath(path, root))
    names = []
    for name in table.roots:
        names += exported(root, name) if name.startswith("<") else [name]
    table.roots = names
    return table
