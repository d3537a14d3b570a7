# SPDX-License-Identifier: MIT
"""plots - the pictures of docs/performance.md, through gnuplot

A picture is made of what the file of results has; one for which nothing was
measured yet is left out.
"""
import os
import subprocess

from . import Failure

COLOURS = {
    "ringhost": "#0b6e99", "ringhost-poll": "#6cc0e5", "qsd": "#e07b39",
    "qsd-main": "#f4b183", "qsd-native": "#b35c2e", "qsd-threads": "#8c6d5a",
    "direct": "#8a8a8a",
}
NAMES = {
    "ringhost": "ringhost", "ringhost-poll": "ringhost --poll-us",
    "qsd": "QSD, io_uring in an iothread",
    "qsd-main": "QSD, io_uring in the main thread",
    "qsd-native": "QSD, Linux AIO", "qsd-threads": "QSD, threads",
    "direct": "direct (fio, no server)",
}
BARS = ["ringhost", "ringhost-poll", "qsd", "qsd-native", "qsd-threads",
        "direct"]
GAP = 1.5  # between the bars of two jobs
HEAD = """set terminal svg size {size} noenhanced font 'sans-serif,13' \\
  background 'white'
set output '{path}'
set border 3 lc rgb '#555555'
set tics nomirror
set grid ytics lc rgb '#dddddd' lw 1
set key top left reverse Left samplen 1.5 spacing 1.2
"""


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def colour(server):
    return COLOURS.get(server, "#444444")


def points(job_list, results, series, server, metrics):
    """Rows of numbers: where on the axis, and the metrics there."""
    rows = []
    for job in job_list:
        if getattr(job, "series", None) != series:
            continue
        values = [results.value(job.name, server, metric)
                  for metric in metrics]
        if None not in values:
            rows.append([job.at] + values)
    return rows


def data_block(name, rows):
    body = "\n".join(" ".join(map(str, row)) for row in rows)
    return f"${name} << EOD\n{body}\nEOD\n"


def gnuplot(script):
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True,
                       capture_output=True)
    except FileNotFoundError as error:
        raise Failure("gnuplot is missing: install gnuplot-nox") from error
    except subprocess.CalledProcessError as error:
        raise Failure("gnuplot refuses a plot: "
                      + error.stderr.strip().replace("\n", " / ")) from error


def bar_groups(shown, servers, results, metric):
    """Places of the bars: ([(server, at, value)], [(job, middle)], end)."""
    found, middles, at = [], [], 0
    for job in shown:
        values = [(server, 1.0 if server == "qsd" else
                   results.ratio(job.name, server, "qsd", metric))
                  for server in servers]
        values = [(server, value) for server, value in values
                  if value is not None]
        middles.append((job.name, at + (len(values) - 1) / 2))
        for server, value in values:
            found.append((server, at, value))
            at += 1
        at += GAP
    return found, middles, at


def bar_limit(found):
    """Bars that are longer are cut off, and say how long they are."""
    return 1.3 * max([1.2] + [value for server, _, value in found
                              if server.startswith("ringhost")])


def bar_panel(title, groups, has_key):
    """One metric of all jobs; the peer's line is at 1."""
    found, middles, end = groups
    limit = bar_limit(found)
    tics = ", ".join(f"{quoted(name)} {middle}" for name, middle in middles)
    script, parts, labels = "", [], []
    for server in [name for name in BARS if name in {one[0] for one in found}]:
        rows = [[at, min(value, limit)] for name, at, value in found
                if name == server]
        block = "b" + server.replace("-", "_") + ("" if has_key else "2")
        script += data_block(block, rows)
        parts.append(f"${block} using 1:2 with boxes lc rgb "
                     f"'{colour(server)}' title "
                     f"{quoted(NAMES.get(server, server))}")
    for server, at, value in found:
        if server.startswith("ringhost") or value > limit:
            labels.append(f"set label {quoted('%.2g' % value)} at {at + 0.5},"
                          f"{min(value, limit)} right front offset 0,0.5 "
                          "font ',9'")
    return script + "unset label\n" + "\n".join(labels) + f"""
set title {quoted(title)}
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead \\
  lc rgb '#555555' dt 2 back
set xtics rotate by -25 scale 0 ({tics})
set xrange [-1:{end - GAP}]
set yrange [0:{limit * 1.06}]
{"set key outside top center horizontal" if has_key else "unset key"}
""" + "plot " + ", \\\n  ".join(parts) + "\n"


