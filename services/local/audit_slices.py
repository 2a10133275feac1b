"""What the audit reads, put aside in files by slice: what must be judged together lies in the same one.

Nearly every check is about one key of the topics (a subscription, or what has none: an offer, a customer, a case). So
records and rows are put aside by their key, and one slice at a time is judged: memory does not grow with what there is.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WHOLE = "whole"
"""The slice of the few things that have no key: they are judged as a whole, or belong to every slice."""
KEPT_IN_MEMORY = 4000
"""So many items wait until they are written."""


class Spool:
    """Puts aside what one reader reads; each reader has a name of its own, and so files of its own."""

    def __init__(self, folder: Path, slices: int, reader: str) -> None:
        self._folder, self._slices, self._reader = folder, slices, reader
        self._items: dict[int | str, list[tuple[str, Any]]] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()

    def add(self, key: bytes | None, what: str, item: Any) -> None:  # noqa: ANN401 - whatever `marshal` writes
        """Put something aside under its key; without one it is of the whole."""
        number = WHOLE if key is None else zlib.crc32(key) % self._slices
        self._items.setdefault(number, []).append((what, item))
        self._count += 1
        if self._count == KEPT_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        for number, items in self._items.items():
            written = marshal.dumps(items)
            with (self._folder / f"{number}.{self._reader}").open("ab") as file:
                file.write(len(written).to_bytes(8, "big") + written)
        self._items, self._count = {}, 0


def put_aside(folder: Path, number: int | str) -> Iterator[tuple[str, Any]]:
    """What was put aside for a slice: what it is, and itself; of each reader in the order in which it came."""
    for path in sorted(folder.glob(f"{number}.*")):
        with path.open("rb") as file:
            while size := file.read(8):
                yield from marshal.loads(file.read(int.from_bytes(size, "big")))  # noqa: S302 - we wrote it
