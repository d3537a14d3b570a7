# SPDX-License-Identifier: MIT
"""cli - the command line, and the order of things"""
import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

from . import (Failure, children, figures, jobs, plots, rounds, servers,
               storage, table)

HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
ROOT = os.path.dirname(HERE)
JOBS = os.path.join(HERE, "jobs.toml")
RESULTS = os.path.join(HERE, "results.json")
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
PICTURES = os.path.join(ROOT, "docs", "performance")
RUNTIME = 2.0
ROUNDS = 5
SMOKE_RUNTIME = 1.5
SMOKE_ROUNDS = 3


def parse(words):
    parser = argparse.ArgumentParser(
        prog="bench/compare", allow_abbrev=False,
        description="Measures vhost-user-blk servers side by side and prints "
                    "medians and ratios. Measures every job of "
                    "bench/jobs.toml when none is named.")
    add = parser.add_argument
    add("jobs", nargs="*", metavar="JOB",
        help="a job, or a series of jobs: see --list")
    add("--list", action="store_true", help="name the jobs and end")
    add("--smoke", action="store_true",
        help=f"the few jobs that are marked so, {SMOKE_ROUNDS} short rounds")
    add("--rounds", type=int, help=f"how many (default: {ROUNDS})")
    add("--runtime", type=float, metavar="SEC",
        help=f"of each measurement (default: {RUNTIME:g})")
    add("--ringhost", default=os.path.join(ROOT, "build", "ringhost"),
        metavar="PROGRAM", help="the server (default: build/ringhost)")
    add("--bench", metavar="PROGRAM",
        help="the ringhost whose 'bench' is the load (default: the server)")
    add("--server", action="append", default=[], metavar="NAME=COMMAND",
        help="measure this server too, in every job; the command line has "
             "{socket}, {image} and {queues} where these belong")
    add("--peer", action="append", default=[], metavar="NAME",
        help="measure a known server too, in every job: "
             + ", ".join(servers.QSD))
    add("--jobs-file", default=JOBS, metavar="FILE",
        help="other jobs and targets (default: bench/jobs.toml)")
    add("--dir", help="keep the images of disk and cache there, for the next "
                      "time (default: below /var/tmp, removed at the end)")
    add("--output", metavar="FILE", help="every single measurement, as JSON")
    add("--results", metavar="FILE",
        help="put the medians into this file, beside those of jobs that are "
             "not measured now")
    add("--write-docs", action="store_true",
        help="put the medians into bench/results.json, and write the tables "
             "and pictures of docs/performance.md anew")
    add("--docs-only", action="store_true",
        help="the same, but measure nothing")
    arguments = parser.parse_args(words)
    complete(arguments)
    return arguments


def complete(arguments):
    smoke = arguments.smoke
    arguments.rounds = arguments.rounds or (SMOKE_ROUNDS if smoke else ROUNDS)
    arguments.runtime = arguments.runtime or (
        SMOKE_RUNTIME if smoke else RUNTIME)
    arguments.bench = arguments.bench or arguments.ringhost
    arguments.others = {}
    for text in arguments.server:
        name, equals, command = text.partition("=")
        if not equals or not name or not command:
            raise Failure(f"--server={text}: write NAME=COMMAND")
        arguments.others[name] = command
    arguments.more_servers = arguments.peer + list(arguments.others)
    if arguments.write_docs or arguments.docs_only:
        arguments.results = arguments.results or RESULTS


def selected(job_file, arguments):
    """The jobs that the command line asks for."""
    if not arguments.jobs:
        return [job for job in job_file.jobs.values()
                if job.smoke or not arguments.smoke]
    chosen = []
    for name in arguments.jobs:
        found = [job for job in job_file.jobs.values()
                 if name in (job.name, getattr(job, "series", None))]
        if not found:
            raise Failure(f"there is no job '{name}': --list names them")
        chosen += found
    return chosen


def first_line(words):
    try:
        said = subprocess.run(words, capture_output=True, text=True,
                              check=False, timeout=10).stdout
    except OSError:
        return None
    return said.splitlines()[0] if said else None


