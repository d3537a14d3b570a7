# SPDX-License-Identifier: MIT
"""samples - small programs with one fault each, for selftest.py

hot() is the root of each. Files are by path; `rule` is the one that must be
broken, with `says` in its message, and no other: None if none may be.
"""

HEAD = """typedef unsigned long size_t;
#define NULL ((void *)0)
void *malloc(size_t bytes);
void free(void *p);
void abort(void);
int puts(const char *text);
int snprintf(char *text, size_t bytes, const char *format, ...);
int getppid(void);
int pthread_mutex_lock(void *lock);
#define UNKNOWN(p) __asm__ volatile("" : "+r"(p) : : "memory")
#define ALLOCATE(n) do { void *p = malloc(n); UNKNOWN(p); } while (0)
#define NOINLINE __attribute__((noinline))
struct ops { int (*other)(int n); int (*submit)(int n); };
struct op { int (*done)(int n); };
void *keep(int n);
int slow(int n);
int next(int n);
int rh_log(int n);
int hot(int n);
int hot_too(struct op *op);
extern const struct ops table;
"""

ALLOCATES = "static NOINLINE int leaf(int n) { ALLOCATE(n); return n + 1; }\n"
TABLE = "const struct ops table = { .submit = leaf };\n"


class Case:
    def __init__(self, name, rule, says, files, rows):
        self.name = name
        self.rule = rule
        self.says = says
        self.files = {path: HEAD + text for path, text in files.items()}
        self.rows = "root hot\n" + rows


CASES = []


def bad(name, rule, says, code, rows="", **others):
    files = {"server/a.c": code}
    files.update({f"server/{stem}.c": text for stem, text in others.items()})
    CASES.append(Case(name, rule, says, files, rows))


def good(name, code, rows="", **others):
    bad(name, None, None, code, rows, **others)


# what is called
bad("a call", "allocates", "server/a.c: malloc() is reached by hot",
    "int hot(int n) { ALLOCATE(n); return n; }\n")
bad("a call two calls away", "allocates", "hot > next > leaf",
    "int hot(int n) { return next(n) + 1; }\n",
    b=ALLOCATES + "int next(int n) { return leaf(n) + 1; }\n")
bad("a tail call", "allocates", "by hot > next",
    "int hot(int n) { return next(n + 1); }\n",
    b="int next(int n) { ALLOCATE(n); return n; }\n")
bad("a tail call of the C library's", "allocates", "by hot > keep",
    "NOINLINE void *keep(int n) { return malloc(n + 1); }\n"
    "int hot(int n) { void *p = keep(n); UNKNOWN(p); return n; }\n")
bad("a tail call in one file", "allocates", "by hot > leaf",
    ALLOCATES + "int hot(int n) { return leaf(n + 1); }\n")
bad("a call in an unlikely branch", "logs", "puts() is reached by hot",
    "int hot(int n) { if (__builtin_expect(n > 7, 0)) { puts(\"7\"); abort();"
    " } return n; }\n")
bad("a call of a cold function", "allocates", "by hot > slow",
    "__attribute__((cold)) int slow(int n);\n"
    "int hot(int n) { if (n > 7) return slow(n) + 1; return n; }\n",
    b="int slow(int n) { ALLOCATE(n); return n; }\n")
bad("a call of what was specialized", "allocates", "by hot > leaf",
    "static NOINLINE int leaf(int n, int m) { ALLOCATE(n * m); return n / m; }"
    "\nint hot(int n) { return leaf(n, 3) + leaf(n + 1, 3); }\n")
bad("a call behind a switch", "allocates", "malloc() is reached by hot",
    "int hot(int n) { switch (n) { case 0: return next(1); case 1: return 7;\n"
    "case 2: return 17; case 3: return next(4); case 4: return 99; case 5:\n"
    "ALLOCATE(n); return 6; case 6: return next(8) + 1; } return 1; }\n",
    b="int next(int n) { return n; }\n")

# through pointers
bad("a call through a pointer", "allocates", "by hot > leaf",
    ALLOCATES + TABLE +
    "int hot(int n) { const struct ops *ops = &table; UNKNOWN(ops);\n"
    "return ops->submit(n) + 1; }\n",
    "call server/a.c submit = leaf\n")
bad("a tail call through a pointer", "allocates", "by hot > hot_too > leaf",
    ALLOCATES + TABLE +
    "NOINLINE int hot_too(struct op *op) {\nreturn op->done(1); }\n"
    "int hot(int n) { struct op *op = NULL; UNKNOWN(op);\n"
    "return hot_too(op) + 1; }\n",
    "call server/a.c done = leaf\n")
bad("a call through a pointer that is not named", "pointers",
    "hot calls through done",
    "int hot(int n) { struct op *op = NULL; UNKNOWN(op);\n"
    "return op->done(n) + 1; }\n")
bad("a second pointer in the same function", "pointers",
    "hot calls through other",
    "const struct ops table = { .submit = next };\n"
    "int next(int n) { return n; }\n"
    "int hot(int n) { const struct ops *ops = &table; UNKNOWN(ops);\n"
    "n = ops->submit(n);\n return ops->other(n) + 1; }\n",
    "call server/a.c submit = next\n")
