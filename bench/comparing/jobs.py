# SPDX-License-Identifier: MIT
"""jobs - jobs.toml read and checked: what is measured, and the targets

The file itself tells what may stand in it. A word that it may not hold, or
one that is missing, is a Failure that names the place.
"""
import dataclasses
import tomllib

from . import Failure, storage

LOAD_DEFAULTS = {"numjobs": 1, "iodepth": 32}
DEFAULT_SIZE = "1G"


@dataclasses.dataclass(frozen=True)
class Contender:
    """Who is measured: a server, with what it is given."""
    name: str
    server: str
    options: tuple = ()
    load: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Job:
    name: str
    title: str
    storage: str
    load: dict
    contenders: list  # of names
    disks: int = 1
    options: tuple = ()
    smoke: bool = False
    size: str = DEFAULT_SIZE
    series: str = None  # of which this job is a point
    at: int = None      # and where on its axis


@dataclasses.dataclass(frozen=True)
class Idle:
    name: str
    title: str
    disks: int
    seconds: float
    options: tuple = ()
    requests: int = 0
    smoke: bool = False


@dataclasses.dataclass(frozen=True)
class Target:
    job: str
    server: str
    metric: str
    peer: str = None
    min: float = None
    max: float = None


@dataclasses.dataclass(frozen=True)
class Row:
    title: str
    targets: list
    best: str = "-"


def make(kind, words, place):
    """An object of a dataclass from a table of the file."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for word in words:
        if word not in fields:
            raise Failure(f"{place}: '{word}' has no meaning here")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and \
                field.default_factory is dataclasses.MISSING \
                and name not in words:
            raise Failure(f"{place}: '{name}' is missing")
    return kind(**words)


class JobFile:
    """All that a file names, by name and in its order."""

    def __init__(self, text, path):
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Failure(f"{path}: {error}") from error
        self._path = path
        self._contenders = tables.pop("contenders", {})
        self.jobs = {}
        self.rows = []
        for words in tables.pop("job", []):
            self._add(self._job(words))
        for words in tables.pop("series", []):
            for point in self._points(words):
                self._add(self._job(point))
        for words in tables.pop("idle", []):
            self._add(make(Idle, words, self._place(words)))
        for words in tables.pop("row", []):
            self.rows.append(self._row(words))
        for name in tables:
            raise Failure(f"{path}: '{name}' has no meaning here")

    @classmethod
    def read(cls, path):
        try:
            with open(path, encoding="utf-8") as file:
                return cls(file.read(), path)
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}") \
                from error

    def contender(self, name):
        words = dict(self._contenders.get(name, {"server": name}))
        return make(Contender, {"name": name, **words},
                    f"{self._path}: contender {name}")

    def _place(self, words):
        return f"{self._path}: {words.get('name') or words.get('title')}"

    def _add(self, job):
        if job.name in self.jobs:
            raise Failure(f"{self._path}: two jobs are called {job.name}")
        self.jobs[job.name] = job

    def _job(self, words):
        job = make(Job, words, self._place(words))
        if job.storage not in storage.KINDS:
            raise Failure(f"{self._place(words)}: '{job.storage}' is no "
                          f"storage: {', '.join(storage.KINDS)}")
        return job

    def _points(self, words):
        words = dict(words)
        try:
            over, values = words.pop("over"), words.pop("values")
        except KeyError as error:
            raise Failure(f"{self._place(words)}: {error} is missing") \
                from error
        name = words.get("name")
        for value in values:
            point = dict(words, name=f"{name}-{value}", series=name, at=value)
            if over == "disks":
                point["disks"] = value
            else:
                point["load"] = {**words.get("load", {}), over: value}
            yield point

    def _row(self, words):
        place = self._place(words)
        row = make(Row, words, place)
        targets = [make(Target, target, place) for target in row.targets]
        for target in targets:
            if target.job not in self.jobs:
                raise Failure(f"{place}: there is no job '{target.job}'")
            if (target.min is None) == (target.max is None):
                raise Failure(f"{place}: a target has either min or max")
        return dataclasses.replace(row, targets=targets)


def load_of(job, contender, runtime):
    """What `ringhost bench` is told for this contender."""
    load = {**LOAD_DEFAULTS, "size": job.size, **job.load, **contender.load}
    if job.storage == "null":
        load["size"] = "1G"
    return {**load, "runtime": runtime}


def with_options(contender, options):
    """The contender, given the options of a job after its own."""
    return dataclasses.replace(
        contender, options=tuple(contender.options) + tuple(options))
