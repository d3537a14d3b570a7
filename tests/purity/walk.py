# SPDX-License-Identifier: MIT
"""walk - from the roots to all that the hot path may call, and the verdict

Each call, jump and taken address is followed, and each call through a pointer
to those that the table names. What is left are the names that none of the
objects defines: each must be allowed to the file that calls it. So must be the
helpers of common/, in which system calls are made, but these are walked as
well. A cold function is reached and not entered.
"""
import os
import re

import objects

RULES = {
    "allocates": "no function of the hot path allocates",
    "locks": "none locks",
    "logs": "none logs or formats text",
    "calls": "none calls what the table does not allow it",
    "atomics": "none changes shared memory atomically",
    "pointers": "each call through a pointer has its functions named",
    "addresses": "each function that is called through a pointer is listed",
    "table": "each line of the table is needed",
}

ALLOCATES = re.compile(
    r"^(?:malloc|calloc|realloc|reallocarray|free|cfree|strn?dup|v?asprintf|"
    r"posix_memalign|aligned_alloc|memalign|v?alloc|pvalloc|mmap(?:64)?|"
    r"munmap|mremap|madvise|s?brk|getline|getdelim|fopen(?:64)?|"
    r"open_memstream|__v?asprintf_chk)$")
LOCKS = re.compile(r"^(?:_*pthread_|sem_|mtx_|cnd_|thrd_|call_once|futex|"
                   r"flock|lockf|__tls_get_addr$)")
LOGS = re.compile(r"^(?:rh_log|.*printf|__.*printf_chk|v?syslog|f?puts|"
                  r"f?putc|putchar|fwrite|perror|psignal|v?warnx?|v?errx?|"
                  r"strerror|strsignal|stderr|stdout|backtrace)")
# A compiler's own, which change no more than they are given; and the end.
HARMLESS = re.compile(
    r"^(?:(?:__)?(?:mem(?:cpy|move|set|cmp|chr|pcpy)|bcmp)(?:_chk)?|"
    r"(?:__)?str(?:n?len|n?cmp|r?chr)|__errno_location|__assert_fail|abort|"
    r"__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$")
MEMBER_CALL = re.compile(r"(?:->|\.)(\w+)\(")
PLAIN_CALL = re.compile(r"(?<![\w>.])([a-z_]\w*)\(")


def kind_of(name):
    for rule, names in (("allocates", ALLOCATES), ("locks", LOCKS),
                        ("logs", LOGS)):
        if names.match(name):
            return rule
    return "calls"


def is_in(function, folder):
    return isinstance(function, objects.Function) and \
        function.path.startswith(folder)


