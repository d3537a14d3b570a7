# SPDX-License-Identifier: MIT
"""cases - what each guest test serves, boots and expects

Each case_* is one meson test: the options of the server, the options of the
device in QEMU, the job inside the guest (jobs/*.sh), and what the host looks
at from outside.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import qmp
import vm

MIB = 1 << 20

os.environ['PATH'] += ':/usr/sbin:/sbin'


class Case:
  """One test's folder, its guest, and verbs to serve and boot."""

  def __init__(self, tap, ringhost, guest, folder, sockets):
    self.tap = tap
    self.ringhost = ringhost
    self.guest = guest
    self.image = folder + '/disk.img'
    self.sockets = sockets
    self.socket = self.socket_of('disk')
    self.rng = None
    self.folder = os.path.abspath(folder)
    self._nr_logs = 0

  def log_path(self):
    self._nr_logs += 1
    return '%s/log-%d' % (self.folder, self._nr_logs)

  def socket_of(self, name):
    return '%s/%s.sock' % (self.sockets, name)

  def make_image(self, mebibytes=256):
    with open(self.image, 'wb') as file:
      file.truncate(mebibytes * MIB)

  def image_bytes(self):
    """What the image takes on the host's disk."""
    return os.stat(self.image).st_blocks * 512

  def serve(self, *options, image=None):
    return self.serve_at(self.socket, *options, image=image)

  def serve_at(self, socket, *options, image=None):
    return vm.Server([self.ringhost, 'serve', '--socket-path=' + socket,
                      *options, image or self.image], self.log_path())

  def end_server(self, server):
    status = server.stop()
    if not self.tap.check(status == 0, 'the server ends with status 0'):
      self.tap.note('status %d: %s' % (status, server.log()))
    self.tap.check(not os.path.exists(self.socket),
                   'the server leaves no socket behind')

  def take_result(self, rest):
    verdict, _, sentence = rest.partition(' ')
    if verdict == 'skip':
      self.tap.skip(sentence, 'in the guest')
    else:
      self.tap.check(verdict == 'pass', sentence)

  def follow(self, command, marks, may_end_early=False):
    """Runs a VM to its end; marks maps the name of a MARK to a function that
    is called with the guest."""
    with vm.Guest(command, self.log_path(), vm.GUEST_SECONDS) as guest:
      guest.follow({
        'RESULT': self.take_result,
        'MARK': lambda name: marks[name](guest) if name in marks else None})
    if not may_end_early and not self.tap.check(
        guest.done, 'the guest comes to its end'):
      self.tap.note(guest.log())
    return guest

  def machine(self, job, **variables):
    words = ['job=' + job]
    words += ['set_%s=%s' % item for item in variables.items()]
    return vm.machine(self.guest, ' '.join(words))

  def boot(self, job, properties='', marks=None, **variables):
    command = self.machine(job, **variables) + vm.shared_memory(256)
    command += vm.device('vhost-user-blk-pci', self.socket, properties)
    return self.follow(command, marks or {})


def file_system(case, options=(), properties='', image=None, **variables):
  variables = {'queues': 4, 'mebibytes': 32, **variables}
  with case.serve(*options, image=image) as server:
    case.boot('filesystem', properties, **variables)
    case.end_server(server)


def case_default(case):
  case.make_image()
  file_system(case, mebibytes=128)
  case.tap.check(case.image_bytes() >= 96 * MIB, 'the data is in the image')


def case_queue_size_1024(case):
  case.make_image()
  file_system(case, properties=',queue-size=1024', depth=1024)


def case_two_queues(case):
  case.make_image()
  file_system(case, properties=',num-queues=2', queues=2)


# Feature bits, VIRTIO_F_RING_...
INDIRECT_DESC = 28
EVENT_IDX = 29
PACKED = 34
RESET = 40


def case_packed(case):
  case.make_image()
  file_system(case, properties=',packed=on', feature=PACKED)


def case_packed_one_queue(case):
  case.make_image()
  file_system(case, properties=',packed=on,num-queues=1', queues=1,
              feature=PACKED)


def case_packed_no_indirect(case):
  case.make_image()
  file_system(case, properties=',packed=on,indirect_desc=off',
              feature=PACKED, no_feature=INDIRECT_DESC)


