# SPDX-License-Identifier: MIT
"""samples_text - samples for format.py, symbols.py, docs.py, catalogue.py"""
from samples import bad, c_file, function, good

bad("format", "clang-format", "spaces for a tab", "lib/a.c:4",
    c_file("lib/a.c", "int rh_f(void)\n{\n        return 0;\n}\n"))
good("format", "clang-format", "a tab",
     c_file("lib/a.c", "int rh_f(void)\n{\n\treturn 0;\n}\n"))
bad("format", "spdx", "a script without", "tests/run.sh:1: SPDX",
    {**c_file("lib/a.c", "int rh_a;\n"), "tests/run.sh": "#!/bin/sh\n"})
bad("format", "spdx", "a script without an ending", "tests/run:1: SPDX",
    {**c_file("lib/a.c", "int rh_a;\n"), "tests/run": "#!/bin/sh\n"})
bad("format", "head", "another file's name", "must begin 'a - '",
    {"lib/a.c": "/* SPDX-License-Identifier: MIT */\n/* b - x */\nint b;\n"})
good("format", "head", "a word of a test's name",
     {"tests/unit/test-a-b.c": "/* SPDX-License-Identifier: MIT */\n"
                               "/* a, part two - x */\nint b;\n"})
bad("format", "later-marks", "in a comment", "lib/a.c:3",
    c_file("lib/a.c", "/* TO" "DO: more */\nint rh_a;\n"))
bad("format", "if-inside", "around a statement", "#if inside a function",
    c_file("lib/a.c", function("void", "#ifdef A\n\treturn 1;\n#endif\n")))
good("format", "if-inside", "around a function",
     c_file("lib/a.c",
            "#ifdef A\nint rh_f(void)\n{\n\treturn 1;\n}\n#endif\n"))
bad("format", "trailing-space", "behind a line", "ends in white space",
    c_file("lib/a.c", "int rh_a; \n"))
bad("format", "typedef", "of a struct", "no function type",
    c_file("lib/a.h", "typedef struct a {\n\tint b;\n} a_t;\n"))
good("format", "typedef", "of a function type",
     c_file("lib/a.h", "typedef void (*rh_fn)(void *opaque);\n"))

HEADER = c_file("include/ringhost/a.h", "RH_API int rh_a(void);\n")
LISTED = {"tests/style/symbols.txt": "rh_a\n"}
EXPORT = '__attribute__((visibility("default"))) '
LIBRARY = f"{EXPORT}int rh_a(void) {{ return 0; }}\n"
for rule in ("header-symbols", "shared-symbols", "static-symbols"):
    good("symbols", rule, "all agree", {**HEADER, **LISTED}, LIBRARY)
bad("symbols", "header-symbols", "not in the list", "rh_b",
    {**LISTED, **c_file("include/ringhost/a.h",
                        "RH_API int rh_a(void);\nRH_API int rh_b(void);\n")},
    LIBRARY)
bad("symbols", "shared-symbols", "one is missing", "lists rh_a",
    {**HEADER, **LISTED}, "int rh_a(void) { return 0; }\n")
bad("symbols", "shared-symbols", "one too many", "exports rh_c",
    {**HEADER, **LISTED}, LIBRARY + EXPORT + "int rh_c;\n")
bad("symbols", "static-symbols", "another name", "defines helper",
    {**HEADER, **LISTED}, LIBRARY + "int helper;\n")
bad("symbols", "marked-once", "a declaration without", "rh_b() lacks RH_API",
    {**LISTED, **c_file("include/ringhost/a.h",
                        "RH_API int rh_a(void);\nint rh_b(void);\n")},
    LIBRARY)

WIRE = c_file("lib/wire.h", """
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
};
enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
};
""")
MESSAGE = c_file("lib/message.c", """
static const struct rh_message_row rows[] = {
	[VHOST_USER_GET_FEATURES] = {
	},
};
""")
HANDLERS = c_file("lib/handlers.c", """
static uint64_t offered_protocol(void)
{
	return PROTOCOL(MQ);
}
""")


TEST = c_file("tests/unit/test-a.c", """
static void the_test_of_it(void **state)
{
}
""")


