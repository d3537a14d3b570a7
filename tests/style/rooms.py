# SPDX-License-Identifier: MIT
"""rooms - reads rooms.txt, the table of who may include whom"""

TABLE = "tests/style/rooms.txt"


def parse(text):
    """{room: [what it may include]}"""
    rooms, name = {}, None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        left, _, right = line.rpartition(":")
        name = left.strip() or name
        rooms.setdefault(name, []).extend(right.split())
    return rooms


def room_of(path, rooms):
    """The room that holds a file, or None: the longest name that fits."""
    stem = path.rsplit(".", 1)[0]
    fits = [room for room in rooms
            if stem == room or stem.startswith(room + "_")
            or room.endswith("/") and path.startswith(room)]
    return max(fits, key=len, default=None)


def circle(rooms):
    """Rooms that may include each other in a circle, or None."""
    graph = {room: [to for to in allowed if to in rooms and to != room]
             for room, allowed in rooms.items() if not room.endswith(".c")}
    done = set()

    def visit(room, way):
        if room in way:
            return way[way.index(room):] + [room]
        if room in done or room not in graph:
            return None
        for to in graph[room]:
            found = visit(to, way + [room])
            if found:
                return found
        done.add(room)
        return None

    for room in graph:
        found = visit(room, [])
        if found:
            return found
    return None
