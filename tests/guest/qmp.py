# SPDX-License-Identifier: MIT
"""qmp - orders for a running QEMU, and what it tells of itself"""

import json
import socket
import time

import vm

ANSWER_SECONDS = vm.PATIENCE_SECONDS


class Monitor:
  """One QEMU's control socket, which it opens before anything else."""

  def __init__(self, path, process):
    self._process = process
    self._socket = socket.socket(socket.AF_UNIX)
    self._events = []
    self._connect(path)
    self._file = self._socket.makefile('r')
    self._read('QMP', time.monotonic() + ANSWER_SECONDS)
    self.order('qmp_capabilities')

  def _connect(self, path):
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
      try:
        self._socket.connect(path)
        return
      except OSError:
        self._process.must(time.monotonic() < deadline, 'has no monitor')
        time.sleep(0.01)

  def _read(self, word, deadline):
    """The next message with this word in it, or with 'error'."""
    while True:
      self._socket.settimeout(max(0.01, deadline - time.monotonic()))
      try:
        line = self._file.readline()
      except OSError as error:
        raise vm.Failure('QEMU does not say %s in time' % word) from error
      if not line:
        raise vm.Failure('QEMU ends without a word of %s: %s' % (
          word, self._process.log()))
      message = json.loads(line)
      if word in message or 'error' in message:
        return message
      if 'event' in message:
        self._events.append(message)

  def order(self, command, **arguments):
    """Carries out a command and returns what it returns."""
    text = json.dumps({'execute': command, 'arguments': arguments})
    self._socket.sendall(text.encode())
    answer = self._read('return', time.monotonic() + ANSWER_SECONDS)
    if 'error' in answer:
      raise vm.Failure('%s: %s' % (command, answer['error']['desc']))
    return answer['return']

  def wait(self, event, wanted, seconds):
    """Waits for an event whose data is wanted, a function; returns the data."""
    deadline = time.monotonic() + seconds
    while True:
      while self._events:
        message = self._events.pop(0)
        if message['event'] == event and wanted(message['data']):
          return message['data']
      self._events.append(self._read('event', deadline))

  def close(self):
    self._file.close()
    self._socket.close()
