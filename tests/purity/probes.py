#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""probes - server/probes.h is in the program, as far as tracers can tell

    probes.py SOURCE PROGRAM

Each probe that the header's comment names has a note in the program, with as
many arguments as it says. It is told in TAP.
"""
import os
import re
import subprocess
import sys


def documented(source):
    """{name: number of arguments} of the header's comment."""
    with open(os.path.join(source, "server", "probes.h"),
              encoding="utf-8") as file:
        lines = re.findall(r"^ \*\t(\w+)\(([\w, ]+)\)", file.read(), re.M)
    return {name: len(words.split(",")) for name, words in lines}


def noted(program):
    """{name: set of the numbers of arguments of its places}"""
    text = subprocess.run(["readelf", "-n", "-W", program], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for name, words in re.findall(
            r"Provider: ringhost\s+Name: (\w+)\s+.*\n\s+Arguments: (.*)", text):
        found.setdefault(name, set()).add(len(words.split()))
    return found


def main():
    source, program = sys.argv[1:]
    wanted, found = documented(source), noted(program)
    failed = not wanted
    print(f"1..{len(wanted) + 1}")
    for number, (name, nr) in enumerate(sorted(wanted.items()), 1):
        good = found.get(name) == {nr}
        failed |= not good
        print("ok" if good else "not ok", number, "-", name)
        if not good:
            print(f"# it has {nr} arguments, and in the program "
                  f"{found.get(name)}")
    good = set(found) <= set(wanted)
    print("ok" if good else "not ok", len(wanted) + 1, "- no other is there")
    sys.exit(failed or not good)


if __name__ == "__main__":
    main()