def case_packed_no_event_idx(case):
  case.make_image()
  file_system(case, properties=',packed=on,event_idx=off', feature=PACKED,
              no_feature=EVENT_IDX)


def case_ring_reset(case):
  """QEMU offers the bit by itself, so most guests accept it."""
  case.make_image()
  file_system(case, feature=RESET)


ACCESS_PLATFORM = 33


def stuck_at_boot(guest):
  """Whether the guest's kernel found a processor that spins, and panicked for
  it, before the job said a word. An emulated machine with an IOMMU does so
  once in some hundred boots; a disk that does not answer lets processors
  sleep."""
  said = '\n'.join(guest.console)
  return 'soft lockup' in said and 'RESULT' not in said


def behind_iommu(case, words='', properties='', **variables):
  """A guest that maps each buffer before it is used, and unmaps it behind."""
  case.make_image()
  with case.serve() as server:
    command = case.machine('filesystem', queues=2, mebibytes=8,
                           feature=ACCESS_PLATFORM, **variables)
    command[-1] += ' intel_iommu=on softlockup_panic=1 ' + words
    command += vm.shared_memory(256)
    command += ['-machine', 'kernel-irqchip=split', '-device',
                'intel-iommu,intremap=on,device-iotlb=on', '-device',
                'pcie-root-port,id=root']
    # QEMU tells of what the guest unmaps only if the device has ATS, which
    # it has behind a port.
    command += vm.device('vhost-user-blk-pci', case.socket,
                         ',bus=root,num-queues=2,disable-legacy=on,'
                         'iommu_platform=on,ats=on' + properties)
    guest = case.follow(command, {}, may_end_early=True)
    if stuck_at_boot(guest):
      case.tap.note('a second boot, after this one: ' + guest.log())
      guest = case.follow(command, {}, may_end_early=True)
    if not case.tap.check(guest.done, 'the guest comes to its end'):
      case.tap.note(guest.log())
    case.end_server(server)


def case_iommu(case):
  behind_iommu(case)


def case_iommu_strict(case):
  behind_iommu(case, 'iommu.strict=1')


def case_iommu_packed(case):
  behind_iommu(case, properties=',packed=on')


def case_iommu_passthrough(case):
  behind_iommu(case, 'iommu.passthrough=1')


def case_one_queue(case):
  case.make_image()
  file_system(case, ['--num-queues=1'], ',num-queues=1', queues=1)


def case_block_size_4096(case):
  case.make_image()
  file_system(case, ['--block-size=4096'], block_bytes=4096)


def case_aio_threads(case):
  case.make_image()
  file_system(case, ['--aio=threads'])


def case_two_threads(case):
  case.make_image()
  file_system(case, ['--threads=2'])


def case_reload(case):
  case.make_image(64)
  with case.serve() as server:
    case.boot('reload')
    case.end_server(server)


def case_direct(case):
  case.make_image()
  with case.serve() as server:
    case.boot('direct', block_bytes=512)
    case.end_server(server)


def case_direct_4096(case):
  case.make_image()
  with case.serve('--block-size=4096') as server:
    case.boot('direct', block_bytes=4096)
    case.end_server(server)


def case_read_only(case):
  data = os.urandom(32 * MIB)
  with open(case.image, 'wb') as file:
    file.write(data)
  total = hashlib.sha256(data).hexdigest()
  with case.serve('--read-only') as server:
    case.boot('readonly', sum=total)
    case.end_server(server)
  with open(case.image, 'rb') as file:
    case.tap.check(file.read() == data, 'the image is as it was')


def attach_loop(image, sector_bytes=512):
  """A loop device over the image, or None where there can be none."""
  if shutil.which('losetup') is None or os.geteuid() != 0:
    return None
  done = subprocess.run(['losetup', '--find', '--show', '--sector-size',
                         str(sector_bytes), image],
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                        check=False)
  if done.returncode != 0:
    return None
  device = done.stdout.decode().strip()
  # Whoever had it before may have left it read-only.
  subprocess.run(['blockdev', '--setrw', device], check=False)
  return device


def detach_loop(device):
  subprocess.run(['losetup', '--detach', device], check=False)


def case_loop_device(case):
  case.make_image()
  device = attach_loop(case.image)
  if device is None:
    case.tap.skip('a loop device is served', 'no loop device to be had here')
    return
  try:
    with case.serve(image=device) as server:
      # While the server has it open the device stays; then it goes by itself.
      detach_loop(device)
      case.boot('filesystem', queues=4, mebibytes=32)
      case.end_server(server)
  except vm.Failure:
    detach_loop(device)
    raise


