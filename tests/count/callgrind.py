# SPDX-License-Identifier: MIT
"""callgrind - what a program of ours executes, by callgrind

Counted are the instructions of functions that were compiled from lib/,
server/ and common/, with all that was inlined into them. Those of libc are
not: which memset it takes depends on the processor. Nor are the system's
calls, whose instructions are the kernel's.
"""
import os
import re
import subprocess

OURS = ("lib", "server", "common")


class Profile:
    """One part of a run: instructions by function."""

    def __init__(self, path, source):
        self.functions = {}
        with open(path, encoding="utf-8") as file:
            self.read(file, os.path.realpath(source))

    def total(self):
        return sum(self.functions.values())

    def read(self, file, source):
        name, called = None, False
        for line in file:
            if line.startswith("fl="):
                folder = os.path.relpath(
                    os.path.normpath(line[3:].rstrip()), source)
                ours = folder.split("/")[0] in OURS
            elif line.startswith("fn="):
                # A function's clones and those in other threads are it, too.
                name = re.split(r"[.']", line[3:].rstrip())[0] \
                    if ours else None
            elif line.startswith("calls="):
                called = True
            elif line[0].isdigit():
                if not called and name:
                    cost = int(line.split()[1])
                    self.functions[name] = self.functions.get(name, 0) + cost
                called = False


def run(valgrind, program, folder):
    """What the program says on its standard output; profiles are in folder."""
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--dump-before=count_mark",
         "--compress-strings=no", "--compress-pos=no",
         "--callgrind-out-file=" + os.path.join(folder, "part"), program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT"), check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def cases(valgrind, program, source, folder):
    """[(name, None if it cannot run here, or its parts)]

    A part is (number of requests, Profile); the first, in which all gets
    warm, is left out.
    """
    found, nr_files = [], 0
    for line in run(valgrind, program, folder).splitlines():
        words = line.split()
        if words[1:] == ["skipped"]:
            found.append((words[0], None))
        if not re.fullmatch(r"[\w-]+( \d+)+", line):
            continue
        parts = []
        for number in words[1:]:
            nr_files += 1
            path = os.path.join(folder, f"part.{nr_files}")
            parts.append((int(number), Profile(path, source)))
        found.append((words[0], parts[1:]))
    return found
