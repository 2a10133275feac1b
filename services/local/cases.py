"""The cases that are not closed yet, as an operator sees them on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from contracts.case_v1 import CLOSED
from services.local.doors import Doors

Case = dict[str, Any]


def standing(doors: Doors, *, overdue: bool) -> list[Case]:
    """Cases that are not closed, the oldest due first, each with `overdue`; or only those that are overdue."""
    late = list(_listed(doors, overdue="true"))
    known = {case["id"] for case in late}
    cases = late if overdue else takewhile(lambda case: case["state"] not in CLOSED, _listed(doors))
    return [case | {"overdue": case["id"] in known} for case in cases]


def _listed(doors: Doors, **filters: str) -> Iterator[Case]:
    """All pages of review's list, closed cases last."""
    after: dict[str, str] = {}
    while True:
        answer = doors.call("review", "GET", "/v1/cases", key=doors.key("operator"), params=filters | after)
        page = answer.json()
        yield from page["items"]
        if page["next"] is None:
            return
        after = {"after": page["next"]}


def table(cases: list[Case]) -> Table:
    """One row a case: its codes, and the ids of the case and its order. Times are UTC, as in events and logs.

    Ids are whole and unbroken in 80 columns, so that they can be copied.
    """
    found = Table("due", Column("case, order or services", no_wrap=True), "state", "owner", box=SIMPLE_HEAD)
    for case in cases:
        due = Text(case["due_at"][:16].replace("T", "\n"), style="bold red" if case["overdue"] else "")
        of = case["order_id"] or ", ".join(case["services"])
        what = Text("\n").join(Text(each) for each in (", ".join(case["codes"]), case["id"], of) if each)
        found.add_row(due, what, case["state"].replace("_", " "), case["owner"] or "-")
    return found
