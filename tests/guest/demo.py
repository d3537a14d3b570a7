# SPDX-License-Identifier: MIT
"""demo - `make demo`: a VM works on a disk that ringhost serves

  demo.py RINGHOST GUEST_DIR

Serves a scratch disk of 1 GiB, boots a small Linux on it, lets that format,
write, read and verify, and prints what came of it. Exit status 0 says that
every step passed.
"""

import os
import sys
import tempfile
import time

import initramfs
import vm

DISK_BYTES = 1 << 30
LIMIT_SECONDS = 300


def show(text):
  print(text, flush=True)


class Results:
  def __init__(self):
    self.passed = 0
    self.failed = []

  def take(self, rest):
    verdict, _, sentence = rest.partition(' ')
    if verdict == 'pass':
      self.passed += 1
    else:
      self.failed.append(sentence)
      show('    FAILED: ' + sentence)


def run_guest(ringhost, guest, folder):
  """Serve, boot, follow; returns what the end of the demo needs."""
  image, socket = folder + '/disk.img', folder + '/disk.sock'
  with open(image, 'wb') as file:
    file.truncate(DISK_BYTES)
  results = Results()
  serve = [ringhost, 'serve', '--socket-path=' + socket, image]
  show('==> ringhost serves a sparse scratch disk of 1 GiB:')
  show('    ' + ' '.join(serve))
  with vm.Server(serve, folder + '/server.log') as server:
    show('==> QEMU boots a small Debian kernel on it (4 CPUs, %s)' % (
      'KVM' if vm.has_kvm() else 'no KVM here: emulated, so slowly'))
    command = vm.machine(guest, 'job=demo') + vm.shared_memory(256)
    command += vm.device('vhost-user-blk-pci', socket)
    with vm.Guest(command, folder + '/qemu.log', LIMIT_SECONDS) as machine:
      machine.follow({'RESULT': results.take,
                      'SAY': lambda text: show('    ' + text)})
    if not machine.done:
      results.failed.append('the VM ended before its job did')
      show(machine.log() + server.log())
    if server.stop() != 0:
      results.failed.append('ringhost ended with status %d' % server.status)
      show(server.log())
    seconds = server.usage.ru_utime + server.usage.ru_stime
    return results, machine.facts, seconds, os.stat(image).st_blocks * 512


def summary(facts, cpu_seconds, used_bytes):
  show('==> Summary')
  rows = [
    ('written', '%s MiB at %s MiB/s, in %s requests' % (
      facts['verified_mib'], facts['write_mibps'], facts['writes'])),
    ('read', '%s MiB at %s MiB/s, in %s requests' % (
      facts['verified_mib'], facts['read_mibps'], facts['reads'])),
    ('flushed', '%s times' % facts['flushes']),
    ('queues', '%s of %s used' % (facts['queues_used'], facts['queues'])),
    ('ringhost', '%.2f s of CPU time' % cpu_seconds),
    ('disk image', '%d MiB of 1024 MiB taken on the host' % (
      used_bytes >> 20)),
  ]
  for name, text in rows:
    show('    %-12s%s' % (name, text))


def main():
  ringhost, guest_dir = sys.argv[1:]
  begin = time.monotonic()
  with tempfile.TemporaryDirectory(prefix='demo-', dir=guest_dir) as folder:
    root = guest_dir + '/root'
    archive = folder + '/initramfs'
    initramfs.build(root, os.path.dirname(os.path.abspath(__file__)), archive)
    try:
      results, facts, cpu_seconds, used_bytes = run_guest(
        ringhost, (root, archive), folder)
    except vm.Failure as failure:
      sys.exit('FAIL: %s' % failure)
  if results.failed or not results.passed:
    sys.exit('FAIL: ' + '; '.join(results.failed or ['nothing was tested']))
  summary(facts, cpu_seconds, used_bytes)
  show('PASS: the VM wrote, read back and verified %s MiB on its ringhost '
       'disk (%d checks, %d s in all)' % (
         facts['verified_mib'], results.passed, time.monotonic() - begin))


if __name__ == '__main__':
  main()
