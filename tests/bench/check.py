"""Kept fast: compares ratios with the stored ones, never absolute times: `python -m tests.bench.check [--store]`.

Both sides of a ratio are measured in the same run on the same machine. The ratios of whole orders decide; those of
processes say where it comes from. Rounds and their length are those of `rate`: with three rounds of five seconds the
very code that had stored the ratios was told to be a fifth slower than itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tests.bench import report
from tests.bench.__main__ import on_stage, run
from tests.bench.results import OUTSIDE, Run, by_contender, middle
from tests.bench.scenarios import Wanted, rate

STORED = Path(__file__).with_name("stored.json")
SLACK = 0.10
CONTENDERS = ("ours", "plain", "pipe")
MORE_IS_BETTER = "orders per second"

console = Console()
app = typer.Typer(pretty_exceptions_enable=False)


def ratios(runs: Sequence[Run]) -> dict[str, float]:
    """Everything of ours as a multiple of a contender's."""
    of = by_contender(runs)
    ours, plain, pipe = (of[name] for name in CONTENDERS)
    speed, cpu = (lambda run: run.rate), (lambda run: run.system_cpu_us)
    whole = {
        f"{MORE_IS_BETTER} / plain's": middle(ours, speed) / middle(plain, speed),
        f"{MORE_IS_BETTER} / the pipe's": middle(ours, speed) / middle(pipe, speed),
        "CPU per order / plain's": middle(ours, cpu) / middle(plain, cpu),
        "CPU per order / the pipe's": middle(ours, cpu) / middle(pipe, cpu),
        "bytes in Kafka per order / the pipe's": _bytes(ours, "kafka") / _bytes(pipe, "kafka"),
    }
    parts = {
        f"CPU of {name} / the pipe's": middle(ours, lambda run: run.cpu_us[name]) / middle(pipe, cpu)  # noqa: B023
        for name in ours[0].cpu_us
        if name not in OUTSIDE
    }
    return whole | parts


def _bytes(runs: Sequence[Run], kind: str) -> float:
    return middle(runs, lambda run: run.bytes[kind])


def slower(now: dict[str, float], stored: dict[str, float]) -> Iterator[str]:
    """The names of the ratios that are worse than the stored ones by more than the slack."""
    for name, before in stored.items():
        change = now[name] / before if name in now else 0.0
        if change and (change < 1 - SLACK if name.startswith(MORE_IS_BETTER) else change > 1 + SLACK):
            yield name


def decides(name: str) -> bool:
    """Whether a ratio is of whole orders; one of a process alone only says where it comes from."""
    return not name.startswith("CPU of ")


@app.command()
def main(
    store: Annotated[bool, typer.Option("--store", help="keep the ratios of this run as the new ones")] = False,  # noqa: FBT002
    rounds: Annotated[int, typer.Option(help="interleaved repetitions")] = Wanted.rounds,
    seconds: Annotated[float, typer.Option(help="about so long is a run")] = Wanted.seconds,
) -> None:
    """Measure ours, plain and the bare pipe, and say what got slower; exit code 1 then."""
    if not store and not STORED.exists():
        raise typer.BadParameter(f"{STORED.name} is not there yet: store ratios first, with --store")
    with on_stage(Wanted(CONTENDERS, rounds, seconds)) as theatre:
        outcome = rate(theatre)
    report.show(console, outcome)
    now = ratios(outcome.runs)
    if store:
        STORED.write_text(json.dumps({name: round(value, 4) for name, value in now.items()}, indent=2) + "\n")
        console.print(f"stored in {STORED.name}")
        return
    stored = json.loads(STORED.read_text())
    worse = list(slower(now, stored))
    console.print(_table(now, stored, worse))
    if any(map(decides, worse)):
        console.print(f"[red]slower than before: {'; '.join(worse)}[/red]", highlight=False)
        raise typer.Exit(1)
    console.print("[green]as fast as before[/green]")


def _table(now: dict[str, float], stored: dict[str, float], worse: Sequence[str]) -> Table:
    table = Table("ratio", *(Column(each, justify="right") for each in ("stored", "now", "change")), "")
    for name, value in now.items():
        before = stored.get(name)
        change = f"{100 * (value / before - 1):+.0f} %" if before else ""
        verdict = Text("worse" if decides(name) else "worse here", style="red") if name in worse else Text("")
        table.add_row(name, f"{before:.3f}" if before else "new", f"{value:.3f}", change, verdict)
    return table


if __name__ == "__main__":
    run(app)
