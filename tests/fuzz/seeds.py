# SPDX-License-Identifier: MIT
"""seeds - inputs to begin with, one for each thing that a fuzzer should reach

  seeds.py FOLDER

Writes FOLDER/NAME/... for each fuzzer. What is kept in corpus/ was made of
these, and of what fuzzing has found since, by `fuzz-NAME -merge=1`.
"""
import itertools
import os
import sys

NR_REQUESTS = 45
SET_UP, SPOILT, GUEST, ACT, ANSWER, MEMORY, CONNECT, RUBBISH, SEND = (
    0, 1, 4, 6, 8, 9, 10, 11, 12)
NR_FEATURES = 12
NR_PROTOCOLS = 10


class Seeds:
    def __init__(self, folder):
        self.folder = folder
        self.nr = 0

    def add(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        self.nr += 1
        with open(os.path.join(path, f"seed-{self.nr:05}"), "wb") as out:
            out.write(bytes(data))

    def words(self, kind, *words):
        text = "\n".join(words).encode()
        self.add("options", bytes([kind]) + text)


def set_up(features, protocol, parts=0x7f):
    return [SET_UP, parts, features + NR_FEATURES * protocol]


def message_seeds(seeds):
    guest = [GUEST, 0, 1, GUEST, 1, 3, GUEST, 4, 2, GUEST, 2, 0, 1, 3, 9, 9,
             9, 9]
    acts = [b for what in range(10) for b in (ACT, what)]
    for features, protocol in itertools.product(range(NR_FEATURES),
                                                range(NR_PROTOCOLS)):
        begin = set_up(features, protocol)
        stop = [SEND, 11, 0, 0, SEND, 11, 1, 0]
        seeds.add("message", [4] + begin + guest + acts + [ANSWER, 0] + stop)
        seeds.add("message", [64] + begin + guest + stop + begin + guest)
    for request in range(NR_REQUESTS):
        for choice in (0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 0xe5, 0xff):
            body = [SEND, request, choice, choice // 2, choice, choice]
            for protocol, parts in ((0, 3), (1, 0), (1, 3), (2, 0x7f),
                                    (3, 0xe3)):
                begin = set_up(choice % 9, protocol, parts)
                seeds.add("message", [64] + begin + body + guest + body)
        for spoil in (1, 2, 4, 8, 16, 32, 64, 128):
            body = [SPOILT, request, 0, spoil, 3, 5, 7, 9, 11, 13, 15, 17]
            seeds.add("message", [0] + set_up(0, 0, 3) + body + guest)
    for choice in range(256):
        transfer = [SEND, 42, choice & 31, SEND, 43]
        seeds.add("message", [choice] + set_up(0, 0, 3) + transfer + transfer)
        iotlb = [SEND, 22, choice, 0, 255, SEND, 22, 12 | choice & 3, 0, 255]
        seeds.add("message", [0] + set_up(4, 0) + guest + iotlb + guest +
                  [ANSWER, choice] + guest)
        seeds.add("message", [choice] + set_up(0, 0) + guest +
                  [MEMORY, choice] + guest + [CONNECT] + set_up(3, 0) + guest)
        seeds.add("message", [0] + set_up(0, 0) + [
            ACT, 3, ACT, 4 + choice // 64, ANSWER, choice, choice, choice] +
            [ACT, 5 + 20, ANSWER, choice, 1])
    postcopy = [SEND, 28, SEND, 29]
    for choice in range(32):
        tail = [SEND, choice % 8 + 30 if choice & 8 else 5, choice,
                SEND, 37, choice, SEND, 37, 0xff, SEND, 38, choice,
                SEND, 30]
        seeds.add("message", [64] + set_up(0, 1, 0) + postcopy + tail)
        seeds.add("message", [64] + set_up(0, 1, 0) + postcopy + tail[:6] +
                  [SEND, 0, 0, SEND, 0, choice, CONNECT] + set_up(0, 1, 0x62))


def iotlb_seeds(seeds):
    """Ranges that are put in, joined, cut, taken out, missed, forbidden"""
    def update(first, pages, permission=3):
        return [SEND, 22, 4 | permission, first, pages]

    def invalidate(first, pages):
        return [SEND, 22, 3, first, pages]

    guest = [b for i in range(8) for b in (GUEST, 0, i)]
    for features, whole in itertools.product((4, 7, 8), (0, 1)):
        begin = [0] + set_up(features, 0, 0x27)
        rings = [SEND, 22, 16 | 12 | 3, 0, 0] + (
            [SEND, 22, 12 | 3, 0, 0] if whole else update(0, 0x80))
        for first, pages in itertools.product((0x10, 0x20, 0x40, 0x80, 0x90),
                                              (1, 0x10, 0x20, 0x60)):
            for permission in (1, 2, 3):
                change = update(first, pages, permission)
                seeds.add("message", begin + rings + change + guest +
                          update(first + pages // 2, pages, 3) + guest +
                          invalidate(first, pages // 2 + 1) + guest +
                          update(first, pages))
                seeds.add("message", begin + rings +
                          invalidate(first, pages) + guest + [ANSWER, 0] +
                          change + guest + [ANSWER, 1, 1, ANSWER, 0] + guest)
                for step in (pages, 2 * pages):
                    seeds.add("message", begin + [
                        b for i in range(6)
                        for b in update(first + i * step & 255, pages,
                                        permission)] +
                        update(first + pages & 255, step) +
                        invalidate(first + 1, 255 - first - pages) + guest)


def failure_seeds(seeds):
    """What the device's own part refuses, and ends in the middle"""
    fails, works = [ACT, 18], [ACT, 8]
    for choice in range(32):
        begin = [16 | choice % 16] + set_up(0, 0, 3)
        seeds.add("message", begin + fails + [SEND, 42, choice, SEND, 43] +
                  works + [SEND, 42, choice, SEND, 43])
        seeds.add("message", [choice] + set_up(3, 0, 0x7f) + [SEND, 7] +
                  [GUEST, 0, choice, GUEST, 4, choice] * 3)
        seeds.add("message", [choice] + set_up(0, 3, 0x23) +
                  [SEND, 35, 0, 0, SEND, 35, choice, choice % 3, SEND, 35, 1,
                   0] + [GUEST, 0, choice])
        seeds.add("message", [0] + set_up(0, 0, 0) + [
            SEND, 31 + (choice & 1), 2 | choice & 0x1c, choice // 2] * 2 +
            [SPOILT, 31, 0, 2, choice])
        seeds.add("message", [0] + set_up(0, 0) + [SPOILT, 2, 1, 32, choice,
                                                   CONNECT])
        seeds.add("message", [0] + set_up(0, 0) + [RUBBISH, 1 + choice] +
                  [choice] * (choice + 1))


def piece(choice=0, place=0):
    """A buffer of the length and at the kind of place that choice names"""
    where = choice // 24
    return [choice] + [place] * (2 if where == 7 else 8 if where == 9 else 1)


def request(shape, kind, sector=1, segments=(3, 0, 1, 0), odd=(0,)):
    """As request.c reads it, byte for byte: a step of 9 and what follows"""
    body = [9, shape, kind, sector]
    if shape & 8:
        body += [3, 7, 1]  # the pieces of a header
    if kind in (4, 5):
        nr = len(segments) // 3
        body += [nr if nr < 3 else 3 | nr << 2, 8] + list(segments[:nr * 3])
    for i in range(shape & 3):
        body += piece(i % 2, 16 * i)
    if shape & 0x40:
        body += list(odd)
        if odd[0] & 2 == 0 and len(odd) == 1:
            body += piece()
    if shape & 0x20:
        body += [1]  # the table's place
    return body


def ring_seeds(seeds):
    """What is common to the rings: negotiation, disk, size, start, steps."""
    turn = [0, 63]
    for name, prefix in (("split", []), ("packed", []), ("inflight", [0]),
                         ("inflight", [1]), ("inflight", [3])):
        pre = prefix
        step = (lambda *b: [4] + list(b)) if prefix else (lambda *b: list(b))
        for negotiated, kind, size in itertools.product(
                range(16), range(0, 16, 3), (0, 3, 5)):
            body = []
            for shape in (1, 5, 9, 0x21, 0x25, 0x41, 0x85, 0x11):
                body += step(9, shape, shape % 13, 1, 3, 5, 7, 9)
            body += step(*turn)
            seeds.add(name, pre + [negotiated, kind, size, 0] + body +
                      step(8, 0x55, 0xe4, 1) + body)
        for kind_of, shape in itertools.product(range(13), range(0, 256, 5)):
            body = step(9, shape, kind_of, shape, shape & 3, 1, 2, 3, 4, 5)
            seeds.add(name, pre + [shape & 15, 0, 5, 0] +
                      step(8, shape, shape, shape & 3) + body +
                      step(*turn) + step(1, 3) + step(1, shape) +
                      step(*turn) + step(2, shape) + step(7, shape, 1, 2))
        for how in range(256):
            seeds.add(name, pre + [how & 15, 0, how % 6, how] +
                      step(9, 5, 0, 1, 0) + step(5, how, how, how, how) +
                      step(*turn) + step(3, how, 9, 9, 9) + step(*turn) +
                      step(7, how, how))
        for kind, shape in itertools.product(range(13), (
                0, 1, 3, 4, 5, 7, 9, 0xd, 0x15, 0x21, 0x25, 0x2f, 0x45, 0x85)):
            body = step(*request(shape, kind))
            seeds.add(name, pre + [kind & 11, 0, 5, 0] + body * 3 +
                      step(*turn) + step(2, 3) + step(*turn) + step(7, 0))
            seeds.add(name, pre + [24, shape, 5, 0] + step(
                *request(1 | shape & 4, kind % 2, odd=(0,))) + step(
                9, 5, 0, 1, 24 * 6, 200) + step(*turn))
            seeds.add(name, pre + [kind & 11, 0, 5, 0] + body * 3 +
                      step(*turn) + step(8, 0x1b, 0xe4, shape & 3) + body * 2 +
                      step(*turn) + step(1, 0) + step(1, 6) + step(2, 2) +
                      step(*turn) + body + step(2, 3) + step(*turn) +
                      step(7, 0))
        for how in range(256):
            seeds.add(name, pre + [how & 11, 0, 5, 0] +
                      step(*request(5, 0)) + step(3, how, 1, 1, 0, 0, 0, 0, 0,
                                                  0, 0, 0) +
                      step(*request(5, 0)) + step(*turn))
        for nr in range(0, 48, 5):
            seeds.add(name, pre + [nr & 15, 0, 5, 0] +
                      step(9, 0x61, 1, 1, 0, 2, nr, nr, 1) + step(*turn))
        for nr in range(36):
            for flags in (0, 3, 7):
                ranges = []
                for i in range(nr):
                    ranges += [i, 1, flags]
                seeds.add(name, pre + [0, 0, 5, 0] + step(
                    9, 0, 4 + (nr & 1), 0, 3 | nr << 2, 0, *ranges) +
                    step(*turn))


def death_seeds(seeds):
    """Deaths at each moment of requests that are taken, given, published"""
    read, write = [4] + request(5, 0), [4] + request(1, 1)
    turn, die, later = [4, 0, 63], [0], [4, 8, 0x55, 0x55, 0]
    for layout, size, negotiated, nr in itertools.product(
            (0, 1, 2, 3), (0, 3, 5), (0, 1, 2, 8, 11), (1, 2, 5)):
        begin = [layout, negotiated, 0, size, 0]
        some = (read + write) * nr
        for done in (0, 4, 8, 1, 5):
            seeds.add("inflight", begin + later + some + turn +
                      [4, 1, done] * (nr // 2) + die + turn + die + later +
                      some + turn + die + turn + [1] + turn + die)
            seeds.add("inflight", begin + later + some + turn +
                      [4, 1, done] + turn + die + die + [4, 1, 1] + [4, 7, 0] +
                      some + turn + [2, 9, 0, 3, 1, 2, 3, 4] + die + turn)


def inflight_seeds(seeds):
    request = [4, 9, 5, 0, 1, 0, 0, 4, 9, 1, 1, 1, 0, 0]
    busy = [4, 8, 0x55, 0x55, 0]
    turn = [4, 0, 63]
    for first in range(16):
        for size in (0, 3, 5):
            begin = [first, 0, 0, size]
            seeds.add("inflight", begin + [0] * 40 + busy + request + turn +
                      [0] + turn + [4, 1, 2] + [0] + turn + [4, 7])
            seeds.add("inflight", begin + [0] * 8 + busy + request * 3 +
                      turn + [4, 1, 4] + [0] + turn + [1] + turn + [2, 9, 0, 3,
                      1, 2, 3, 4] + [0] + turn)
    for how in range(256):
        entries = [b for i in range(how // 8)
                   for b in (1 if i & 1 else 0, i + 1, i, i, 1, i, i, 16, 0,
                             i)]
        seeds.add("inflight", [4 | how & 3, 0, 0, 5, how] + [0] * 12 +
                  entries + [0] + turn + request + turn)
        seeds.add("inflight", [9 | how & 2, 0, 0, 5, how] +
                  list(range(64)) + [0] + turn + request + turn + [3, how] +
                  [0] * 12 + entries + turn)


def option_seeds(seeds):
    server = """aio=io_uring aio=threads aio=x blk-file=a block-size=512
        block-size=2M block-size=3 cache=none cache=writeback
        cache=writethrough cache=x driver=file driver=null driver=x
        exit-on-disconnect fd=3 fd=x fd=99999999999 force-share format=raw
        format=qcow2 help num-queues=1 num-queues=0 num-queues=x
        num-queues=256 num-queues=257 poll-us=0 poll-us=1000 poll-us=1001
        print-capabilities queue-size=4 queue-size=3 queue-size=1024
        queue-size=2048 quiet read-only serial=abc serial= serial
        serial=a-serial-that-is-much-too-long size=1G size=1 size=x
        size=99999999999999999999T socket-group=disk socket-group=7
        socket-group=nobody-at-all socket-mode=0660 socket-mode=x
        socket-mode=9999 socket-path=s socket-path= threads=1 threads=65
        verbose version read-only=1 nothing sandbox=auto sandbox=on
        sandbox=off sandbox=x fault-cache=64k fault-cache=1 fault-cache=x
        fault-cache=100001 fault-driver=null fault-driver=file fault-driver=x
        fault-driver=fault fault-seed=7 fault-seed=x""".split()
    rules = """write,error=EIO read+flush,error=ENOSPC any,delay=1ms x
        host-write,offset=1M-2M,short=512 write,offset=-50%,error=EIO
        read,offset=10%-,after=3,first=5,every=2,error=EOPNOTSUPP
        write,nth=7,power-cut=all flush,chance=0.5%,error=EIO
        host-sync,error=x any,up=10s,down=500ms,error=EIO
        signal,power-cut=random write, ,error=EIO write,chance=101%,error=EIO
        write,nth=x,error=EIO write,error=EIO,error=EIO write,delay=1ms-5ms
        write,hang write,hang=1s write,hang=x discard+write-zeroes,hold=4
        write,hold=4/10ms write,hold=0 write,hold=x write,hold=3/x
        read,offset=2-1,error=EIO read,offset=x,error=EIO read,offset=,flip
        host-any,short=0 host-read,short host-read,short=x read,short
        write,flip read,flip read,flip=1 host-read,delay=1us write,power-cut=3
        write,power-cut=none write,power-cut write,power-cut=x write write,
        write,after=-1,error=EIO write,every=0,error=EIO signal,error=EIO
        write,up=1s,error=EIO write,down=1m,error=EIO write,up=x,down=1s,flip
        write,nth=1,every=2,error=EIO flush,offset=0-1,error=EIO
        write,after=3,after=4,error=EIO write,nth,error=EIO write,delay=5ms-1ms
        write,delay=x write,delay=1m write,delay=1 write,chance=x,error=EIO
        write,chance=0%,error=EIO write,chance=0.00001%,error=EIO
        write,offset=10%-5%,error=EIO write,offset=101%-,error=EIO
        write,offset=-,error=EIO write,down=0s,up=0s,error=EIO
        write,first=0,error=EIO write,error= write,power-cut=
        write,nothing=1""".split() + [
            "write," + "after=1," * 60 + "error=EIO"]
    for rule in rules:
        seeds.words(5, "--driver=fault", f"--fault={rule}", "image")
        seeds.words(5, "--driver=fault", f"--fault={rule}", "--fault=x", "i")
    seeds.words(5, "--driver=fault", "image",
                *["--fault=write,error=EIO"] * 34)
    for word in server:
        for image in ("image.raw", "--driver=null", "a b", "a,b,,c/d.img"):
            seeds.words(5, f"--{word}", image)
            seeds.words(6, "run", f"--{word}", image, "--", "kvm", "-m", "1G")
    for pair in itertools.combinations(
            ("--socket-path=a", "--fd=3", "--socket-mode=600",
             "--socket-group=7", "--quiet", "--verbose", "b", "-q", "-v"), 2):
        seeds.words(5, *pair, "image")
    for words in (["serve", "i"], ["help"], ["run", "i"], ["run", "i", "--"],
                  ["-h"], ["-V"], ["-x"], [], ["--"], ["a", "b"],
                  ["--driver=null", "--size=1G", "-v", "-v"],
                  ["-qvr", "i"], ["--size=1M", "i"], ["--driver=null", "i"],
                  ["serve", "--", "i"], ["--block-size"], [""]):
        seeds.words(5, *words)
    commands = ("-m", "1G", "size=2G,slots=3", "4096", "", "-smp", "4",
                "cpus=2", "sockets=2,cores=3,threads=2", "maxcpus=8", "x",
                "-machine", "q35,memory-backend=mem", "-object",
                "memory-backend-memfd,id=mem", "-mem-path", "/x",
                "memory-backend-file,id=mem,share=on", "-numa",
                "node,memdev=mem", "-daemonize", "--m",
                '{"qom-type":"memory-backend-ram","id":"mem","share":true}',
                "memory-backend-ram,id=mem,share=off", "a,,b=,c,=,",
                '{"id" : "mem"}', "-M", "memory-backend-shm,id=mem")
    for one, two in itertools.product(commands, commands):
        seeds.words(4, "-object", "memory-backend-ram,id=mem", one, two)
        seeds.words(4, one, two, "-machine", "q35,memory-backend=mem")
    for one in ("kvm", "qemu-kvm", "x", "/usr/bin/qemu-system-arm", ""):
        seeds.words(6, "run", "i", "--", one, "-m", "1")
    bench = """bs=4k bs=0 bs=17M bs=x flood=1 flood=99999 help iodepth=1
        iodepth=1025 no-event-idx no-indirect notify=poll notify=wait notify=x
        numjobs=1 numjobs=257 offset=1M offset=x output=o output=
        output-format=json output-format=normal output-format=x packed pid=1
        pid=x queue-size=32 queue-size=33 queue-size=99999 quiet ramp-time=1
        ramp-time=x randseed=1 rate-iops=1 rate-iops=0 runtime=1 runtime=1.5
        runtime=10s runtime=2m runtime=x rw=read rw=write rw=rw rw=randrw
        rw=x rwmixread=50 rwmixread=101 size=1M size=x threads=1 threads=65
        timeout=1 timeout=0 verify=pattern verify=x nothing help=1
        bs""".split()
    for word in bench:
        seeds.words(1, f"--{word}", "socket")
        seeds.words(1, f"--{word}", "--rw=randrw", "--verify=pattern", "s")
        seeds.words(1, f"--{word}", "--numjobs=4", "--threads=2", "--flood=8",
                    "--bs=1M", "--iodepth=64", "s")
    check = """format=text format=tap format=junit format=x help hostile list
        no-write only=a,b pid=1 pid=none pid=x restart-cmd=true timeout=1
        timeout=601 timeout=x nothing only""".split()
    for word in check:
        seeds.words(0, f"--{word}", "socket")
        seeds.words(0, f"--{word}")
    seeds.words(0, "a", "b")
    seeds.words(0, "-h")
    seeds.words(0, "-x", "s")
    for text in ("0", "1", "512", "1k", "1K", "1M", "1G", "1T", "1.5G", "1kB",
                 "1KiB", "-1", "+1", "", "k", "18446744073709551615",
                 "18446744073709551616", "16777216T", "0x10", "1 ", " 1",
                 "99999999999G", "1023", "1536", "1P", "1E", "1GG"):
        seeds.words(2, text)
    for magic in (b"QFI\xfb\0\0\0\1", b"QFI\xfb\0\0\0\3", b"KDMV", b"COWD",
                  b"# Disk DescriptorFile", b"vhdxfile", b"conectix",
                  b"QED\0", b"LUKS\xba\xbe", b"WithoutFreeSpace",
                  b"WithouFreSpacExt", b"Bochs Virtual HD Image", b"koly",
                  b"#!/bin/sh\n#V2.0 Format", b"\0" * 64 + b"\x7f\x10\xda\xbe",
                  b""):
        for size in (0, 3, 100, 511, 512, 513, 1024, 4096):
            for where in (0, 1):
                seeds.add("options", bytes([3, size & 255, size >> 8, where]) +
                          magic)
    seeds.add("options", bytes([3, 0, 16, 2]))


def qmp_seeds(seeds):
    """Clients in all tempers, options, configuration files"""
    commands = [
        '{"execute":"query-version"}', '{"execute":"unknown","id":[1,{}]}',
        '{"execute":"a","arguments":{"id":"x"},"id":7}',
        '{"execute":"a","arguments":{"id":"x","flag":false,"number":3,'
        '"size":512,"mode":"hard","any":[],"text":"t","inner":{"path":"p"}}}',
        '{"execute":"a","arguments":{"id":1}}',
        '{"execute":"a","arguments":{"id":"x","flag":"on"}}',
        '{"execute":"a","arguments":{"id":"x","number":2}}',
        '{"execute":"a","arguments":{"id":"x","number":-1}}',
        '{"execute":"a","arguments":{"id":"x","size":"1G"}}',
        '{"execute":"a","arguments":{"id":"x","mode":"soft"}}',
        '{"execute":"a","arguments":{"id":"x","inner":7}}',
        '{"execute":"a","arguments":{"id":"x","inner":{}}}',
        '{"execute":"a","arguments":{"id":"x","inner":{"path":"p",'
        '"refused":1}}}',
        '{"execute":"a","arguments":{"id":"x","y":1,"id2":"]\\"}"}}',
        '{"execute":"a","arguments":{"id":"\\u00e4\\ud83d\\ude00"}}',
        '{"execute":"qmp_capabilities"}',
        '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}',
        '{"execute":"a","execute":"b"}', '{"execute":1}', '{"exec":"a"}',
        '{"execute":"a","arguments":[]}', '[]', '[1,{"a":[]}]', '7', 'x\n',
        '"a"', '{]', '{"a":"\\', "{'a':1}", '{"a":\x01}', "\n\r\t ",
        "[" * 70, '{"a":' * 70, '{"execute":"' + "a" * 300 + '"}',
        '{"execute":"a","arguments":{"' + "b" * 300 + '":"\\u00e4"}}']
    for command, choice in itertools.product(commands, range(0, 32, 3)):
        text = list(command.encode())
        seeds.add("qmp", [2, choice | 12, 0xbf] + text)
        seeds.add("qmp", [2, choice, 0xbf] + text)
        pieces = []
        for at in range(0, len(text), 7):
            pieces += [0x87 if choice & 1 else 7] + text[at:at + 7]
        seeds.add("qmp", [2, choice & ~8 | 4] + pieces + [0xc0] + pieces)
    for one, two in itertools.product(commands, repeat=2):
        seeds.add("qmp", [2, 13, 0xff] + list((one + two).encode()))
        seeds.add("qmp", [2, 14, 0x40] + list((one + two).encode()))
    options = """id=x id=x,flag=on id=x,flag=no id=x,flag=y id=x,flag=maybe
        x,number=7 x,number=70001 x,number= x,number=7x x,number=-7
        x,size=1G x,size=1P x,mode=safe x,mode=hard x,mode=x
        x,inner.path=p x,inner=7 x,inner.path=p,inner.refused=on
        x,any.0=a,any.1=b x,any.0=a,any.2=b x,any.0.a=1,any.1.b=2 a,,b,text=t
        text=a,,b,id= a.b=1,a=2 a=1,a.b=2 a..b=1 .a=1 a.=1 =x ,
        a.b.c.d.e.f.g.h.i.j=1 id=x,text=\xff x,x x,y= id x=1,2
        {"id":"x","number":7} {"id":1} {"id":"x","flag":true} {} { [] {"a":
        """.split() + ["a" * 200 + "=1", "id=x," + "b=1," * 40]
    for option, choice in itertools.product(options, (0, 1)):
        seeds.add("qmp", [0, choice] + list(option.encode("latin-1")))
    heads = """[iothread_a] [blockdev_a] [export_a] [monitor_a] [daemon] [x_a]
        [export] [daemon_a] [] [export_a_b] [export_a;b] [export_a [ ]
        [_export___a_]_;_b [export_a]b [secret_a] [exp_a""".split()
    heads = [head.replace("_", " ") for head in heads]
    heads += ["[export " + "a" * nr + "]" for nr in (40, 42, 43, 60, 200)]
    lines = ["id=x", "x=1", "x = 1 ; c", "x.y=1", "x.0=a", "x", "=1", "  y=2",
             "x:1", "# c", "; c", "", "node-name=a", "file=a", "iothread=a",
             "any.0=a", "qom-type=a", "flag=on", "number=7", "x=\xff", "\0",
             "x=" + "1" * 190, "x=" + "1" * 200, "#" + "c" * 300, "a..b=1"]
    for head, line in itertools.product(heads, lines):
        for text in (f"{head}\n{line}\n", f"{line}\n{head}",
                     f"[blockdev a]\nx=1\r\n{head}\n{line}\n{line}\n",
                     f"\xef\xbb\xbf[export b]\nnode-name=a\n{head}\n{line}"):
            seeds.add("qmp", [1] + list(text.encode("latin-1")))


def main():
    seeds = Seeds(sys.argv[1])
    message_seeds(seeds)
    iotlb_seeds(seeds)
    failure_seeds(seeds)
    ring_seeds(seeds)
    death_seeds(seeds)
    inflight_seeds(seeds)
    option_seeds(seeds)
    qmp_seeds(seeds)


if __name__ == "__main__":
    main()
