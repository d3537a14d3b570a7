# SPDX-License-Identifier: MIT
"""children - processes, of which none outlives this one

Each child has a session of its own, so that Ctrl-C reaches this process only,
which then ends them all: kill_all() runs at the end of main, whatever the end
is. The kernel kills them should this process be killed.
"""
import ctypes
import os
import signal
import subprocess
import tempfile
import time

from . import Failure

PR_SET_PDEATHSIG = 1
TERM_SECONDS = 10

ENDINGS = {signal.SIGINT, signal.SIGTERM}

_libc = ctypes.CDLL(None)
_alive = set()


def _begin_as_child():
    """Between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)


class Child:
    """A process whose output is kept in files until it is asked for."""

    def __init__(self, words):
        self.words = words
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        # An end in between would leave a process that nobody knows of.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            self._start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _start(self):
        try:
            self._process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=self._out,
                stderr=self._err, start_new_session=True,
                preexec_fn=_begin_as_child)
        except OSError as error:
            raise Failure(f"{self.words[0]} cannot be started: "
                          f"{error.strerror}") from error
        self.pid = self._process.pid
        _alive.add(self)

    def has_ended(self):
        return self._process.poll() is not None

    def wait(self, seconds):
        """Returns the exit status of a process that ends by itself."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.words[0]} has not ended after {seconds:.0f} "
                          f"seconds{self.complaint()}") from None
        self._forget()
        return status

    def stop(self):
        """Asks a server to end, and makes it."""
        if not self.has_ended():
            self._signal(signal.SIGTERM)
        try:
            self._process.wait(TERM_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self):
        if not self.has_ended():
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._forget()

    def output(self):
        return self._read(self._out)

    def complaint(self):
        """What it said on its standard error, for the end of a sentence."""
        said = self._read(self._err).strip()
        return ": " + " / ".join(said.splitlines()[-4:]) if said else ""

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def _forget(self):
        _alive.discard(self)

    @staticmethod
    def _read(file):
        file.seek(0)
        return file.read().decode(errors="replace")


def run(words, seconds):
    """Runs a command to its end and returns its output."""
    child = Child(words)
    status = child.wait(seconds)
    if status != 0:
        raise Failure(f"{os.path.basename(words[0])} failed with status "
                      f"{status}{child.complaint()}")
    return child.output()


def nr_alive():
    return len(_alive)


def kill_all():
    for child in list(_alive):
        child.kill()


def wait_until(condition, seconds, step=0.005):
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True
