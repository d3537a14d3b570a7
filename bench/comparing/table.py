# SPDX-License-Identifier: MIT
"""table - targets judged, and the tables that people read

A value is judged as it is shown, with three digits. docs/performance.md has
places for what is written here, each between `<!-- compare: NAME -->` and
`<!-- compare: end -->`.
"""
import re

from . import Failure

PEERS = {"qsd": "QSD", "direct": "direct", "ringhost": "waiting",
         "one-queue": "one queue", "alone": "alone"}
METRICS = {
    "iops": "rate", "cpu": "CPU", "p99": "p99", "syscalls": "system calls",
    "wakeups": "wake-ups", "cpu_nsec": "CPU ns afterwards",
    "memory_mib": "MiB",
}
YES, NO, UNKNOWN = "yes", "no", "not measured"


def shown(value):
    if value is None:
        return "?"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def value_of(target, results):
    if target.peer:
        return results.ratio(target.job, target.server, target.peer,
                             target.metric)
    return results.value(target.job, target.server, target.metric)


def verdict(target, value):
    if value is None:
        return UNKNOWN
    as_shown = float(shown(value))
    if target.min is not None:
        return YES if as_shown >= target.min else NO
    return YES if as_shown <= target.max else NO


def row_verdict(verdicts):
    """A row is reached when all of it is."""
    for word in (NO, UNKNOWN):
        if word in verdicts:
            return word
    return YES


def target_text(target):
    word = METRICS.get(target.metric, target.metric)
    sign, limit = (">=", target.min) if target.min is not None \
        else ("<=", target.max)
    if target.peer:
        peer = PEERS.get(target.peer, target.peer)
        return f"{word} {sign} {limit:g} x {peer}"
    return f"{word} {sign} {limit:g}"


def measured_text(target, value):
    word = METRICS.get(target.metric, target.metric)
    if value is None:
        return f"{word} {UNKNOWN}"
    return f"{word} {shown(value)}{' x' if target.peer else ''}"


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |",
             "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def targets_table(rows, results):
    cells = []
    for row in rows:
        values = [value_of(target, results) for target in row.targets]
        cells.append([
            row.title, row.best,
            ", ".join(map(target_text, row.targets)),
            ", ".join(map(measured_text, row.targets, values)),
            row_verdict(list(map(verdict, row.targets, values)))])
    return markdown(["job", "best seen elsewhere", "target", "measured",
                     "reached"], cells)


def job_cells(name, results):
    """A list of cells for each server of one job."""
    for server, found in results.jobs[name]["medians"].items():
        ratios = results.jobs[name]["ratios"].get(server, {})
        cells = [server] + [shown(found.get(metric)) for metric in (
            "iops", "spread", "cpu", "p50", "p99")]
        for peer in ("qsd", "direct"):
            both = ratios.get(peer)
            cells += [shown(both[metric]) if both else "-"
                      for metric in ("iops", "cpu")]
        yield cells


JOB_HEADER = ["server", "requests/s", "spread", "CPU us", "p50 us", "p99 us",
              "x QSD", "CPU x QSD", "x direct",
              "CPU x direct"]


def is_shown(job, results):
    """Points of a curve are in the plots, idle disks in their row."""
    return job.name in results.jobs and not getattr(job, "series", None) \
        and hasattr(job, "storage")


def jobs_table(job_list, results):
    rows = [[job.title] + cells for job in job_list
            if is_shown(job, results)
            for cells in job_cells(job.name, results)]
    return markdown(["job"] + JOB_HEADER, rows)


COST_METRICS = ("cpu", "user", "system", "syscalls", "switches", "kicks",
                "calls")
COST_HEADER = ["job", "CPU us", "user", "system", "system calls",
               "context switches", "kicks", "calls"]


def cost_table(job_list, results):
    """What a request of ringhost costs, and on what it is spent."""
    rows = [[job.title] + [shown(results.value(job.name, "ringhost", metric))
                           for metric in COST_METRICS]
            for job in job_list if is_shown(job, results)
            and results.value(job.name, "ringhost", "cpu") is not None]
    return markdown(COST_HEADER, rows)


def plain(header, rows):
    """The same for a terminal."""
    widths = [max(len(row[at]) for row in [header] + rows)
              for at in range(len(header))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                         for at, (cell, width) in enumerate(zip(row, widths)))
        for row in [header] + rows)


def job_text(job, results):
    return f"{job.name}: {job.title}\n" + plain(
        JOB_HEADER, list(job_cells(job.name, results)))


def targets_text(rows, results, job_names):
    """The rows that the jobs just measured belong to."""
    lines = []
    for row in rows:
        if not any(target.job in job_names for target in row.targets):
            continue
        values = [value_of(target, results) for target in row.targets]
        word = row_verdict(list(map(verdict, row.targets, values)))
        lines.append("%-13s%s: %s (target: %s)" % (
            {YES: "reached", NO: "not reached"}.get(word, word), row.title,
            ", ".join(map(measured_text, row.targets, values)),
            ", ".join(map(target_text, row.targets))))
    return "\n".join(lines)


def replace_block(text, name, content):
    """A document with one block of it written anew."""
    pattern = re.compile(r"(<!-- compare: %s -->\n).*?(<!-- compare: end -->)"
                         % re.escape(name), re.S)
    if len(pattern.findall(text)) != 1:
        raise Failure(f"the document has no place, or more than one, for "
                      f"'{name}': a line <!-- compare: {name} --> and a line "
                      "<!-- compare: end --> after it")
    return pattern.sub(lambda match: match.group(1) + content + "\n"
                       + match.group(2), text)


def machine_text(about):
    return (f"{about.get('cpu')}, {about.get('cpus')} CPUs, "
            f"{about.get('memory_gib')} GiB, Linux {about.get('kernel')}; "
            f"{about.get('ringhost')}; {about.get('qsd')}; "
            f"{about.get('fio')}; {about.get('date')}.")
