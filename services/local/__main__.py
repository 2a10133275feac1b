"""The command `asquoted`: the whole system on one machine, its audit, its clock, its topics."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from contracts.topics import BY_NAME, SERVICES
from services.local import cases as standing_cases
from services.local import clock as moving
from services.local import files, following, loading
from services.local.audit import CHECKS
from services.local.audit_running import audit as audit_of
from services.local.demo import Demo, StoryBrokenError
from services.local.doors import Doors, NotQuietError, StackNotFoundError
from services.local.kafka import KafkaError
from services.local.ports import PortInUseError
from services.local.postgres import PostgresError
from services.local.stack import DEFAULT_START, Options, Stack
from services.local.supervisor import FolderInUseError, ProcessError
from services.local.terminal import (
    DATA,
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

app = typer.Typer(
    help="AsQuoted: what the customer was quoted is what the customer gets and pays. "
    "Exit codes: 0 well, 1 something is wrong, 2 not understood.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
clock_app = typer.Typer(help="Show or move the business time of a stack.", no_args_is_help=True)
consumers_app = typer.Typer()
app.add_typer(clock_app, name="clock")
app.add_typer(files.offers_app, name="offers")
app.add_typer(files.orders_app, name="orders")
app.add_typer(consumers_app, name="consumers")


def _completed(words: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell may complete a word to."""
    return lambda incomplete: [each for each in words if each.startswith(incomplete)]


@contextmanager
def running(options: Options) -> Iterator[Stack]:
    """Run a stack with the demo data loaded; everything that was started is stopped at the end, whatever happens."""
    with console.status("starting") as status:

        def progress(text: str) -> None:
            status.update(text)
            console.print(f"[dim]· {text}[/dim]", highlight=False)

        stack = Stack(options, progress)
        try:
            stack.start()
            with Doors(stack.description) as doors:
                if stack.new:
                    loading.load(doors, progress)
                doors.quiet()
            stack.ready()
        except BaseException:
            stack.stop()
            raise
    try:
        yield stack
    finally:
        with console.status("stopping"):
            stack.stop()


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="folder where everything is kept")] = DATA,
    port: Annotated[
        int | None, typer.Option(help="first of nine ports; otherwise those of the last start", min=1024, max=65526)
    ] = None,
    movable_clock: Annotated[
        bool, typer.Option("--movable-clock", help="a business time that `asquoted clock` moves")
    ] = False,
    start: Annotated[str | None, typer.Argument(help="where a movable clock starts, e.g. 2026-11-20T14:00:00Z")] = None,
    brokers: Annotated[int, typer.Option(help="Kafka brokers: 1 or 3", min=1, max=3)] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the services' logs")] = False,
) -> None:
    """Run the whole system in the foreground until Ctrl-C or SIGTERM; the data stays."""
    begin = _moment(start) if start else DEFAULT_START
    options = Options(data, port, begin if movable_clock or start else None, brokers, verbose)
    with interruptible(), running(options) as stack:
        console.print(_addresses(stack))
        console.print(f"ready; addresses and keys are in [bold]{stack.file}[/bold]; Ctrl-C stops everything")
        threading.Event().wait()


@app.command()
def demo(
    stack: Annotated[Path | None, typer.Option(help="stack.json of a running stack that has not heard it yet")] = None,
) -> None:
    """Tell the story step by step on a system of its own, or on a running one, then audit it."""
    violations = 1  # until the audit says otherwise: a demo that was interrupted showed nothing
    with interruptible(), _listening(stack) as (doors, clock_file):
        story = Demo(doors, clock_file, console)
        if story.was_told():
            raise misunderstood("this stack has heard the story already; a stack without data can hear it again")
        story.tell()
        doors.quiet()
        console.print()
        violations = _audit(doors.description, as_json=False)
    if violations:
        raise typer.Exit(1)


@contextmanager
def _listening(file: Path | None) -> Iterator[tuple[Doors, Path]]:
    """The doors of a stack with the demo data loaded, and its clock: of the one described in a file, or a fresh one."""
    if file is not None:
        with Doors.of(file) as doors:
            loading.load(doors, console.print)
            doors.quiet()
            yield doors, _clock_file(file, doors)
        return
    with (
        tempfile.TemporaryDirectory(prefix="asquoted-") as folder,
        running(Options(Path(folder), start=DEFAULT_START)) as stack,
        Doors(stack.description) as doors,
    ):
        yield doors, stack.folder / "clock.json"


