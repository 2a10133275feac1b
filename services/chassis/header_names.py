"""Lets records through whose header names are not UTF-8: aiokafka's consumer would stop on one, for all partitions.

Any client in C may write such a name. It is read with its odd bytes escaped, and the record is judged like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


def tolerate() -> None:
    """Make every consumer of this process read such records (aiokafka has no hook for it)."""
    fetcher.MemoryRecords = _Records


class _Records:
    """aiokafka's records of one fetch; each batch can be read a second time, slowly."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fast = MemoryRecords(data)
        self._taken = 0

    def size_in_bytes(self) -> int:
        return int(self._fast.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._fast.has_next())

    def next_batch(self) -> _Batch:
        number, self._taken = self._taken, self._taken + 1
        return _Batch(self._fast.next_batch(), lambda: _read_slowly(self._data, number))


class _Batch:
    """aiokafka's batch, but for what is done when it cannot be read."""

    def __init__(self, fast: Any, slowly: Callable[[], list[Any]]) -> None:  # noqa: ANN401 - aiokafka's compiled batch
        self._fast = fast
        self._slowly = slowly

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is there
        return getattr(self._fast, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._fast))
        except (UnicodeDecodeError, CorruptRecordException):
            return iter(self._slowly())


def _read_slowly(data: bytes, number: int) -> list[Any]:
    records = _MemoryRecordsPy(data)
    for _ in range(number):
        records._cache_next()  # noqa: SLF001 - it has no public way to the bytes of a batch
    batch = _DefaultRecordBatchPy(records._next_slice)  # noqa: SLF001
    batch._maybe_uncompress()  # noqa: SLF001
    batch._buffer = _Buffer(batch._buffer)  # noqa: SLF001
    return list(batch)


class _Buffer(bytes):
    """Bytes whose slices are names."""

    def __getitem__(self, where: Any) -> Any:  # noqa: ANN401 - as bytes has it
        found = super().__getitem__(where)
        return _Name(found) if isinstance(found, bytes) else found


class _Name(bytes):
    """Bytes that are decoded whatever they are."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        """Escape what is not in the encoding."""
        return super().decode(encoding, errors)
