# SPDX-License-Identifier: MIT
"""docs - what the documents say of the tree is so

Links and paths lead somewhere, and docs/protocol.md says "yes" of exactly the
messages and bits that the code supports.
"""
import glob
import os
import re

import csource
import style

RULES = {
    "links": "every relative link of a document leads to a file",
    "paths": "every path that a document quotes is there",
    "messages": "docs/protocol.md says 'yes' of the messages that "
                "lib/message.c has a row for",
    "shown-by": "each 'yes' of docs/protocol.md names a test, and the tests "
                "it names are there",
    "protocol-bits": "docs/protocol.md says 'yes' of the protocol feature "
                     "bits that lib/handlers.c offers",
}

PROTOCOL = "docs/protocol.md"
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:%s|docs|man)/[\w./*-]*)`" % "|".join(style.FOLDERS))
TEST_NAME = re.compile(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`")
ROW = re.compile(r"^\| (\d+) \| (\w+) \| (yes|not yet|no)\b", re.M)


def documents(tree):
    top = [name for name in os.listdir(tree.root) if name.endswith(".md")]
    return sorted(top) + tree.files(".md", folders=("docs",))


def exists(tree, path):
    """path: may hold stars, or leave out the ending of a module."""
    full = os.path.join(tree.root, path)
    return any(glob.glob(full + ending) for ending in ("", ".h", ".c"))


def check_links(report, tree, path):
    text = tree.text(path)
    here = os.path.dirname(path)
    for match in LINK.finditer(text):
        target = os.path.normpath(os.path.join(here, match.group(1)))
        if not os.path.exists(os.path.join(tree.root, target)):
            report.add("links", path, f"{path}: {match.group(1)} leads "
                       "nowhere")
    for match in PATH.finditer(text):
        if "NAME" not in match.group(1) and not exists(tree, match.group(1)):
            report.add("paths", path, f"{path}: there is no "
                       f"{match.group(1)}")


def section(text, title):
    parts = re.split(r"^## (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2])).get(title, "")


def compare(report, rule, listed, known, supported):
    """listed: {name: (number, word)}; known: {name: number} of wire.h."""
    for name, number in known.items():
        row = listed.get(name)
        if row is None or row[0] != number:
            report.add(rule, name, f"{PROTOCOL}: no row for {number}, {name}")
        elif (row[1] == "yes") != (name in supported):
            report.add(rule, name, f"{PROTOCOL}: says '{row[1]}' of {name}; "
                       f"the code {'has' if name in supported else 'lacks'} "
                       "it")


def rows_of(text, title):
    return {name: (int(number), word)
            for number, name, word in ROW.findall(section(text, title))}


def numbers_of(code, prefix, enum):
    body = re.search(r"enum %s \{(.*?)\}" % enum, code, re.S)
    return {name: int(number) for name, number in re.findall(
        prefix + r"(\w+) = (\d+)", body.group(1) if body else "")}


def check_protocol(report, tree):
    text = tree.text(PROTOCOL)
    wire = csource.without_comments(tree.text("lib/wire.h"))
    rows = re.findall(r"\[VHOST_USER_(\w+)\] = \{",
                      csource.without_comments(tree.text("lib/message.c")))
    compare(report, "messages", rows_of(text, "Messages of the front-end"),
            numbers_of(wire, "VHOST_USER_", "vhost_user_request"), set(rows))
    handlers = csource.without_comments(tree.text("lib/handlers.c"))
    offered = re.search(r"offered_protocol\(.*?\n\}", handlers, re.S)
    bits = re.findall(r"PROTOCOL\((\w+)\)", offered.group())
    known = numbers_of(wire, "VHOST_USER_PROTOCOL_F_",
                       "vhost_user_protocol_feature")
    listed = rows_of(text, "Protocol feature bits")
    for name, (number, _) in listed.items():
        known.setdefault(name, number)
    compare(report, "protocol-bits", listed, known, set(bits))


def check_shown_by(report, tree):
    tests = "\n".join(tree.text(path) for path in
                      tree.files(".c", ".py", folders=("tests",)))
    text = tree.text(PROTOCOL)
    for name in sorted(set(TEST_NAME.findall(text))):
        if not re.search(r"\b(?:void|def) %s\(" % name, tests):
            report.add("shown-by", name, f"{PROTOCOL}: there is no test "
                       f"{name}")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if any(re.match(r"yes\b", cell) for cell in cells) \
                and not TEST_NAME.search(cells[-2]):
            report.add("shown-by", cells[1], f"{PROTOCOL}: no test is named "
                       f"that shows: {line}")


def main():
    tree, report = style.start(RULES)
    for path in documents(tree):
        check_links(report, tree, path)
    if os.path.exists(os.path.join(tree.root, PROTOCOL)):
        check_protocol(report, tree)
        check_shown_by(report, tree)
    else:
        report.add("messages", PROTOCOL, f"{PROTOCOL} is missing")
    report.finish()


if __name__ == "__main__":
    main()
