# SPDX-License-Identifier: MIT
"""day - an operator's day with `ringhost ctl`

A daemon starts without a disk; two are added, two guests that cannot connect
again boot on them and verify what they write; one disk is limited, the other
resized, a queue moved, the daemon upgraded, and both disks removed. All is done
by the commands that a person types, and the log of the test shows them with
what they print.
"""

import contextlib
import json
import os
import subprocess
import time

import vm

MIB = 1 << 20
SIZE_MIB = 64
GROWN_MIB = 96
QUEUES = 2
LIMIT_KIB = 512
# Limits hold over ten seconds; in three, a request more or less counts.
LIMIT_SLACK = 1.15
DISKS = ('vm1', 'vm2')
CONTROL = 'control.sock'
PIDFILE = 'ringhost.pid'
DAEMON = [
  'daemon', '--object', 'iothread,id=t0', '--object', 'iothread,id=t1',
  '--chardev', 'socket,id=control,path=%s,server=on,wait=off' % CONTROL,
  '--monitor', 'chardev=control', '--pidfile', PIDFILE]


class Operator:
  """Types commands in the folder of images and sockets, and reads."""

  def __init__(self, case):
    self._case = case
    self._ringhost = os.path.abspath(case.ringhost)
    self.check = case.tap.check

  def show(self, words):
    self._case.tap.note('$ ' + ' '.join(words))

  def _run(self, words, wanted=0):
    try:
      done = subprocess.run([self._ringhost, 'ctl', *words], timeout=120,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False)
    except subprocess.TimeoutExpired as error:
      raise vm.Failure('ringhost ctl %s does not end' %
                       ' '.join(words)) from error
    said = done.stdout.decode()
    if done.returncode != wanted:
      raise vm.Failure('ringhost ctl %s ends with status %d: %s' % (
        ' '.join(words), done.returncode, said))
    return said

  def ctl(self, *words, wanted=0):
    """What it prints; another status than the one wanted ends the test."""
    self.show(['ringhost', 'ctl', *words])
    said = self._run(words, wanted)
    self._case.tap.note(said)
    return said

  def begin(self, *words):
    """A command that goes on beside others."""
    self.show(['ringhost', 'ctl', *words, '&'])
    return vm.Process([self._ringhost, 'ctl', *words], self._case.log_path())

  def ask(self, *words):
    """The same as ctl, read by a program: nothing is shown."""
    return json.loads(self._run([*words, '--json']))

  def disk(self, name):
    return self.ask('show', name)

  def start(self, *options):
    self.show(['ringhost', *DAEMON, *options])
    return [self._ringhost, *DAEMON, *options], self._case.log_path()

  def boot(self, name, **variables):
    # Less than other guests have, for there are two.
    command = self._case.machine('day', **variables) + vm.shared_memory(192)
    command += ['-smp', str(QUEUES)]
    disk = vm.device('vhost-user-blk-pci', name + '.sock',
                     ',num-queues=%d' % QUEUES)
    self.show([vm.QEMU, '...', *disk])
    return vm.Guest(command + disk, self._case.log_path(),
                    2 * vm.GUEST_SECONDS)


def add_disks(operator):
  operator.check(operator.ask('list') == [], 'the daemon starts with no disk')
  for name in DISKS:
    with open(name + '.img', 'wb') as file:
      file.truncate(SIZE_MIB * MIB)
    operator.ctl('add', name, '--image=%s.img' % name,
                 '--socket=%s.sock' % name, '--iothread=t0')
  operator.ctl('list')
  operator.check([disk['state'] for disk in operator.ask('list')] ==
                 ['waits', 'waits'], 'two disks wait for their guests')


def reach(guests, mark, take_result):
  for guest in guests:
    found = guest.next_mark({'RESULT': take_result})
    guest.must(found == mark, 'came to %s, not to %s' % (found, mark))


def go_on(guests):
  """Returns since when they do."""
  begun = time.monotonic()
  for guest in guests:
    guest.write('go\n')
  return begun


def connected(operator, guests):
  """Each disk has the guest that it was made for, and no other."""
  disks = operator.ask('list')
  return [(disk['connected'], disk['pid']) for disk in disks] == [
    (True, guest.pid) for guest in guests]


