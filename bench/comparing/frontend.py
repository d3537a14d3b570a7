# SPDX-License-Identifier: MIT
"""frontend - a vhost-user front-end and virtio-blk driver of a few lines

For servers that shall have a client which wants nothing: it negotiates the
least there is, shares its memory, starts one queue, reads one block after the
other when asked to, and is quiet for the rest of the time. What costs time here
is Python, so nothing of it is measured.

Guest memory is one region that begins at guest address 0:

  0x0000  descriptors     0x1000  available ring     0x2000  used ring
  0x3000  the request's header, and its status byte  0x4000  its data
"""
import mmap
import os
import select
import socket
import struct

from . import Failure

NAME = "guest"  # of its memory, in the server's /proc/PID/smaps
MEMORY_BYTES = 1 << 20
USER_ADDRESS = 0x7000_0000  # where the front-end would have mapped it
QUEUE_SIZE = 64
AVAIL, USED, HEADER, STATUS, DATA = 0x1000, 0x2000, 0x3000, 0x3800, 0x4000
BLOCK_BYTES = 4096
ANSWER_SECONDS = 10

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE = 8, 9, 10
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ENABLE = 12, 13, 18
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 15, 16

VERSION_1 = 1 << 32
PROTOCOL_FEATURES = 1 << 30
MESSAGE_VERSION = 1
MESSAGE_REPLY = 1 << 2
DESC_NEXT, DESC_WRITE = 1, 2
POISON = 0xff  # a status that no server writes


class FrontEnd:
    """One connection, with one queue that has started."""

    def __init__(self, path):
        self._files = []
        self._idx = 0
        self._memory_fd = self._keep(os.memfd_create(NAME))
        os.ftruncate(self._memory_fd, MEMORY_BYTES)
        self._memory = mmap.mmap(self._memory_fd, MEMORY_BYTES)
        self._kick = self._keep(os.eventfd(0, os.EFD_CLOEXEC))
        self._call = self._keep(os.eventfd(0, os.EFD_CLOEXEC))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            self._socket.connect(path)
            self._negotiate()
            self._start_queue()
            self._ask(GET_FEATURES)  # answered when all of it is done
        except OSError as error:
            self.close()
            raise Failure(f"{path}: the server went away while a front-end "
                          f"connected ({error})") from error

    def read(self, number):
        """Reads one block, and waits for it as a driver does."""
        struct.pack_into("<IIQ", self._memory, HEADER, 0, 0, number * 8)
        self._memory[STATUS] = POISON
        self._describe(0, HEADER, 16, DESC_NEXT, 1)
        self._describe(1, DATA, BLOCK_BYTES, DESC_NEXT | DESC_WRITE, 2)
        self._describe(2, STATUS, 1, DESC_WRITE, 0)
        struct.pack_into("<H", self._memory,
                         AVAIL + 4 + 2 * (self._idx % QUEUE_SIZE), 0)
        self._idx = (self._idx + 1) % (1 << 16)
        struct.pack_into("<H", self._memory, AVAIL + 2, self._idx)
        os.eventfd_write(self._kick, 1)
        while struct.unpack_from("<H", self._memory, USED + 2)[0] != self._idx:
            if not select.select([self._call], [], [], ANSWER_SECONDS)[0]:
                raise Failure("the server does not answer a read")
            os.eventfd_read(self._call)
        if self._memory[STATUS] != 0:
            raise Failure(f"a read failed with status {self._memory[STATUS]}")

    def close(self):
        self._socket.close()
        self._memory.close()
        for fd in self._files:
            os.close(fd)
        self._files = []

    def _keep(self, fd):
        self._files.append(fd)
        return fd

    def _describe(self, number, address, length, flags, following):
        struct.pack_into("<QIHH", self._memory, 16 * number, address, length,
                         flags, following)

    def _send(self, request, payload=b"", fds=()):
        head = struct.pack("<III", request, MESSAGE_VERSION, len(payload))
        socket.send_fds(self._socket, [head + payload], list(fds))

    def _ask(self, request):
        self._send(request)
        answer = self._receive(12 + 8)
        told, flags, size = struct.unpack_from("<III", answer)
        if told != request or not flags & MESSAGE_REPLY or size != 8:
            raise Failure(f"the answer to message {request} is {answer!r}")
        return struct.unpack_from("<Q", answer, 12)[0]

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionResetError("connection closed")
            data += more
        return data

    def _negotiate(self):
        self._send(SET_OWNER)
        offered = self._ask(GET_FEATURES)
        wanted = VERSION_1 | PROTOCOL_FEATURES
        if offered & wanted != wanted:
            raise Failure(f"the server offers features {offered:#x} only")
        self._ask(GET_PROTOCOL_FEATURES)
        self._send(SET_PROTOCOL_FEATURES, struct.pack("<Q", 0))
        self._send(SET_FEATURES, struct.pack("<Q", wanted))
        self._send(SET_MEM_TABLE, struct.pack(
            "<IIQQQQ", 1, 0, 0, MEMORY_BYTES, USER_ADDRESS, 0),
            [self._memory_fd])

    def _start_queue(self):
        self._send(SET_VRING_NUM, struct.pack("<II", 0, QUEUE_SIZE))
        self._send(SET_VRING_BASE, struct.pack("<II", 0, 0))
        self._send(SET_VRING_ADDR, struct.pack(
            "<IIQQQQ", 0, 0, USER_ADDRESS, USER_ADDRESS + USED,
            USER_ADDRESS + AVAIL, 0))
        self._send(SET_VRING_KICK, struct.pack("<Q", 0), [self._kick])
        self._send(SET_VRING_CALL, struct.pack("<Q", 0), [self._call])
        self._send(SET_VRING_ENABLE, struct.pack("<II", 0, 1))
