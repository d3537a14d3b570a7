# SPDX-License-Identifier: MIT
"""csource - just enough of C to find functions, their length and nesting

No compiler: comments, strings and preprocessor lines are blanked out (lines
stay where they are), the rest is cut into tokens. That is exact for code
that clang-format has laid out and that uses no macro to open a block.
"""
import re

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'
                   r"'(?:\\.|[^'\\\n])*'", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.M)
TOKEN = re.compile(r"\w+|\.\.\.|[^\w\s]")
FUNCTION_POINTER = re.compile(r"\(\s*\*\s*(\w*)[^()]*\)\s*\(")


def blank(match):
    text = match.group()
    edge = text[0] if text[0] in "\"'" else " "
    return edge + "\n" * text.count("\n") + (edge if edge != " " else "")


def without_comments(text):
    """Code and directives, with empty strings and no comments."""
    return NOISE.sub(blank, text)


def without_directives(code):
    return DIRECTIVE.sub(lambda m: "\n" * m.group().count("\n"), code)


class Function:
    def __init__(self, name, first_line, last_line, nr_parameters, body):
        self.name = name
        self.first_line = first_line
        self.last_line = last_line
        self.nr_parameters = nr_parameters
        self.body = body  # tokens from { to }; empty for a declaration

    def nr_lines(self):
        return self.last_line - self.first_line + 1


def tokenize(code):
    tokens, line, at = [], 1, 0
    for match in TOKEN.finditer(code):
        line += code.count("\n", at, match.start())
        at = match.start()
        tokens.append((match.group(), line))
    return tokens


def closing(tokens, i):
    """The index of the bracket that closes the one at i."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    opener, closer, depth = tokens[i][0], pairs[tokens[i][0]], 0
    for j in range(i, len(tokens)):
        depth += (tokens[j][0] == opener) - (tokens[j][0] == closer)
        if depth == 0:
            return j
    return len(tokens) - 1


def count_parameters(tokens):
    """tokens: what stands between the parentheses."""
    words = [text for text, _ in tokens]
    if not words or words == ["void"]:
        return 0
    depth, commas = 0, 0
    for word in words:
        depth += (word in "([{") - (word in ")]}")
        commas += word == "," and depth == 0
    return commas + 1


def function_of(head, body):
    """The function that a top-level head declares, or None."""
    words = [text for text, _ in head]
    if "{" in words or words[:1] == ["typedef"]:
        return None
    i = 1
    while i < len(head) and words[i] != "=":
        if words[i] != "(" or not re.fullmatch(r"[A-Za-z_]\w*", words[i - 1]):
            i += 1
            continue
        end = closing(head, i)
        if words[i - 1] not in ("__attribute__", "_Static_assert"):
            return Function(words[i - 1], head[0][1], (body or head)[-1][1],
                            count_parameters(head[i + 1:end]), body)
        i = end
    return None


def functions(code):
    """All functions that code (see without_comments) defines or declares."""
    tokens = tokenize(without_directives(code))
    found, head, i = [], [], 0
    while i < len(tokens):
        text = tokens[i][0]
        if text == "{" and [t for t, _ in head[:1]] == ["extern"] \
                and head[-1][0] == '"':
            head = []  # extern "C" {
        elif text == "{":
            end = closing(tokens, i)
            body = tokens[i:end + 1]
            function = None
            if head and head[-1][0] == ")":
                function = function_of(head, body)
            if function:
                found.append(function)
                head = []
            else:
                head += body
            i = end
        elif text == ";":
            function = function_of(head, [])
            if function:
                found.append(function)
            head = []
        elif text == "}":
            head = []
        else:
            head.append(tokens[i])
        i += 1
    return found


def function_pointers(code):
    """(name, line, number of parameters) of each function pointer."""
    code = without_directives(code)
    for match in FUNCTION_POINTER.finditer(code):
        line = code.count("\n", 0, match.start()) + 1
        rest = tokenize(code[match.end() - 1:])
        yield match.group(1), line, count_parameters(rest[1:closing(rest, 0)])


class Nesting:
    """Walks a body's statements; deepest: of controls inside controls."""

    def __init__(self, body):
        self.words = [text for text, _ in body]
        self.tokens = body
        self.deepest = 0
        self.statement(0, 0)

    def controlled(self, i, depth):
        """The parentheses at i and the statement behind them."""
        return self.statement(closing(self.tokens, i) + 1, depth + 1)

    def block(self, i, depth):
        end = closing(self.tokens, i)
        i += 1
        while i < end:
            i = self.statement(i, depth)
        return end + 1

    def plain(self, i):
        while i < len(self.words) and self.words[i] not in (";", "}"):
            if self.words[i] in "({[":
                i = closing(self.tokens, i)
            i += 1
        return i + 1

    def statement(self, i, depth):
        if i >= len(self.words):
            return i
        self.deepest = max(self.deepest, depth)
        word = self.words[i]
        if word == "{":
            return self.block(i, depth)
        if word in ("case", "default"):
            return self.words.index(":", i) + 1
        if self.words[i + 1:i + 2] == [":"]:
            return i + 2
        if word in ("for", "while", "switch") or word.endswith("for_each"):
            return self.controlled(i + 1, depth)
        if word == "if":
            i = self.controlled(i + 1, depth)
            if i < len(self.words) and self.words[i] == "else":
                chained = self.words[i + 1] == "if"
                i = self.statement(i + 1, depth if chained else depth + 1)
            return i
        if word == "do":
            return self.plain(self.statement(i + 1, depth + 1))
        return self.plain(i)
