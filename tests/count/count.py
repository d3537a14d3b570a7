#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count - instructions per request, compared with those on record

    count.py [--record | --show] SOURCE PROGRAM BUILD

BUILD says how PROGRAM (test-count) was compiled. The record,
bench/instructions.json, holds for one such build; in others there is nothing
to compare with. A case fails that takes 5 % more than recorded. So does one
that takes 10 % less: what was won can only be kept once it is recorded.

--record writes the record, --show prints where the instructions are.
"""
import json
import os
import shutil
import sys
import tempfile

import callgrind

MAY_GROW = 1.05
MAY_SHRINK = 0.90
HOW = "`make count-record` records it anew"
NR_SHOWN = 25


def record_path(source):
    return os.path.join(source, "bench", "instructions.json")


def per_request(parts):
    number, profile = parts[-1]
    return profile.total() / number


def verdict(old, new):
    """A sentence about what is wrong, or None."""
    if new > old * MAY_GROW:
        return (f"{old:.1f} instructions per request have become {new:.1f}, "
                f"{100 * (new / old - 1):+.1f} %. Look where they are with "
                f"`make count-show`; if they are worth it, {HOW}")
    if new < old * MAY_SHRINK:
        return (f"{old:.1f} instructions per request have become {new:.1f}, "
                f"{100 * (new / old - 1):+.1f} %: {HOW}, so that it stays so")
    return None


class Tap:
    def __init__(self):
        self.nr = 0
        self.failed = False

    def result(self, name, wrong=None, skipped=None):
        self.nr += 1
        self.failed |= bool(wrong)
        print("not ok" if wrong else "ok", self.nr, "-", name,
              f"# SKIP {skipped}" if skipped else "")
        if wrong:
            print(f"# {name}: {wrong}")

    def finish(self):
        print(f"1..{self.nr}")
        sys.exit(self.failed)


def compare(found, record):
    tap = Tap()
    for name, parts in found:
        if not parts:
            tap.result(name, skipped="io_uring is not allowed here")
            continue
        new = [profile.total() / number for number, profile in parts]
        print(f"# {name}: {new[-1]:.1f} instructions per request, "
              f"recorded {record.get(name)}")
        if max(new) > min(new) * 1.01:
            tap.result(name, wrong=f"the count is not stable: {new}")
        elif name not in record:
            tap.result(name, wrong=f"is not on record: {HOW}")
        else:
            tap.result(name, wrong=verdict(record[name], new[-1]))
    names = [name for name, _ in found]
    for name in record:
        if name not in names:
            tap.result(name, wrong=f"is on record and is no more: {HOW}")
    tap.finish()


def write_record(path, build, found):
    missing = [name for name, parts in found if not parts]
    if missing:
        sys.exit(f"not recorded, since io_uring is not allowed here: {missing}")
    counts = {name: round(per_request(parts), 1) for name, parts in found}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"what": "instructions per request: tests/count/count.py",
                   "build": build, "instructions": counts}, file, indent=2)
        file.write("\n")
    for name, count in counts.items():
        print(f"{name}: {count}")


def show(found):
    for name, parts in found:
        if not parts:
            continue
        number, profile = parts[-1]
        print(f"{name}: {per_request(parts):.1f}")
        largest = sorted(profile.functions.items(),
                         key=lambda item: (-item[1], item[0]))
        for function, cost in largest[:NR_SHOWN]:
            print(f"  {cost / number:8.1f}  {function}")


def read_record(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def main():
    words = sys.argv[1:]
    mode = words.pop(0) if words[0].startswith("--") else None
    source, program, build = words
    path = record_path(source)
    valgrind = shutil.which("valgrind")
    if not valgrind:
        skip_all("valgrind is not installed")
    if not mode and read_record(path)["build"] != build:
        skip_all(f"the record holds for {read_record(path)['build']}, "
                 f"and this is {build}")
    with tempfile.TemporaryDirectory() as folder:
        found = callgrind.cases(valgrind, program, source, folder)
    if mode == "--record":
        write_record(path, build, found)
    elif mode == "--show":
        show(found)
    else:
        compare(found, read_record(path)["instructions"])


if __name__ == "__main__":
    main()