def tree(first="yes", second="not yet", bit="yes", shown="`the_test_of_it`",
         more=""):
    text = f"""
## Messages of the front-end
| 1 | GET_FEATURES | {first} | | {shown} |
| 2 | SET_FEATURES | {second} | | |
## Protocol feature bits
| 0 | MQ | {bit} | `the_test_of_it` |
| 1 | LOG_SHMFD | not yet | |
## More
{more}
"""
    return {**WIRE, **MESSAGE, **HANDLERS, **TEST, "docs/protocol.md": text}


for rule in ("messages", "protocol-bits", "shown-by"):
    good("docs", rule, "as the code", tree())
bad("docs", "messages", "supported and said not to be",
    "says 'not yet' of GET_FEATURES", tree(first="not yet"))
bad("docs", "messages", "said to be supported and not",
    "says 'yes' of SET_FEATURES", tree(second="yes"))
bad("docs", "messages", "left out", "no row for 2", tree(second="maybe"))
bad("docs", "protocol-bits", "offered and said not to be",
    "says 'no' of MQ", tree(bit="no"))
bad("docs", "shown-by", "a test that is gone", "no test a_test_of_old",
    tree(shown="`a_test_of_old`"))
bad("docs", "shown-by", "no test named", "no test is named", tree(shown=""))
bad("docs", "links", "to nowhere", "other.md leads nowhere",
    tree(more="[other](other.md)"))
good("docs", "links", "to a file, and to the net",
     tree(more="[wire](../lib/wire.h#1) [net](https://example.org/)"))
bad("docs", "paths", "of no file", "no lib/gone.c",
    tree(more="see `lib/gone.c`"))
good("docs", "paths", "of a file, a module, files, a folder",
     tree(more="`lib/wire.h` `lib/message` `lib/hand*.c` `lib/`"))


def rows(text, comment="/* F-01: so it is */"):
    test = c_file("tests/e2e/test-a.c", f"""
{comment}
static void it_holds(void **state)
{{
}}
""")
    return {**test, "tests/hostile/catalogue.txt": "# F\n" + text}


ROW = "F-01  What is done,\n      and more\n      => CLOSE\n"
SHOWN = ROW + "      e2e/a: it_holds\n"
for rule in ("form", "ids", "row", "test", "comment", "unknown"):
    good("catalogue", f"catalogue-{rule}", "a row with a test, an open one",
         rows(SHOWN + "F-02  Done\n      => NAK\n      open: no time\n"))
bad("catalogue", "catalogue-form", "no reaction", "F-01 tells no reaction",
    rows("F-01  Done\n      e2e/a: it_holds\n"))
bad("catalogue", "catalogue-form", "no row", "no rows", rows(""))
bad("catalogue", "catalogue-form", "prose between rows", ":6: neither a row",
    rows(SHOWN + "and so on\n"))
bad("catalogue", "catalogue-ids", "a gap", "F-03 comes after F-01",
    rows(SHOWN + "F-03  Done\n      => NAK\n      open: no time\n"))
bad("catalogue", "catalogue-ids", "twice the same", "F-01 comes after F-01",
    rows(SHOWN + SHOWN))
bad("catalogue", "catalogue-row", "neither test nor reason",
    "F-01 has no test, and no reason", rows(ROW))
bad("catalogue", "catalogue-test", "one that is gone",
    "no test it_held in e2e/a", rows(ROW + "      e2e/a: it_holds,\n"
                                     "          it_held\n"))
bad("catalogue", "catalogue-test", "a program that is not there",
    "no test it_holds in unit/a", rows(ROW + "      unit/a: it_holds\n"))
bad("catalogue", "catalogue-comment", "of another row",
    "comment of it_holds in e2e/a does not name it",
    rows(SHOWN, "/* G-01 */"))
bad("catalogue", "catalogue-comment", "above another function",
    "comment of it_holds in e2e/a does not name it",
    rows(SHOWN, "/* F-01 */\nstatic int a;\n"))
bad("catalogue", "catalogue-unknown", "of no row", "it_holds() names F-07",
    rows(SHOWN, "/* F-01, F-07 */"))
