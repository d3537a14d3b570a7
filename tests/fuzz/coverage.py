# SPDX-License-Identifier: MIT
"""coverage - how much of the parsers the kept inputs reach

  coverage.py BUILD FUZZER...

BUILD was configured with -Db_coverage=true, by gcc. Runs each fuzzer on its
corpus and prints, as a table of Markdown, how many lines of each file in FILES
were executed by all of them together.
"""
import collections
import glob
import json
import os
import subprocess
import sys

AIM = 95.0

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
    "server/virtio_blk.c", "server/drivers/probe.c", "server/options.c",
    "server/options_rows.c", "server/run_command.c", "server/sizes.c",
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


def main():
  build, fuzzers = sys.argv[1], sys.argv[2:]
  for path in glob.glob(os.path.join(build, "**", "*.gcda"), recursive=True):
    os.unlink(path)
  for name in fuzzers:
    subprocess.run([f"{build}/tests/fuzz/fuzz-{name}",
                    f"tests/fuzz/corpus/{name}"], check=True,
                   stdout=subprocess.DEVNULL)
  lines = counts(build)
  low = []
  print("| file | lines | executed |\n|---|---|---|")
  for name in FILES:
    nr = len(lines[name])
    done = sum(1 for times in lines[name].values() if times)
    percent = 100.0 * done / nr if nr else 0.0
    print(f"| {name} | {nr} | {percent:.1f} % |")
    if percent < AIM:
      low.append((name, sorted(n for n, times in lines[name].items()
                               if not times)))
  for name, missing in low:
    print(f"below {AIM:.0f} %: {name}, lines {missing}", file=sys.stderr)


if __name__ == "__main__":
  main()
