# SPDX-License-Identifier: MIT
"""includes - every include follows an arrow of the table in rooms.txt"""
import re

import csource
import rooms
import style

RULES = {
    "room": "every source file belongs to a room of the table",
    "include": "every include is one that its room may have",
    "include-form": 'a header is included as "folder/name.h" or '
                    "<ringhost/name.h>, or in tests by its name alone from "
                    "its own folder, and no .c file ever",
    "circle": "the table's arrows form no circle",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
PUBLIC = "ringhost/"


def includes(text):
    """(line, quote, name) of each include that is not in a comment."""
    text = COMMENT.sub(csource.blank, text)
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield line, match.group(1), match.group(2)


def allowed_for(path, room, table):
    return table[room] + table.get(path, [])


def fits(target, room, allowed, table):
    """target: a header's path from the root, or <ringhost/name.h>."""
    if target.startswith("<"):
        name = "<" + target[len(PUBLIC) + 1:-len(".h>")] + ">"
        return name in allowed or "<*>" in allowed
    to = rooms.room_of(target, table)
    return to is not None and (
        to == room or to in allowed
        or any(a.endswith("/") and target.startswith(a) for a in allowed))


def check(report, tree, path, table):
    room = rooms.room_of(path, table)
    if room is None:
        report.add("room", path, f"{path}: no room of tests/style/rooms.txt "
                   "holds this file: give it a line there")
        return
    allowed = allowed_for(path, room, table)
    for line, quote, name in includes(tree.text(path)):
        at = f"{path}:{line}"
        public = name.startswith(PUBLIC)
        if quote == "<" and not public:
            continue
        if "/" not in name and path.startswith("tests/"):
            name = path.rsplit("/", 1)[0] + "/" + name
        if name.endswith(".c") or (quote == '"') == public \
                or "/" not in name or ".." in name:
            report.add("include-form", path,
                       f'{at}: includes {name}: write "folder/name.h" from '
                       "the root, or <ringhost/name.h>")
            continue
        target = f"<{name}>" if public else name
        if not fits(target, room, allowed, table):
            report.add("include", f"{path}:{name}",
                       f"{at}: includes {target}; {room} may include "
                       f"{' '.join(allowed) or 'nothing'}")


def main():
    tree, report = style.start(RULES)
    table = rooms.parse(tree.text(rooms.TABLE))
    for path in tree.c_files():
        check(report, tree, path, table)
    circle = rooms.circle(table)
    if circle:
        report.add("circle", rooms.TABLE, " <- ".join(circle))
    report.finish()


if __name__ == "__main__":
    main()
