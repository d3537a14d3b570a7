# SPDX-License-Identifier: MIT
"""selftest - the linters' programs are shown to fail, and to pass

A case lays out a small tree and runs one of the programs on it as the suite
does.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = "int lib_length(void);\nint lib_length(void)\n{\n\treturn 1;\n}\n"
TIDY_BAD = ("int lib_length(const int *at);\n"
            "int lib_length(const int *at)\n"
            "{\n\tif (!at)\n\t\treturn *at;\n\treturn 1;\n}\n")
CPPCHECK_BAD = ("#include <stdlib.h>\nint lib_length(void);\n"
                "int lib_length(void)\n{\n"
                "\tchar *text = malloc(1);\n\n"
                "\tif (!text)\n\t\treturn 0;\n\treturn 1;\n}\n")
HEADER_BAD = '#include "lib/bad.h"\n' + GOOD
BAD_H = "static inline int lib_bad(int *at)\n{\n\treturn *at;\n}\n"
NULL = "clang-analyzer-core.NullDereference lib/a.c because\n"
LEAK = "memleak lib/ because\n"

# What, program, files, silenced.txt, exit status, words in the output
CASES = (
    ("what is right passes clang-tidy", "tidy", {"lib/a.c": GOOD}, "", 0,
     "ok 1 - lib/a.c"),
    ("clang-tidy's finding fails its file", "tidy",
     {"lib/a.c": TIDY_BAD, "lib/b.c": GOOD}, "", 1, "not ok 1 - lib/a.c"),
    ("a finding in a header fails", "tidy",
     {"lib/a.c": HEADER_BAD, "lib/bad.h": BAD_H}, "", 1,
     "not ok 2 - no header has a finding"),
    ("a silenced finding of clang-tidy passes", "tidy",
     {"lib/a.c": TIDY_BAD}, NULL, 0, "ok 1 - lib/a.c"),
    ("a silenced finding that does not occur fails", "tidy",
     {"lib/a.c": GOOD}, NULL, 1, "is not needed any more"),
    ("a silenced finding without a reason fails", "tidy",
     {"lib/a.c": GOOD}, "memleak lib/a.c\n", 1, "no reason in"),
    ("a file that does not compile fails", "tidy",
     {"lib/a.c": "int lib_length(void\n"}, "", 1, "not ok 1 - lib/a.c"),
    ("what is right passes cppcheck", "cppcheck", {"lib/a.c": GOOD}, "", 0,
     "ok 1 - lib/a.c"),
    ("cppcheck's finding fails its file", "cppcheck",
     {"lib/a.c": CPPCHECK_BAD, "lib/b.c": GOOD}, "", 1,
     "not ok 1 - lib/a.c"),
    ("a silenced finding of cppcheck passes", "cppcheck",
     {"lib/a.c": CPPCHECK_BAD}, LEAK, 0, "ok 1 - lib/a.c"),
    ("a silenced finding that does not occur fails cppcheck", "cppcheck",
     {"lib/a.c": GOOD}, LEAK, 1, "is not needed any more"),
)


def lay_out(root, files, silenced):
    build = os.path.join(root, "build")
    os.makedirs(build)
    for path, text in {**files, "tests/lint/silenced.txt": silenced}.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
    with open(os.path.join(build, "compile_commands.json"), "w",
              encoding="utf-8") as file:
        json.dump([{"directory": build, "file": "../" + path,
                    "command": f"ccache cc -I.. -c ../{path}"}
                   for path in files if path.endswith(".c")] * 2, file)
    shutil.copy(os.path.join(HERE, "..", "..", ".clang-tidy"), root)


def run(program, root):
    builds = [os.path.join(root, "build")] if program == "tidy" else []
    return subprocess.run(
        [sys.executable, "-B", os.path.join(HERE, program + ".py"), root,
         *builds, "lib"], capture_output=True, text=True, check=False)


def main():
    failed = False
    print(f"1..{len(CASES)}", flush=True)
    for number, (what, program, files, silenced, status, words) in enumerate(
            CASES, 1):
        with tempfile.TemporaryDirectory() as root:
            lay_out(root, files, silenced)
            result = run(program, root)
        said = result.stdout + result.stderr
        if "1..0 # SKIP" in said:
            print(f"ok {number} - {what} # SKIP {said.strip()[12:]}")
            continue
        right = result.returncode == status and words in said
        if not right:
            print("# " + said.replace("\n", "\n# "))
        print(f"{'ok' if right else 'not ok'} {number} - {what}", flush=True)
        failed |= not right
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
