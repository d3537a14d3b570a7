# SPDX-License-Identifier: MIT
"""units - what starts an installed server fits the server and the manager

units.py RINGHOST BUILD_DIST: the program, and the folder with the files that
were made of dist/*.in.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "compare"))

import tap  # noqa: E402

RINGHOST, DIST = (os.path.abspath(word) for word in sys.argv[1:3])
DAEMON = "ringhost.service"
SUCCESSOR = "ringhost-successor.service"
ONE_DISK = "ringhost@.service"
SOCKET = "ringhost@.socket"

# systemd-analyze security: 100 is no protection at all, 0 the most.
MOST_EXPOSED = 10


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def values(text, key):
    """All values of a directive, in their order."""
    joined = text.replace("\\\n", " ")
    return re.findall(rf"^{key}=(.*)$", joined, re.M)


def command(text):
    return values(text, "ExecStart")[0].split()


def need_systemd():
    if not shutil.which("systemd-analyze"):
        raise tap.Skip("there is no systemd-analyze here")


def lay_out(folder):
    """The units with a program that is there; returns their paths."""
    placed = []
    for name, path in ((DAEMON, DIST), (SUCCESSOR, DIST), (ONE_DISK, DIST),
                       (SOCKET, os.path.join(ROOT, "dist"))):
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={RINGHOST}",
                      read(path, name), flags=re.M)
        target = os.path.join(folder, name.replace("@.", "@vm1."))
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        placed.append(target)
    return placed


def analyze(*words):
    return subprocess.run(["systemd-analyze", "--no-pager", *words],
                          capture_output=True, text=True, check=False)


def test_the_service_manager_finds_no_fault_with_the_units():
    need_systemd()
    with tempfile.TemporaryDirectory() as folder:
        done = analyze("verify", "--man=no", *lay_out(folder))
    complaints = [line for line in done.stderr.splitlines()
                  if "ringhost" in line]
    assert done.returncode == 0 and not complaints, done.stderr


def test_the_services_are_hardly_exposed():
    need_systemd()
    with tempfile.TemporaryDirectory() as folder:
        for path in lay_out(folder):
            if not path.endswith(".service"):
                continue
            done = analyze("security", "--offline=true",
                           f"--threshold={MOST_EXPOSED}", path)
            assert done.returncode == 0, done.stdout.splitlines()[-1]


def groups():
    """What systemd's names of system calls stand for."""
    found, current = {}, None
    for line in analyze("syscall-filter").stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = found.setdefault(word, [])
        elif word and not word.startswith("#") and current is not None:
            current.append(word)
    return found


def expand(name, known):
    if not name.startswith("@"):
        return {name}
    return set().union(*(expand(member, known)
                         for member in known.get(name, [])))


def allowed_calls(unit, known):
    allowed = set()
    for line in values(unit, "SystemCallFilter"):
        calls = set().union(*(expand(name, known)
                              for name in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def test_the_units_allow_each_call_that_a_confined_process_makes():
    need_systemd()
    known = groups()
    table = read(ROOT, "server", "sandbox_filter.c")
    calls = set(re.findall(r"\b(?:ANY|INT|OPENS|OPENS_INT)\((\w+)", table))
    calls -= {"name"}
    assert len(calls) > 90, calls
    for name in (DAEMON, ONE_DISK):
        missing = calls - allowed_calls(read(DIST, name), known)
        assert not missing, f"{name}: {sorted(missing)}"


def test_the_server_understands_the_command_of_each_unit():
    """Up to the image, which is not there."""
    for name, expected in ((DAEMON, "allow-path"), (ONE_DISK, "vm1.img")):
        words = [word.replace("%i", "vm1").replace("/var/lib", "/not-there")
                 for word in command(read(DIST, name))
                 if word != "$RINGHOST_OPTIONS"]
        done = subprocess.run([RINGHOST, *words[1:]], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode in (1, 2), done.stderr
        assert expected in done.stderr and "not an option" not in done.stderr, \
            done.stderr


def test_whichever_daemon_is_started_takes_the_others_place():
    assert read(DIST, SUCCESSOR) == read(DIST, DAEMON)
    words = command(read(DIST, DAEMON))
    taken = words[words.index("--take-over") + 1]
    assert taken.endswith(",required=off"), taken
    path = taken.split(",")[0]
    assert any(f"path={path}," in word for word in words), words


def test_the_socket_is_the_one_that_its_service_serves():
    socket, service = read(ROOT, "dist", SOCKET), read(DIST, ONE_DISK)
    assert values(socket, "ListenStream") == ["/run/ringhost/%i.sock"]
    assert "--socket-path" not in service and "--fd" not in service
    assert "ringhost@%i.socket" in values(service, "Requires")[0]


def test_user_and_directories_are_those_of_the_units():
    users = read(ROOT, "dist", "ringhost.sysusers")
    directories = read(ROOT, "dist", "ringhost.tmpfiles")
    for name in (DAEMON, ONE_DISK):
        unit = read(DIST, name)
        assert re.search(rf"^u {values(unit, 'User')[0]} ", users, re.M)
        for path in " ".join(values(unit, "ReadWritePaths")).split():
            assert re.search(rf"^d {path} \d+ ringhost ringhost ",
                             directories, re.M), path


def test_the_back_end_file_names_a_back_end():
    """As docs/interop/vhost-user.json of QEMU describes both."""
    backend = json.loads(read(DIST, "50-ringhost.json"))
    assert set(backend) == {"description", "type", "binary"}
    assert os.path.isabs(backend["binary"])
    assert os.path.basename(backend["binary"]) == os.path.basename(RINGHOST)
    done = subprocess.run([RINGHOST, "--print-capabilities"],
                          capture_output=True, text=True, check=True)
    capabilities = json.loads(done.stdout)
    assert capabilities["type"] == backend["type"] == "block"
    assert set(capabilities["features"]) == {"read-only", "blk-file"}


if __name__ == "__main__":
    sys.exit(tap.main(sys.modules[__name__]))
