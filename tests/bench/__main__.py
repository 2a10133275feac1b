"""The benchmark: `python -m tests.bench`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.bench.load import Task
from tests.bench.ours import Ours
from tests.bench.sampling import Meter
from tests.bench.stage import LoadProcess, Stage

console = Console()


def main(
    contenders: Annotated[str, typer.Option()] = "ours",
    rounds: Annotated[int, typer.Option()] = 5,
    orders: Annotated[int, typer.Option()] = 10_000,
    confirm: Annotated[bool, typer.Option()] = False,
) -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="asquoted-bench-", ignore_cleanup_errors=True) as folder:
        with Stage(Path(folder), console.print) as stage:
            for number in range(rounds):
                ours = Ours(stage, Path(folder) / f"ours-{number}", confirm=confirm)
                with ours.running(), LoadProcess(ours.plan) as load:
                    with Meter(lambda: {**stage.pids, **ours.pids, "load": load.pid}) as meter:
                        meter.learn_idle()
                        warm = max(100, orders // 10)
                        if ours.uploads:
                            load.do(Task("upload", 0, warm + orders))
                        load.do(Task("run", 0, warm))
                        meter.wait_quiet()
                        before = stage.sizes()
                        meter.begin()
                        figures = load.do(Task("run", warm, orders), console.print)
                        meter.wait_quiet()
                        costs = meter.end()
                        console.print(figures, stage.sizes().since(before))
                        console.print({n: round(s / orders * 1e6) for n, s in costs.cpu.items()}, costs.memory)
                        console.print(
                            f"{orders / figures['seconds']:.0f} orders/s", round(sum(costs.cpu.values()) / orders * 1e6)
                        )
                        ours.audit()
                stage.empty()


app = typer.Typer(pretty_exceptions_show_locals=False, pretty_exceptions_short=True)
app.command()(main)

if __name__ == '__main__':
    app()
