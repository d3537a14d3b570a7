# SPDX-License-Identifier: MIT
"""symbols - what leaves the library: headers, list and library agree

symbols.txt is the reviewed list. What a public header marks RH_API, what the
list holds and what the shared library exports must be the same names.
"""
import re
import subprocess
import sys

import csource
import style

RULES = {
    "header-symbols": "the public headers declare what symbols.txt lists",
    "shared-symbols": "the shared library exports what symbols.txt lists",
    "static-symbols": "every global symbol of the static library begins rh_",
    "marked-once": "every function of a public header is marked RH_API",
}

LIST = "tests/style/symbols.txt"
MARKED = re.compile(r"\bRH_API\b[^;(]*?(\w+)\s*\(")
SANITIZER = re.compile(r"__(?:odr_)?(?:asan|ubsan|tsan|msan|lsan|gcov)")


def listed(tree):
    lines = tree.text(LIST).splitlines()
    return {line.strip() for line in lines
            if line.strip() and not line.startswith("#")}


def declared(report, tree):
    """The functions of the public headers."""
    names = set()
    for path in tree.c_files(("include",)):
        code = csource.without_comments(tree.text(path))
        marked = set(MARKED.findall(csource.without_directives(code)))
        for function in csource.functions(code):
            if not function.body and function.name not in marked:
                report.add("marked-once", path,
                           f"{path}:{function.first_line}: {function.name}() "
                           "lacks RH_API")
        names |= marked
    return names


def defined(library, *options):
    """The defined symbols of a library, as nm tells them."""
    run = subprocess.run(["nm", "--defined-only", *options, library],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"Bail out! nm {library}: {run.stderr.strip()}")
    names = re.findall(r"^\S+ [A-Za-z] (\S+)$", run.stdout, re.M)
    return {name.split("@")[0] for name in names
            if not SANITIZER.match(name)}


def compare(report, rule, who, names, list_names):
    for name in sorted(names - list_names):
        report.add(rule, name, f"{who} {name}, which {LIST} does not list")
    for name in sorted(list_names - names):
        report.add(rule, name, f"{LIST} lists {name}, but nothing of the kind "
                   f"is what {who}")


def main():
    tree, report = style.start(RULES)
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} ROOT SHARED-LIBRARY STATIC-LIBRARY")
    names = listed(tree)
    compare(report, "header-symbols", "a public header declares",
            declared(report, tree), names)
    compare(report, "shared-symbols", "the shared library exports",
            defined(sys.argv[2], "-D"), names)
    for name in sorted(defined(sys.argv[3], "-g")):
        if not name.startswith("rh_"):
            report.add("static-symbols", name, f"the static library defines "
                       f"{name}: begin it with rh_ or make it static")
    report.finish()


if __name__ == "__main__":
    main()
