# SPDX-License-Identifier: MIT
"""storage - the images, their place and their state before a measurement

Four kinds, by what lies under a server:

  disk   a file on the disk's file system, past the page cache (O_DIRECT)
  cache  such a file, through the page cache, which holds all of it
  shm    a file in /dev/shm
  null   nothing; there is no image

An image has no holes, and no page of zeroes that somebody could make cheap.
"""
import os
import shutil
import tempfile

from . import Failure

KINDS = ("disk", "cache", "shm", "null")
SHM = "/dev/shm"
PIECE_BYTES = 1 << 20
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def size_bytes(text):
    """'512M' and the like, as fio and ringhost write sizes."""
    digits = str(text).rstrip("kKmMgGtT")
    unit = str(text)[len(digits):].lower()
    if not digits.isdigit() or unit not in UNITS:
        raise Failure(f"'{text}' is no size: a number of bytes, or one "
                      "followed by k, M, G or T")
    return int(digits) * UNITS[unit]


def is_buffered(kind):
    return kind != "disk"


class Images:
    """Makes images when they are first asked for; removes them at the end."""

    def __init__(self, folder=None):
        self._keeps = folder is not None
        if folder:
            os.makedirs(folder, exist_ok=True)
        self._folder = folder or tempfile.mkdtemp(prefix="ringhost-compare-",
                                                  dir="/var/tmp")
        self._memory = tempfile.mkdtemp(prefix="ringhost-compare-", dir=SHM)

    def path(self, kind, number, size):
        """The image of one disk; None for null, which has none."""
        if kind == "null":
            return None
        place = self._memory if kind == "shm" else self._folder
        path = os.path.join(place, f"{kind}-{number}.img")
        wanted = size_bytes(size)
        if not os.path.exists(path) or os.path.getsize(path) < wanted:
            self._make(path, wanted)
        return path

    def prepare(self, kind, path):
        """Brings an image into the state in which its kind is measured."""
        if kind == "cache":
            read_whole(path)
        elif kind == "disk":
            settle(path)
            drop(path)

    @staticmethod
    def settle(path):
        """After writes: has the disk take them before anybody else runs."""
        if path:
            settle(path)

    def remove(self):
        shutil.rmtree(self._memory, ignore_errors=True)
        if not self._keeps:
            shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _make(path, size):
        place = os.path.dirname(path)
        room = os.statvfs(place)
        if room.f_bavail * room.f_frsize < size:
            raise Failure(f"{place} has no room for an image of {size} bytes: "
                          "--dir=DIR chooses another place")
        piece = os.urandom(PIECE_BYTES)
        with open(path, "wb") as file:
            for at in range(0, size, PIECE_BYTES):
                file.write(piece[:min(PIECE_BYTES, size - at)])
        settle(path)


def read_whole(path):
    buffer = bytearray(PIECE_BYTES)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def settle(path):
    """Has the disk take what was written, so that nobody else pays for it."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def drop(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
