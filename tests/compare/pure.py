# SPDX-License-Identifier: MIT
"""pure - the parts of bench/compare that measure nothing"""
import json
import os
import signal
import subprocess
import sys
import tempfile

import tap
from comparing import (children, figures, idle, jobs, loads, plots, rounds,
                       servers, storage, table)

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                     "bench")
SECONDS = 60

SMALL = """
[contenders.fast]
server = "ringhost"
options = ["--threads=2"]
load = { numjobs = 8 }

[[job]]
name = "one"
title = "a job"
storage = "cache"
load = { rw = "randread", bs = "4k" }
contenders = ["fast", "qsd"]

[[series]]
name = "line"
title = "a curve"
storage = "null"
load = { rw = "randread", bs = "4k" }
over = "iodepth"
values = [1, 8]
contenders = ["ringhost"]

[[row]]
title = "a row"
best = "2 x"
targets = [
  { job = "one", server = "fast", peer = "qsd", metric = "iops", min = 2 },
  { job = "one", server = "fast", peer = "qsd", metric = "cpu", max = 0.5 },
]
"""


def small_file():
    return jobs.JobFile(SMALL, "small.toml")


def results_of(fast, qsd):
    """Results of the job "one": (iops, cpu) of each server and round."""
    measured = {
        name: [pair and {"iops": pair[0], "cpu": pair[1], "p99": 5}
               for pair in pairs]
        for name, pairs in (("fast", fast), ("qsd", qsd))}
    return figures.Results({}, {"one": figures.summarize(measured)})


def test_median_is_the_middle_and_leaves_out_what_is_unknown():
    assert figures.median([3, 1, 100]) == 3
    assert figures.median([1, None, 3]) == 2
    assert figures.median([None]) is None


def test_ratio_is_taken_round_by_round():
    # The machine was twice as fast in the second round, for both.
    measured = results_of([(10, 1), (20, 1), (30, 1)],
                          [(5, 2), (10, 2), (60, 2)])
    assert measured.ratio("one", "fast", "qsd", "iops") == 2
    assert measured.ratio("one", "fast", "qsd", "cpu") == 0.5
    assert measured.value("one", "fast", "iops") == 20


def test_round_that_failed_for_one_counts_for_neither_in_a_ratio():
    measured = results_of([(10, 1), None, (30, 1)], [(5, 2), (1, 2), (10, 2)])
    assert measured.ratio("one", "fast", "qsd", "iops") == 2.5


def test_ratio_to_nothing_is_unknown():
    assert figures.ratio(1, 0) is None
    assert figures.ratio(None, 2) is None
    measured = results_of([(10, 1)], [None])
    assert measured.ratio("one", "fast", "qsd", "iops") is None


def test_spread_is_the_distance_of_the_extremes():
    assert figures.spread([{"iops": 90}, {"iops": 100}, {"iops": 120}]) == 0.3
    assert figures.spread([{"wakeups": 0}]) is None


def test_numbers_keep_four_digits():
    assert figures.rounded(123456.0) == 123500
    assert figures.rounded(0.00123456) == 0.001235


def test_results_come_back_from_their_file():
    written = results_of([(10, 1)], [(5, 2)])
    written.about = {"cpu": "a"}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "results.json")
        written.write(path)
        with open(path, encoding="utf-8") as file:
            json.load(file)
        read = figures.Results.read(path)
    assert read.about == written.about and read.jobs == written.jobs


