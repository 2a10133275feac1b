"""Kept fast: compares ratios with the stored ones, never absolute times: `python -m tests.bench.check [--store]`.

Both sides of a ratio are measured in the same round on the same machine. The ratios of whole orders decide; those of
processes say where it comes from. A ratio is worse when every round says so: on a virtual machine with busy neighbours
the median of five rounds of the same code is now and then a fifth off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tests.bench import report
from tests.bench.__main__ import on_stage, run
from tests.bench.results import OUTSIDE, Run, by_contender
from tests.bench.scenarios import Wanted, rate

STORED = Path(__file__).with_name("stored.json")
SLACK = 0.10
CONTENDERS = ("ours", "plain", "pipe")
MORE_IS_BETTER = "orders per second"


class Verdict(StrEnum):
    """What the rounds of a ratio say."""

    FINE = ""
    UNSURE = "unsure"
    WORSE = "worse"


console = Console()
app = typer.Typer(pretty_exceptions_enable=False)


def ratios(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Everything of ours as a multiple of a contender's, in each round."""
    of = by_contender(runs)
    found: dict[str, list[float]] = {}
    for ours, plain, pipe in zip(*(of[name] for name in CONTENDERS), strict=True):
        whole = {
            f"{MORE_IS_BETTER} / plain's": ours.rate / plain.rate,
            f"{MORE_IS_BETTER} / the pipe's": ours.rate / pipe.rate,
            "CPU per order / plain's": ours.system_cpu_us / plain.system_cpu_us,
            "CPU per order / the pipe's": ours.system_cpu_us / pipe.system_cpu_us,
            "bytes in Kafka per order / the pipe's": ours.bytes["kafka"] / pipe.bytes["kafka"],
        }
        parts = {
            f"CPU of {name} / the pipe's": used / pipe.system_cpu_us
            for name, used in ours.cpu_us.items()
            if name not in OUTSIDE
        }
        for name, value in (whole | parts).items():
            found.setdefault(name, []).append(value)
    return found


def verdict(name: str, rounds: Sequence[float], stored: float | None) -> Verdict:
    """Whether a ratio is worse than the stored one by more than the slack: in every round, in most, or not."""
    if stored is None:
        return Verdict.FINE
    more = name.startswith(MORE_IS_BETTER)
    worse = [each < stored * (1 - SLACK) if more else each > stored * (1 + SLACK) for each in rounds]
    if all(worse):
        return Verdict.WORSE
    return Verdict.UNSURE if sum(worse) > len(worse) / 2 else Verdict.FINE


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
        STORED.write_text(json.dumps({name: round(median(each), 4) for name, each in now.items()}, indent=2) + "\n")
        console.print(f"stored in {STORED.name}")
        return
    stored = json.loads(STORED.read_text())
    verdicts = {name: verdict(name, each, stored.get(name)) for name, each in now.items()}
    console.print(_table(now, stored, verdicts))
    deciding = [each for name, each in verdicts.items() if decides(name)]
    if Verdict.WORSE in deciding:
        worse = "; ".join(name for name, each in verdicts.items() if each is Verdict.WORSE)
        console.print(f"[red]slower than before: {worse}[/red]", highlight=False)
        raise typer.Exit(1)
    if Verdict.UNSURE in deciding:
        console.print("[yellow]the rounds disagree: measure again when the machine is quiet[/yellow]")
    else:
        console.print("[green]as fast as before[/green]")


def _table(now: Mapping[str, Sequence[float]], stored: Mapping[str, float], verdicts: Mapping[str, Verdict]) -> Table:
    table = Table(
        "ratio", *(Column(each, justify="right") for each in ("stored", "now", "of the rounds", "change")), ""
    )
    for name, rounds in now.items():
        before = stored.get(name)
        middle = median(rounds)
        change = f"{100 * (middle / before - 1):+.0f} %" if before else ""
        said = verdicts[name] if decides(name) or not verdicts[name] else f"{verdicts[name]} here"
        table.add_row(
            name,
            f"{before:.3f}" if before else "new",
            f"{middle:.3f}",
            f"{min(rounds):.3f} - {max(rounds):.3f}",
            change,
            Text(said, style="red" if verdicts[name] is Verdict.WORSE else "yellow"),
        )
    return table


if __name__ == "__main__":
    run(app)
