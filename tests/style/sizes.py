# SPDX-License-Identifier: MIT
"""sizes - a file, a function, a parameter list that a reader can hold

Limits, not aims: the aims are two thirds of them.
"""
import csource
import style

MAX_FILE_LINES = 600
MAX_PUBLIC_HEADER_LINES = 250
MAX_PUBLIC_HEADERS_LINES = 700
MAX_INTERNAL_HEADER_LINES = 150
MAX_FUNCTION_LINES = 60
MAX_NESTING = 3
MAX_PARAMETERS = 5

RULES = {
    "file-lines": f"a file has at most {MAX_FILE_LINES} lines",
    "public-header-lines":
        f"a public header has at most {MAX_PUBLIC_HEADER_LINES} lines",
    "public-headers-lines": "all public headers have at most "
                            f"{MAX_PUBLIC_HEADERS_LINES} lines together",
    "internal-header-lines":
        f"an internal header has at most {MAX_INTERNAL_HEADER_LINES} lines",
    "function-lines": f"a function has at most {MAX_FUNCTION_LINES} lines",
    "nesting": f"blocks nest at most {MAX_NESTING} deep in a function",
    "parameters": f"a function has at most {MAX_PARAMETERS} parameters",
}

PUBLIC = "include/ringhost/"


def check_file(report, path, text):
    lines = text.count("\n")
    rule, limit = "file-lines", MAX_FILE_LINES
    if path.startswith(PUBLIC):
        rule, limit = "public-header-lines", MAX_PUBLIC_HEADER_LINES
    elif path.endswith(".h"):
        rule, limit = "internal-header-lines", MAX_INTERNAL_HEADER_LINES
    if lines > limit:
        report.add(rule, path, f"{path}: {lines} lines, {limit} allowed")


def check_function(report, path, function):
    at = f"{path}:{function.first_line}: {function.name}()"
    place = f"{path}:{function.name}"
    if function.nr_parameters > MAX_PARAMETERS:
        report.add("parameters", function.name, f"{at} has {function.nr_parameters} "
                   f"parameters, {MAX_PARAMETERS} allowed")
    if not function.body:
        return
    if function.nr_lines() > MAX_FUNCTION_LINES:
        report.add("function-lines", place, f"{at} has {function.nr_lines()} "
                   f"lines, {MAX_FUNCTION_LINES} allowed")
    deepest = csource.Nesting(function.body).deepest
    if deepest > MAX_NESTING:
        report.add("nesting", place, f"{at} nests {deepest} deep, "
                   f"{MAX_NESTING} allowed")


def check_function_pointers(report, path, code):
    for name, line, nr_parameters in csource.function_pointers(code):
        if nr_parameters > MAX_PARAMETERS:
            report.add("parameters", name,
                       f"{path}:{line}: (*{name})() has {nr_parameters} "
                       f"parameters, {MAX_PARAMETERS} allowed")


def main():
    tree, report = style.start(RULES)
    public_lines = 0
    for path in tree.c_files():
        text = tree.text(path)
        code = csource.without_comments(text)
        check_file(report, path, text)
        for function in csource.functions(code):
            check_function(report, path, function)
        check_function_pointers(report, path, code)
        if path.startswith(PUBLIC):
            public_lines += text.count("\n")
    if public_lines > MAX_PUBLIC_HEADERS_LINES:
        report.add("public-headers-lines", PUBLIC,
                   f"{PUBLIC}: {public_lines} lines in all, "
                   f"{MAX_PUBLIC_HEADERS_LINES} allowed")
    report.finish()


if __name__ == "__main__":
    main()
