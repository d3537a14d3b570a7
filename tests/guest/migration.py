# SPDX-License-Identifier: MIT
"""migration - live migrations between two servers of the same image

A guest writes and verifies all the time (jobs/migrate.sh) while it goes from
one QEMU to another, each with a server of its own. The console goes with it,
so the guest is silent on the way: it waits for the host's answer to a MARK,
and gets it where it has arrived.
"""

import signal
import time

import qmp
import vm

MIGRATION_SECONDS = 180
ASK_SECONDS = vm.PATIENCE_SECONDS
SLOW_BYTES = 2 << 20
FAST_BYTES = 4 << 30
FAULT = 'vhost_user_postcopy_fault_handler'
END = ('completed', 'failed', 'cancelled')


class Machine:
  """A QEMU on one of two servers, running or waiting for a guest."""

  def __init__(self, case, name, server, properties, incoming):
    self.name = name
    self._monitor_path = '%s/qmp-%s' % (case.sockets, name)
    command = case.machine('migrate', **case.variables)
    command += vm.shared_memory(192)
    command += vm.device('vhost-user-blk-pci', case.socket_of(server),
                         properties)
    command += ['-qmp', 'unix:%s,server=on,wait=off' % self._monitor_path]
    command += ['-trace', FAULT] if incoming else []
    command += ['-incoming', 'defer'] if incoming else []
    self.guest = vm.Guest(command, case.log_path(), 2 * vm.GUEST_SECONDS)
    try:
      self.monitor = qmp.Monitor(self._monitor_path, self.guest)
      self._enable('events')
    except vm.Failure:
      self.guest.__exit__()
      raise

  def _enable(self, *capabilities):
    self.monitor.order('migrate-set-capabilities', capabilities=[
      {'capability': name, 'state': True} for name in capabilities])

  def allow_postcopy(self):
    self._enable('postcopy-ram')

  def limit(self, precopy_bytes, postcopy_bytes=0):
    self.monitor.order('migrate-set-parameters', **{
      'max-bandwidth': precopy_bytes, 'downtime-limit': 1000,
      'max-postcopy-bandwidth': postcopy_bytes})

  def status(self, *wanted):
    """Waits until its migration is in one of these states."""
    data = self.monitor.wait(
      'MIGRATION', lambda data: data['status'] in wanted, MIGRATION_SECONDS)
    return data['status']

  def server_asks(self):
    """Waits until its server has asked for a page, as it traces in its log."""
    deadline = time.monotonic() + ASK_SECONDS
    while FAULT + ' ' not in self.guest.log():
      if time.monotonic() > deadline:
        return False
      time.sleep(0.05)
    return True

  def end(self):
    self.monitor.close()
    self.guest.__exit__()


class Journey:
  """A guest, the machine that it is in, and the one that it goes to."""

  def __init__(self, case, properties='', **variables):
    self._case = case
    self._properties = properties
    self._servers = []
    self._nr_machines = 0
    self.machine = None
    case.variables = variables

  def __enter__(self):
    case = self._case
    for name in 'ab':
      self._servers.append(case.serve_at(case.socket_of(name)))
    self.machine = self._create(incoming=False)
    return self

  def __exit__(self, *_):
    if self.machine:
      self.machine.end()
    for server in self._servers:
      server.__exit__()

  def _create(self, incoming):
    name = 'ab'[self._nr_machines % 2]
    self._nr_machines += 1
    return Machine(self._case, str(self._nr_machines), name, self._properties,
                   incoming)

  def until(self, mark):
    """Follows the guest to this MARK, which is not answered yet."""
    handlers = {'RESULT': self._case.take_result}
    found = self.machine.guest.next_mark(handlers)
    self.machine.guest.must(found == mark, 'came to %s, not to %s' % (
      found, mark))

  def go_on(self):
    self.machine.guest.write('go\n')

  def open_target(self, postcopy=False):
    """The machine to go to; it is waiting."""
    target = self._create(incoming=True)
    path = '%s/way-%s' % (self._case.sockets, target.name)
    if postcopy:
      target.allow_postcopy()
      self.machine.allow_postcopy()
    target.monitor.order('migrate-incoming', uri='unix:' + path)
    return target, path

  def depart(self, path, bandwidth=FAST_BYTES, postcopy_bandwidth=0):
    self.machine.limit(bandwidth, postcopy_bandwidth)
    self.machine.monitor.order('migrate', uri='unix:' + path)

  def arrive(self, target):
    """The guest is over there; its old machine ends."""
    self._case.tap.check(
      self.machine.status(*END) == 'completed' and
      target.status(*END) == 'completed',
      'the guest arrives in machine %s' % target.name)
    self.machine.monitor.order('quit')
    self.machine.guest.wait(vm.PATIENCE_SECONDS)
    self.machine.end()
    self.machine = target

  def give_up(self, target):
    """It stays where it is; the other machine ends."""
    self._nr_machines -= 1
    if target.guest.status is None:
      target.guest.signal(signal.SIGKILL)
      target.guest.wait(vm.PATIENCE_SECONDS)
    target.end()

  def end(self):
    """Follows the guest to its end; then the servers end."""
    case = self._case
    guest = self.machine.guest
    guest.follow({'RESULT': case.take_result})
    if not case.tap.check(guest.done, 'the guest comes to its end'):
      case.tap.note(guest.log())
    for server in self._servers:
      case.tap.check(server.stop() == 0, 'a server ends with status 0')
      if server.status:
        case.tap.note(server.log())