def case_small_blocks(case):
  """Blocks of 512 bytes on sectors of 4096: each is changed in part."""
  case.make_image()
  device = attach_loop(case.image, 4096)
  if device is None:
    case.tap.skip('a loop device is served', 'no loop device to be had here')
    return
  try:
    with case.serve('--block-size=512', image=device) as server:
      detach_loop(device)
      case.boot('filesystem', queues=4, mebibytes=32, block_bytes=512)
      case.end_server(server)
  except vm.Failure:
    detach_loop(device)
    raise


def case_run_wrapper(case):
  case.make_image()
  command = [case.ringhost, 'run', case.image, '--']
  command += case.machine('filesystem', queues=4, mebibytes=32)
  command += ['-m', '256M']
  guest = case.follow(command, {})
  case.tap.check(guest.status == 0, 'ringhost run ends with status 0')


def case_discard(case):
  case.make_image()
  seen = {}

  def look(name):
    return lambda _: seen.update({name: case.image_bytes()})

  with case.serve() as server:
    case.boot('discard', marks={name: look(name) for name in (
      'written', 'trimmed', 'discarded')})
    case.end_server(server)
  if len(seen) != 3:
    return
  case.tap.note(str(seen))
  case.tap.check(seen['written'] >= 68 * MIB, 'the data is in the image')
  case.tap.check(seen['trimmed'] <= seen['written'] - 60 * MIB,
                 'the host gets back what fstrim freed')
  case.tap.check(seen['discarded'] <= MIB,
                 'the host gets back all that was discarded')


def case_cache(case):
  case.make_image(64)
  with case.serve() as server:
    case.boot('cache', start='back')
    case.end_server(server)


def case_cache_writethrough(case):
  case.make_image(64)
  with case.serve('--cache=writethrough') as server:
    case.boot('cache', start='through')
    case.end_server(server)


def case_serial(case):
  case.make_image(64)
  with case.serve('--serial=ringhost-0123456789') as server:
    case.boot('serial', serial='ringhost-0123456789')
    case.end_server(server)


def sectors(mebibytes):
  return mebibytes * MIB // 512


def case_resize(case):
  """A disk of the daemon grows, shrinks, and is changed by somebody else, while
  its guest uses it."""
  case.make_image(128)
  control = case.socket_of('control')
  command = [
    case.ringhost, 'daemon', '--watch-size', '1',
    '--blockdev', 'file,node-name=disk,filename=' + case.image,
    '--export', 'vhost-user-blk,id=disk,node-name=disk,writable=on,'
    'num-queues=4,addr.type=unix,addr.path=' + case.socket,
    '--chardev', 'socket,id=control,path=%s,server=on,wait=off' % control,
    '--monitor', 'chardev=control']
  with vm.Device(command, case.log_path(), control) as server:
    monitor = qmp.Monitor(control, server)
    begun = 0

    def resize(mebibytes):
      nonlocal begun
      begun = time.monotonic()
      monitor.order('block_resize', **{'node-name': 'disk'},
                    size=mebibytes * MIB)

    def grown(_):
      case.tap.note('the guest sees it after %.3f s' % (
        time.monotonic() - begun))

    def look(_):
      case.tap.check(os.path.getsize(case.image) == 64 * MIB,
                     'nothing is written behind the end')

    case.boot('resize', marks={
      'ready': lambda _: resize(256), 'grown': grown,
      'shrink': lambda _: resize(64), 'shrunk': look,
      'alone': lambda _: os.truncate(case.image, 96 * MIB)},
      before=sectors(128), after=sectors(256), cut=sectors(64),
      alone=sectors(96))
    monitor.close()
    case.end_server(server)


def case_reboot(case, properties=''):
  case.make_image()
  with case.serve() as server:
    command = case.machine('reboot') + vm.shared_memory(256)
    command.remove('-no-reboot')
    command += vm.device('vhost-user-blk-pci', case.socket, properties)
    case.follow(command, {})
    case.end_server(server)


def case_packed_reboot(case):
  case_reboot(case, ',packed=on')


