# SPDX-License-Identifier: MIT
"""vm - a server process and a QEMU process, with ends that always come

Both are started as a person would start them, from their command lines, and
both have a deadline: nothing here waits for ever, and leaving a `with` block
ends the process whatever happened inside.
"""

import glob
import os
import queue
import signal
import socket
import subprocess
import threading
import time

QEMU = 'qemu-system-x86_64'

# Hang guards. A busy host lets a process wait for its processors for seconds,
# and takes up to a minute to let one with an io_uring go.
PATIENCE_SECONDS = 90
GUEST_SECONDS = 300


class Failure(Exception):
  """Something did not happen that had to; the text says what."""


class Process:
  """A child whose standard output is read line by line, in time."""

  def __init__(self, command, log_path):
    self.command = command
    self.log_path = log_path
    self.usage = None
    self.status = None
    with open(log_path, 'wb') as log:
      self._child = subprocess.Popen(command, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=log)
    self.pid = self._child.pid
    self._lines = queue.Queue()
    self._ended = False
    threading.Thread(target=self._read, daemon=True).start()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self.status is None:
      self.signal(signal.SIGKILL)
      self._reap()

  def _read(self):
    for line in self._child.stdout:
      self._lines.put(line.decode(errors='replace').rstrip('\r\n'))
    self._lines.put(None)

  def _reap(self):
    _, status, self.usage = os.wait4(self.pid, 0)
    self.status = self._child.returncode = os.waitstatus_to_exitcode(status)
    try:
      self._child.stdin.close()
    except BrokenPipeError:
      pass

  def log(self):
    with open(self.log_path, errors='replace') as log:
      return log.read()

  def line(self, deadline):
    """The next line, or None at the end of the output."""
    if self._ended:
      return None
    try:
      line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
    except queue.Empty:
      line = None
      self.must(False, 'said nothing more in time (%s)' % self._where())
    self._ended = line is None
    return line

  def _where(self):
    """What each thread waits for, as far as the kernel tells."""
    threads = []
    for task in glob.glob('/proc/%d/task/*' % self.pid):
      try:
        with open(task + '/comm') as comm, open(task + '/wchan') as wchan:
          threads.append('%s: %s' % (comm.read().strip(),
                                     wchan.read().strip() or '0'))
      except OSError:
        pass
    return ', '.join(threads)

  def write(self, text):
    """Lost without a word when the child has ended."""
    try:
      self._child.stdin.write(text.encode())
      self._child.stdin.flush()
    except BrokenPipeError:
      pass

  def signal(self, number):
    # Not the child's own method: that one may reap it and lose its usage.
    os.kill(self.pid, number)

  def wait(self, seconds):
    """The exit status (negative: a signal); the output is read to its end."""
    deadline = time.monotonic() + seconds
    while self.line(deadline) is not None:
      pass
    self._reap()
    return self.status

  def stop(self):
    self.signal(signal.SIGTERM)
    return self.wait(PATIENCE_SECONDS)

  def must(self, good, what):
    """Ends the process and fails unless good."""
    if not good:
      self.__exit__()
      raise Failure('%s %s, status %s: %s' % (
        ' '.join(self.command), what, self.status, self.log()))


class Device(Process):
  """A back-end that listens without a word."""

  def __init__(self, command, log_path, path):
    super().__init__(command, log_path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not accepts(path):
      self.must(time.monotonic() < deadline, 'does not listen')
      time.sleep(0.01)


class Server(Process):
  """A back-end whose first line says that it listens."""

  def __init__(self, command, log_path):
    super().__init__(command, log_path)
    self.ready_line = self.line(time.monotonic() + PATIENCE_SECONDS)
    self.must(self.ready_line is not None, 'was not ready')


def accepts(path):
  """Whether somebody listens on a socket; the connection ends at once."""
  with socket.socket(socket.AF_UNIX) as client:
    try:
      client.connect(path)
    except OSError:
      return False
  return True


class Monitor:
  """QEMU's monitor, for a machine that was given monitor(path)."""

  PROMPT = b'(qemu) '

  def __init__(self, path, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    self._socket = socket.socket(socket.AF_UNIX)
    self._socket.settimeout(seconds)
    while True:
      try:
        self._socket.connect(path)
        break
      except OSError:
        if time.monotonic() > deadline:
          raise
        time.sleep(0.01)
    self._answer()

  def _answer(self):
    answer = b''
    while not answer.endswith(self.PROMPT):
      more = self._socket.recv(4096)
      if not more:
        raise Failure('the monitor has ended')
      answer += more

  def command(self, text):
    """Returns when it is done."""
    self._socket.sendall(text.encode() + b'\n')
    self._answer()


def monitor(path):
  return ['-monitor', 'unix:%s,server=on,wait=off' % path]


def has_kvm():
  return os.access('/dev/kvm', os.R_OK | os.W_OK)


def kernel_image(root):
  images = glob.glob(root + '/boot/vmlinuz-*')
  if len(images) != 1:
    raise Failure('one kernel expected in %s/boot' % root)
  return images[0]


def machine(guest, words):
  """The command line of a VM without disk: guest is (root, initramfs), words
  are what its init reads."""
  root, initramfs = guest
  accel = ['-accel', 'kvm'] if has_kvm() else []
  return [QEMU, '-nodefaults', '-display', 'none', '-no-reboot',
          '-serial', 'stdio', *accel, '-accel', 'tcg', '-cpu', 'max',
          '-smp', '4', '-kernel', kernel_image(root), '-initrd', initramfs,
          '-append', 'console=ttyS0 quiet panic=-1 no_timer_check ' + words]


def shared_memory(mebibytes):
  return ['-m', '%dM' % mebibytes, '-machine', 'q35,memory-backend=mem',
          '-object', 'memory-backend-memfd,id=mem,size=%dM,share=on' %
          mebibytes]


def device(kind, path, properties='', chardev=''):
  return ['-chardev', 'socket,id=%s,path=%s%s' % (kind, path, chardev),
          '-device',
          '%s,chardev=%s%s' % (kind, kind, properties)]


class Guest(Process):
  """A VM whose init runs a job; see tests/guest/init for what it says."""

  def __init__(self, command, log_path, seconds):
    super().__init__(command, log_path)
    self.deadline = time.monotonic() + seconds
    self.console = []
    self.facts = {}
    self.done = False

  def log(self):
    return '\n'.join(self.console[-30:] + [super().log()])

  def next_mark(self, handlers):
    """Reads the console up to a MARK, whose name it returns, or to its end
    (None). handlers maps the first word of a line (RESULT, SAY) to what is
    called with the rest of it."""
    line = self.line(self.deadline)
    while line is not None:
      self.console.append(line)
      word, _, rest = line.partition(' ')
      self._note(word, rest)
      if word in handlers:
        handlers[word](rest)
      if word == 'MARK':
        return rest
      line = self.line(self.deadline)
    return None

  def follow(self, handlers):
    """Reads the console to its end; a MARK is answered when its handler
    returns."""
    while self.next_mark(handlers) is not None:
      self.write('go\n')
    self.wait(PATIENCE_SECONDS)

  def _note(self, word, rest):
    if word == 'FACT':
      name, _, value = rest.partition(' ')
      self.facts[name] = value
    elif word == 'JOB':
      self.done = True
