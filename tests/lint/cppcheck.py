# SPDX-License-Identifier: MIT
"""cppcheck - its word on each C file of some folders

  cppcheck.py ROOT FOLDER...

What is left out as a whole, and why:
variableScope: the house declares variables where the kernel does.
unusedStructMember: layouts of a document have members that we have no use for.
duplicateCondition: `if (!error)` twice in a row, each with a step of its own.
missingIncludeSystem: it needs no system header to know the C library.
"""
import collections
import os
import re
import subprocess
import sys

import lint

VERSION = "2.10"  # others find other things
LEFT_OUT = ("variableScope", "unusedStructMember", "duplicateCondition",
            "missingIncludeSystem")
FINDING = re.compile(r"^([^:\n]+):(\d+): (.*) \[(\w+)\]$", re.M)


def ask(program, root, folders):
    command = [program, "--quiet", "--std=c11", "--language=c",
               "--enable=warning,style,performance,portability",
               "-I.", "-Iinclude", "-D_GNU_SOURCE",
               f"--library={os.path.dirname(os.path.abspath(__file__))}"
               "/ringhost.cfg",
               "--template={file}:{line}: {message} [{id}]",
               "--template-location="]
    command += [f"--suppress={check}" for check in LEFT_OUT]
    return subprocess.run([*command, *folders], cwd=root, text=True,
                          capture_output=True, check=False)


def main():
    root, folders = os.path.abspath(sys.argv[1]), sys.argv[2:]
    program = lint.find_tool(["cppcheck"], VERSION)
    if not program:
        lint.skip(f"cppcheck {VERSION} is not installed")
    sources = lint.c_sources(root, folders)
    silenced = lint.Silenced(root, folders, lambda check: "-" not in check)
    run = ask(program, root, folders)
    if run.returncode or not sources:
        sys.exit(f"Bail out! cppcheck failed: {run.stdout} {run.stderr}")
    lines = collections.defaultdict(list)
    for path, line, text, check in FINDING.findall(run.stderr):
        if not silenced.takes(check, path):
            lines[path].append(f"{path}:{line}: {text} [{check}]")
    verdict = lint.Verdict(len(sources))
    for path in sources:
        verdict.say(path, lines.pop(path, []))
    verdict.finish([text for rest in lines.values() for text in rest],
                   silenced)


if __name__ == "__main__":
    main()
