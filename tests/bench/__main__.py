"""The benchmark: `python -m tests.bench [SCENARIO …]`; everything it needs it starts and stops itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.local.kafka import KafkaError
from services.local.postgres import PostgresError
from services.local.supervisor import ProcessError
from tests.bench import plots, report, results
from tests.bench.ours import AuditFailedError
from tests.bench.sampling import NotQuietError
from tests.bench.scenarios import SCENARIOS, Theatre, Wanted
from tests.bench.session import Told
from tests.bench.stage import REPOSITORY, LoadFailedError, Stage
from tests.bench.theirs import PipeFailedError

RESULTS = REPOSITORY / "bench-results"
QUICK = {"rounds": 1, "seconds": 3.0, "stored": 20_000, "behind": 4_000, "new_orders": 50.0, "audited": 2_000}

app = typer.Typer(pretty_exceptions_enable=False)
console = Console()


@app.command()
def main(
    scenario: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(SCENARIOS)}, or all [default: rate]")
    ] = None,
    contenders: Annotated[str, typer.Option(help="of the scenario rate")] = ",".join(Wanted.contenders),
    rounds: Annotated[int | None, typer.Option(help="interleaved repetitions [default: 5]")] = None,
    seconds: Annotated[float | None, typer.Option(help="about so long is a run [default: 10]")] = None,
    orders: Annotated[int | None, typer.Option(help="a run has so many orders, instead of a length")] = None,
    stored: Annotated[int | None, typer.Option(help="orders to pile up [default: 1000000]")] = None,
    minutes: Annotated[float | None, typer.Option(help="for which they pile up at most [default: 180]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="small numbers, to see that it works")] = False,  # noqa: FBT002
    confirm: Annotated[bool, typer.Option("--confirm", help="ours asks the customer in each order")] = False,  # noqa: FBT002
    folder: Annotated[Path | None, typer.Option(help="keep data and logs here")] = None,
) -> None:
    """Measure, print each goal beside its figure, and keep JSON and plots in bench-results/."""
    names = list(SCENARIOS) if scenario == ["all"] else scenario or ["rate"]
    if unknown := {*names} - {*SCENARIOS}:
        raise typer.BadParameter(f"there is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    given = {"rounds": rounds, "seconds": seconds, "orders": orders, "stored": stored, "minutes": minutes}
    chosen = (QUICK if quick else {}) | {name: value for name, value in given.items() if value is not None}
    wanted = Wanted(contenders=contenders.split(","), confirm=confirm, **chosen)  # type: ignore[arg-type]
    on = results.machine()
    console.print(on, highlight=False)
    with on_stage(wanted, folder) as theatre:
        for name in names:
            outcome = SCENARIOS[name](theatre)
            report.show(console, outcome)
            file = results.write(RESULTS, outcome, on)
            console.print(f"kept as {file.relative_to(REPOSITORY)}", *plots.draw(outcome, RESULTS), highlight=False)


@contextmanager
def on_stage(wanted: Wanted, folder: Path | None = None) -> Iterator[Theatre]:
    """A stage with Kafka and PostgreSQL running, in this folder or one of its own; a bar tells how far it is."""
    temporary = tempfile.TemporaryDirectory(prefix="asquoted-bench-", ignore_cleanup_errors=True)
    with (
        nullcontext(str(folder)) if folder else temporary as place,
        telling() as tell,
        Stage(Path(place), lambda text: tell(text, 0, 1)) as stage,
    ):
        yield Theatre(stage, wanted, tell, lambda text: console.print(text, highlight=False))


@contextmanager
def telling() -> Iterator[Told]:
    """A bar on the console that tells how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=1)

        def tell(what: str, done: int, of: int) -> None:
            progress.update(bar, description=what, completed=done, total=of)

        yield tell


FAILURES = (LoadFailedError, AuditFailedError, PipeFailedError, NotQuietError, KafkaError, PostgresError, ProcessError)


def run(command: typer.Typer) -> None:
    """Run a command line; what went wrong is said without a traceback, with exit code 1."""
    try:
        command()
    except FAILURES as failure:
        console.print(f"bench: {failure}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    run(app)