def case_pause(case):
  """A VM that is paused again and again finds its disk as it left it. QEMU
  stops the rings each time, and resets the device by its status."""
  case.make_image()
  path = case.socket + '.monitor'
  nr_pauses = 0
  done = threading.Event()

  def pause():
    nonlocal nr_pauses
    try:
      monitor = vm.Monitor(path)
      while not done.wait(0.2):
        monitor.command('stop')
        monitor.command('cont')
        nr_pauses += 1
    except (OSError, vm.Failure):
      pass  # the VM has come to its end

  pauser = threading.Thread(target=pause, daemon=True)
  with case.serve() as server:
    command = case.machine('filesystem', queues=4, mebibytes=32)
    command += vm.shared_memory(256) + vm.monitor(path)
    command += vm.device('vhost-user-blk-pci', case.socket)
    pauser.start()
    case.follow(command, {})
    done.set()
    case.tap.note('%d pauses' % nr_pauses)
    case.tap.check(nr_pauses >= 10, 'the VM is paused while it works')
    case.end_server(server)


def case_killed_vm(case):
  case.make_image()
  with case.serve() as server:
    command = case.machine('busy') + vm.shared_memory(256)
    command += vm.device('vhost-user-blk-pci', case.socket)
    guest = case.follow(
      command, {'busy': lambda guest: guest.signal(signal.SIGKILL)},
      may_end_early=True)
    case.tap.check(guest.status == -signal.SIGKILL,
                   'the VM is killed while it writes')
    case.boot('recover')
    case.end_server(server)


def case_busy_server_stops(case):
  """Behaviour 7: no hang, status 0, also with a client at work."""
  case.make_image()
  with case.serve() as server:

    def stop(guest):
      case.end_server(server)
      guest.signal(signal.SIGKILL)

    command = case.machine('busy') + vm.shared_memory(256)
    command += vm.device('vhost-user-blk-pci', case.socket)
    case.follow(command, {'busy': stop}, may_end_early=True)
  with case.serve() as server:
    case.boot('recover')
    case.end_server(server)


KILLS = 10
UPGRADES = 10
RECOVERY_SECONDS = 1
STALL_SECONDS = 10


class Killer:
  """Kills a server under load and starts its successor, again and again."""

  def __init__(self, case, options):
    self._case = case
    self._options = options
    self.server = case.serve(*options)
    self.recoveries = []
    self.nr_again = 0 # requests

  def _wait(self, what, happens):
    deadline = time.monotonic() + vm.PATIENCE_SECONDS
    while not happens():
      if time.monotonic() > deadline:
        raise vm.Failure('%s: not in time; %s' % (what, self.server.log()))
      time.sleep(0.001)
    return time.monotonic()

  def _changed(self):
    """Whether the image is written to after now."""
    before = os.stat(self._case.image).st_mtime_ns
    return lambda: os.stat(self._case.image).st_mtime_ns != before

  def once(self, number):
    # A different moment each time, always with something under way.
    for _ in range(5 + 3 * number):
      self._wait('the guest writes', self._changed())
    with self.server:
      pass
    self.server = self._case.serve(*self._options)
    changed = self._changed()
    connected = self._wait('the VM comes back',
                           lambda: 'connected' in self.server.log())
    written = self._wait('the guest goes on', changed)
    self.recoveries.append(written - connected)
    self.nr_again += sum(int(number) for number in re.findall(
      r'(\d+) requests of an earlier back-end', self.server.log()))

  def all(self, _):
    for number in range(KILLS):
      self.once(number)


def kills(case, queues, properties='', **variables):
  """D-04: kill -9, and the VM goes on with the next server."""
  case.make_image(64)
  killer = Killer(case, ['--num-queues=%d' % queues])
  command = case.machine('kills', queues=queues, **variables)
  command += vm.shared_memory(256)
  command += vm.device('vhost-user-blk-pci', case.socket,
                       ',num-queues=%d%s' % (queues, properties),
                       ',reconnect=1')
  try:
    guest = case.follow(command, {'ready': killer.all})
    case.end_server(killer.server)
  finally:
    killer.server.__exit__()
  case.tap.check(len(killer.recoveries) == KILLS,
                 'the server was killed %d times' % KILLS)
  case.tap.note('recovery in ms: ' + ' '.join(
    '%.0f' % (seconds * 1000) for seconds in killer.recoveries))
  # The host may stand still for a moment; a guest that has waited for its own
  # time to run out, instead of being told, waits longer.
  times = sorted(killer.recoveries)
  case.tap.check(KILLS == len(times) and times[-2] < RECOVERY_SECONDS and
                 times[-1] < STALL_SECONDS,
                 'each time but one at most it went on within a second')
  case.tap.check(killer.nr_again > 0, 'requests were under way at a kill')
  case.tap.note('%d requests were carried out again' % killer.nr_again)
  case.tap.check(all(int(guest.facts.get('rounds%d' % n, 0)) > 1
                     for n in range(1, 5)), 'each writer came forward')
  case.tap.note(str(guest.facts))


