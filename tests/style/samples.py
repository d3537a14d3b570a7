# SPDX-License-Identifier: MIT
"""samples - small trees that break one rule each, for selftest.py"""


class Case:
    """says: what the rule must say of the tree, None if it must be content."""

    def __init__(self, program, rule, name, says, files, library=None):
        self.program = program
        self.rule = rule
        self.name = f"{rule}: {name}"
        self.says = says
        self.files = files
        self.library = library


def c_file(path, body):
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return {path: "/* SPDX-License-Identifier: MIT */\n"
                  f"/* {stem} - a sample */\n{body}"}


def includes(path, line):
    return c_file(path, f"#include {line}\n")


def lines(count):
    return "int rh_a;\n" * count


def function(parameters, body):
    return f"int rh_f({parameters})\n{{\n{body}}}\n"


def bad(program, rule, name, says, files, library=None):
    CASES.append(Case(program, rule, name, says, files, library))


def good(program, rule, name, files, library=None):
    CASES.append(Case(program, rule, name, None, files, library))


CASES = []

# includes: path, include, what is said
for path, line in (
        ("lib/socket.c", '"lib/memory.h"'),
        ("lib/memory.c", '"lib/queue.h"'),
        ("lib/wire.h", '"lib/socket.h"'),
        ("lib/queue.c", '"lib/device.h"'),
        ("lib/listener.c", '"lib/device.h"'),
        ("common/fd.c", '"lib/wire.h"'),
        ("common/fd.c", '"server/driver.h"'),
        ("server/worker.c", '"lib/queue.h"'),
        ("server/drivers/null.c", '"server/virtio_blk.h"'),
        ("server/drivers/null.c", "<ringhost/queue.h>"),
        ("server/virtio_blk.c", '"server/uring.h"'),
        ("server/virtio_blk.c", '"server/worker.h"'),
        ("server/export.c", '"server/server.h"'),
        ("tests/frontend/front.c", '"lib/wire.h"'),
        ("tests/frontend/front.c", '"server/driver.h"'),
        ("examples/rng.c", '"common/fd.h"'),
        ("include/ringhost/queue.h", '"common/fd.h"')):
    bad("includes", "include", f"{path} may not include {line}",
        f"{path}:3: includes", includes(path, line))
for path, line in (
        ("lib/chain.c", '"lib/memory.h"'),
        ("lib/device.c", '"lib/handlers.h"'),
        ("server/virtio_blk_request.c", "<ringhost/queue.h>"),
        ("server/drivers/file.c", '"server/engine.h"'),
        ("server/driver.c", '"server/drivers/null.h"'),
        ("examples/rng.c", "<ringhost/ringhost.h>"),
        ("tests/unit/test-chain.c", '"lib/chain.h"'),
        ("tests/unit/test-chain.c", '"fixture.h"')):
    good("includes", "include", f"{path} may include {line}",
         includes(path, line))
bad("includes", "room", "a file nobody has heard of",
    "lib/surprise.c: no room", c_file("lib/surprise.c", "int rh_a;\n"))
bad("includes", "include-form", "a .c file", "includes lib/chain.c",
    includes("tests/unit/test-chain.c", '"lib/chain.c"'))
bad("includes", "include-form", "a bare name", "includes chain.h",
    includes("lib/chain.c", '"chain.h"'))
bad("includes", "include-form", "a public header in quotes",
    "includes ringhost/queue.h",
    includes("lib/chain.c", '"ringhost/queue.h"'))

bad("includes", "circle", "of three", "lib/a <- lib/b <- lib/c <- lib/a", {
    **c_file("lib/a.c", "int rh_a;\n"),
    "tests/style/rooms.txt": "lib/a: lib/b\nlib/b: lib/c\nlib/c: lib/a\n"})

