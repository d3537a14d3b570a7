#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""purity - no function of the hot path allocates, locks or logs

    purity.py ROOT FOLDER=ARCHIVE...

ROOT is the source tree, ARCHIVE holds the objects that were compiled from
FOLDER. The call graph is that of the compiled code; what a compiler cannot
know stands in hot.txt. Prints TAP.
"""
import os
import sys

import objects
import table
import walk

HERE = os.path.dirname(os.path.abspath(__file__))


def report(found):
    failed = False
    print(f"1..{len(walk.RULES)}")
    for number, (rule, promise) in enumerate(walk.RULES.items(), 1):
        for sentence in found[rule]:
            print(f"# {sentence}")
        print("not ok" if found[rule] else "ok", number, "-", promise)
        failed |= bool(found[rule])
    return failed


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: purity.py ROOT FOLDER=ARCHIVE...")
    root = os.path.abspath(sys.argv[1])
    archives = dict(word.split("=", 1) for word in sys.argv[2:])
    program = objects.read(root, archives)
    rows = table.read(root, os.path.join(HERE, "hot.txt"))
    hot_walk = walk.Walk(program, rows, root)
    found = hot_walk.run()
    print(f"# {len(hot_walk.parents)} of {len(program.functions)} functions "
          f"are reached, {len(hot_walk.reached_shut)} of them not entered")
    sys.exit(report(found))


if __name__ == "__main__":
    main()
