#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""completion - what bash offers behind the words of a command line

  completion.py RINGHOST COMPLETION

Sources the completion in bash and reads COMPREPLY, without a terminal.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

RINGHOST, COMPLETION = (os.path.abspath(path) for path in sys.argv[1:3])
COMMANDS = ("serve", "run", "daemon", "ctl", "check", "bench", "help")
CTL_COMMANDS = re.compile(r"^  ([a-z][a-z-]+)(?: |$)", re.M)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")

SCRIPT = """
compopt() { :; }
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ringhost
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""

results = []


def check(name, holds, why=""):
    results.append(holds)
    print(f"{'ok' if holds else 'not ok'} {len(results)} - {name}")
    if not holds:
        print(f"# {why}")


def offered(line, cwd=None):
    """The line as bash cuts it into words: = is one."""
    words = [word for part in line.split(" ")
             for word in re.split(r"(=)", part) if word or not part]
    shown = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", COMPLETION, RINGHOST]
        + words, stdout=subprocess.PIPE, cwd=cwd, timeout=60, check=True)
    return shown.stdout.decode().splitlines()


def help_of(*words):
    return subprocess.run([RINGHOST, *words, "--help"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def names(words):
    return {word.rstrip("=") for word in words}


def check_options(command):
    words = [command] if command in ("daemon", "check", "bench") else []
    told = set(OPTION.findall(help_of(*words)))
    there = names(offered(f"{command} --"))
    check(f"all options of {command} are offered", told <= there and told,
          f"missing: {told - there}")
    check(f"and no others of {command}", there <= told, there - told)


def check_ctl():
    told = set(CTL_COMMANDS.findall(help_of("ctl"))) - {"ringhost"}
    there = set(offered("ctl "))
    check("all commands of ctl are offered", told == there,
          f"help: {told}, offered: {there}")
    options = {option for command in there
               for option in names(offered(f"ctl {command} --"))}
    told = set(OPTION.findall(help_of("ctl")))
    check("all options of ctl are offered behind some command of it",
          told <= options, told - options)
    check("an option of another command is not offered",
          "--hard" not in names(offered("ctl add e --")))


class Daemon:
    """With two disks, one of which has a name that wants to be run."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = os.path.join(folder, "control")
        self.bad = "$(touch " + os.path.join(folder, "run") + ")"
        self.process = subprocess.Popen([
            RINGHOST, "daemon", "--object", "iothread,id=io-a",
            "--blockdev", "null-co,node-name=n"]
            + self.export("disk-a", "a") + self.export(self.bad, "b") + [
            "--chardev", f"socket,id=c,path={self.socket},server=on,wait=off",
            "--monitor", "chardev=c"], stdout=subprocess.DEVNULL)

    def export(self, name, path):
        return ["--export", json.dumps({
            "type": "vhost-user-blk", "id": name, "node-name": "n", "addr": {
                "type": "unix", "path": os.path.join(self.folder, path)}})]

    def __enter__(self):
        while subprocess.run([RINGHOST, "ctl", f"--socket={self.socket}",
                              "list"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL,
                             check=False).returncode:
            if self.process.poll() is not None:
                sys.exit("Bail out! the daemon has ended")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def check_offered(name, holds):
    """Who types does not wait for a daemon longer than two seconds, so one on
    a machine that stands still is asked again."""
    check(name, any(holds() for _ in range(20)))


def check_daemon():
    with tempfile.TemporaryDirectory() as folder, Daemon(folder) as daemon:
        start = f"ctl --socket={daemon.socket}"
        check_offered("the disks of the daemon are offered",
                      lambda: "disk-a" in offered(f"{start} show "))
        check_offered("those that begin so",
                      lambda: offered(f"{start} remove di") == ["disk-a"])
        check("in the place of an id only",
              offered(f"{start} show disk-a ") == [])
        check_offered("the name of a disk is quoted",
                      lambda: "\\$\\(touch" in
                      "\n".join(offered(f"{start} show ")))
        check("and not run",
              not os.path.exists(os.path.join(folder, "run")))
        check_offered("I/O threads are offered where they are wanted",
                      lambda: "io-a" in offered(f"{start} move disk-a "))
        for line in ("add x --iothread=io-", "add x --iothread io-"):
            check_offered("I/O threads are offered where they are wanted",
                          lambda line=line:
                          offered(f"{start} {line}") == ["io-a"])


def check_values():
    check("the words of an option are offered",
          offered("serve --cache=wr") == ["writeback", "writethrough"])
    check("and all of them at the =",
          offered("bench --notify=") == ["wait", "poll"])
    check("also behind a blank",
          offered("daemon --log-format ") == ["text", "json"]
          and offered("daemon --aio thr") == ["threads"])
    check("what is behind an option without a value is no value of it",
          offered("daemon --daemonize --me") == ["--metrics"])
    check("what can be made is offered",
          offered("daemon --object io") == ["iothread,id="]
          and "unix:" in offered("daemon --metrics "))
    check("limits are offered behind the disk",
          "bps-read-max=" in offered("ctl --socket=/none limit e bps-"))
    check("without a daemon nothing is", offered(
        "ctl --socket=/none show ") == [])
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "run"), "w", encoding="utf-8"):
            check("files are offered",
                  "run" in offered("serve --blk-file=r", cwd=folder)
                  and offered("daemon --take-over r", cwd=folder) == ["run"]
                  and offered("ctl doctor r", cwd=folder) == ["run"]
                  and offered("daemon --blockdev file,node-name=a,filename=r",
                              cwd=folder) == ["run"])


def main():
    check("the commands are offered", set(COMMANDS) <= set(offered("")))
    check("those that begin so", offered("da", cwd="/") == ["daemon"])
    for command in ("serve", "run", "daemon", "check", "bench"):
        check_options(command)
    check_ctl()
    check_values()
    check_daemon()
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


main()