def case_kills(case):
  kills(case, 1)


def case_kills_four_queues(case):
  kills(case, 4)


def case_kills_packed(case):
  kills(case, 1, ',packed=on', feature=PACKED)


def case_kills_packed_four_queues(case):
  kills(case, 4, ',packed=on', feature=PACKED)


class Upgrader:
  """A daemon under load, whose place another one takes again and again."""

  def __init__(self, case, queues):
    self._case = case
    self._control = case.socket_of('control')
    self._command = [
      case.ringhost, 'daemon', '--object', 'iothread,id=t0',
      '--blockdev', 'file,node-name=disk,filename=' + case.image,
      '--export', 'vhost-user-blk,id=disk,node-name=disk,writable=on,'
      'num-queues=%d,iothread=t0,addr.type=unix,addr.path=%s' % (
        queues, case.socket),
      '--chardev', 'socket,id=control,path=%s,server=on,wait=off' %
      self._control,
      '--monitor', 'chardev=control']
    self.server = vm.Device(self._command, case.log_path(), self._control)
    self.stalls = []

  def _wait(self, what, happens):
    deadline = time.monotonic() + vm.PATIENCE_SECONDS
    while not happens():
      if time.monotonic() > deadline:
        raise vm.Failure('%s: not in time; %s' % (what, self.server.log()))
      time.sleep(0.001)

  def _wait_for_write(self):
    before = os.stat(self._case.image).st_mtime_ns
    self._wait('the guest writes',
               lambda: os.stat(self._case.image).st_mtime_ns != before)

  def once(self, number):
    for _ in range(3 + 2 * number):
      self._wait_for_write()
    before = self.server
    self.server = vm.Process(self._command + ['--take-over', self._control],
                             self._case.log_path())
    self._wait('it takes over', lambda: 'stood still' in self.server.log())
    self.stalls.append(float(re.search(
      r'stood still for ([0-9.]+) ms', self.server.log()).group(1)))
    if before.wait(vm.PATIENCE_SECONDS) != 0:
      raise vm.Failure('the one before ends badly: ' + before.log())
    self._wait_for_write()

  def all(self, _):
    for number in range(UPGRADES):
      self.once(number)


def upgrades(case, queues, properties='', **variables):
  """The front-end cannot connect again, and needs not."""
  case.make_image(64)
  upgrader = Upgrader(case, queues)
  command = case.machine('kills', queues=queues, **variables)
  command += vm.shared_memory(256)
  command += vm.device('vhost-user-blk-pci', case.socket,
                       ',num-queues=%d%s' % (queues, properties))
  try:
    guest = case.follow(command, {'ready': upgrader.all})
    case.end_server(upgrader.server)
  finally:
    upgrader.server.__exit__()
  case.tap.check(len(upgrader.stalls) == UPGRADES,
                 '%d daemons took the place of the one before' % UPGRADES)
  case.tap.note('stood still for ms: ' + ' '.join(
    '%.1f' % stall for stall in upgrader.stalls))
  case.tap.note('the longest stall: %.1f ms' % max(upgrader.stalls, default=0))
  case.tap.check(all(int(guest.facts.get('rounds%d' % n, 0)) > 1
                     for n in range(1, 5)), 'each writer came forward')


def case_upgrades(case):
  upgrades(case, 1)


def case_upgrades_packed(case):
  upgrades(case, 4, ',packed=on', feature=PACKED)


def case_rng(case):
  with vm.Device([case.rng, case.socket], case.image + '.log',
                 case.socket) as server:
    command = case.machine('rng') + vm.shared_memory(256)
    command += vm.device('vhost-user-rng-pci', case.socket)
    case.follow(command, {})
    case.end_server(server)
