# SPDX-License-Identifier: MIT
"""tidy - clang-tidy's word on each C file of some folders

  tidy.py ROOT BUILD FOLDER...

BUILD has compile_commands.json, which may name a file more than once: for the
shared and the static library. It is looked at once.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import lint

VERSION = "14"  # others have other checks
FINDING = re.compile(r"^(\S[^:\n]*):(\d+):\d+: (?:error|warning): (.*) "
                     r"\[([\w.,-]+)\]$", re.M)


def commands(root, build, sources):
    """File: its entry in the list of commands, with a full path."""
    with open(os.path.join(build, "compile_commands.json"),
              encoding="utf-8") as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        full = os.path.normpath(os.path.join(entry["directory"],
                                             entry["file"]))
        path = os.path.relpath(full, root)
        if path in sources and path not in found:
            command = re.sub(r"^\S*ccache ", "", entry["command"])
            found[path] = dict(entry, file=full, command=command)
    return found


def ask(program, root, folder, entry):
    """All findings in the file and what it includes: path, check, text."""
    run = subprocess.run(
        [program, "-p", folder, "--quiet",
         f"--config-file={root}/.clang-tidy", entry["file"]],
        capture_output=True, text=True, check=False)
    findings = set()
    for path, line, text, checks in FINDING.findall(run.stdout):
        path = os.path.normpath(os.path.join(entry["directory"], path))
        path = os.path.relpath(path, root)
        check = checks.split(",")[0]
        findings.add((path, check, f"{path}:{line}: {text} [{check}]"))
    if run.returncode and not findings:
        findings.add((os.path.relpath(entry["file"], root), "clang-tidy",
                      (run.stdout + run.stderr).strip().replace("\n", "; ")))
    return sorted(findings)


def main():
    root, build = (os.path.abspath(path) for path in sys.argv[1:3])
    folders = sys.argv[3:]
    program = lint.find_tool([f"clang-tidy-{VERSION}", "clang-tidy"],
                             f"version {VERSION}")
    if not program:
        lint.skip(f"clang-tidy {VERSION} is not installed")
    entries = commands(root, build, lint.c_sources(root, folders))
    if not entries:
        sys.exit(f"Bail out! nothing is compiled from {' '.join(folders)}")
    silenced = lint.Silenced(root, folders, lambda check: "-" in check)
    verdict = lint.Verdict(len(entries))
    header_lines = []
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "compile_commands.json"), "w",
                  encoding="utf-8") as file:
            json.dump(list(entries.values()), file)
        for path, entry in sorted(entries.items()):
            lines = {True: [], False: []}
            for where, check, text in ask(program, root, folder, entry):
                if not silenced.takes(check, where):
                    lines[where == path].append(text)
            verdict.say(path, lines[True])
            header_lines += lines[False]
    verdict.finish(header_lines, silenced)


if __name__ == "__main__":
    main()
