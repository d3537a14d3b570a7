# SPDX-License-Identifier: MIT
"""run - one guest test, as meson starts it: boots a VM and speaks TAP

  run.py CASE RINGHOST GUEST_DIR RNG_EXAMPLE

The cases are the functions named case_* in cases.py, day.py and migration.py.
GUEST_DIR is what tests/guest/fetch filled; without it the case is skipped, and
says so.
"""

import os
import shutil
import sys
import tempfile

import cases
import day
import initramfs
import migration
import vm


class Tap:
  """Counts and prints results; the plan comes last."""

  def __init__(self):
    self.nr = 0

  def _print(self, verdict, sentence):
    self.nr += 1
    print('%s %d - %s' % (verdict, self.nr, sentence), flush=True)

  def check(self, good, sentence):
    self._print('ok' if good else 'not ok', sentence.replace('#', ''))
    return good

  def skip(self, sentence, why):
    self._print('ok', '%s # SKIP %s' % (sentence, why))

  def note(self, text):
    for line in text.splitlines():
      print('# ' + line, flush=True)

  def end(self):
    print('1..%d' % self.nr, flush=True)


def find_case(name):
  function = 'case_' + name.replace('-', '_')
  rooms = [room for room in (cases, day, migration) if hasattr(room, function)]
  return getattr(rooms[0], function)


def skip_all(why):
  print('1..0 # SKIP ' + why)
  sys.exit(0)


def main():
  name, ringhost, guest_dir, rng = sys.argv[1:]
  if not os.path.exists(guest_dir + '/packages'):
    skip_all('no guest here: make check fetches one')
  if not shutil.which(vm.QEMU):
    skip_all('no ' + vm.QEMU)
  if name != 'rng' and not os.path.exists(ringhost):
    skip_all('the server was not built')
  tap = Tap()
  with tempfile.TemporaryDirectory(prefix='case-', dir=guest_dir) as folder, \
       tempfile.TemporaryDirectory(prefix='ringhost-') as sockets:
    archive = folder + '/initramfs'
    source = os.path.dirname(os.path.abspath(__file__))
    initramfs.build(guest_dir + '/root', source, archive)
    case = cases.Case(tap, ringhost, (guest_dir + '/root', archive), folder,
                      sockets)
    case.rng = rng
    try:
      find_case(name)(case)
    except vm.Failure as failure:
      tap.check(False, str(failure).splitlines()[0])
      tap.note(str(failure))
  tap.end()


if __name__ == '__main__':
  main()