def bars(job_list, results, path):
    """Rates and CPU of all jobs, in units of QSD's."""
    shown = [job for job in job_list if not getattr(job, "series", None)
             and results.value(job.name, "qsd", "iops")]
    if not shown:
        return False
    script = HEAD.format(size="1100,900", path=path)
    script += """set style fill solid 1 noborder
set boxwidth 0.9
set ylabel 'times that of QSD'
set lmargin 9
set rmargin 6
set multiplot layout 2,1
"""
    script += bar_panel("Requests per second (more is better)",
                        bar_groups(shown, BARS, results, "iops"), True)
    script += bar_panel("CPU time per request (less is better)",
                        bar_groups(shown, BARS, results, "cpu"), False)
    gnuplot(script + "unset multiplot\n")
    return True


def curves(series, results, path, words):
    """series: {server: rows}; words: title, xlabel, ylabel, columns, extra."""
    known = {server: rows for server, rows in series.items() if rows}
    if not known:
        return False
    script = HEAD.format(size="800,480", path=path)
    for at, rows in enumerate(known.values()):
        script += data_block(f"d{at}", rows)
    script += f"set title {quoted(words['title'])}\n" \
              f"set xlabel {quoted(words['xlabel'])}\n" \
              f"set ylabel {quoted(words['ylabel'])}\n" + words["extra"] + "\n"
    parts = []
    for at, server in enumerate(known):
        style = f"lc rgb '{colour(server)}' lw 2 pt 7 ps 0.6"
        parts.append(f"$d{at} using {words['columns']} with linespoints "
                     f"{style} title {quoted(NAMES.get(server, server))}")
        if words.get("labels"):
            parts.append(f"$d{at} using {words['columns']}:1 with labels "
                         f"offset 1,-0.6 font ',10' tc rgb '{colour(server)}' "
                         "notitle")
    gnuplot(script + "plot " + ", \\\n  ".join(parts) + "\n")
    return True


def latency(job_list, results, storage, path):
    series = {server: points(job_list, results, f"latency-{storage}", server,
                             ("iops", "mean"))
              for server in ("ringhost", "qsd", "direct")}
    return curves(series, results, path, {
        "title": f"{storage}, 4k random read: latency against load "
                 "(numbers: requests under way)",
        "xlabel": "thousand requests per second",
        "ylabel": "mean latency, microseconds",
        "columns": "($2/1000):3",
        "extra": "set logscale y\nset xrange [0:*]\nset key outside bottom center horizontal",
        "labels": True,
    })


def cost(job_list, results, name, path):
    series = {server: points(job_list, results, name, server, ("cpu",))
              for server in ("ringhost", "qsd")}
    return curves(series, results, path, {
        "title": "cache, 4k random read: the server's CPU time per request "
                 f"against {name}",
        "xlabel": f"{name}, 8 requests under way in each",
        "ylabel": "microseconds of CPU per request",
        "columns": "1:2",
        "extra": "set logscale x 2\nset yrange [0:*]\nset key bottom left",
    })


def write_all(job_list, results, folder):
    """Returns the names of the pictures that were made."""
    os.makedirs(folder, exist_ok=True)
    makers = {
        "jobs": lambda path: bars(job_list, results, path),
        "latency-cache": lambda path: latency(job_list, results, "cache",
                                              path),
        "latency-disk": lambda path: latency(job_list, results, "disk", path),
        "queues": lambda path: cost(job_list, results, "queues", path),
        "disks": lambda path: cost(job_list, results, "disks", path),
    }
    return [name for name, make in makers.items()
            if make(os.path.join(folder, name + ".svg"))]
