# SPDX-License-Identifier: MIT
"""whole - bench/compare run to its end, with jobs of no time

  whole.py RINGHOST

It measures ringhost alone, so that nothing else needs to be installed. The
figures mean nothing; that they come, and that nothing stays behind, does.
"""
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile

import tap
from comparing import children, servers

HERE = os.path.dirname(os.path.abspath(__file__))
COMPARE = os.path.join(HERE, "..", "..", "bench", "compare")
RINGHOST = os.path.abspath(sys.argv[1])
SECONDS = 120  # a hang guard: processes may take a minute to be gone
JOBS = """
[[job]]
name = "null"
title = "nothing, with ringhost"
storage = "null"
load = { rw = "randread", bs = "4k", iodepth = 8, numjobs = 2 }
contenders = ["ringhost"]

[[job]]
name = "stranger"
title = "a server that does not start"
storage = "null"
load = { rw = "randread", bs = "4k" }
contenders = ["ringhost"]

[[idle]]
name = "idle"
title = "two disks that were used"
disks = 2
requests = 50
seconds = 0.1

[[idle]]
name = "long"
title = "a disk for longer than the test"
disks = 1
seconds = 600
"""


class Run:
    """A folder with the jobs, and the command on it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ringhost-whole-")
        self.jobs = os.path.join(self._folder.name, "jobs.toml")
        self.output = os.path.join(self._folder.name, "output.json")
        self.images = os.path.join(self._folder.name, "images")
        self.environment = {**os.environ, "TMPDIR": self._folder.name}
        with open(self.jobs, "w", encoding="utf-8") as file:
            file.write(JOBS)

    def words(self, *more):
        return [COMPARE, f"--jobs-file={self.jobs}", f"--dir={self.images}",
                f"--ringhost={RINGHOST}", f"--output={self.output}",
                "--rounds=1", "--runtime=0.2", *more]

    def call(self, *more):
        return subprocess.run(self.words(*more), capture_output=True,
                              text=True, check=False, timeout=SECONDS,
                              env=self.environment)

    def sockets(self):
        return glob.glob(os.path.join(self._folder.name, "*", "*.sock"))

    def measured(self, job, server):
        with open(self.output, encoding="utf-8") as file:
            return json.load(file)["jobs"][job][server][0]


def needs_bench():
    if not servers.has_option(RINGHOST, " bench "):
        raise tap.Skip("this ringhost has no load generator")


def test_jobs_are_listed():
    done = Run().call("--list")
    assert done.returncode == 0, done.stderr
    assert "nothing, with ringhost" in done.stdout, done.stdout


def test_unknown_job_is_refused_with_a_sentence():
    done = Run().call("no-such-job")
    assert done.returncode == 1
    assert done.stderr == ("compare: there is no job 'no-such-job': --list "
                           "names them\n"), done.stderr


def test_one_job_is_measured_and_told():
    needs_bench()
    run = Run()
    done = run.call("null")
    assert done.returncode == 0, done.stderr
    assert run.measured("null", "ringhost")["iops"] > 0
    assert "nothing, with ringhost" in done.stdout, done.stdout


def test_server_that_does_not_start_is_told_with_its_words():
    needs_bench()
    done = Run().call("--server=bad=ls /no/such/{queues}", "stranger")
    assert done.returncode == 1
    assert "bad did not start" in done.stderr, done.stderr
    assert "/no/such/1" in done.stderr, done.stderr


def test_idle_disks_are_used_and_looked_at():
    run = Run()
    done = run.call("idle")
    assert done.returncode == 0, done.stderr
    idle = run.measured("idle", "ringhost")
    assert idle["memory_mib"] > 0 and idle["rss_mib"] > 0, idle
    assert "wakeups" in idle and "cpu_nsec" in idle, idle


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}")


def test_interrupt_leaves_neither_processes_nor_files():
    run = Run()
    command = subprocess.Popen(run.words("long"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL,
                               env=run.environment)
    try:
        assert children.wait_until(
            lambda: any(map(servers.is_listening, run.sockets())),
            SECONDS), "no server was started"
        started = children_of(command.pid)
        assert started
        command.send_signal(signal.SIGINT)
        assert command.wait(SECONDS) == 130
    finally:
        command.kill()
        command.wait()
    assert not [pid for pid in started if is_alive(pid)]
    assert not run.sockets()


if __name__ == "__main__":
    tap.main(sys.modules[__name__])
