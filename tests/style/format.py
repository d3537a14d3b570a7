# SPDX-License-Identifier: MIT
"""format - clang-format's word, the heads of files, and forbidden words"""
import os
import re
import shutil
import subprocess

import csource
import style

CLANG_FORMAT_MAJOR = 14  # others lay the same style out differently

RULES = {
    "clang-format": f"clang-format {CLANG_FORMAT_MAJOR} has nothing to change",
    "spdx": "every source begins with its SPDX line",
    "head": "every C file's head comment names it: 'name - purpose'",
    "later-marks": "no source is marked for later work",
    "if-inside": "no #if stands inside a function",
    "trailing-space": "no line ends in white space; each file ends in a "
                      "newline",
    "typedef": "typedefs are for function types only",
}

LATER = re.compile(r"\b(?:TO" "DO|FIX" "ME|X" r"XX)\b")
CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif|else)\b", re.M)
TYPEDEF = re.compile(r"\btypedef\b[^;{]*[;{]")
SPDX = re.compile(r"SPDX-License-Identifier: MIT\b")
TEST_HEAD = re.compile(r"/\*[^\n]*\*/\n/\*\s*(?:\*\s*)?([\w-]+)[^\n]* - \S")
HEAD = re.compile(r"/\*[^\n]*\*/\n/\*\s*(?:\*\s*)?([\w.-]+) - \S")


def line_of(text, match):
    return text.count("\n", 0, match.start()) + 1


def find_clang_format():
    for name in (f"clang-format-{CLANG_FORMAT_MAJOR}", "clang-format"):
        program = shutil.which(name)
        if not program:
            continue
        says = subprocess.run([program, "--version"], capture_output=True,
                              text=True, check=False).stdout
        if f"version {CLANG_FORMAT_MAJOR}." in says:
            return program
    return None


def check_layout(report, tree):
    program = find_clang_format()
    if not program:
        report.skip("clang-format",
                    f"clang-format {CLANG_FORMAT_MAJOR} is not installed")
        return
    run = subprocess.run([program, "--dry-run", "--style=file",
                          *tree.c_files()], cwd=tree.root,
                         capture_output=True, text=True, check=False)
    if run.returncode and "warning:" not in run.stderr:
        report.add("clang-format", ".clang-format", run.stderr.strip())
    lines = {}
    for path, line in re.findall(r"^([^:\n]+):(\d+):\d+: warning:",
                                 run.stderr, re.M):
        lines.setdefault(path, set()).add(int(line))
    for path, numbers in lines.items():
        report.add("clang-format", path, f"{path}:{min(numbers)}: not as "
                   f"clang-format would lay it out ({len(numbers)} lines): "
                   "run clang-format -i")


def check_head(report, path, text):
    """A test's head may begin with any word of its name: "chain, part 2"."""
    stem = os.path.basename(path).rsplit(".", 1)[0]
    if path.startswith("tests/"):
        match = TEST_HEAD.match(text)
        right = match and set(re.split("[-_]", match.group(1))) <= set(
            re.split("[-_]", stem))
    else:
        match = HEAD.match(text)
        right = match and match.group(1) == stem
    if not right:
        name = stem.removeprefix("test-").split("-")[0]
        report.add("head", path, f"{path}:2: the comment behind the SPDX line "
                   f"must begin '{name} - ' and tell the purpose")


def check_c(report, path, text):
    check_head(report, path, text)
    code = csource.without_comments(text)
    bodies = [(f.first_line, f.last_line) for f in csource.functions(code)
              if f.body]
    for match in CONDITION.finditer(code):
        line = line_of(code, match)
        if any(first < line < last for first, last in bodies):
            report.add("if-inside", path, f"{path}:{line}: #if inside a "
                       "function: make a *_none.c twin")
    for match in TYPEDEF.finditer(csource.without_directives(code)):
        if "(" not in match.group():
            report.add("typedef", path, f"{path}:{line_of(code, match)}: "
                       "typedef of something that is no function type")


def check_text(report, path, text):
    if not SPDX.search("\n".join(text.split("\n")[:2])):
        report.add("spdx", path, f"{path}:1: SPDX-License-Identifier: MIT is "
                   "missing")
    for match in LATER.finditer(text):
        report.add("later-marks", path, f"{path}:{line_of(text, match)}: "
                   f"{match.group()}: do it, or file an issue")
    for match in re.finditer(r"[ \t]+$", text, re.M):
        report.add("trailing-space", path, f"{path}:{line_of(text, match)}: "
                   "ends in white space")
    if not text.endswith("\n") or text.endswith("\n\n"):
        report.add("trailing-space", path, f"{path}: must end in one newline")


def main():
    tree, report = style.start(RULES)
    check_layout(report, tree)
    for path in tree.c_files():
        check_c(report, path, tree.text(path))
    for path in tree.c_files() + tree.scripts():
        check_text(report, path, tree.text(path))
    report.finish()


if __name__ == "__main__":
    main()