def test_order_rotates_from_round_to_round():
    names = ["a", "b", "c"]
    assert [rounds.order(names, number) for number in range(4)] == [
        ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_target_is_judged_with_the_digits_that_are_shown():
    target = jobs.Target("one", "fast", "iops", "qsd", min=2)
    assert table.verdict(target, 1.9999) == table.YES
    assert table.verdict(target, 1.99) == table.NO
    most = jobs.Target("one", "fast", "cpu", "qsd", max=0.5)
    assert table.verdict(most, 0.5) == table.YES
    assert table.verdict(most, 0.501) == table.NO
    assert table.verdict(most, None) == table.UNKNOWN


def test_row_is_reached_only_as_a_whole():
    assert table.row_verdict([table.YES, table.YES]) == table.YES
    assert table.row_verdict([table.YES, table.UNKNOWN]) == table.UNKNOWN
    assert table.row_verdict([table.UNKNOWN, table.NO]) == table.NO


def test_table_tells_target_measurement_and_verdict():
    text = table.targets_table(small_file().rows,
                               results_of([(10, 1)], [(5, 4)]))
    assert text.splitlines()[2] == (
        "| a row | 2 x | rate >= 2 x QSD, CPU <= 0.5 x QSD "
        "| rate 2 x, CPU 0.25 x | yes |")


def test_table_says_what_was_not_measured():
    text = table.targets_table(small_file().rows, figures.Results())
    assert text.endswith("| not measured |")


def test_table_of_jobs_has_a_line_for_each_server():
    text = table.jobs_table(small_file().jobs.values(),
                            results_of([(10, 1)], [(5, 4)]))
    assert text.splitlines()[2] == \
        "| a job | fast | 10 | 0 | 1 | ? | 5 | 2 | 0.25 | - | - |"
    assert len(text.splitlines()) == 4


def test_block_of_a_document_is_replaced_and_nothing_else():
    text = "a\n<!-- compare: x -->\nold\n<!-- compare: end -->\nb\n" \
           "<!-- compare: y -->\nkept\n<!-- compare: end -->\n"
    assert table.replace_block(text, "x", r"n\1w") == text.replace(
        "old", r"n\1w")
    tap.refuses(table.replace_block, text, "z", "new", word="'z'")


def test_job_file_gives_contenders_what_it_says():
    file = small_file()
    fast = file.contender("fast")
    load = jobs.load_of(file.jobs["one"], fast, 3)
    assert (fast.server, fast.options) == ("ringhost", ["--threads=2"])
    assert (load["numjobs"], load["runtime"], load["rw"]) == (8, 3, "randread")
    assert file.contender("qsd").server == "qsd"


def test_series_is_a_job_for_each_value():
    file = small_file()
    assert [name for name in file.jobs if name != "one"] == ["line-1",
                                                             "line-8"]
    assert file.jobs["line-8"].load["iodepth"] == 8
    assert (file.jobs["line-8"].series, file.jobs["line-8"].at) == ("line", 8)


def refuses_text(old, new, word):
    tap.refuses(jobs.JobFile, SMALL.replace(old, new, 1), "f.toml", word=word)


def test_job_file_with_a_word_that_means_nothing_is_refused():
    refuses_text('title = "a job"', 'titel = "a job"', "titel")
    refuses_text("[[row]]", "[[raw]]", "raw")


def test_job_file_without_a_word_that_is_needed_is_refused():
    refuses_text('title = "a job"\n', "", "'title' is missing")
    refuses_text("values = [1, 8]\n", "", "values")


def test_job_file_whose_parts_do_not_fit_is_refused():
    refuses_text('storage = "cache"', 'storage = "tape"', "tape")
    refuses_text('job = "one"', 'job = "two"', "two")
    refuses_text("[[job]]", "[[job]", "f.toml")
    refuses_text("min = 2", "min = 2, max = 3", "min or max")


def test_job_file_with_two_jobs_of_one_name_is_refused():
    job = SMALL[SMALL.index("[[job]]"):SMALL.index("[[series]]")]
    tap.refuses(jobs.JobFile, SMALL + job, "f.toml", word="two jobs")


def test_own_job_file_is_good_and_its_servers_are_known():
    file = jobs.JobFile.read(os.path.join(BENCH, "jobs.toml"))
    known = servers.Servers("ringhost", {})
    for job in file.jobs.values():
        for name in getattr(job, "contenders", []):
            assert known.knows(file.contender(name).server), name
    for row in file.rows:
        for target in row.targets:
            job = file.jobs[target.job]
            taking_part = getattr(job, "contenders", ["ringhost"])
            assert target.server in taking_part, row.title
            assert target.peer in [None] + list(taking_part), row.title


PLACE = {"socket": "/s", "image": "/i", "queues": 2}


def test_servers_are_told_whether_the_page_cache_is_theirs_to_use():
    direct = servers.ringhost_words("r", "disk", PLACE, [])
    cached = servers.ringhost_words("r", "cache", PLACE, ["--threads=2"])
    assert "--cache=none" in direct and "--cache=writeback" in cached
    assert "--threads=2" in cached
    assert "cache.direct=on" in " ".join(
        servers.qsd_words("qsd", "disk", PLACE))
    assert "cache.direct=off" in " ".join(
        servers.qsd_words("qsd", "shm", PLACE))
    assert "--direct=1" in loads.fio_words({}, "/i", False)
    assert "--direct=0" in loads.fio_words({}, "/i", True)


def test_server_by_command_line_gets_its_place():
    known = servers.Servers("ringhost", {"x": "x -s {socket} '{image}'"})
    assert known.words(jobs.Contender("x", "x"), "cache", PLACE) == [
        "x", "-s", "/s", "/i"]
    assert known.why_not(jobs.Contender("x", "x"), "null")
    assert not known.why_not(jobs.Contender("x", "x"), "disk")


def test_load_is_told_its_options():
    words = loads.bench_words("r", {"rw": "randread", "packed": True,
                                    "runtime": 0.2}, "/s", 7)
    assert words[:2] == ["r", "bench"] and words[-1] == "/s"
    for option in ("--rw=randread", "--packed", "--runtime=200ms", "--pid=7"):
        assert option in words, option


def bench_text(**changes):
    told = {"ringhost_bench": 1, "kicks_per_request": 0.5,
            "calls_per_request": 0.25, "load": {"cpu_usec_per_request": 1},
            "total": {"requests": 10, "errors": 0, "iops": 100.0,
                      "bytes_per_sec": 1.0, "latency_usec": {"p99": 9}},
            "server": {"cpu_usec_per_request": 2.5,
                       "syscalls_per_request": None}}
    return json.dumps({**told, **changes})


def test_figures_of_the_load_are_found():
    read = loads.parse_bench(bench_text())
    assert (read["iops"], read["p99"], read["cpu"]) == (100, 9, 2.5)
    assert read["syscalls"] is None
    assert loads.parse_bench(bench_text(server=None))["cpu"] is None


def test_load_that_says_something_else_is_refused():
    tap.refuses(loads.parse_bench, "no JSON", word="no JSON")
    tap.refuses(loads.parse_bench, "{}", word="total")
    tap.refuses(loads.parse_fio, "{}", word="jobs")


def test_figures_of_fio_are_found():
    side = {"total_ios": 1000, "iops": 500.0, "bw_bytes": 7,
            "lat_ns": {"mean": 2000, "percentile": {"99.000000": 3000}}}
    idle_side = {**side, "total_ios": 0}
    text = "fio: a note\n" + json.dumps({"jobs": [{
        "read": side, "write": idle_side, "error": 0}]})
    read = loads.parse_fio(text)
    assert (read["iops"], read["p99"], read["mean"]) == (500, 3, 2)


def test_cpu_time_of_children_counts():
    script = "python3 -c 'while True: pass' & wait"
    child = children.Child(["sh", "-c", script])
    try:
        assert children.wait_until(lambda: loads.cpu_seconds(child.pid) > 0.1,
                                   SECONDS), "no CPU time is seen"
        own = os.times()
        assert loads.cpu_seconds(os.getpid()) > 0.1 + 0.9 * own.user
    finally:
        child.kill()
    assert child.has_ended()


def test_disks_together_add_their_rates_and_share_their_costs():
    one = dict.fromkeys(loads.MEANS)
    slow = {**one, "iops": 100, "bytes_per_sec": 1, "errors": 0, "cpu": 4,
            "syscalls": None}
    fast = {**one, "iops": 300, "bytes_per_sec": 1, "errors": 0, "cpu": 8,
            "syscalls": 1}
    both = loads.together([slow, fast])
    assert (both["iops"], both["cpu"], both["syscalls"]) == (400, 7, None)


def test_sizes_are_read_as_fio_writes_them():
    assert storage.size_bytes("4k") == 4096
    assert storage.size_bytes(512) == 512
    tap.refuses(storage.size_bytes, "many", word="many")
    tap.refuses(storage.size_bytes, "1X", word="1X")


def test_child_is_known_when_an_interrupt_meets_its_start():
    class Interrupted(subprocess.Popen):
        def __init__(self, *words, **more):
            super().__init__(*words, **more)
            signal.raise_signal(signal.SIGINT)

    class Stranger:
        Popen = Interrupted
        DEVNULL = subprocess.DEVNULL

    before = children.subprocess
    children.subprocess = Stranger
    try:
        children.Child(["sleep", "600"])
        raise AssertionError("nothing was interrupted")
    except KeyboardInterrupt:
        pass
    finally:
        children.subprocess = before
    assert children.nr_alive() == 1
    children.kill_all()
    assert children.nr_alive() == 0


def test_threads_that_ran_are_noticed():
    before = {(1, "1"): (100, 5), (1, "2"): (7, 1)}
    assert idle.difference(before, dict(before)) == (0, 0)
    assert idle.difference(before, {(1, "1"): (150, 6), (1, "2"): (7, 1),
                                    (1, "3"): (9, 1)}) == (59, 2)
    assert idle.difference(before, {(1, "1"): (100, 5)}) == (0, 1)


def test_guest_memory_is_not_the_disks():
    text = ("7f0-7f1 r-xp 0 00:00 1 /usr/bin/x\nRss: 100 kB\nPss: 50 kB\n"
            "VmFlags: rd ex\n"
            "7f2-7f3 rw-s 0 00:01 2 /memfd:guest (deleted)\nRss: 900 kB\n"
            "Pss: 900 kB\n7f4-7f5 rw-p 0 00:00 0\nRss: 8 kB\nPss: 8 kB\n")
    assert idle.parse_smaps(text) == (58, 108)


def test_points_of_a_curve_are_those_that_were_measured():
    file = small_file()
    measured = figures.Results({}, {"line-8": figures.summarize(
        {"ringhost": [{"iops": 4.0, "mean": 2.0, "cpu": 1.0}]})})
    assert plots.points(file.jobs.values(), measured, "line", "ringhost",
                        ("iops", "mean")) == [[8, 4.0, 2.0]]
    assert plots.points(file.jobs.values(), measured, "line", "qsd",
                        ("iops",)) == []


if __name__ == "__main__":
    tap.main(sys.modules[__name__])