def precopy(case, properties='', nr=1, **variables):
  case.make_image(128)
  with Journey(case, properties, **variables) as journey:
    for _ in range(nr):
      journey.until('loaded')
      target, path = journey.open_target()
      journey.depart(path)
      journey.arrive(target)
      journey.go_on()
    journey.until('loaded')
    journey.go_on()
    journey.end()


def case_migrate_precopy(case):
  """There and back again: each server gives the image up and takes it."""
  precopy(case, nr=2, queues=4, trips=2)


def case_migrate_precopy_one_queue(case):
  precopy(case, ',num-queues=1', queues=1, trips=1)


def case_migrate_precopy_packed(case):
  precopy(case, ',packed=on', queues=4, trips=1)


def postcopy(case, properties='', must_ask=False, **variables):
  case.make_image(128)
  with Journey(case, properties, trips=1, **variables) as journey:
    journey.until('loaded')
    target, path = journey.open_target(postcopy=True)
    # Little goes in advance, and then little but what is asked for.
    journey.depart(path, SLOW_BYTES, SLOW_BYTES)
    journey.machine.status('active')
    journey.machine.monitor.order('migrate-start-postcopy')
    case.tap.check(journey.machine.status('postcopy-active', *END) ==
                   'postcopy-active', 'the guest runs before its memory came')
    if must_ask:
      case.tap.check(target.server_asks(),
                     'the server asks for pages that are missing')
    journey.machine.limit(FAST_BYTES, 8 * SLOW_BYTES)
    journey.arrive(target)
    journey.go_on()
    journey.until('loaded')
    journey.go_on()
    journey.end()


def case_migrate_postcopy(case):
  postcopy(case, queues=4)


def case_migrate_postcopy_packed(case):
  """QEMU itself looks into split rings when it loads them, but not into
  packed ones: there the server is the first to miss their pages."""
  postcopy(case, ',packed=on,num-queues=1', must_ask=True, queues=1)


def case_migrate_abandoned(case):
  """A migration is cancelled, one loses its target, and one succeeds."""
  case.make_image(128)
  with Journey(case, queues=4, trips=3) as journey:
    journey.until('loaded')
    target, path = journey.open_target()
    journey.depart(path, SLOW_BYTES)
    journey.machine.status('active')
    journey.machine.monitor.order('migrate_cancel')
    case.tap.check(journey.machine.status(*END) == 'cancelled',
                   'a migration is cancelled')
    journey.give_up(target)
    journey.go_on()

    journey.until('loaded')
    target, path = journey.open_target()
    journey.depart(path, SLOW_BYTES)
    journey.machine.status('active')
    target.guest.signal(signal.SIGKILL)
    case.tap.check(journey.machine.status(*END) == 'failed',
                   'a migration fails when its target is killed')
    journey.give_up(target)
    journey.go_on()

    journey.until('loaded')
    target, path = journey.open_target()
    journey.depart(path)
    journey.arrive(target)
    journey.go_on()
    journey.until('loaded')
    journey.go_on()
    journey.end()
