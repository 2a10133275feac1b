"""The command `asquoted`: the whole system on one machine, its audit, its clock, its topics."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from contracts.topics import BY_NAME, SERVICES
from services.local import audit as auditing
from services.local import clock as moving
from services.local import following, loading
from services.local.demo import Demo, StoryBrokenError
from services.local.doors import Doors, NotQuietError, StackNotFoundError
from services.local.kafka import KafkaError
from services.local.ports import PortInUseError
from services.local.postgres import PostgresError
from services.local.stack import DEFAULT_START, Options, Stack
from services.local.supervisor import FolderInUseError, ProcessError

app = typer.Typer(
    help="AsQuoted: what the customer was quoted is what the customer gets and pays.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
clock_app = typer.Typer(help="The business time of a stack.", no_args_is_help=True)
offers_app = typer.Typer(help="The catalogue.", no_args_is_help=True)
app.add_typer(clock_app, name="clock")
app.add_typer(offers_app, name="offers")

console = Console()
errors = Console(stderr=True)

DATA = Path(".asquoted")
StackFile = Annotated[Path, typer.Option("--stack", help="stack.json of the running stack")]
DEFAULT_STACK_FILE = DATA / "stack.json"
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


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
    port: Annotated[int | None, typer.Option(help="first of nine ports; free ones otherwise")] = None,
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
    with _interruptible(), running(options) as stack:
        console.print(_addresses(stack))
        console.print(f"ready; addresses and keys are in [bold]{stack.file}[/bold]; Ctrl-C stops everything")
        threading.Event().wait()


@app.command()
def demo() -> None:
    """Tell the story step by step on a system of its own, then audit it."""
    violations = 1  # until the audit says otherwise: a demo that was interrupted showed nothing
    with tempfile.TemporaryDirectory(prefix="asquoted-") as folder, _interruptible():
        options = Options(Path(folder), start=DEFAULT_START)
        with running(options) as stack, Doors(stack.description) as doors:
            Demo(doors, stack.folder / "clock.json", console).tell()
            doors.quiet()
            console.print()
            violations = _audit(stack.description, as_json=False)
    if violations:
        raise typer.Exit(1)


@app.command()
def audit(stack: StackFile = DEFAULT_STACK_FILE, as_json: AsJson = False) -> None:
    """Check every database and every topic; exit 1 where something is broken."""
    doors = Doors.of(stack)
    doors.quiet()
    if _audit(doors.description, as_json=as_json):
        raise typer.Exit(1)


def _audit(description: dict[str, Any], *, as_json: bool) -> int:
    calls = httpx.get(f"{description['network']['url']}/calls", timeout=30).json()
    evidence = auditing.gather(description, calls["items"] if isinstance(calls, dict) else calls)
    findings = auditing.judge(evidence)
    if as_json:
        console.print_json(json.dumps([vars(each) for each in findings]))
        return len(findings)
    title = f"audit of {len(evidence.records)} records, {len(evidence.orders)} orders"
    table = Table("check", "violations", title=title)
    for name in auditing.CHECKS:
        count = sum(each.check == name for each in findings)
        table.add_row(name, f"[red]{count}[/red]" if count else "[green]0[/green]")
    console.print(table)
    for each in findings:
        console.print(f"[red]{each.check}[/red]: {each.about} {each.fault}")
    console.print(f"{len(findings)} violations")
    return len(findings)


@clock_app.command("advance")
def clock_advance(by: str, stack: StackFile = DEFAULT_STACK_FILE) -> None:
    """Move business time forward by e.g. 14d or 90m; whatever falls due on the way is done at its time."""
    doors, file = Doors.of(stack), stack.parent / "clock.json"
    with console.status("moving") as status:

        def progress(at: datetime) -> None:
            status.update(f"moving: {at:%Y-%m-%d %H:%M:%S}")

        new = moving.advance(doors, file, moving.duration(by), progress)
    console.print(f"business time is now {new:%Y-%m-%dT%H:%M:%SZ}")


@clock_app.command("show")
def clock_show(stack: StackFile = DEFAULT_STACK_FILE) -> None:
    """Show business time."""
    console.print(f"{moving.now(stack.parent / 'clock.json'):%Y-%m-%dT%H:%M:%SZ}")


@app.command()
def consumers(
    resume: Annotated[str, typer.Argument(help="`resume`, to let a stopped consumer go on")] = "",
    service: Annotated[str, typer.Argument(help="which service")] = "",
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Show lag, last poll, parked keys and dead letters per service; `consumers resume SERVICE` lets one go on."""
    doors = Doors.of(stack)
    if resume:
        if resume != "resume" or service not in SERVICES:
            errors.print(f"say: asquoted consumers resume SERVICE, one of {', '.join(SERVICES)}")
            raise typer.Exit(2)
        doors.call(service, "POST", "/v1/consumer/resume", key=doors.key("operator"))
        console.print(f"{service} goes on")
        return
    states = doors.readiness()
    if as_json:
        console.print_json(json.dumps(states))
        return
    columns = (
        "service",
        "state",
        "lag",
        "last poll",
        "parked keys",
        "dead letters",
        "unsent",
        "jobs due",
        "jobs failed",
    )
    table = Table(*columns)
    for name, state in states.items():
        table.add_row(name, *_consumer_row(state))
    console.print(table)


