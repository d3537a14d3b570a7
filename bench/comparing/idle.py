# SPDX-License-Identifier: MIT
"""idle - many disks that nobody uses

Starts a server a disk, connects a front-end to each, has it read a number of
blocks if the job wants that, and looks what the servers do for some seconds.
The kernel counts for each thread the nanoseconds that it ran and how often it
was put on a CPU. A thread that was on none has made no system call.

  wakeups     how often a thread was put on a CPU, all disks together
  cpu_nsec    how long they ran
  memory_mib  memory of a disk: the PSS of its process, guest memory left out.
              Pages that processes share are divided by their number.
  rss_mib     the same as RSS, which counts such pages for each of them
"""
import os
import tempfile
import time

from . import Failure, frontend

IMAGE_BYTES = 64 << 20
SETTLE_SECONDS = 1


def parse_schedstat(text):
    """(nanoseconds, times on a CPU) of one thread."""
    ran, _, times = text.split()
    return int(ran), int(times)


def activity(pids):
    """{(pid, thread): (nanoseconds, times on a CPU)}"""
    found = {}
    for pid in pids:
        folder = f"/proc/{pid}/task"
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
                found[pid, thread] = parse_schedstat(file.read())
    return found


def difference(before, after):
    """(nanoseconds, times) between two looks; new threads count whole."""
    nsec, times = 0, 0
    for thread, (ran, on) in after.items():
        ran_before, on_before = before.get(thread, (0, 0))
        nsec += ran - ran_before
        times += on - on_before
    gone = len(set(before) - set(after))
    return nsec, times + gone


def parse_smaps(text):
    """(PSS, RSS) in KiB of all mappings but those of guest memory."""
    pss, rss, is_guest = 0, 0, False
    for line in text.splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            is_guest = any(word.startswith(f"/memfd:{frontend.NAME}")
                           for word in words[5:])
        elif words[0] == "Pss:" and not is_guest:
            pss += int(words[1])
        elif words[0] == "Rss:" and not is_guest:
            rss += int(words[1])
    return pss, rss


def memory(pids):
    """Mean PSS and RSS of a process, in MiB."""
    pss, rss = 0, 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
            one = parse_smaps(file.read())
        pss, rss = pss + one[0], rss + one[1]
    return pss / 1024 / len(pids), rss / 1024 / len(pids)


def observe(pids, seconds):
    try:
        before = activity(pids)
        time.sleep(seconds)
        nsec, wakeups = difference(before, activity(pids))
        pss, rss = memory(pids)
    except OSError as error:
        raise Failure("a server ended, or does not show what it does: "
                      f"{error}") from error
    return {"wakeups": wakeups, "cpu_nsec": nsec, "memory_mib": round(pss, 3),
            "rss_mib": round(rss, 3)}


def make_places(folder, nr_disks):
    places = []
    for number in range(nr_disks):
        image = os.path.join(folder, f"{number}.img")
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        places.append({"image": image, "queues": 1,
                       "socket": os.path.join(folder, f"{number}.sock")})
    return places


def measure(servers, contender, job):
    running, clients = [], []
    with tempfile.TemporaryDirectory(prefix="ringhost-idle-") as folder:
        places = make_places(folder, job.disks)
        try:
            for place in places:
                running.append(servers.start(contender, "cache", place))
                clients.append(frontend.FrontEnd(place["socket"]))
            for client in clients:
                for number in range(job.requests):
                    client.read(number % (IMAGE_BYTES // 4096))
            time.sleep(SETTLE_SECONDS)
            return observe([child.pid for child in running], job.seconds)
        finally:
            for client in clients:
                client.close()
            for child, place in zip(running, places):
                servers.stop(child, place)