bad("a call through a variable", "pointers", "hot calls through wake",
    "int hot(int n) { int (*wake)(int) = NULL; UNKNOWN(wake);\n"
    "return wake(n) + 1; }\n")
bad("a call through an element", "pointers", "that has no name there",
    "int hot(int n) { int (**list)(int) = NULL; UNKNOWN(list);\n"
    "return list[n](n) + 1; }\n")
bad("a function that is given away", "allocates", "by hot > leaf",
    ALLOCATES + "int hot(int n) { struct op op = { leaf };\n"
    "struct op *p = &op; UNKNOWN(p); return n; }\n")
bad("a function of the C library that is given away", "allocates",
    "free() is reached",
    "int hot(int n) { void (*p)(void *) = free; UNKNOWN(p); return n; }\n")
bad("a function in a table that nobody names", "addresses", "leaf is called",
    ALLOCATES +
    "const struct ops table = { .other = next, .submit = leaf };\n"
    "int hot(int n) { const struct ops *ops = &table; UNKNOWN(ops);\n"
    "return ops->other(n) + 1; }\n",
    "call server/a.c other = next\n",
    b="int next(int n) { return n; }\n")

# other kinds
bad("a lock", "locks", "pthread_mutex_lock()",
    "static int lock;\n"
    "int hot(int n) { pthread_mutex_lock(&lock); return n; }\n")
bad("a log line", "logs", "rh_log() is reached by hot",
    "int hot(int n) { return rh_log(n) + 1; }\n")
CASES.append(Case(
    "a log line of a helper", "logs", "rh_log() is reached by hot > slow",
    {"lib/a.c": "int hot(int n) { return slow(n) + 1; }\n",
     "common/fd.c": "int slow(int n) { return rh_log(n) + 1; }\n",
     "common/log.c": "int rh_log(int n) { return n; }\n"},
    "may lib/a.c slow a sample\n"))
bad("text", "logs", "snprintf() is reached",
    "int hot(int n) { char t[9]; return snprintf(t, 9, \"%d%d\", n, n); }\n")
bad("a system call", "calls", "getppid() is reached by hot",
    "int hot(int n) { return getppid() + n; }\n")
bad("an instruction that is one", "calls", "a system call is in hot",
    "int hot(int n) { __asm__ volatile(\"syscall\"); return n; }\n")
bad("a shared count", "atomics", "is in hot",
    "static int count;\n"
    "int hot(int n) { return __atomic_fetch_add(&count, n, 5); }\n")

# lines that are not needed
bad("a cold function that is none any more", "table", "there is no slow",
    "int hot(int n) { return n; }\n", "cold slow a sample\n")
bad("a cold function that is not reached", "table", "does not reach it",
    "int hot(int n) { return n; }\nint slow(int n) { return n; }\n",
    "cold slow a sample\n")
bad("an exception that is not reached", "table", "does not reach it",
    "int hot(int n) { return n; }\nint slow(int n) { return n; }\n",
    "breaks slow a sample\n")
bad("a call that is allowed and does not happen", "table",
    "there is no such call",
    "int hot(int n) { return n; }\n", "may server/a.c getppid a sample\n")
bad("a pointer that is not called", "table", "there is no such call",
    ALLOCATES + TABLE + "int hot(int n) { return n; }\n",
    "call server/a.c submit = leaf\n")
bad("a function aside whose address nobody takes", "table",
    "nobody takes its address",
    "int hot(int n) { return n; }\nint slow(int n) { return n; }\n",
    "aside slow = a sample\n")
bad("two functions of one name", "table", "leaf is any of",
    "static NOINLINE int leaf(int n) { UNKNOWN(n); return n; }\n"
    "int hot(int n) { return leaf(n) + 1; }\n",
    "cold leaf a sample\n",
    b="static NOINLINE int leaf(int n) { UNKNOWN(n); return n; }\n"
      "int next(int n) { return leaf(n) + 1; }\n")

# and what may be
good("what calls nothing", "int hot(int n) { return n + 1; }\n")
good("a fence", "int hot(int n) { __atomic_thread_fence(5); return n; }\n")
good("a switch", "int hot(int n) { switch (n) { case 0: return next(1);\n"
     "case 1: return next(8) + 9; case 2: return slow(3); case 3: return 6;\n"
     "case 4: return next(5) - 1; case 5: return slow(0) * n; case 6:\n"
     "return slow(9) + 2; } return n; }\n",
     b="int next(int n) { return n; }\nint slow(int n) { return n; }\n")
good("a cold function that allocates",
     "int hot(int n) { return n > 7 ? slow(n) : n; }\n", "cold slow a sample\n",
     b="int slow(int n) { ALLOCATE(n); return n; }\n")
good("an exception that locks", "int hot(int n) { return slow(n); }\n",
     "breaks slow a sample\n",
     b="int slow(int n) { return pthread_mutex_lock(&n); }\n")
good("a call that is allowed", "int hot(int n) { return getppid() + n; }\n",
     "may server/a.c getppid a sample\n")
good("what nobody calls", ALLOCATES + "int hot(int n) { return n; }\n"
                          "int slow(int n) { return leaf(n); }\n")
