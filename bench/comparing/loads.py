# SPDX-License-Identifier: MIT
"""loads - `ringhost bench` against servers, `fio` on the file itself

Each returns measurements as figures describes them. `ringhost bench` tells the
server's CPU time with its own figures. fio tells that of its own threads only,
not that of the kernel's which work for its ring, so its processes are looked
at while they are at work: without a server, load and work are one.
"""
import json
import os
import time

from . import Failure, children, storage

MORE_SECONDS = 30
FIO_TAKES = ("rw", "rwmixread", "bs", "iodepth", "numjobs", "runtime", "size",
             "rate_iops")
MEANS = ("cpu", "user", "system", "syscalls", "switches", "kicks", "calls",
         "load_cpu", "p50", "p90", "p99", "mean")


def as_option(value, name):
    return f"{round(value * 1000)}ms" if name == "runtime" else value


def bench_words(program, load, socket, pid):
    words = [program, "bench", "--output-format=json", "--quiet",
             f"--pid={pid}"]
    words += [f"--{name}" if value is True else
              f"--{name}={as_option(value, name)}"
              for name, value in load.items()]
    return words + [socket]


def fio_words(load, image, buffered):
    words = ["fio", "--name=direct", "--output-format=json",
             "--ioengine=io_uring", f"--filename={image}",
             f"--direct={0 if buffered else 1}", "--time_based",
             "--norandommap", "--randrepeat=0", "--invalidate=0",
             "--fallocate=none", "--group_reporting", "--lat_percentiles=1",
             "--clat_percentiles=0"]
    return words + [f"--{name}={as_option(load[name], name)}"
                    for name in FIO_TAKES if name in load]


def parse_bench(text):
    try:
        told = json.loads(text)
        total = told["total"]
        server = told.get("server") or {}
        latency = total.get("latency_usec") or {}
        return {
            "iops": total["iops"],
            "bytes_per_sec": total["bytes_per_sec"],
            "p50": latency.get("p50"), "p90": latency.get("p90"),
            "p99": latency.get("p99"), "mean": latency.get("mean"),
            "cpu": server.get("cpu_usec_per_request"),
            "user": server.get("user_usec_per_request"),
            "system": server.get("system_usec_per_request"),
            "syscalls": server.get("syscalls_per_request"),
            "switches": server.get("context_switches_per_request"),
            "kicks": told.get("kicks_per_request"),
            "calls": told.get("calls_per_request"),
            "load_cpu": (told.get("load") or {}).get("cpu_usec_per_request"),
            "errors": total["errors"],
        }
    except (ValueError, KeyError) as error:
        raise Failure("ringhost bench said what this script does not "
                      f"understand ({error!r}): {text[:200]!r}") from error


def parse_fio(text):
    try:
        job = json.loads(text[text.index("{"):])["jobs"][0]
        sides = [job[side] for side in ("read", "write")
                 if job[side]["total_ios"]]
        percentile = sides[0]["lat_ns"].get("percentile", {})
        return {
            "iops": sum(side["iops"] for side in sides),
            "bytes_per_sec": sum(side["bw_bytes"] for side in sides),
            "p50": usec(percentile.get("50.000000")),
            "p90": usec(percentile.get("90.000000")),
            "p99": usec(percentile.get("99.000000")),
            "mean": usec(sides[0]["lat_ns"]["mean"]),
            "errors": job["error"],
        }
    except (ValueError, KeyError, IndexError) as error:
        raise Failure("fio said what this script does not understand "
                      f"({error!r}): {text[:200]!r}") from error


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def cpu_seconds(pid):
    """CPU time of a process with all its threads, and of its children."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        cells = file.read().rpartition(")")[2].split()
    ticks = int(cells[11]) + int(cells[12])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(cpu_seconds_if_there,
                                                      children_of(pid)))


def cpu_seconds_if_there(pid):
    """The same of a child, which may have gone before it is looked at."""
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def cpu_share(running, runtime):
    """CPUs that fios occupy, seen over the middle of their time."""
    if not children.wait_until(
            lambda: all(child.has_ended() or children_of(child.pid)
                        for child in running), MORE_SECONDS):
        return None
    time.sleep(runtime * 0.2)
    try:
        start = time.monotonic()
        before = sum(cpu_seconds(child.pid) for child in running)
        time.sleep(runtime * 0.6)
        after = sum(cpu_seconds(child.pid) for child in running)
        return (after - before) / (time.monotonic() - start)
    except OSError:  # one has ended, and will say why
        return None


def usec(nanoseconds):
    return None if nanoseconds is None else nanoseconds / 1000


def together(measurements):
    """Several disks at once, as one: rates add up, costs are per request."""
    if len(measurements) == 1:
        return measurements[0]
    sums = {name: sum(one[name] for one in measurements)
            for name in ("iops", "bytes_per_sec", "errors")}
    for name in MEANS:
        known = [one for one in measurements if one.get(name) is not None]
        weight = sum(one["iops"] for one in known)
        sums[name] = sum(one[name] * one["iops"] for one in known) / weight \
            if len(known) == len(measurements) and weight else None
    return sums


def collect(running, parse, seconds):
    """Waits for all loads; returns what they measured, as one."""
    measurements = []
    for child in running:
        status = child.wait(seconds + MORE_SECONDS)
        if status != 0:
            raise Failure(f"the load failed with status {status}"
                          f"{child.complaint()}")
        measurements.append(parse(child.output()))
    result = together(measurements)
    if result["errors"]:
        raise Failure(f"{result['errors']} requests failed")
    return result


def run_bench(program, load, disks):
    """disks: (socket, pid) of each server."""
    running = [children.Child(bench_words(program, load, socket, pid))
               for socket, pid in disks]
    return collect(running, parse_bench, load["runtime"])


def run_fio(load, images, kind):
    buffered = storage.is_buffered(kind)
    running = [children.Child(fio_words(load, image, buffered))
               for image in images]
    share = cpu_share(running, load["runtime"])
    result = collect(running, parse_fio, load["runtime"])
    if share and result["iops"]:
        result["cpu"] = share / result["iops"] * 1e6
    return {name: value for name, value in result.items()
            if value is not None}
