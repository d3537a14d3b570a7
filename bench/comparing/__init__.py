# SPDX-License-Identifier: MIT
"""comparing - the modules of bench/compare, which lists them"""


class Failure(Exception):
    """One sentence for the person who reads it."""
