# SPDX-License-Identifier: MIT
"""catalogue - each row of tests/hostile/catalogue.txt has its tests

The catalogue lists what hostile and odd peers do; its head tells its form. A
row without a test says why it is open. A test that a row names is there and
says in the comment above it which rows it shows.
"""
import re

import style

CATALOGUE = "tests/hostile/catalogue.txt"

RULES = {
    "catalogue-form": "each row of the catalogue says what is done, and what "
                      "happens then",
    "catalogue-ids": "the rows of a letter are numbered from 01 on, without "
                     "gaps",
    "catalogue-row": "each row names a test, or says why it is open",
    "catalogue-test": "each test that the catalogue names is there",
    "catalogue-comment": "the comment of each test that a row names carries "
                         "the row's id",
    "catalogue-unknown": "each id that a test's comment carries is a row",
}

ROW = re.compile(r"^([A-Z]-\d\d)\s+(\S.*)$")
TESTS = re.compile(r"^([\w-]+/[\w-]+):\s*(.*)$")
ID = re.compile(r"\b([FGDSRB]-\d\d)\b")
TEST = re.compile(r"((?:^/\*(?:(?!\*/).)*\*/\n)?)^(?:static )?void "
                  r"(\w+)\(void \*\*\w+\)\s*\{", re.M | re.S)


class Row:
    def __init__(self, name, line, text):
        self.name = name
        self.line = line
        self.text = {"done": text, "reaction": "", "open": ""}
        self.tests = []  # (program, function)
        self.last = "done"

    def add(self, line):
        """One of the indented lines: something new, or the last one goes on."""
        tests = TESTS.match(line)
        if tests:
            self.last = tests.group(1)
            line = tests.group(2)
        elif line.startswith("=>"):
            self.last, line = "reaction", line[2:].strip()
        elif line.startswith("open:"):
            self.last, line = "open", line[5:].strip()
        if "/" in self.last:
            self.tests += [(self.last, name)
                           for name in re.findall(r"[^\s,]+", line)]
        else:
            self.text[self.last] = (self.text[self.last] + " " + line).strip()


def rows_of(report, text):
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        match = ROW.match(line)
        if match:
            rows.append(Row(match.group(1), number, match.group(2)))
        elif line[:1].isspace() and line.strip() and rows:
            rows[-1].add(line.strip())
        elif line.strip() and not line.startswith("#"):
            report.add("catalogue-form", f"{CATALOGUE}:{number}",
                       f"{CATALOGUE}:{number}: neither a row nor a remark")
    return rows


def check_ids(report, rows):
    last = {}
    for row in rows:
        letter, number = row.name.split("-")
        if int(number) != last.get(letter, 0) + 1:
            report.add("catalogue-ids", row.name,
                       f"{CATALOGUE}:{row.line}: {row.name} comes after "
                       f"{letter}-{last.get(letter, 0):02}")
        last[letter] = int(number)


def tests_of(tree, program):
    """{test: the comment above it} of a test program; None if there is none."""
    folder, name = program.split("/")
    path = f"tests/{folder}/test-{name}.c"
    if path not in tree.c_files(folders=("tests",)):
        return None
    return {name: comment
            for comment, name in TEST.findall(tree.text(path))}


def check_row(report, tree, row):
    at = f"{CATALOGUE}:{row.line}: {row.name}"
    if not row.text["reaction"]:
        report.add("catalogue-form", row.name, f"{at} tells no reaction")
    if not row.tests and not row.text["open"]:
        report.add("catalogue-row", row.name,
                   f"{at} has no test, and no reason")
    for program, name in row.tests:
        comment = (tests_of(tree, program) or {}).get(name)
        if comment is None:
            report.add("catalogue-test", f"{program}:{name}",
                       f"{at}: there is no test {name} in {program}")
        elif row.name not in ID.findall(comment):
            report.add("catalogue-comment", f"{row.name}:{name}",
                       f"{at}: the comment of {name} in {program} does not "
                       "name it")


def check_unknown(report, tree, rows):
    known = {row.name for row in rows}
    letters = {name[0] for name in known}
    for path in tree.c_files(folders=("tests",)):
        for comment, name in TEST.findall(tree.text(path)):
            for number in set(ID.findall(comment)) - known:
                if number[0] not in letters:
                    continue  # none of its kind is listed yet
                report.add("catalogue-unknown", f"{path}:{number}",
                           f"{path}: {name}() names {number}, which is no "
                           "row")


def main():
    tree, report = style.start(RULES)
    rows = rows_of(report, tree.text(CATALOGUE))
    if not rows:
        report.add("catalogue-form", CATALOGUE, f"{CATALOGUE}: no rows")
    check_ids(report, rows)
    for row in rows:
        check_row(report, tree, row)
    check_unknown(report, tree, rows)
    report.finish()


if __name__ == "__main__":
    main()
