# SPDX-License-Identifier: MIT
"""initramfs - the guest's whole user space, as one cpio archive

Takes what tests/guest/fetch unpacked (busybox, e2fsprogs, kernel modules),
adds init and the jobs, and writes the archive by hand: no tool and no root
rights needed, and device nodes or owners of the host play no part. The archive
is not compressed, since unpacking it costs an emulated guest more than loading
it does.
"""

import glob
import lzma
import os
import stat

MODULES = ['virtio_pci', 'virtio_blk', 'virtio_rng', 'ext4', 'crc32c_generic']
PROGRAMS = {
  'bin/busybox': ['bin/busybox', 'usr/bin/busybox'],
  'sbin/mke2fs': ['sbin/mke2fs', 'usr/sbin/mke2fs'],
  'sbin/e2fsck': ['sbin/e2fsck', 'usr/sbin/e2fsck'],
  'sbin/blkdiscard': ['sbin/blkdiscard', 'usr/sbin/blkdiscard'],
  'etc/mke2fs.conf': ['etc/mke2fs.conf'],
  'lib64/ld-linux-x86-64.so.2': ['lib64/ld-linux-x86-64.so.2',
                                 'usr/lib64/ld-linux-x86-64.so.2'],
}
LIBRARIES = ['libc.so.6', 'libext2fs.so.2', 'libcom_err.so.2', 'libe2p.so.2',
             'libblkid.so.1', 'libuuid.so.1']
LIBRARY_FOLDER = 'lib/x86_64-linux-gnu'
DIRECTORIES = ['bin', 'dev', 'etc', 'jobs', 'lib', LIBRARY_FOLDER, 'lib64',
               'mnt', 'proc', 'sbin', 'sys', 'tmp']


class Archive:
  """A cpio archive in the "newc" form."""

  def __init__(self, out):
    self._out = out
    self._inode = 0

  def _entry(self, name, mode, data):
    self._inode += 1
    numbers = [self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
               len(name) + 1, 0]
    head = '070701' + ''.join('%08x' % number for number in numbers)
    self._padded(head.encode() + name.encode() + b'\0')
    self._padded(data)

  def _padded(self, data):
    self._out.write(data + b'\0' * (-len(data) % 4))

  def folder(self, name):
    self._entry(name, stat.S_IFDIR | 0o755, b'')

  def file(self, name, data):
    self._entry(name, stat.S_IFREG | 0o755, data)

  def end(self):
    self._entry('TRAILER!!!', 0, b'')


def module_name(path):
  return os.path.basename(path).split('.ko')[0].replace('-', '_')


def read_module(path):
  with open(path, 'rb') as file:
    data = file.read()
  return lzma.decompress(data) if path.endswith('.xz') else data


def direct_dependencies(data):
  """The modules which the .modinfo section of a module asks for."""
  start = data.find(b'\0depends=')
  if start < 0:
    return []
  value = data[start + len(b'\0depends='):].split(b'\0', 1)[0].decode()
  return [name.replace('-', '_') for name in value.split(',') if name]


def collect_modules(folder):
  """What modprobe needs for MODULES: path under folder -> (data, all that
  must be loaded before it, in that order). Whatever the kernel has built in is left out."""
  paths = {}
  for path in glob.glob(folder + '/kernel/**/*.ko*', recursive=True):
    paths[module_name(path)] = path
  found = {}

  def place(name):
    return os.path.relpath(paths[name], folder).removesuffix('.xz')

  def visit(name):
    if name not in paths or place(name) in found:
      return
    data = read_module(paths[name])
    needs = []
    for other in direct_dependencies(data):
      visit(other)
      if other in paths:
        needs += found[place(other)][1] + [place(other)]
    found[place(name)] = (data, list(dict.fromkeys(needs)))

  for name in MODULES:
    visit(name)
  return found


def add_modules(archive, root):
  folder = glob.glob(root + '/lib/modules/*') + glob.glob(
    root + '/usr/lib/modules/*')
  if len(folder) != 1:
    raise SystemExit('one folder of kernel modules expected in ' + root)
  base = 'lib/modules/' + os.path.basename(folder[0])
  modules = collect_modules(folder[0])
  folders = {'lib/modules', base}
  for path in modules:
    parts = os.path.dirname(path).split('/')
    folders |= {base + '/' + '/'.join(parts[:n + 1])
                for n in range(len(parts))}
  for name in sorted(folders):
    archive.folder(name)
  table = ''
  for path, (data, needs) in modules.items():
    archive.file(base + '/' + path, data)
    # modprobe begins at the end of the line.
    table += '%s: %s\n' % (path, ' '.join(reversed(needs)))
  archive.file(base + '/modules.dep', table.encode())


def read_first(root, names):
  for name in names:
    path = os.path.join(root, name)
    if os.path.exists(path):
      with open(path, 'rb') as file:
        return file.read()
  raise SystemExit('none of these is in %s: %s' % (root, ' '.join(names)))


def add_programs(archive, root):
  for name, places in PROGRAMS.items():
    archive.file(name, read_first(root, places))
  for name in LIBRARIES:
    place = LIBRARY_FOLDER + '/' + name
    archive.file(place, read_first(root, [place, 'usr/' + place]))


def add_scripts(archive, source):
  scripts = glob.glob(source + '/jobs/*.sh')
  for path in [source + '/init'] + sorted(scripts):
    with open(path, 'rb') as file:
      archive.file(os.path.relpath(path, source), file.read())


def build(root, source, out_path):
  """Write the archive from packages unpacked in root and scripts in source."""
  with open(out_path, 'wb') as out:
    archive = Archive(out)
    for name in DIRECTORIES:
      archive.folder(name)
    add_programs(archive, root)
    add_modules(archive, root)
    add_scripts(archive, source)
    archive.end()
