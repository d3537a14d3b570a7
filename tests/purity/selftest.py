#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""selftest - the walk finds what it is there to find

    selftest.py COMPILER...

Each of samples.py is compiled as the build is, and walked: it must break the
one rule that it is a sample of, and no other. Prints TAP.
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

import objects
import samples
import table
import walk

FLAGS = ["-std=gnu11", "-O2", "-g1", "-fPIC", "-fvisibility=hidden", "-w",
         "-c"]


def build(compiler, case, root):
    """Compile and read the files of a case."""
    program = objects.Program()
    sources = {os.path.basename(path)[:-len(".c")]: path
               for path in case.files}
    for path, text in case.files.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
    # a cache may give back what was compiled elsewhere, with the names there
    subprocess.run([*compiler, *FLAGS, *case.files], cwd=root, check=True,
                   env={**os.environ, "CCACHE_DISABLE": "1"})
    built = [os.path.join(root, name + ".o") for name in sources]
    objects.add_files(program, built, sources.get)
    return program


def fault(case, found):
    """What is wrong with a verdict, or None."""
    broken = {rule: lines for rule, lines in found.items() if lines}
    if case.rule is None:
        return f"nothing is wrong with it, but: {broken}" if broken else None
    if set(broken) != {case.rule}:
        return f"{case.rule} is to be broken, and that is: {broken}"
    if not any(case.says in line for line in broken[case.rule]):
        return f"'{case.says}' is not in {broken[case.rule]}"
    return None


def try_case(compiler, case):
    with tempfile.TemporaryDirectory() as root:
        root = os.path.realpath(root)
        program = build(compiler, case, root)
        found = walk.Walk(program, table.parse(case.rows), root).run()
    return fault(case, found)


def main():
    compiler = sys.argv[1:]
    failed = False
    if not compiler:
        sys.exit("usage: selftest.py COMPILER...")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrongs = list(pool.map(lambda case: try_case(compiler, case),
                               samples.CASES))
    print(f"1..{len(samples.CASES)}")
    for number, (case, wrong) in enumerate(zip(samples.CASES, wrongs), 1):
        if wrong:
            print(f"# {wrong}")
        print("not ok" if wrong else "ok", number, "-", case.name)
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
