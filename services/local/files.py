"""The commands that send a file to a door: `asquoted offers publish` and `asquoted orders submit`."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.local import clock, order_files
from services.local.doors import Doors
from services.local.order_files import OrderFile, OrderFileError, Result, Results
from services.local.submitting import Door, Submission, SubmissionError
from services.local.terminal import (
    DEFAULT_STACK_FILE,
    AsJson,
    StackFile,
    console,
    counted,
    errors,
    interruptible,
    line,
    misunderstood,
    print_json,
)

FAULTY_LINES_TOLD = 20

offers_app = typer.Typer(help="Publish offers.", no_args_is_help=True)
orders_app = typer.Typer(help="Send orders in bulk, as a partner.", no_args_is_help=True)


@offers_app.command("publish")
def offers_publish(
    file: Annotated[Path, typer.Argument(help="one offer, or `offers:` with a list of them")],
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Validate the offers of a YAML file and publish all or none; every fault is named with its line."""
    content, doors = _bytes(file), Doors.of(stack)
    headers, key = {"Content-Type": "application/yaml"}, doors.key("catalogue")
    answer = doors.call("catalogue", "POST", "/v1/offers", key=key, content=content, headers=headers, expect=(422,))
    told = answer.json()
    if as_json:
        print_json(told)
    elif answer.is_success:
        for each in told["published"]:
            line(console, "published ", f"{each['code']} v{each['version']}", style="green")
        for each in told["already_published"]:
            line(console, "was published already ", f"{each['code']} v{each['version']}", style="dim")
    else:
        for fault in told["errors"]:
            line(errors, f"{file}:{fault.get('line') or 1}: ", order_files.said(fault), style="red")
        line(errors, "", f"{counted(len(told['errors']), 'fault')}; nothing was published", style="red")
    if not answer.is_success:
        raise typer.Exit(1)


@orders_app.command("submit")
def orders_submit(
    file: Annotated[Path, typer.Argument(help=".csv with a first line of columns, or .ndjson: an order a line")],
    partner: Annotated[str | None, typer.Option(help="who sends them; otherwise the first of the stack's")] = None,
    at_once: Annotated[int, typer.Option(help="how many are sent at one time", min=1, max=64)] = 8,
    patience: Annotated[str, typer.Option(help="how long the door may be away before this gives up")] = "10m",
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Send a file of orders; again after an interruption it goes on, and nothing is ordered twice.

    A line that is faulty is named and stops no other. What became of each is in the result file beside FILE.
    """
    try:
        orders = order_files.read(file)
        results = Results(orders)
    except OSError as error:
        raise misunderstood(f"{file}: {error.strerror}") from error
    except OrderFileError as error:
        raise misunderstood(str(error)) from error
    door = _door(Doors.of(stack), partner, at_once, clock.duration(patience).total_seconds())
    told = _sent(orders, results, door)
    if as_json:
        print_json(_figures(orders, told))
    else:
        _tell(orders, told)
    if not all(each.taken for each in told) or len(told) < len(orders.lines):
        raise typer.Exit(1)


def _door(doors: Doors, partner: str | None, at_once: int, patience: float) -> Door:
    partners = doors.description["keys"]["partners"]
    name = partner or next(iter(partners))
    if name not in partners:
        raise misunderstood(f"there is no key of partner {name}; there are {', '.join(partners)}")
    return Door(doors.url("intake"), name, partners[name], at_once, patience)


def _sent(orders: OrderFile, results: Results, door: Door) -> list[Result]:
    """Send what is not sent yet; return what became of every line, or of those until an interruption."""
    known = {each.number: result for each in orders.lines if (result := results.taken(each, door.key))}
    results.begin(iter(known))
    told = [*known.values()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    watched = errors.is_terminal
    with Progress(*columns, console=errors, transient=True, disable=not watched) as progress, interruptible():
        bar = progress.add_task("sending", total=len(orders.lines), completed=len(known))

        def keep(result: Result) -> None:
            results.keep(result)
            told.append(result)
            progress.advance(bar)

        def wait(why: str) -> None:
            progress.update(bar, description=why or "sending")

        try:
            asyncio.run(Submission(door, keep, wait).send(each for each in orders.lines if each.number not in known))
        except SubmissionError as error:
            line(errors, "asquoted: ", str(error), style="red")
    results.put_in_order()
    return told


def _figures(orders: OrderFile, told: list[Result]) -> dict[str, object]:
    states = Counter(each.state for each in told if each.taken)
    return {
        "lines": len(orders.lines),
        "orders": dict(sorted(states.items(), key=str)),
        "refused": sorted(each.line for each in told if not each.taken),
        "not_sent": len(orders.lines) - len(told),
        "result": str(orders.results),
    }


def _tell(orders: OrderFile, told: list[Result]) -> None:
    refused = sorted((each for each in told if not each.taken), key=lambda each: each.line)
    for each in refused[:FAULTY_LINES_TOLD]:
        for fault in each.faults:
            line(errors, f"{orders.path}:{each.line}: ", order_files.said(fault), style="red")
    if len(refused) > FAULTY_LINES_TOLD:
        rest = counted(len(refused) - FAULTY_LINES_TOLD, "more line")
        line(errors, "", f"{rest} refused; the result file names them all", style="red")
    states = Counter(each.state for each in told if each.taken)
    for state, number in sorted(states.items(), key=str):
        line(console, f"{state} ", counted(number, "order"), style="yellow" if state == "held" else "green")
    if refused:
        line(console, "refused ", counted(len(refused), "line"), style="red")
    left = len(orders.lines) - len(told)
    if left:
        line(console, "not sent ", f"{counted(left, 'line')}; the same command goes on from here", style="yellow")
    line(console, "", f"line by line in {orders.results}", style="default")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise misunderstood(f"{file}: {error.strerror}") from error
