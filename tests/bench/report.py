"""Shows outcomes: a table of medians and spreads, costs by process, and each goal beside its figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tests.bench.results import OUTSIDE, Goal, Outcome, Run, by_contender, middle

KILOBYTE, MEGABYTE = 1e3, 1e6
SHOWN = 6
PERCENTILES = ("p50", "p95", "p99")


def show(console: Console, outcome: Outcome) -> None:
    """Print an outcome."""
    console.print()
    if outcome.runs:
        groups = by_contender(outcome.runs) if outcome.scenario in {"rate", "two"} else _by_load(outcome.runs)
        console.print(_speeds(outcome.scenario, groups))
        console.print(_costs(groups))
    for remark in outcome.remarks:
        console.print(f"[dim]{remark}[/dim]", highlight=False)
    if outcome.goals:
        console.print(goals_table(outcome.goals))


def _by_load(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of one contender, by what they differ in; of many that differ in what is stored only some."""
    found: dict[str, list[Run]] = {}
    step = max(1, len(runs) // SHOWN) if "stored" in runs[-1].notes else 1
    for run in runs[::-step][::-1]:
        stored = run.notes.get("stored")
        name = f"{run.wanted_rate:.0f}/s wanted" if run.wanted_rate else "as fast as it can"
        found.setdefault(name if stored is None else f"{stored:,.0f} stored", []).append(run)
    return found


def _speeds(title: str, groups: dict[str, list[Run]]) -> Table:
    table = Table(
        "",
        *(Column(each, justify="right") for each in ("runs", "orders", "orders/s", "least - most")),
        *(Column(f"{what} {each}", justify="right") for what in ("POST", "done") for each in PERCENTILES),
        Column("after", justify="right"),
        title=f"{title}: medians; latencies in ms; after = s until notices and all else was done",
        title_justify="left",
    )
    for name, runs in groups.items():
        rates = [run.rate for run in runs]
        table.add_row(
            Text(name, style="bold"),
            str(len(runs)),
            f"{middle(runs, lambda run: run.orders):,.0f}",
            Text(_figure(middle(runs, lambda run: run.rate)), style="bold cyan"),
            f"{_figure(min(rates))} - {_figure(max(rates))}",
            *(_latency(runs, lambda run, each=each: run.post_ms.get(each)) for each in PERCENTILES),  # type: ignore[misc]
            *(_latency(runs, lambda run, each=each: run.completed_ms.get(each)) for each in PERCENTILES),  # type: ignore[misc]
            f"{middle(runs, lambda run: run.quiet_seconds):.1f}",
        )
    return table


def _costs(groups: dict[str, list[Run]]) -> Table:
    """CPU and peak memory by process, one column a group; the last lines are the system's sums."""
    table = Table(
        "",
        *(Column(name, justify="right") for name in groups),
        title="CPU µs per order · most memory in MB (* stands for the world outside, and is not in the sum)",
        title_justify="left",
    )
    processes = list(dict.fromkeys(name for runs in groups.values() for run in runs for name in run.cpu_us))
    for process in sorted(processes, key=lambda name: (name in OUTSIDE, processes.index(name))):
        cells = [_cost(runs, process) for runs in groups.values()]
        table.add_row(process + (" *" if process in OUTSIDE else ""), *cells, style="dim" if process in OUTSIDE else "")
    table.add_section()
    sums = [f"{middle(runs, lambda run: run.system_cpu_us):,.0f} µs" for runs in groups.values()]
    table.add_row("the system", *sums, style="bold")
    for kind in ("kafka", "postgres", "write-ahead log"):
        sizes = [middle(runs, lambda run: run.bytes.get(kind, 0.0)) / KILOBYTE for runs in groups.values()]  # noqa: B023
        if any(sizes):
            table.add_row(f"{kind}, per order", *(f"{size:,.1f} KB" if size else "" for size in sizes))
    return table


def _cost(runs: Sequence[Run], process: str) -> str:
    having = [run for run in runs if process in run.cpu_us]
    if not having:
        return ""
    used = middle(having, lambda run: run.cpu_us[process])
    most = max(run.memory.get(process, 0) for run in having) / MEGABYTE
    return f"{used:,.0f} · {most:,.0f}" if most else f"{used:,.0f}"


def goals_table(goals: Sequence[Goal]) -> Table:
    """Each goal beside its figure."""
    table = Table("goal", Column("figure", justify="right"), Column("wanted", justify="right"), "")
    for goal in goals:
        sign = "≥" if goal.at_least else "≤"
        verdict = Text("reached", style="green") if goal.met else Text("not reached", style="bold red")
        table.add_row(
            goal.what, f"{_figure(goal.figure)} {goal.unit}", f"{sign} {_figure(goal.wanted)} {goal.unit}", verdict
        )
    return table


def _latency(runs: Sequence[Run], figure: Callable[[Run], float | None]) -> str:
    known = [value for run in runs if (value := figure(run)) is not None]
    return _figure(sorted(known)[len(known) // 2]) if known else ""


def _figure(value: float) -> str:
    """A number as exact as it deserves."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")
