# SPDX-License-Identifier: MIT
"""figures - medians, ratios, the file of results

One measurement is a dict of numbers, by name:

  iops, bytes_per_sec     what the front-end got
  p50, p90, p99, mean     latency, microseconds
  cpu                     CPU seconds of the server per million requests,
                          which is microseconds per request
  user, system            the parts of cpu
  syscalls, switches      system calls and context switches of the server
                          per request
  kicks, calls            notifications per request
  load_cpu                as cpu, of the load
  errors                  requests that failed
  spread                  (of medians) how far the rates of the rounds lie
                          apart, as a share of the median

None stands for what could not be measured. A ratio of two servers is the
median of the ratios of each round: both were measured within seconds.
"""
import json
import statistics

DIGITS = 4


def median(numbers):
    known = [number for number in numbers if number is not None]
    return statistics.median(known) if known else None


def ratio(one, other):
    if one is None or not other:
        return None
    return one / other


def rounded(number):
    """Four digits that count: more would claim what nobody measured."""
    if number is None or isinstance(number, int):
        return number
    return float(f"%.{DIGITS}g" % number)


def medians(rounds):
    """rounds: measurements of one server in one job."""
    names = sorted({name for one in rounds for name in one})
    return {name: rounded(median([one.get(name) for one in rounds]))
            for name in names}


def spread(rounds):
    """0.1: the slowest and the fastest round lie a tenth apart."""
    rates = [one["iops"] for one in rounds if one.get("iops")]
    if not rates:
        return None
    return rounded((max(rates) - min(rates)) / median(rates))


def median_ratio(rounds, peer_rounds, metric):
    """Both lists hold the measurements of the same rounds, None where one
    failed."""
    return rounded(median([
        ratio(one.get(metric), other.get(metric))
        for one, other in zip(rounds, peer_rounds) if one and other]))


def summarize(measured):
    """measured: {server: measurements by round} of one job."""
    result = {"medians": {}, "ratios": {}}
    for server, rounds in measured.items():
        good = [one for one in rounds if one]
        if not good:
            continue
        result["medians"][server] = {**medians(good), "spread": spread(good)}
        result["ratios"][server] = {
            peer: {metric: median_ratio(rounds, others, metric)
                   for metric in ("iops", "cpu", "p99")}
            for peer, others in measured.items()
            if peer != server and any(others)}
    return result


class Results:
    """The file of results: the newest of each job, whenever measured."""

    def __init__(self, about=None, jobs=None):
        self.about = about or {}
        self.jobs = jobs or {}

    @classmethod
    def read(cls, path):
        try:
            with open(path, encoding="utf-8") as file:
                stored = json.load(file)
        except FileNotFoundError:
            return cls()
        return cls(stored["about"], stored["jobs"])

    def write(self, path):
        lines = ['{"about": %s,' % json.dumps(self.about, sort_keys=True),
                 ' "jobs": {']
        names = sorted(self.jobs)
        for name in names:
            comma = "," if name != names[-1] else ""
            lines.append('  "%s": %s%s' % (
                name, json.dumps(self.jobs[name], sort_keys=True), comma))
        lines.append(" }}")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def value(self, job, server, metric):
        found = self.jobs.get(job, {}).get("medians", {}).get(server, {})
        return found.get(metric)

    def ratio(self, job, server, peer, metric):
        found = self.jobs.get(job, {}).get("ratios", {}).get(server, {})
        return found.get(peer, {}).get(metric)