def _clock_file(stack: Path, doors: Doors) -> Path:
    """Where the business time of a stack is kept: beside its stack.json, unless that says where."""
    return stack.parent / str(doors.description.get("clock", "clock.json"))


@app.command()
def audit(stack: StackFile = DEFAULT_STACK_FILE, as_json: AsJson = False) -> None:
    """Wait for quiet, then check every database and every topic; exit code 1 where something is broken."""
    doors = Doors.of(stack)
    with errors.status("waiting until nothing is on its way"):
        doors.quiet()
    if _audit(doors.description, as_json=as_json):
        raise typer.Exit(1)


def _audit(description: dict[str, Any], *, as_json: bool) -> int:
    with errors.status("reading") as status:
        report = audit_of(description, lambda what, done, of: status.update(f"{what}: {done} of {of} parts"))
    findings = report.findings
    if as_json:
        print_json([vars(each) for each in findings])
        return len(findings)
    title = f"audit of {report.records} records, {report.orders} orders"
    table = Table("check", Column("violations", justify="right"), title=title)
    for name in CHECKS:
        count = sum(each.check == name for each in findings)
        table.add_row(name, f"[bold red]{count}[/bold red]" if count else "[green]0[/green]")
    console.print(table)
    for each in findings:
        line(console, f"{each.check}: ", f"{each.about} {each.fault}", style="red")
    style = "red" if findings else "green"
    console.print(f"[{style}]{counted(len(findings), 'violation')}[/{style}]", highlight=False)
    return len(findings)


@clock_app.command("advance")
def clock_advance(
    by: Annotated[str, typer.Argument(help="how far, e.g. 14d, 90m or 1h30m")], stack: StackFile = DEFAULT_STACK_FILE
) -> None:
    """Move business time forward; whatever falls due on the way is done at its time."""
    doors = Doors.of(stack)
    file = _clock_file(stack, doors)
    with errors.status("moving") as status:

        def progress(at: datetime) -> None:
            status.update(f"moving: {at:%Y-%m-%d %H:%M:%S}")

        new = moving.advance(doors, file, moving.duration(by), progress)
    console.print(f"business time is now {new:%Y-%m-%dT%H:%M:%SZ}", highlight=False)


@clock_app.command("show")
def clock_show(stack: StackFile = DEFAULT_STACK_FILE) -> None:
    """Show business time (UTC)."""
    file = _clock_file(stack, Doors.of(stack))
    typer.echo(f"{moving.now(file):%Y-%m-%dT%H:%M:%SZ}")


@consumers_app.callback(invoke_without_command=True)
def consumers(context: typer.Context, stack: StackFile = DEFAULT_STACK_FILE, as_json: AsJson = False) -> None:
    """Show how far each service is: lag, last poll, parked keys, dead letters, unsent events and jobs.

    The exit code is 1 where a service is away, stopped or not ready.
    """
    if context.invoked_subcommand is not None:
        return
    states = Doors.of(stack).readiness()
    if as_json:
        print_json(states)
    else:
        _show_consumers(states)
    if not all(state["ready"] for state in states.values()):
        raise typer.Exit(1)


