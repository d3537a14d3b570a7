# SPDX-License-Identifier: MIT
"""selftest - each rule is shown to fail, and to pass what is right

A case lays out a small tree, runs the rule's program on it as the suite does,
and looks at what it says about the one rule that the case is about. A rule
without a case that breaks it fails as well.
"""
import contextlib
import importlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest.mock

import samples
import samples_text  # adds to samples.CASES

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("includes", "hazards", "sizes", "format", "symbols",
            "docs", "catalogue")


def style_file(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def lay_out(root, files):
    table = os.path.join("tests", "style", "rooms.txt")
    files = {table: style_file("rooms.txt"), **files}
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
    shutil.copy(os.path.join(HERE, "..", "..", ".clang-format"), root)


def compile_libraries(root, source):
    """A shared and a static library of one C source; [] without source."""
    if source is None:
        return []
    path = os.path.join(root, "library.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    base = os.path.join(root, "library")
    compiler = os.environ.get("CC", "cc").split()
    for command in ([*compiler, "-fPIC", "-fvisibility=hidden", "-c", path,
                     "-o", base + ".o"],
                    [*compiler, "-shared", base + ".o", "-o", base + ".so"],
                    ["ar", "rcs", base + ".a", base + ".o"]):
        subprocess.run(command, check=True)
    return [base + ".so", base + ".a"]


def run(program, files, library):
    """The exit code and output of a rule's program on a tree of files."""
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as root:
        lay_out(root, files)
        arguments = [root, *compile_libraries(root, library)]
        with unittest.mock.patch("sys.argv", [program, *arguments]), \
                contextlib.redirect_stdout(output):
            try:
                importlib.import_module(program).main()
            except SystemExit as end:
                return end.code, output.getvalue()
    return None, output.getvalue()


def promise_of(program, rule):
    rules = importlib.import_module(program)
    table = getattr(rules, "RULES", None)
    return (table or {h[0]: h[4] for h in rules.HAZARDS})[rule]


def judge(case):
    """What is wrong with the rule's answer, or None."""
    code, output = run(case.program, case.files, case.library)
    promise = promise_of(case.program, case.rule)
    lines = output.splitlines()
    told = [line for line in lines if line.startswith("#")]
    failed = any(line.startswith("not ok") and line.endswith(promise)
                 for line in lines)
    skipped = any(promise in line and "# SKIP" in line for line in lines)
    if skipped:
        return None
    if case.says is None:
        return f"fails:\n{output}" if failed or code else None
    if not failed or code != 1:
        return f"does not fail:\n{output}"
    if not any(case.says in line for line in told):
        return f"does not say '{case.says}':\n{output}"
    return None


def uncovered():
    """Rules that no case breaks."""
    broken = {(case.program, case.rule) for case in samples.CASES
              if case.says is not None}
    for program in PROGRAMS:
        rules = importlib.import_module(program)
        names = getattr(rules, "RULES", None) or [h[0] for h in rules.HAZARDS]
        for name in names:
            if (program, name) not in broken:
                yield f"{program}: {name}"


def main():
    failed = False
    print(f"1..{len(samples.CASES) + 1}")
    for number, case in enumerate(samples.CASES, 1):
        wrong = judge(case)
        for line in (wrong or "").splitlines():
            print("# " + line)
        print(f"{'not ok' if wrong else 'ok'} {number} - {case.name}")
        failed |= wrong is not None
    missing = list(uncovered())
    for rule in missing:
        print(f"# no sample breaks {rule}")
    print(f"{'not ok' if missing else 'ok'} {len(samples.CASES) + 1} - "
          "every rule has a sample that breaks it")
    sys.exit(1 if failed or missing else 0)


if __name__ == "__main__":
    main()
