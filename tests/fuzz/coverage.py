# SPDX-License-Identifier: MIT
"""coverage - how much of the parsers the kept inputs reach

  coverage.py BUILD FUZZER...

BUILD was configured with -Db_coverage=true, by gcc. Runs each fuzzer on its
corpus and prints, as a table of Markdown, how many lines of each file in FILES
were executed by all of them together. It fails where all files have less than
AIM, or one has less than FLOOR.

Lines that no peer can reach stand in unreachable.txt, each with its reason; the
last column is without them. One that was executed after all, or that is not
there, fails.
"""
import collections
import glob
import json
import os
import subprocess
import sys

AIM = 95.0
FLOOR = 90.0

# What reads what a peer, a guest, a user or an image says.
FILES = (
    "lib/chain.c", "lib/dirty.c", "lib/handlers.c", "lib/inband_handlers.c",
    "lib/inflight.c", "lib/inflight_handlers.c", "lib/inflight_packed.c",
    "lib/inflight_split.c", "lib/iotlb.c", "lib/iotlb_handlers.c",
    "lib/log_handlers.c", "lib/memory.c", "lib/message.c", "lib/miss.c",
    "lib/object_handlers.c", "lib/objects.c", "lib/packed.c",
    "lib/postcopy_handlers.c", "lib/queue.c", "lib/ring.c", "lib/session.c",
    "lib/socket.c", "lib/split.c", "lib/state_handlers.c",
    "lib/status_handlers.c", "lib/tracker.c", "lib/transfer.c",
    "lib/vring_handlers.c", "server/blk_decode.c", "server/blk_queue.c",
    "server/virtio_blk.c", "server/drivers/fault_rule.c",
    "server/drivers/fault_values.c", "server/drivers/probe.c",
    "server/options.c",
    "server/options_rows.c", "server/run_command.c", "server/sizes.c",
    "server/config.c", "server/config_ini.c", "server/qmp/args.c",
    "server/qmp/call.c", "server/qmp/frame.c", "server/qmp/keyval.c",
    "server/qmp/session.c",
    "check/options.c", "bench/options.c", "bench/options_rows.c",
)


def counts(build):
  """{file: {line: times}} of all objects together."""
  lines = collections.defaultdict(lambda: collections.defaultdict(int))
  pattern = os.path.join(build, "**", "*.gcda")
  for path in glob.glob(pattern, recursive=True):
    out = subprocess.run(["gcov", "--json-format", "--stdout",
                          os.path.abspath(path)], cwd=build, check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for text in out.stdout.splitlines():
      for file in json.loads(text)["files"]:
        name = os.path.relpath(os.path.join(build, file["file"]))
        for line in file["lines"]:
          lines[name][line["line_number"]] += line["count"]
  return lines


def unreachable():
  """{file: {text of a line}}"""
  texts = collections.defaultdict(set)
  with open("tests/fuzz/unreachable.txt", encoding="utf-8") as rows:
    for row in rows:
      if row.startswith(("lib/", "server/")):
        name, text = row.rstrip("\n").split(": ", 1)
        texts[name].add(text.strip())
  return texts


def split_missing(name, lines, excused):
  """(lines that are to be reached and were not, those excused, faults)"""
  with open(name, encoding="utf-8") as source:
    text = dict(enumerate((line.strip() for line in source), 1))
  missing = [n for n in sorted(lines) if not lines[n]]
  out = [n for n in missing if text[n] in excused]
  useless = excused - {text[n] for n in out}
  faults = [f"{name}: not to be excused: {line}" for line in sorted(useless)]
  return [n for n in missing if n not in out], out, faults


def main():
  build, fuzzers = sys.argv[1], sys.argv[2:]
  for path in glob.glob(os.path.join(build, "**", "*.gcda"), recursive=True):
    os.unlink(path)
  for name in fuzzers:
    subprocess.run([f"{build}/tests/fuzz/fuzz-{name}",
                    f"tests/fuzz/corpus/{name}"], check=True,
                   stdout=subprocess.DEVNULL)
  lines = counts(build)
  excused = unreachable()
  faults = [f"{name}: is not looked at" for name in list(excused)
            if name not in FILES]
  print("| file | lines | executed | of those in reach |\n|---|---|---|---|")
  sums = [0, 0, 0]
  for name in FILES:
    missing, out, more = split_missing(name, lines[name], excused[name])
    nr = len(lines[name])
    done = nr - len(missing) - len(out)
    in_reach = 100.0 * done / max(nr - len(out), 1)
    print(f"| {name} | {nr} | {100.0 * done / max(nr, 1):.1f} % "
          f"| {in_reach:.1f} % |")
    faults += more
    sums = [a + b for a, b in zip(sums, (nr, done, len(out)))]
    if in_reach < FLOOR:
      faults.append(f"below {FLOOR:.0f} %: {name}, lines {missing}")
  nr, done, out = sums
  in_reach = 100.0 * done / max(nr - out, 1)
  print(f"| all | {nr} | {100.0 * done / max(nr, 1):.1f} % "
        f"| {in_reach:.1f} % |")
  if in_reach < AIM:
    faults.append(f"below {AIM:.0f} %: all together")
  for fault in faults:
    print(fault, file=sys.stderr)
  return 1 if faults else 0


if __name__ == "__main__":
  sys.exit(main())
