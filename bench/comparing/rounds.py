# SPDX-License-Identifier: MIT
"""rounds - who is measured when, and what comes out

Within a job the contenders take turns, in an order that rotates: what the
machine does meanwhile hits all of them alike, and nobody is always first. Each
measurement has a server of its own, fresh, on an image in the state that its
storage is meant to be measured in.
"""
import os
import sys
import tempfile

from . import Failure, idle, jobs, loads, servers


def order(names, number):
    """Round 0: A B C, round 1: B C A, round 2: C A B, ..."""
    at = number % len(names)
    return names[at:] + names[:at]


def say(text):
    print(text, file=sys.stderr, flush=True)


def told(measurement):
    parts = [f"{measurement['iops']:.0f} IOPS"]
    for name, word in (("cpu", "us CPU a request"), ("p99", "us p99")):
        if measurement.get(name) is not None:
            parts.append(f"{measurement[name]:.3g} {word}")
    return ", ".join(parts)


class Rounds:
    """Measures jobs, one after the other."""

    def __init__(self, job_file, known_servers, images, arguments):
        self._file = job_file
        self._servers = known_servers
        self._images = images
        self._bench = arguments.bench
        self._rounds = arguments.rounds
        self._runtime = arguments.runtime
        self._more = arguments.more_servers
        self.failures = 0

    def measure(self, job):
        """Returns {contender: measurements by round, None for one failed}."""
        if isinstance(job, jobs.Idle):
            return self._measure_idle(job)
        contenders = self._contenders(job)
        measured = {name: [] for name in contenders}
        for number in range(self._rounds):
            for name in order(list(contenders), number):
                result = self._try(job, contenders[name])
                measured[name].append(result)
                if result:
                    say(f"  {job.name} {number + 1}/{self._rounds} {name}: "
                        f"{told(result)}")
        return measured

    def _contenders(self, job):
        wanted = [self._file.contender(name)
                  for name in list(job.contenders) + self._more]
        known = {}
        for contender in wanted:
            if not self._servers.knows(contender.server):
                raise Failure(f"{job.name}: nobody said how to start "
                              f"'{contender.server}': --server="
                              f"'{contender.server}=COMMAND'")
            if contender.server == "ringhost":
                contender = jobs.with_options(contender, job.options)
            why = self._servers.why_not(contender, job.storage)
            if why:
                say(f"  {job.name}: without {contender.name}: {why}")
            else:
                known[contender.name] = contender
        if not known:
            raise Failure(f"{job.name}: nobody can take part")
        return known

    def _try(self, job, contender):
        try:
            return self._once(job, contender)
        except Failure as failure:
            self.failures += 1
            say(f"compare: {job.name}, {contender.name}: {failure}")
            return None

    def _once(self, job, contender):
        load = jobs.load_of(job, contender, self._runtime)
        images = [self._images.path(job.storage, number, job.size)
                  for number in range(job.disks)]
        for image in images:
            self._images.prepare(job.storage, image)
        if contender.server == servers.DIRECT:
            result = loads.run_fio(load, images, job.storage)
        else:
            result = self._serve(job, contender, load, images)
        if "write" in load["rw"] or load["rw"].endswith("rw"):
            for image in images:
                self._images.settle(image)
        return result

    def _serve(self, job, contender, load, images):
        running = []
        with tempfile.TemporaryDirectory(prefix="ringhost-") as folder:
            places = [{"socket": os.path.join(folder, f"{number}.sock"),
                       "image": image, "queues": load["numjobs"]}
                      for number, image in enumerate(images)]
            try:
                for place in places:
                    running.append(self._servers.start(contender, job.storage,
                                                       place))
                return loads.run_bench(
                    self._bench, load,
                    [(place["socket"], child.pid)
                     for place, child in zip(places, running)])
            finally:
                for child, place in zip(running, places):
                    self._servers.stop(child, place)

    def _measure_idle(self, job):
        contender = jobs.with_options(self._file.contender("ringhost"),
                                      job.options)
        why = self._servers.why_not(contender, "disk")
        if why:
            say(f"  {job.name}: left out: {why}")
            return {}
        try:
            result = idle.measure(self._servers, contender, job)
        except Failure as failure:
            self.failures += 1
            say(f"compare: {job.name}: {failure}")
            return {}
        say(f"  {job.name}: " + ", ".join(
            f"{name} {value}" for name, value in result.items()))
        return {"ringhost": [result]}
