# SPDX-License-Identifier: MIT
"""servers - command lines of servers; a server that runs

Known by name: ringhost, and what Debian has of qemu-storage-daemon:

  qsd          io_uring, in an iothread
  qsd-main     io_uring, in the main thread
  qsd-native   Linux AIO, in an iothread; only past the page cache
  qsd-threads  a pool of threads, in an iothread

Others come by their command line, with {socket}, {image} and {queues} where
these belong. "direct" is no server but the same job on the file itself: see
loads.
"""
import os
import shlex
import subprocess

from . import Failure, children, storage

START_SECONDS = 20
NULL_BYTES = 1 << 40
DIRECT = "direct"
QSD = {
    "qsd": ("io_uring", True),
    "qsd-main": ("io_uring", False),
    "qsd-native": ("native", True),
    "qsd-threads": ("threads", True),
}
LISTENS = 0x10000  # the flag in /proc/net/unix of a socket that listens


def ringhost_words(program, kind, place, options):
    words = [program, "--quiet", f"--socket-path={place['socket']}",
             f"--num-queues={place['queues']}"]
    if kind == "null":
        words += ["--driver=null", f"--size={NULL_BYTES}"]
    else:
        cache = "writeback" if storage.is_buffered(kind) else "none"
        words += [f"--cache={cache}", place["image"]]
    return words[:1] + list(options) + words[1:]


def qsd_words(name, kind, place):
    aio, has_thread = QSD[name]
    if kind == "null":
        node = f"driver=null-co,node-name=disk,size={NULL_BYTES}," \
               "read-zeroes=on"
    else:
        direct = "off" if storage.is_buffered(kind) else "on"
        node = f"driver=file,node-name=disk,filename={place['image']}," \
               f"aio={aio},cache.direct={direct}"
    export = "type=vhost-user-blk,id=export,node-name=disk,writable=on," \
             f"addr.type=unix,addr.path={place['socket']}," \
             f"num-queues={place['queues']}"
    if has_thread:
        export += ",iothread=thread"
    return ["qemu-storage-daemon", "--object", "iothread,id=thread",
            "--blockdev", node, "--export", export]


def has_option(program, option):
    """Whether a program's --help tells of an option."""
    try:
        said = subprocess.run([program, "--help"], capture_output=True,
                              text=True, check=False, timeout=10)
    except OSError as error:
        raise Failure(f"{program} cannot be started: {error.strerror}") \
            from error
    return option.split("=")[0] in said.stdout


def is_listening(path):
    with open("/proc/net/unix", encoding="utf-8") as file:
        for line in file:
            cells = line.split()
            if cells[-1] == path and int(cells[3], 16) & LISTENS:
                return True
    return False


class Servers:
    """Knows how each server is started."""

    def __init__(self, ringhost, others):
        self._ringhost = ringhost
        self._others = others  # {name: command line}

    def knows(self, name):
        return name in ("ringhost", DIRECT) or name in QSD \
            or name in self._others

    def why_not(self, contender, kind):
        """Why a contender cannot take part with this storage, or None."""
        if contender.server == "qsd-native" and kind != "disk":
            return "Linux AIO is for files past the page cache only"
        if contender.server == DIRECT and kind == "null":
            return "there is no file"
        if contender.server in self._others and kind == "null" \
                and "{image}" in self._others[contender.server]:
            return "it wants an image"
        if contender.server == "ringhost":
            for option in contender.options:
                if not has_option(self._ringhost, option):
                    return f"{self._ringhost} has no {option.split('=')[0]}"
        return None

    def words(self, contender, kind, place):
        """place: {"socket":, "image":, "queues":}"""
        if contender.server == "ringhost":
            return ringhost_words(self._ringhost, kind, place,
                                  contender.options)
        if contender.server in QSD:
            return qsd_words(contender.server, kind, place)
        return [word.format(**place)
                for word in shlex.split(self._others[contender.server])]

    def start(self, contender, kind, place):
        """Returns the server when it listens."""
        child = children.Child(self.words(contender, kind, place))
        socket = place["socket"]
        listens = children.wait_until(
            lambda: is_listening(socket) or child.has_ended(), START_SECONDS)
        if child.has_ended():
            child.kill()
            raise Failure(f"{contender.name} did not start"
                          f"{child.complaint()}")
        if not listens:
            child.kill()
            raise Failure(f"{contender.name} does not listen on {socket} "
                          f"after {START_SECONDS} seconds"
                          f"{child.complaint()}")
        return child

    @staticmethod
    def stop(child, place):
        child.stop()
        if os.path.exists(place["socket"]):
            os.unlink(place["socket"])