# hazards: rule, file, code
for rule, path, code in (
        ("recvmsg", "lib/channel.c", "int n = recvmsg(fd, &m, 0);\n"),
        ("recvmsg", "server/main.c", "int n = sendmsg (fd, &m, 0);\n"),
        ("userfaultfd", "lib/memory.c", "struct uffdio_range range;\n"),
        ("mmap", "lib/queue.c", "void *p = mmap(0, 1, 2, 3, fd, 0);\n"),
        ("guest-atomics", "lib/chain.c",
         "int n = __atomic_load_n(p, __ATOMIC_RELAXED);\n"),
        ("guest-atomics", "lib/chain.c",
         "int n = atomic_load((_Atomic int *)p);\n"),
        ("guest-rings", "lib/queue.c", "struct virtq_avail *a;\n"),
        ("guest-rings", "lib/queue.c", "int n = s->used->idx;\n"),
        ("guest-packed-rings", "lib/ring.c", "int n = packed->desc[0].id;\n"),
        ("guest-packed-rings", "lib/queue.c",
         "int n = p->driver_event->flags;\n"),
        ("volatile", "lib/queue.c", "volatile int n;\n"),
        ("io_uring", "server/worker.c", "#include <liburing.h>\n"),
        ("io_uring", "server/drivers/file.c", "int n = io_uring_enter(1);\n"),
        ("aio", "server/uring.c", "int n = syscall(SYS_io_submit);\n"),
        ("threads", "server/export.c", "int n = pthread_create(0, 0, f, 0);\n"),
        ("library-threads", "lib/device.c", "#include <pthread.h>\n"),
        ("virtio-blk", "server/export.c", "int n = VIRTIO_BLK_F_RO;\n")):
    bad("hazards", rule, f"{code.strip()} in {path}", f"{path}:3:",
        c_file(path, code))
for rule, path, code in (
        ("recvmsg", "lib/socket.c", "int n = recvmsg(fd, &m, 0);\n"),
        ("mmap", "lib/queue.c", '/* mmap(2) */ char *p = "mmap(";\n'),
        ("guest-atomics", "lib/queue.c", "int n = atomic_load(&q->flag);\n"),
        ("volatile", "server/main.c", "static volatile sig_atomic_t n;\n"),
        ("io_uring", "server/uring.c", "#include <liburing.h>\n"),
        ("aio", "server/prompt.c", "int n = syscall(SYS_io_submit);\n")):
    good("hazards", rule, f"{code.strip()} in {path}", c_file(path, code))

bad("sizes", "file-lines", "601 lines", "601 lines",
    c_file("lib/a.c", lines(599)))
good("sizes", "file-lines", "600 lines", c_file("lib/a.c", lines(598)))
bad("sizes", "public-header-lines", "too many", "251 lines",
    c_file("include/ringhost/a.h", lines(249)))
bad("sizes", "public-headers-lines", "704 lines in four", "704 lines",
    {k: v for n in "abcd"
     for k, v in c_file(f"include/ringhost/{n}.h", lines(174)).items()})
bad("sizes", "internal-header-lines", "151 lines", "151 lines",
    c_file("lib/a.h", lines(149)))
bad("sizes", "function-lines", "61 lines", "rh_f() has 61 lines",
    c_file("lib/a.c", function("void", "\n" * 58)))
good("sizes", "function-lines", "60 lines",
     c_file("lib/a.c", function("void", "\n" * 57)))
bad("sizes", "nesting", "four blocks", "rh_f() nests 4 deep",
    c_file("lib/a.c", function("int a", "if (a)\nfor (;;)\nwhile (a) {\n"
                               "switch (a) { case 1: a++; }\n}\n")))
bad("sizes", "nesting", "else counts as a block", "rh_f() nests 4 deep",
    c_file("lib/a.c", function("int a", "if (a) { do { if (a) ; else "
                               "while (a) ; } while (a); }\n")))
good("sizes", "nesting", "three blocks, and a chain of else if",
     c_file("lib/a.c", function("int a", "for (;;) { while (a) { if (a == 1) "
                                "a++; else if (a == 2) a--; else if (a == 3) "
                                "a = 0; else a = 9; } }\n")))
bad("sizes", "parameters", "six in a definition", "rh_f() has 6 parameters",
    c_file("lib/a.c", function("int a, int b, int c, int d, int e, int f",
                               "")))
bad("sizes", "parameters", "six in a function pointer",
    "(*run)() has 6 parameters",
    c_file("lib/a.h", "struct s {\nint (*run)(int a, int b, int c, int d, "
                      "int e, int f);\n};\n"))
good("sizes", "parameters", "a list of exceptions lets one through", {
    **c_file("lib/a.c", function("int a, int b, int c, int d, int e, int f",
                                 "")),
    "tests/style/exceptions.txt": "parameters rh_f a sample\n"})
bad("sizes", "parameters", "an exception that is not needed",
    "not needed any more", {
        **c_file("lib/a.c", function("int a", "")),
        "tests/style/exceptions.txt": "parameters rh_f a sample\n"})
