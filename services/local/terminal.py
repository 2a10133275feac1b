"""How the command `asquoted` speaks: what it prints, where, and the options that several of its commands share."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

console = Console()
errors = Console(stderr=True)

DATA = Path(".asquoted")
StackFile = Annotated[Path, typer.Option("--stack", help="stack.json of the running stack")]
DEFAULT_STACK_FILE = DATA / "stack.json"
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]


def line(where: Console, mark: str, text: str, *, style: str) -> None:
    """Print one line that is not wrapped, and in which nothing is taken for markup."""
    where.print(Text(mark, style=style) + Text(text, style="default"), soft_wrap=True, highlight=False)


def print_json(value: object) -> None:
    """Print for programs: no colours, no wrapping."""
    typer.echo(json.dumps(value, indent=2))


def counted(number: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def misunderstood(text: str) -> typer.Exit:
    """Say what was not understood; to be raised."""
    line(errors, "asquoted: ", text, style="red")
    return typer.Exit(2)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end a command like Ctrl-C does, so that all that was started is stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell's background job inherits that it is ignored.
    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        errors.print("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