def _show_consumers(states: dict[str, dict[str, Any]]) -> None:
    figures = ("lag", "last\npoll", "parked\nkeys", "dead\nletters", "unsent", "jobs\ndue", "jobs\nfailed")
    table = Table(
        Column("service", no_wrap=True),
        Column("state", no_wrap=True),
        *(Column(each, justify="right", no_wrap=True) for each in figures),
        box=SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    for name, state in states.items():
        table.add_row(name, *_consumer_row(state))
    console.print(table)
    for name, state in states.items():
        if "consumer" not in state:
            line(console, f"{name} is away: ", state.get("fault", "no answer"), style="red")
        if state.get("stopped"):
            line(console, f"{name} was stopped: ", f"asquoted consumers resume {name} lets it go on", style="red")


@consumers_app.command("resume")
def consumers_resume(
    service: Annotated[str, typer.Argument(help=f"one of {', '.join(SERVICES)}", autocompletion=_completed(SERVICES))],
    stack: StackFile = DEFAULT_STACK_FILE,
) -> None:
    """Let a consumer go on that was stopped by too many failures; those before now no longer count."""
    if service not in SERVICES:
        raise misunderstood(f"there is no service {service}; there are {', '.join(SERVICES)}")
    doors = Doors.of(stack)
    if doors.readiness()[service].get("stopped") is False:
        console.print(f"{service} was not stopped")
        return
    doors.call(service, "POST", "/v1/consumer/resume", key=doors.key("operator"))
    console.print(f"{service} goes on")


def _consumer_row(state: dict[str, Any]) -> list[Text]:
    if "consumer" not in state:
        return [Text("away", style="red")]
    verdict = Text("ready", style="green") if state["ready"] else Text("not ready", style="yellow")
    consumer, jobs = state["consumer"], state["jobs"]
    polled = consumer["last_poll_seconds"]
    return [
        Text("stopped", style="bold red") if state["stopped"] else verdict,
        _figure(consumer["lag"], "yellow"),
        Text("-" if polled is None else f"{polled:.1f} s"),
        _figure(state["parked_keys"], "red"),
        _figure(state["dead_letters"], "red"),
        _figure(state["unsent_events"], "yellow"),
        _figure(jobs["due"], "yellow"),
        _figure(jobs["failed"], "red"),
    ]


def _figure(number: int | None, style: str) -> Text:
    """A number that is nothing to look at where it is 0."""
    return Text("-" if number is None else str(number), style=style if number else "")


@app.command()
def cases(
    overdue: Annotated[bool, typer.Option("--overdue", help="only those whose due time is over")] = False,
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Show the cases that people have not closed yet, the oldest due first; they are worked at review's address.

    The exit code is 1 where one is overdue.
    """
    doors = Doors.of(stack)
    found = standing_cases.standing(doors, overdue=overdue)
    if as_json:
        print_json(found)
    elif found:
        console.print(standing_cases.table(found))
        line(console, "worked at ", f"{doors.url('review')}/cases", style="")
    else:
        console.print("no case is overdue" if overdue else "no case is open")
    if any(case["overdue"] for case in found):
        raise typer.Exit(1)


@app.command()
def events(
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", help="only this topic; may be given several times", autocompletion=_completed(BY_NAME)),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="only this type, e.g. order.held; may be given several times",
            autocompletion=_completed(following.TYPES),
        ),
    ] = None,
    since: Annotated[str, typer.Option(help="how far back to begin, e.g. 10m (0s: from now on)")] = "10m",
    order: Annotated[str | None, typer.Option(help="only what names this order, by its id")] = None,
    about: Annotated[
        list[str] | None,
        typer.Option("--about", help="only what names this: a subscription, customer, case, partner, agent, offer …"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="wait for more, or stop at the end")] = True,
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Print events in the order of their arrival, one a line; Ctrl-C ends it."""
    unknown = set(topic or ()) - set(BY_NAME)
    if unknown:
        raise misunderstood(f"there is no topic {', '.join(sorted(unknown))}; there are {', '.join(BY_NAME)}")
    foreign = {each for each in kind or () if not following.is_type(each)}
    if foreign:
        raise misunderstood(f"there is no type {', '.join(sorted(foreign))}; there are {', '.join(following.TYPES)}")
    names = tuple(filter(None, (order, *(about or ()))))
    wanted = following.Wanted(tuple(topic or BY_NAME), moving.duration(since), tuple(kind or ()), names)
    bootstrap = Doors.of(stack).description["kafka"]
    with interruptible():
        for record in following.follow(bootstrap, wanted, forever=follow):
            following.show(record, console, as_json=as_json)


def _addresses(stack: Stack) -> Table:
    table = Table("what", "where")
    table.add_row("kafka", stack.description["kafka"])
    for name, each in stack.description["services"].items():
        table.add_row(name, each["url"])
    table.add_row("mail catcher", stack.description["mail"]["url"])
    table.add_row("network simulator", stack.description["network"]["url"])
    return table


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write for example 2026-11-20T14:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


ANTICIPATED = (
    StackNotFoundError,
    NotQuietError,
    StoryBrokenError,
    moving.ClockError,
    FolderInUseError,
    PortInUseError,
    ProcessError,
    KafkaError,
    PostgresError,
    following.UnreachableError,
    httpx.HTTPError,
)


def main() -> None:
    """Run the command; what went wrong is said in one line, with exit code 1."""
    try:
        app()
    except ANTICIPATED as error:
        asked = error.request.url if isinstance(error, httpx.TransportError) else None
        line(errors, "asquoted: ", f"{asked} does not answer: {error}" if asked else str(error), style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
