# SPDX-License-Identifier: MIT
"""objects - what compiled functions call, as objdump tells it

For each function of an archive, or of an object file: the functions that it
calls or jumps to, those whose address it takes, its calls through pointers
with their source line, and its atomic changes of memory. What a compiler
makes of one function (f.cold, f.part.0, f.constprop.1, f.isra.2) counts as
that function. x86-64 only.
"""
import bisect
import os
import re
import subprocess
import sys

MEMBER = re.compile(r"^(\S.*):\s+file format (\S+)$")
SECTION = re.compile(r"^Disassembly of section (\S+):$")
RECORDS = re.compile(r"^RELOCATION RECORDS FOR \[(\S+)\]:$")
LABEL = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
RELOCATION = re.compile(r"^\s*([0-9a-f]+):?\s+(R_X86_64_\w+)\s+(\S+)$")
SYMBOL = re.compile(
    r"^([0-9a-f]+) (.{7}) (\S+)\t([0-9a-f]+)(?: \.\w+)? (\S+)$")
LINE = re.compile(r"^(\S.*?\.[ch]):(\d+)(?: \(discriminator \d+\))?$")
VALUE = re.compile(r"^(.+?)(?:([+-]0x[0-9a-f]+))?$")
BRANCH = re.compile(
    r"^(?:(?:bnd|notrack|data16|rex\.W) )*(call|jmp|j[a-z]+)q?\s+(.*)$")
ADDRESS = re.compile(r"\b([0-9a-f]+) <")
CLONE = re.compile(r"\.(?:cold|part|constprop|isra|localalias|llvm)\b.*$")
ATOMIC = re.compile(r"^lock (\w+)|^(xchg)\b.*\(")
FENCE = re.compile(r"^lock or[lq]? +\$0x0,")
TABLE_LOAD = re.compile(r"^movslq .*\(.*,4\),(%r\w+)$")
TABLE_ADD = re.compile(r"^add +%r\w+,(%r\w+)$")
SYSTEM_CALL = re.compile(r"^(?:syscall|sysenter|int +\$0x80)\b")
TABLE_DISTANCE = 8


class Function:
    """path: its source file; takes: {function: what takes its address}"""

    def __init__(self, path, name):
        self.path = path
        self.name = name
        self.calls = set()
        self.takes = set()
        self.pointer_calls = set()  # (file, line), of the source
        self.atomics = set()
        self.system_call = False

    @property
    def key(self):
        return f"{self.path}:{self.name}"

    def __repr__(self):
        return self.key