class Walk:
    def __init__(self, program, table, root):
        self.program = program
        self.table = table
        self.root = root
        self.found = {rule: [] for rule in RULES}
        self.parents = {}  # function: who reached it first
        self.reached_shut = set()
        self.used_calls = set()
        self.used_may = set()
        self.sources = {}
        self.shut = {}  # function: the line that keeps us out
        for kind in ("cold", "breaks"):
            self.look_up(getattr(table, kind), kind)

    def add(self, rule, sentence):
        if sentence not in self.found[rule]:
            self.found[rule].append(sentence)

    def stale(self, line, why):
        self.add("table", f"{self.table.place}: '{line}': {why}")

    def one(self, name, line):
        """The one function that a word of the table means."""
        found = self.program.find(name)
        if not found:
            self.stale(line, f"there is no {name} (any more), or it is "
                             "inlined: remove it, or make it cold_code")
        elif len(found) > 1:
            self.stale(line, f"{name} is any of "
                             f"{', '.join(sorted(f.key for f in found))}")
        else:
            return found[0]
        return None

    def look_up(self, names, kind):
        for name in names:
            function = self.one(name, f"{kind} {name}")
            if function:
                self.shut[function] = f"{kind} {name}"

    def way_to(self, function):
        names = []
        while function:
            names.append(function.name)
            function = self.parents[function]
        return " > ".join(reversed(names))

    def run(self):
        todo = []
        for name in self.table.roots:
            function = self.one(name, f"root {name}")
            if function and function not in self.parents:
                self.parents[function] = None
                todo.append(function)
        while todo:
            function = todo.pop(0)
            if function in self.shut:
                self.reached_shut.add(function)
                continue
            for target in self.targets(function):
                if isinstance(target, str):
                    self.judge(function, target)
                elif target not in self.parents:
                    self.parents[target] = function
                    todo.append(target)
        self.check_addresses()
        self.check_table()
        return self.found

    def targets(self, function):
        """What it calls, or makes known: functions, or names of others."""
        self.judge_instructions(function)
        resolve = self.program.resolve
        found = {resolve(target) for target in function.takes}
        found = {f for f in found if not self.is_aside(f)}
        found |= {resolve(target) for target in function.calls}
        for where in function.pointer_calls:
            found |= self.pointed(function, where)
        logs = {f for f in found if is_in(f, "common/log.")}
        helpers = set()
        if not is_in(function, "common/"):
            helpers = {f for f in found if is_in(f, "common/")}
        names = {f.name for f in logs | helpers}
        return sorted(found - logs | names, key=str)

    def is_aside(self, function):
        """Its address is no concern of those that give it away."""
        return isinstance(function, objects.Function) and any(
            word in self.table.aside
            for word in (function.name, function.key, f"{function.path}:*"))

    def allowed(self, function, name):
        self.used_may.add((function.path, name))
        return (function.path, name) in self.table.may

    def judge(self, function, name):
        """name: what none of the objects has among its functions."""
        if name in self.program.objects or HARMLESS.match(name):
            return
        if not self.allowed(function, name):
            self.add(kind_of(name),
                     f"{function.path}: {name}() is reached by "
                     f"{self.way_to(function)}")

    def judge_instructions(self, function):
        for name in sorted(function.atomics):
            if not self.allowed(function, f"lock:{name}"):
                self.add("atomics", f"{function.path}: lock:{name} is in "
                                    f"{self.way_to(function)}")
        if function.system_call and not self.allowed(function, "syscall"):
            self.add("calls", f"{function.path}: a system call is in "
                              f"{self.way_to(function)}")

    def source_line(self, where):
        path, number = where
        if path not in self.sources:
            try:
                with open(path, encoding="utf-8") as file:
                    self.sources[path] = file.read().splitlines()
            except OSError:
                self.sources[path] = []
        lines = self.sources[path]
        return lines[number - 1] if number <= len(lines) else ""

    def pointer_names(self, where):
        """What the source calls there: a member, or a variable."""
        text = self.source_line(where)
        members = MEMBER_CALL.findall(text)
        if members:
            return members
        return [name for name in PLAIN_CALL.findall(text)
                if not self.program.find(name)]

    def pointed(self, function, where):
        """Whom a call through a pointer may mean."""
        if not where:
            self.add("pointers", f"{self.way_to(function)} calls through a "
                                 "pointer, and no line says where")
            return set()
        path = os.path.relpath(where[0], self.root)
        place = f"{path}:{where[1]}"
        names = self.pointer_names(where)
        found = set()
        if not names:
            self.add("pointers", f"{place}: {self.way_to(function)} calls "
                                 "through a pointer that has no name there")
        for name in names:
            rows = self.table.calls.get((path, name))
            self.used_calls.add((path, name))
            if not rows:
                self.add("pointers",
                         f"{place}: {self.way_to(function)} calls through "
                         f"{name}: say 'call {path} {name} = FUNCTION...'")
            for row in rows or []:
                found.add(self.one(row, f"call {path} {name}"))
        return found - {None}

    def taken(self):
        """All functions whose address is taken somewhere."""
        found = {target for _, target in self.program.data_takes}
        for function in self.program.functions.values():
            found |= function.takes
        found = {self.program.resolve(target) for target in found}
        return {f for f in found if not isinstance(f, str)}

    def check_addresses(self):
        """Those of a folder in which pointers are called on the hot path."""
        folders = {path.split("/")[0] for path, _ in self.table.calls}
        named = {name for row in self.table.calls.values() for name in row}
        named |= set(self.table.roots)
        # Of the others in a file an optimizer may leave none.
        used = {f"{f.path}:*" for f in self.program.functions.values()}
        for function in sorted(self.taken(), key=str):
            used |= {function.name, function.key}
            if function.path.split("/")[0] in folders and \
                    not self.is_aside(function) and \
                    not {function.name, function.key} & named:
                self.add("addresses",
                         f"{function.key} is called through a pointer: name "
                         "it in a 'call' line, or in an 'aside' line")
        for name in sorted((named - set(self.table.roots)) - used):
            self.stale(f"call ... {name}", "nobody takes its address")
        for name in sorted(set(self.table.aside) - used):
            self.stale(f"aside {name}", "nobody takes its address")

    def check_table(self):
        for function, line in self.shut.items():
            if function not in self.reached_shut:
                self.stale(line, "the hot path does not reach it")
        for row in self.table.calls:
            if row not in self.used_calls:
                self.stale(f"call {' '.join(row)}", "there is no such call")
        for row in self.table.may:
            if row not in self.used_may:
                self.stale(f"may {' '.join(row)}", "there is no such call")
