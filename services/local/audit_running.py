"""Runs the audit of a stack: everything is read once and put aside slice by slice, then slice after slice is judged.

A large stack is read and judged by a process for each processor. What is in memory at any time is a slice for each of
them, every customer's contact, and what has no key: offers, reviewers, failed messages and jobs, undecided cases.
"""

from __future__ import annotations

import gc
import marshal
import multiprocessing
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from contracts.topics import PARTITIONS
from services.local.audit import CHECKS, WHOLE, Evidence, Finding, judge
from services.local.audit_reading import (
    RECORD,
    Aside,
    Learned,
    Raw,
    ends_of,
    read_database,
    read_network,
    read_partition,
)
from services.local.audit_slices import WHOLE as OF_THE_WHOLE
from services.local.audit_slices import put_aside
from services.local.evidence import People
from services.local.records import decoded

MESSAGES_A_SLICE = 4000
"""Some 40 MB while it is judged."""
SMALL = 20_000
"""Up to so many messages it takes longer to start processes than to read and judge everything in this one."""
OF_EVERY_SLICE = ("reviewers", "letters")
"""Rows of the whole that each slice needs."""

Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Is told what is done, how far, and of how much."""


@dataclass
class Report:
    """What an audit found, and how much it looked at."""

    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    orders: int = 0


def audit(description: dict[str, Any], progress: Progress = lambda *_: None) -> Report:
    """Audit a stack at rest, described as in its stack.json."""
    ends = ends_of(description["kafka"])
    messages = sum(end for of in ends.values() for end in of.values())
    with tempfile.TemporaryDirectory(prefix="asquoted-audit-") as folder, processes(messages) as run:
        aside = Aside(Path(folder), 1 + messages // MESSAGES_A_SLICE)
        readers: list[Callable[[], Learned]] = [
            partial(read_database, aside, name, each["database"]) for name, each in description["services"].items()
        ]
        readers.append(partial(read_network, aside, description["network"]["url"]))
        readers += [partial(read_partition, aside, description["kafka"], each, ends) for each in range(PARTITIONS)]
        _keep_people(aside.folder, list(run(readers, "reading", progress)))
        judges = [partial(judge_slice, aside.folder, each) for each in range(aside.slices)]
        reports = [judge_whole(aside.folder), *run(judges, "judging", progress)]
    findings = [each for report in reports for each in report.findings]
    order = list(CHECKS)
    return Report(
        sorted(findings, key=lambda each: order.index(each.check)),
        sum(each.records for each in reports),
        sum(each.orders for each in reports),
    )


def judge_slice(folder: Path, number: int) -> Report:
    """Judge one slice: all but what needs the whole."""
    evidence = _evidence(folder, number)
    whole = _whole(folder)
    evidence.offers, evidence.people = whole.records, _people(folder)
    for name in OF_EVERY_SLICE:
        setattr(evidence, name, getattr(whole, name))
    findings = judge(evidence, [each for each in CHECKS if each not in WHOLE])
    return Report(findings, len(evidence.records), len(evidence.orders))


def judge_whole(folder: Path) -> Report:
    """Judge what has no key."""
    return Report(judge(_whole(folder), WHOLE))


@lru_cache(maxsize=1)
def _whole(folder: Path) -> Evidence:
    return _evidence(folder, OF_THE_WHOLE)


def _evidence(folder: Path, number: int | str) -> Evidence:
    found: dict[str, Any] = defaultdict(list)
    for what, item in put_aside(folder, number):
        found[what].append(decoded(Raw(*item)) if what == RECORD else dict(zip(*item, strict=True)))
    return Evidence(**found)


def _keep_people(folder: Path, learned: Sequence[Learned]) -> None:
    """Keep what is personal where each process finds it."""
    people = People.of(
        set().union(*(each.contacts for each in learned)), set().union(*(each.numbers for each in learned))
    )
    (folder / "people").write_bytes(marshal.dumps((people.texts, people.addresses)))


@lru_cache(maxsize=1)
def _people(folder: Path) -> People:
    return People(*marshal.loads((folder / "people").read_bytes()))  # noqa: S302 - we wrote it


@contextmanager
def processes(messages: int) -> Iterator[Callable[[Sequence[Callable[[], Result]], str, Progress], Iterator[Result]]]:
    """What does a number of things: one after another, or where there is much to do, as many at once as it can."""
    if messages <= SMALL:
        yield _one_after_another
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, initializer=_begin) as pool:

        def at_once(tasks: Sequence[Callable[[], Result]], what: str, progress: Progress) -> Iterator[Result]:
            waiting: list[Future[Result]] = [pool.submit(_tidily, task) for task in tasks]
            for number, each in enumerate(as_completed(waiting), start=1):
                progress(what, number, len(tasks))
                yield each.result()

        try:
            yield at_once
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one_after_another(tasks: Sequence[Callable[[], Result]], what: str, progress: Progress) -> Iterator[Result]:
    for number, task in enumerate(tasks, start=1):
        progress(what, number, len(tasks))
        yield task()


def _begin() -> None:
    """Collect no garbage while a task is done: it would cost a third more."""
    gc.disable()
    gc.freeze()


def _tidily(task: Callable[[], Result]) -> Result:
    """Do something, and collect what it left once it is done."""
    try:
        return task()
    finally:
        gc.collect()