def about(arguments):
    """The machine and the programs, for who reads the results."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
    return {
        "cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE")
                            * os.sysconf("SC_PHYS_PAGES") / (1 << 30)),
        "ringhost": first_line([arguments.ringhost, "--version"]),
        "qsd": first_line(["qemu-storage-daemon", "--version"]),
        "fio": first_line(["fio", "--version"]),
        "date": time.strftime("%Y-%m-%d"),
    }


def check_programs(arguments, chosen):
    """Says what is missing before anything is measured."""
    if not os.access(arguments.ringhost, os.X_OK):
        raise Failure(f"there is no {arguments.ringhost}: build it, or name "
                      "another one with --ringhost=PROGRAM")
    has_load = any(isinstance(job, jobs.Job) for job in chosen)
    if has_load and not servers.has_option(arguments.bench, " bench "):
        raise Failure(f"{arguments.bench} has no 'bench': name a ringhost "
                      "that has one with --bench=PROGRAM")
    wanted = {name for job in chosen for name in getattr(job, "contenders", [])}
    wanted |= set(arguments.peer)
    if any(name in servers.QSD for name in wanted) \
            and not shutil.which("qemu-storage-daemon"):
        raise Failure("qemu-storage-daemon is missing: Debian has it in "
                      "qemu-system-common")
    if servers.DIRECT in wanted and not shutil.which("fio"):
        raise Failure("fio is missing: Debian has it in fio")


def write_documents(job_file, results):
    names = plots.write_all(list(job_file.jobs.values()), results, PICTURES)
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    for name, content in (
            ("targets", table.targets_table(job_file.rows, results)),
            ("jobs", table.jobs_table(job_file.jobs.values(), results)),
            ("cost", table.cost_table(job_file.jobs.values(), results)),
            ("machine", table.machine_text(results.about))):
        text = table.replace_block(text, name, content)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)
    rounds.say(f"compare: wrote {DOCUMENT}; pictures: {', '.join(names)}")


def write_output(path, arguments, everything):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"about": about(arguments), "rounds": arguments.rounds,
                   "runtime": arguments.runtime, "jobs": everything}, file,
                  indent=1)


def measure(job_file, chosen, arguments, results):
    """Returns the number of measurements that failed."""
    images = storage.Images(arguments.dir)
    known = servers.Servers(arguments.ringhost, arguments.others)
    running = rounds.Rounds(job_file, known, images, arguments)
    everything = {}
    try:
        for job in chosen:
            measured = running.measure(job)
            summary = figures.summarize(measured)
            if not summary["medians"]:
                continue
            everything[job.name] = measured
            summary["rounds"] = len(next(iter(measured.values())))
            results.jobs[job.name] = summary
            if isinstance(job, jobs.Job):
                print(table.job_text(job, results), flush=True)
            if arguments.results:
                results.write(arguments.results)
    finally:
        images.remove()
    print(table.targets_text(job_file.rows, results, set(everything)),
          flush=True)
    if arguments.output:
        write_output(arguments.output, arguments, everything)
    return running.failures


def run(words):
    arguments = parse(words)
    job_file = jobs.JobFile.read(arguments.jobs_file)
    if arguments.list:
        for job in job_file.jobs.values():
            print(f"{job.name:<24}{job.title}")
        return 0
    results = figures.Results.read(arguments.results) if arguments.results \
        else figures.Results()
    failures = 0
    if not arguments.docs_only:
        chosen = selected(job_file, arguments)
        check_programs(arguments, chosen)
        results.about = about(arguments)
        failures = measure(job_file, chosen, arguments, results)
    if arguments.write_docs or arguments.docs_only:
        write_documents(job_file, results)
    return 1 if failures else 0


def end_on_signal(number, _frame):
    raise KeyboardInterrupt(number)


def main(words):
    signal.signal(signal.SIGTERM, end_on_signal)
    try:
        return run(words)
    except Failure as failure:
        print(f"compare: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("compare: interrupted", file=sys.stderr)
        return 130
    finally:
        children.kill_all()
