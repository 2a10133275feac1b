"""Files of orders as partners keep them: CSV or NDJSON in, and out a line per order that tells what became of it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.chassis.faults import Fault
from services.chassis.ids import sha256

KINDS = (".csv", ".ndjson")
DELIMITERS = ",;\t"
NUMBERS = ("amount", "months")
LISTS = ("removals",)
COLUMNS = ("line", "partner_reference", "order_id", "state", "faults", "fingerprint")


class OrderFileError(ValueError):
    """A file in which no orders can be found; the message says why."""


class BrokenLineError(ValueError):
    """A line that is no order; the others are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep what a partner is told of it."""
        super().__init__(detail)
        self.fault = Fault(pointer="", code=code, detail=detail)


@dataclass(frozen=True, slots=True)
class Line:
    """One order of a file: its line, what is sent for it, and what stands against sending it."""

    number: int
    body: dict[str, Any]
    faults: tuple[Fault, ...] = ()

    @property
    def reference(self) -> str:
        """The partner's own name of the order; empty where it is missing, which the door will say."""
        name = self.body.get("partner_reference")
        return name if isinstance(name, str) else ""

    @property
    def turn(self) -> str:
        """Lines with the same turn are sent one after the other, in their order: those of one subscription."""
        customer = self.body.get("customer")
        customer_id = customer.get("id") if isinstance(customer, dict) else None
        return str(self.body.get("subscription_id") or customer_id or self.reference)

    def content(self) -> bytes:
        """What is sent: the same order gives the same bytes, so that sending it again is known as a repeat."""
        return json.dumps(self.body, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class OrderFile:
    """The orders of a file, and how its table is written: between the cells of a CSV stands its delimiter."""

    path: Path
    lines: tuple[Line, ...]
    delimiter: str | None = None

    @property
    def results(self) -> Path:
        """Where the results of this file are kept, in its own format."""
        return self.path.with_suffix(f".result{self.path.suffix}")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one line. `fingerprint` is the order's and the key's with which it was sent."""

    line: int
    partner_reference: str
    order_id: str | None
    state: str | None
    faults: tuple[Fault, ...]
    fingerprint: str

    @property
    def taken(self) -> bool:
        """Whether there is an order."""
        return bool(self.order_id)


def fingerprint(line: Line, key: str) -> str:
    """Tell by this whether a line was sent already, as it is now and with this key."""
    return sha256(key.encode() + b"\n" + line.content())


def read(path: Path) -> OrderFile:
    """Read a file. Raises OSError, and OrderFileError where it is neither CSV with a header nor NDJSON."""
    if path.suffix.lower() not in KINDS:
        raise OrderFileError(f"{path}: orders are read from {' or '.join(KINDS)}")
    numbered = [*enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)]
    if path.suffix.lower() == ".ndjson":
        return OrderFile(path, tuple(_judged(_objects(numbered))))
    header, delimiter = _header(path, numbered[0][1])
    return OrderFile(path, tuple(_judged(_rows(numbered[1:], header, delimiter))), delimiter)


def _judged(lines: Iterator[Line]) -> Iterator[Line]:
    """Let a reference stand once: two orders cannot share one, and which would win is not left to chance."""
    seen: dict[str, int] = {}
    for line in lines:
        first = seen.setdefault(line.reference, line.number) if line.reference else line.number
        if first == line.number:
            yield line
        else:
            detail = f"line {first} has the same partner_reference"
            twice = Fault(pointer="/partner_reference", code="partner-reference.twice", detail=detail)
            yield Line(line.number, line.body, (*line.faults, twice))


def _objects(numbered: list[tuple[int, bytes]]) -> Iterator[Line]:
    for number, raw in numbered:
        if raw.strip():
            try:
                yield Line(number, _object(_text(raw)))
            except BrokenLineError as error:
                yield Line(number, {}, (error.fault,))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenLineError("json.invalid", f"this is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BrokenLineError("json.invalid", "this is not a JSON object")
    return found


def _header(path: Path, raw: bytes) -> tuple[list[str], str]:
    """Read the first line: which fields the columns are, and what stands between them."""
    try:
        text = _text(raw)
        delimiter = max(DELIMITERS, key=text.count)
        names = [each.strip() for each in _cells(text, delimiter)]
    except BrokenLineError as error:
        raise OrderFileError(f"{path}:1: {error}") from error
    if "partner_reference" not in names:
        raise OrderFileError(f"{path}:1: the first line names the columns, and partner_reference is one of them")
    twice = [name for name, count in Counter(names).items() if count > 1]
    above = [name for name in names if any(each.startswith(f"{name}.") for each in names)]
    if twice or above:
        raise OrderFileError(f"{path}:1: stands there twice: {', '.join(twice + above)}")
    return names, delimiter


def _rows(numbered: list[tuple[int, bytes]], names: list[str], delimiter: str) -> Iterator[Line]:
    """Read each line by itself, so that a quote that is not closed swallows no other order."""
    for number, raw in numbered:
        if not raw.strip(b" \r" + delimiter.encode()):
            continue
        try:
            yield Line(number, _order(names, _cells(_text(raw), delimiter)))
        except BrokenLineError as error:
            yield Line(number, {}, (error.fault,))


def _text(raw: bytes) -> str:
    try:
        return raw.decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        raise BrokenLineError("line.encoding", "this is not UTF-8 (in a spreadsheet: save as CSV UTF-8)") from error


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise BrokenLineError("csv.invalid", f"this is not CSV: {error}") from error


def _order(names: list[str], cells: list[str]) -> dict[str, Any]:
    """Make an order of cells: a dot in a column's name leads into an object, and an empty cell is no field."""
    if len(cells) != len(names):
        raise BrokenLineError("csv.cells", f"it has {len(cells)} cells, and the first line names {len(names)}")
    body: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        *above, last = name.split(".")
        if cell.strip():
            place = body
            for part in above:
                place = place.setdefault(part, {})
            place[last] = _value(last, cell.strip())
    return body


def _value(name: str, cell: str) -> Any:  # noqa: ANN401 - what JSON has for it
    if name in LISTS:
        return cell.split()
    return int(cell) if name in NUMBERS and re.fullmatch(r"[+-]?\d{1,15}", cell) else cell


class Results:
    """The results of a file: a line is written the moment that it is known, and in the end they are put in order.

    What an interrupted run wrote is read again, so that the next one goes on from there.
    """

    def __init__(self, orders: OrderFile) -> None:
        """Read what is there; a last line that was cut is left out."""
        self.path = orders.results
        self._delimiter = orders.delimiter
        self._written: dict[int, tuple[Result, str]] = {}
        known = self.path.read_text("utf-8") if self.path.exists() else ""
        for text in known.split("\n")[1 if self._delimiter else 0 : -1]:
            result = self._decoded(text)
            self._written[result.line] = result, text

    def taken(self, line: Line, key: str) -> Result | None:
        """What an earlier run wrote of a line of which there is an order, unless line or key changed since."""
        result, _ = self._written.get(line.number, (None, ""))
        same = result is not None and result.taken and result.fingerprint == fingerprint(line, key)
        return result if same else None

    def begin(self, lines: Iterator[int]) -> None:
        """Keep what was written of these lines and forget the rest."""
        self._written = {number: self._written[number] for number in lines}
        self.put_in_order()

    def keep(self, result: Result) -> None:
        """Write a result down."""
        text = self._encoded(result)
        self._written[result.line] = result, text
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def put_in_order(self) -> None:
        """Write the file anew, by line."""
        header = [self._joined(COLUMNS)] if self._delimiter else []
        texts = [*header, *(text for _, (_, text) in sorted(self._written.items()))]
        new = self.path.with_suffix(f"{self.path.suffix}.new")
        new.write_text("".join(f"{text}\n" for text in texts), "utf-8")
        new.replace(self.path)

    def _encoded(self, result: Result) -> str:
        values = {name: getattr(result, name) for name in COLUMNS}
        if self._delimiter is None:
            return json.dumps(values, ensure_ascii=False)
        told = " | ".join(said(each) for each in result.faults)
        return self._joined([*(values | {"faults": told}).values()])

    def _joined(self, cells: Any) -> str:  # noqa: ANN401 - whatever csv writes
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter or ",", lineterminator="").writerow(cells)
        return text.getvalue().replace("\r", " ").replace("\n", " ")

    def _decoded(self, text: str) -> Result:
        try:
            if self._delimiter is None:
                told = json.loads(text)
                return Result(**told | {"faults": tuple(told["faults"])})
            cells = _cells(text, self._delimiter)
            return Result(int(cells[0]), cells[1], cells[2], cells[3], (), cells[5])
        except (ValueError, TypeError, LookupError) as error:
            raise OrderFileError(f"{self.path} is not what this command writes: {error}") from error


def said(fault: Fault) -> str:
    """Say a fault on one line."""
    return f"{fault['detail']} ({fault['code']} at {fault['pointer'] or '/'})"
