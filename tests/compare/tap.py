# SPDX-License-Identifier: MIT
"""tap - runs functions that are called after what they show

A function test_NAME of the module that calls main() is a test; its first line
of documentation, or else its name, is the sentence of its result. Skip says
why one cannot run here.
"""
import os
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "bench"))


class Skip(Exception):
    """Why a test cannot run here."""


def run(number, name, function):
    sentence = name[len("test_"):].replace("_", " ")
    try:
        function()
    except Skip as why:
        print(f"ok {number} - {sentence} # SKIP {why}", flush=True)
    except Exception:  # a test fails with whatever it meets
        print(f"not ok {number} - {sentence}", flush=True)
        for line in traceback.format_exc().splitlines():
            print("# " + line, flush=True)
    else:
        print(f"ok {number} - {sentence}", flush=True)


def main(module):
    tests = [(name, value) for name, value in vars(module).items()
             if name.startswith("test_")]
    print(f"1..{len(tests)}", flush=True)
    for number, (name, function) in enumerate(tests, 1):
        run(number, name, function)


def refuses(function, *arguments, word=""):
    """The Failure that a call must end in; its sentence holds a word."""
    from comparing import Failure
    try:
        function(*arguments)
    except Failure as failure:
        assert word in str(failure), f"'{word}' is not in: {failure}"
        return
    raise AssertionError(f"{function.__name__} accepts what it must refuse")
