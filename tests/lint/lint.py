# SPDX-License-Identifier: MIT
"""lint - what the linters' programs share: findings, silenced ones, TAP

A finding has a check, a file and a sentence. silenced.txt, in the folder
tests/lint of the tree, takes findings out; a line of it that takes out nothing
fails, so that the list only ever holds what is needed.
"""
import os
import re
import shutil
import subprocess
import sys

SILENCED = "tests/lint/silenced.txt"


def find_tool(names, version):
    """The first of these programs that says it is of this version, or None."""
    for name in names:
        program = shutil.which(name)
        if not program:
            continue
        says = subprocess.run([program, "--version"], capture_output=True,
                              text=True, check=False).stdout
        if re.search(rf"\b{re.escape(version)}(?:\.|\b)", says):
            return program
    return None


def c_sources(root, folders):
    found = []
    for folder in folders:
        for at, _, names in os.walk(os.path.join(root, folder)):
            found += [os.path.relpath(os.path.join(at, name), root)
                      for name in names if name.endswith(".c")]
    return sorted(found)


def covers(place, path):
    return path.startswith(place) if place.endswith("/") else path == place


class Silenced:
    """The list. A line about other folders or programs may stay unneeded, and
    so may one about a header: not each folder includes it."""

    def __init__(self, root, folders, is_ours):
        self.lines = {}  # (check, place): may it stay unneeded, or was it not
        path = os.path.join(root, SILENCED)
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split(None, 2)
                if not words or words[0].startswith("#"):
                    continue
                if len(words) < 3:
                    sys.exit(f"Bail out! {SILENCED}: no reason in: {line}")
                self.lines[words[0], words[1]] = not (
                    is_ours(words[0]) and not words[1].endswith(".h") and
                    words[1].split("/")[0] in folders)

    def takes(self, check, path):
        taken = False
        for name, place in self.lines:
            if name == check and covers(place, path):
                self.lines[name, place] = taken = True
        return taken

    def unneeded(self):
        return [f"{SILENCED}: '{check} {place}' is not needed any more"
                for (check, place), needed in self.lines.items()
                if not needed]


class Verdict:
    """A case for each file, one for each header that has findings, and one
    for the list."""

    def __init__(self, nr_files):
        self.nr = 0
        self.failed = False
        print(f"1..{nr_files + 2}", flush=True)

    def say(self, sentence, lines):
        self.nr += 1
        for line in lines:
            print(f"# {line}")
        print(f"{'not ok' if lines else 'ok'} {self.nr} - {sentence}",
              flush=True)
        self.failed |= bool(lines)

    def finish(self, header_lines, silenced):
        self.say("no header has a finding", sorted(set(header_lines)))
        self.say("each silenced finding is still one", silenced.unneeded())
        sys.exit(1 if self.failed else 0)


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