def limit_and_resize(operator, guests):
  operator.check(connected(operator, guests), 'both guests are connected')
  operator.ctl('limit', 'vm1', 'bps-total=%dk' % LIMIT_KIB)
  operator.ctl('resize', 'vm2', '+%dM' % (GROWN_MIB - SIZE_MIB))
  operator.ctl('list')
  operator.check(os.path.getsize('vm2.img') == GROWN_MIB * MIB,
                 'the image is as large as it was said')


def judge_rate(operator, guest, name, begun):
  """What the guest has counted since, by the clock of the host: that may say
  less than there was, and never more."""
  kib = int(guest.facts[name])
  rate = kib / (time.monotonic() - begun)
  operator.check(kib > 0 and rate <= LIMIT_KIB * LIMIT_SLACK,
                 'the guest obeys its limit (%s): %d of %d KiB/s' % (
                   name, rate, LIMIT_KIB))


def rate_in_top(operator, name):
  disks = operator.ask('top', '-n', '1', '-d', '2')['disks']
  disk, = (disk for disk in disks if disk['id'] == name)
  return disk['read-bps'] + disk['write-bps']


def watch(operator):
  shown = operator.ctl('top', '-b', '-n', '1', '-d', '1', '--queues')
  operator.check(all(name in shown for name in DISKS),
                 'top shows both disks')
  # On a busy host two looks may be nearer to each other than they say, and a
  # guest may do nothing for a while.
  for _ in range(10):
    rate = rate_in_top(operator, 'vm1')
    obeys = 0 < rate <= LIMIT_KIB * 1024 * LIMIT_SLACK
    if obeys:
      break
  operator.check(obeys, 'top counts %d bytes a second' % rate)


def threads_of(operator, name):
  stats, = operator.ask('stats', name)
  return [queue['iothread'] for queue in stats['queues']][:QUEUES]


def move_queue(operator):
  operator.check(threads_of(operator, 'vm2') == ['t0', 't0'],
                 'one I/O thread runs all queues of a disk')
  operator.ctl('move', 'vm2', '--queue=1', 't1')
  operator.ctl('top', '-b', '-n', '1', '-d', '1', '--queues')
  operator.check(threads_of(operator, 'vm2') == ['t0', 't1'],
                 'another I/O thread runs the queue that was moved')


def requests_of(operator, name):
  stats, = operator.ask('stats', name)
  return sum(queue['reads'] + queue['writes'] for queue in stats['queues'])


def go_forward(operator, seconds=vm.PATIENCE_SECONDS):
  """Whether the daemon carries out requests of each disk."""
  before = {name: requests_of(operator, name) for name in DISKS}
  deadline = time.monotonic() + seconds
  while any(requests_of(operator, name) == before[name] for name in DISKS):
    if time.monotonic() > deadline:
      return False
  return True


def wait_for(condition):
  """Whether it came true in time."""
  deadline = time.monotonic() + vm.PATIENCE_SECONDS
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(0.01)
  return True


def pid_in_file():
  try:
    with open(PIDFILE, encoding='ascii') as file:
      return int(file.read() or 0)
  except FileNotFoundError:
    return None


def upgrade(case, operator, before):
  """Starts a successor, which is returned when the one before has ended."""
  command, log_path = operator.start('--take-over=' + CONTROL)
  after = vm.Process(command, log_path)
  ended = before.wait(vm.PATIENCE_SECONDS)
  # Which of the two comes to its last word first is open.
  told = wait_for(lambda: 'stood still' in after.log() and
                  pid_in_file() == after.pid)
  case.tap.note(after.log())
  if not operator.check(ended == 0 and told,
                        'another daemon takes the place of the one before'):
    case.tap.note(before.log())
  return after


def read_events(case, operator, events):
  """They end with the daemon that told them."""
  case.tap.note('what events has printed until then:')
  deadline = time.monotonic() + vm.PATIENCE_SECONDS
  told = list(iter(lambda: events.line(deadline), None))
  case.tap.note('\n'.join(told))
  nr_of = {name: sum(name in line for line in told) for name in (
    'X_EXPORT_CONNECTED', 'X_EXPORT_RESIZED', 'SHUTDOWN')}
  operator.check(nr_of == {'X_EXPORT_CONNECTED': 2, 'X_EXPORT_RESIZED': 1,
                           'SHUTDOWN': 1}, 'events tell of it: %s' % nr_of)


