# SPDX-License-Identifier: MIT
"""style - what the rules of this folder share: files, exceptions, TAP

A rule is a program: `python3 RULE.py ROOT`. It collects violations, each
with the name of what is wrong ("function-lines"), the place that an exception
would name ("lib/chain.c:walk"), and a sentence. A violation that
exceptions.txt lists is let through; a listed one that does not occur fails,
so that the list only ever holds what is needed.
"""
import os
import sys

FOLDERS = ("common", "include", "lib", "server", "check", "examples", "bench",
           "ctl", "tests")
SKIPPED = {".git", "__pycache__", "corpus"}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Tree:
    """The source files under one root, by their path from there."""

    def __init__(self, root):
        self.root = root

    def text(self, path):
        return read(os.path.join(self.root, path))

    def files(self, *suffixes, folders=FOLDERS):
        found = []
        for folder in folders:
            for at, names, files in os.walk(os.path.join(self.root, folder)):
                names[:] = [n for n in names
                            if n not in SKIPPED and not n.startswith("build")]
                found += [os.path.relpath(os.path.join(at, f), self.root)
                          for f in files if f.endswith(suffixes)]
        return sorted(found)

    def scripts(self):
        """Python and shell, with an ending or with #! and none."""
        plain = [path for path in self.files("")
                 if "." not in os.path.basename(path)]
        return self.files(".py", ".sh") + [
            path for path in plain if self.text(path).startswith("#!")]

    def c_files(self, folders=FOLDERS):
        return self.files(".c", ".h", folders=folders)


class Report:
    """Violations of one program's rules, and the TAP that tells them."""

    def __init__(self, tree, rules):
        self.tree = tree
        self.rules = rules  # name: what holds when nobody breaks it
        self.found = {name: [] for name in rules}
        self.skipped = {}
        self.exceptions = self.read_exceptions()

    def read_exceptions(self):
        path = "tests/style/exceptions.txt"
        if not os.path.exists(os.path.join(self.tree.root, path)):
            return {}
        listed = {}
        for line in self.tree.text(path).splitlines():
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3:
                sys.exit(f"Bail out! {path}: no reason given in: {line}")
            listed[words[0], words[1]] = words[2]
        return listed

    def add(self, rule, place, sentence):
        self.found[rule].append((place, sentence))

    def skip(self, rule, reason):
        self.skipped[rule] = reason

    def unused(self, rule):
        places = {place for place, _ in self.found[rule]}
        return [place for name, place in self.exceptions
                if name == rule and place not in places]

    def lines_of(self, rule):
        lines = [f"{sentence} [{rule} {place}]"
                 for place, sentence in self.found[rule]
                 if (rule, place) not in self.exceptions]
        lines += [f"tests/style/exceptions.txt: '{rule} {place}' is not "
                  "needed any more: remove it" for place in self.unused(rule)]
        return lines

    def finish(self):
        """Print the TAP and exit: 1 when a rule is broken."""
        failed = False
        print(f"1..{len(self.rules)}")
        for number, (rule, promise) in enumerate(self.rules.items(), 1):
            if rule in self.skipped:
                print(f"ok {number} - {promise} # SKIP {self.skipped[rule]}")
                continue
            lines = self.lines_of(rule)
            for line in lines:
                print(f"# {line}")
            print(f"{'not ok' if lines else 'ok'} {number} - {promise}")
            failed |= bool(lines)
        sys.exit(1 if failed else 0)


def start(rules):
    """The tree that the command line names, and an empty report on it."""
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} ROOT ...")
    tree = Tree(os.path.abspath(sys.argv[1]))
    if not tree.c_files():
        sys.exit(f"Bail out! no C file under {tree.root}: nothing to check")
    return tree, Report(tree, rules)