def _consumer_row(state: dict[str, Any]) -> list[str]:
    if "consumer" not in state:
        return [f"[red]{state.get('fault', 'away')}[/red]"]
    ready = "[green]ready[/green]" if state["ready"] else "[yellow]starting[/yellow]"
    verdict = "[red]stopped[/red]" if state["stopped"] else ready
    consumer, jobs = state["consumer"], state["jobs"]
    polled = consumer["last_poll_seconds"]
    figures = (state["parked_keys"], state["dead_letters"], state["unsent_events"], jobs["due"], jobs["failed"])
    return [verdict, str(consumer["lag"]), f"{polled} s ago" if polled is not None else "never", *map(str, figures)]


@app.command()
def events(
    topic: Annotated[list[str] | None, typer.Option("--topic", help="only this topic; may be given again")] = None,
    since: Annotated[str, typer.Option(help="how far back to begin, e.g. 10m; 0s for now on")] = "10m",
    order: Annotated[str | None, typer.Option(help="only what names this order")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="go on, or stop at the end")] = True,
    stack: StackFile = DEFAULT_STACK_FILE,
    as_json: AsJson = False,
) -> None:
    """Follow the topics and print events readably."""
    unknown = set(topic or ()) - set(BY_NAME)
    if unknown:
        errors.print(f"no such topic: {', '.join(sorted(unknown))}; there are {', '.join(BY_NAME)}")
        raise typer.Exit(2)
    wanted = following.Wanted(tuple(topic or BY_NAME), moving.duration(since), order)
    bootstrap = Doors.of(stack).description["kafka"]
    with _interruptible():
        for record in following.follow(bootstrap, wanted, forever=follow):
            following.show(record, console, as_json=as_json)


@offers_app.command("publish")
def offers_publish(file: Path, stack: StackFile = DEFAULT_STACK_FILE, as_json: AsJson = False) -> None:
    """Validate and publish the offers of a YAML file, all or none; every fault is named with its line."""
    doors = Doors.of(stack)
    headers = {"Content-Type": "application/yaml"}
    key, content = doors.key("catalogue"), _bytes(file)
    answer = doors.call("catalogue", "POST", "/v1/offers", key=key, content=content, headers=headers, expect=(422,))
    if as_json:
        console.print_json(answer.text)
    elif answer.is_success:
        for what in ("published", "already_published"):
            for each in answer.json()[what]:
                console.print(f"[green]{what.replace('_', ' ')}[/green] {each['code']} v{each['version']}")
    else:
        for fault in answer.json()["errors"]:
            errors.print(f"{file}:{fault.get('line', '?')}: {fault['code']}: {fault['detail']} ({fault['pointer']})")
    if not answer.is_success:
        raise typer.Exit(1)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        errors.print(f"{file}: {error.strerror}")
        raise typer.Exit(2) from error


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


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end a command like Ctrl-C does, so that all that was started is stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell's background job inherits that it is ignored.
    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        console.print("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    httpx.HTTPError,
)


def main() -> None:
    """Run the command; what went wrong is said in one line, with exit code 1."""
    try:
        app()
    except ANTICIPATED as error:
        errors.print(f"[red]asquoted:[/red] {error}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