def look_after_upgrade(operator, guests, daemon):
  operator.ctl('list')
  operator.check(pid_in_file() == daemon.pid, 'its pid is in the file')
  operator.check(connected(operator, guests), 'both guests are still there')
  operator.check(operator.disk('vm1')['limits'] ==
                 {'bps-total': LIMIT_KIB * 1024}, 'the limit is kept')
  operator.check(operator.disk('vm2')['size'] == GROWN_MIB * MIB,
                 'the size is kept')
  operator.check(threads_of(operator, 'vm2') == ['t0', 't1'],
                 'the queue stays with its I/O thread')
  operator.check(go_forward(operator), 'requests go on')
  operator.check('is in use by' in operator.ctl('remove', 'vm1', wanted=1),
                 'a disk in use is not removed')


def lift_limit(operator):
  operator.ctl('limit', 'vm1', 'none')
  operator.check(operator.disk('vm1')['limits'] == {}, 'the limit is lifted')


def follow_to_the_end(case, operator, guests):
  for guest in guests:
    guest.follow({'RESULT': case.take_result})
    if not operator.check(guest.done and guest.status == 0,
                          'the guest powers off'):
      case.tap.note(guest.log())
    operator.check(all(int(guest.facts.get('rounds%d' % n, 0)) > 1
                       for n in range(1, 5)), 'each writer came forward')
    case.tap.note(str(guest.facts))


def remove_disks(operator, daemon):
  for name in DISKS:
    operator.ctl('remove', name)
  operator.ctl('list')
  operator.check(operator.ask('list') == [], 'no disk is left')
  operator.show(['kill', str(daemon.pid)])
  operator.check(daemon.stop() == 0, 'the daemon ends with status 0')
  operator.check(sorted(os.listdir('.')) == [name + '.img' for name in DISKS],
                 'nothing is left but the images: ' +
                 ' '.join(sorted(os.listdir('.'))))


def whole_day(case, operator, stack):
  command, log_path = operator.start()
  daemon = stack.enter_context(vm.Device(command, log_path, CONTROL))
  add_disks(operator)
  events = stack.enter_context(operator.begin('events'))
  guests = [stack.enter_context(operator.boot(
    name, queues=QUEUES, limit=LIMIT_KIB, before=SIZE_MIB * MIB // 512,
    after=mebibytes * MIB // 512))
    for name, mebibytes in zip(DISKS, (SIZE_MIB, GROWN_MIB))]
  reach(guests, 'working', case.take_result)
  limit_and_resize(operator, guests)
  operator.check(int(guests[0].facts['free']) >= 1.5 * LIMIT_KIB,
                 'before its limit the guest had %s KiB/s' %
                 guests[0].facts['free'])
  begun = go_on(guests)
  reach(guests[:1], 'limited', case.take_result)
  judge_rate(operator, guests[0], 'limited', begun)
  reach(guests[1:], 'limited', case.take_result)
  watch(operator)
  move_queue(operator)
  daemon = stack.enter_context(upgrade(case, operator, daemon))
  read_events(case, operator, events)
  look_after_upgrade(operator, guests, daemon)
  begun = go_on(guests)
  reach(guests[:1], 'upgraded', case.take_result)
  judge_rate(operator, guests[0], 'upgraded', begun)
  reach(guests[1:], 'upgraded', case.take_result)
  lift_limit(operator)
  go_on(guests)
  follow_to_the_end(case, operator, guests)
  remove_disks(operator, daemon)


def case_day(case):
  """Paths are relative to a folder of its own, so that the log is short."""
  os.mkdir(case.folder + '/day')
  operator = Operator(case)
  begun = time.monotonic()
  os.chdir(case.folder + '/day')
  os.environ['RINGHOST_SOCKET'] = CONTROL
  case.tap.note('$ export RINGHOST_SOCKET=' + CONTROL)
  try:
    with contextlib.ExitStack() as stack:
      whole_day(case, operator, stack)
  finally:
    os.chdir('/')
  case.tap.note('it took %d s' % (time.monotonic() - begun))