class Program:
    """All functions by key, and the addresses that data hold."""

    def __init__(self):
        self.functions = {}
        self.exported = {}  # name: function
        self.objects = set()  # names of data that some object defines
        self.data_takes = set()  # (path, symbol name or Function)

    def function(self, path, name):
        name = CLONE.sub("", name)
        key = f"{path}:{name}"
        if key not in self.functions:
            self.functions[key] = Function(path, name)
        return self.functions[key]

    def find(self, name):
        """All functions that a table's word may mean."""
        if ":" in name:
            return [f for k, f in self.functions.items() if k == name]
        return [f for f in self.functions.values() if f.name == name]

    def resolve(self, target):
        """A Function, or the name of what no object here defines."""
        if isinstance(target, Function):
            return target
        return self.exported.get(target, target)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Bail out! {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def source_paths(root, folder):
    """The source path by the name that meson gives to its object."""
    paths = {}
    for at, names, files in os.walk(root):
        names[:] = [n for n in names if not n.startswith((".", "build"))]
        for name in files:
            path = os.path.relpath(os.path.join(at, name), root)
            if name.endswith(".c"):
                paths[os.path.relpath(path, folder).replace("/", "_")] = path
    return paths


class Object:
    """One member while it is read."""

    def __init__(self, program, path):
        self.program = program
        self.path = path
        self.starts = {}  # section: sorted [(offset, name)]
        self.code = set()  # names of functions defined here
        self.section = None
        self.current = None
        self.recent = []  # instructions of the current function
        self.where = None
        self.pending = None  # an instruction whose relocation may follow

    def add_symbol(self, value, flags, section, name):
        if flags[6] == "F" and section.startswith(".text"):
            starts = self.starts.setdefault(section, [])
            bisect.insort(starts, (int(value, 16), name))
            self.code.add(name)
            function = self.program.function(self.path, name)
            if flags[0] in "gu!" or flags[1] == "w":
                self.program.exported[name] = function
        elif flags[6] == "O":
            self.program.objects.add(name)

    def at(self, section, offset):
        """The function there, and whether that is its first byte."""
        starts = self.starts.get(section, [])
        i = bisect.bisect_right(starts, (offset, "\x7f")) - 1
        if i < 0:
            return None, False
        return (self.program.function(self.path, starts[i][1]),
                starts[i][0] == offset)

    def target(self, value, bias):
        """Of a relocation: function or name, and whether it is the start."""
        name, addend = VALUE.match(value).groups()
        offset = int(addend or "0", 16) + bias
        if name in self.starts:
            return self.at(name, offset)
        if name.startswith("."):
            return None, False
        if name in self.code:
            return self.program.function(self.path, name), offset == 0
        return name, offset == 0

    def finish_instruction(self, relocation=None):
        if not self.pending:
            return
        text, self.pending = self.pending, None
        branch = BRANCH.match(text)
        if relocation:
            self.use_relocation(text, branch, *relocation)
        elif branch:
            self.use_branch(text, branch)
        else:
            self.use_local_address(text)
        if SYSTEM_CALL.match(text):
            self.current.system_call = True
        atomic = ATOMIC.match(text)
        if atomic and not FENCE.match(text):
            self.current.atomics.add(atomic[1] or atomic[2])

    def use_relocation(self, text, branch, kind, value):
        relative = kind not in ("R_X86_64_64", "R_X86_64_32", "R_X86_64_32S")
        target, starts = self.target(value, 4 if relative else 0)
        if branch and (not branch[2].startswith("*") or "GOT" in kind):
            if target and target is not self.current:
                self.current.calls.add(target)
        elif branch:
            if not re.match(r"\*0x0\(,%r\w+,8\)", branch[2]):
                self.current.pointer_calls.add(self.where)
        elif target and starts:
            self.current.takes.add(target)

    def use_branch(self, text, branch):
        if branch[2].startswith("*"):
            if branch[1] == "call" or not self.is_switch(branch[2][1:]):
                self.current.pointer_calls.add(self.where)
            return
        address = ADDRESS.search(branch[2])
        target, _ = self.at(self.section, int(address[1], 16)) \
            if address else (None, False)
        if target and target is not self.current:
            self.current.calls.add(target)

    def use_local_address(self, text):
        """A function of the same section needs no relocation."""
        comment = re.search(r"#\s*([0-9a-f]+) <", text)
        if not comment or not text.startswith("lea"):
            return
        target, starts = self.at(self.section, int(comment[1], 16))
        if target and starts:
            self.current.takes.add(target)

    def is_switch(self, register):
        """Whether a jump goes to an entry of a table of offsets."""
        added = False
        for text in reversed(self.recent[:-1][-TABLE_DISTANCE:]):
            add, load = TABLE_ADD.match(text), TABLE_LOAD.match(text)
            if add and add[1] == register:
                added = True
            elif load and added:
                return True
        return False

    def disassembly_line(self, line):
        instruction = INSTRUCTION.match(line)
        if instruction and not instruction[2].startswith("R_X86"):
            self.finish_instruction()
            self.pending = instruction[2].strip()
            self.recent.append(self.pending)
            return
        relocation = RELOCATION.match(line)
        if relocation:
            self.finish_instruction((relocation[2], relocation[3]))
            return
        label = LABEL.match(line)
        if label:
            self.finish_instruction()
            self.current = self.program.function(self.path, label[1])
            self.recent = []
            return
        where = LINE.match(line)
        if where:
            self.finish_instruction()
            self.where = (os.path.normpath(where[1]), int(where[2]))

    def data_relocation(self, section, relocation):
        """Absolute addresses only: jump tables are relative."""
        if section.startswith((".debug", ".eh_frame", ".text", ".note")):
            return
        if relocation[2] not in ("R_X86_64_64", "R_X86_64_32"):
            return
        target, starts = self.target(relocation[3], 0)
        if target and starts:
            self.program.data_takes.add((self.path, target))


def members(text):
    """(name of the object file, its lines)"""
    name, lines = None, []
    for line in text.splitlines():
        start = MEMBER.match(line)
        if not start:
            lines.append(line)
            continue
        if name:
            yield name, lines
        if "x86-64" not in start[2]:
            sys.exit(f"Bail out! {start[1]} is {start[2]}, not x86-64")
        name, lines = os.path.basename(start[1]), []
    if name:
        yield name, lines


def read_symbols(item, lines):
    section = None
    for line in lines:
        symbol = SYMBOL.match(line)
        records = RECORDS.match(line)
        relocation = RELOCATION.match(line)
        if symbol:
            item.add_symbol(symbol[1], symbol[2], symbol[3], symbol[5])
        elif records:
            section = records[1]
        elif relocation and section:
            item.data_relocation(section, relocation)


def read_code(item, lines):
    item.section = None
    for line in lines:
        section = SECTION.match(line)
        if section:
            item.finish_instruction()
            item.section = section[1]
        elif item.section and line:
            item.disassembly_line(line)
    item.finish_instruction()


def add_files(program, paths, name_of):
    """Read archives or objects; name_of: source path by object name."""
    items = {}
    for name, lines in members(run("objdump", "-tr", *paths)):
        source = name_of(name[:-len(".o")])
        items[name] = Object(program, source)
        read_symbols(items[name], lines)
    for name, lines in members(run("objdump", "-drl", "--no-show-raw-insn",
                                   *paths)):
        read_code(items[name], lines)


def read(root, archives):
    """archives: {folder of the sources: archive}"""
    program = Program()
    for folder, archive in archives.items():
        paths = source_paths(root, folder)
        add_files(program, [archive], lambda name, p=paths: p.get(name, name))
    return program
