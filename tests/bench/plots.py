"""Draws outcomes as SVG: latency against load, and rate against stored orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.results import Outcome, Run

INK, SOFT, GRID = "#17202a", "#5d6d7e", "#e3e8ee"
BLUE, ORANGE = "#1f6feb", "#d9730d"


def draw(outcome: Outcome, folder: Path) -> list[str]:
    """Draw what can be drawn of an outcome; returns what was drawn, in words."""
    drawing = {"latency": _latency, "stored": _stored}.get(outcome.scenario)
    if drawing is None:
        return []
    file = folder / f"{outcome.scenario}.svg"
    figure = drawing(outcome)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    return [f"and drawn as {file.parent.name}/{file.name}"]


def _canvas(title: str, subtitle: str) -> tuple[Any, Any]:
    """An empty plot in our style."""
    import matplotlib as mpl  # noqa: PLC0415 - it takes a second to import, and only plots need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "asquoted", "font.family": "sans-serif", "font.size": 11}
    figure = Figure(figsize=(8, 4.5), facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=14, fontweight="bold", pad=26)
    axes.text(0, 1.035, subtitle, transform=axes.transAxes, color=SOFT, fontsize=10)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    return figure, axes


def _latency(outcome: Outcome) -> Any:
    figure, axes = _canvas(
        "Latency against load", f"milliseconds, logarithmic; {outcome.remarks[0]}; dashed: goals at half load"
    )
    shares = sorted({run.notes["share"] for run in outcome.runs})
    lines = [("POST", "post_ms", BLUE, 10), ("POST to completed", "completed_ms", ORANGE, 120)]
    places = [100 * share for share in shares]
    for name, field, colour, goal in lines:
        for percentile, alpha in (("p50", 0.45), ("p99", 1.0)):
            heights = [_middle(outcome.runs, share, field, percentile) for share in shares]
            axes.plot(places, heights, color=colour, alpha=alpha, marker="o", linewidth=2, markersize=5)
            look = {"color": colour, "alpha": alpha, "va": "center", "textcoords": "offset points"}
            axes.annotate(f"{name} {percentile}", (places[-1], heights[-1]), xytext=(8, 0), **look)
        axes.plot([45, 55], [goal, goal], color=colour, linestyle="--", linewidth=1.5)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlabel("load, in % of the saturating rate", color=SOFT)
    axes.set_xlim(0, 100)
    return figure


def _stored(outcome: Outcome) -> Any:
    figure, axes = _canvas(
        "Rate against stored orders", "orders completed per second; the line is the median of five, the band ±5 %"
    )
    places = [run.notes["stored"] for run in outcome.runs]
    rates = [run.rate for run in outcome.runs]
    smooth = list(_medians(rates))
    axes.scatter(places, rates, color=BLUE, s=14, alpha=0.45, linewidths=0)
    axes.plot(places, smooth, color=BLUE, linewidth=2)
    first = smooth[0]
    axes.axhspan(0.95 * first, 1.05 * first, color=BLUE, alpha=0.08, linewidth=0)
    axes.set_ylim(0, 1.15 * max(rates))
    axes.set_xlim(0, None)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("orders stored", color=SOFT)
    return figure


def _medians(values: Sequence[float]) -> Iterator[float]:
    for at in range(len(values)):
        near = sorted(values[max(0, at - 2) : at + 3])
        yield near[len(near) // 2]


def _middle(runs: Sequence[Run], share: float, field: str, percentile: str) -> float:
    return float(median(getattr(run, field)[percentile] for run in runs if run.notes["share"] == share))
