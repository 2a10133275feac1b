"""What is tried: each scenario plays contenders on the stage, and puts its figures beside its goals."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from services.local import loading
from services.local.doors import Doors
from services.local.stack import Options, Stack
from tests.bench.contenders import CONTENDERS
from tests.bench.ours import Ours
from tests.bench.results import Goal, Outcome, Run, by_contender, loop_ms, middle
from tests.bench.session import Session, Told, pipe_run, playing
from tests.bench.stage import Stage
from tests.bench.theirs import Pipe, Theirs

LOADS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of the saturating rate at which latencies are measured; the goals are for the middle one."""
FLAT_AFTER = 50_000
"""Orders after which memory must not grow any more."""
ENOUGH = 8
"""Runs, without which first and last ones would be the same."""
NEW_FOR_SECONDS = 60
"""So long new orders go on coming at most while others are drained."""
EVENTS_PER_ORDER = 2
"""That intake publishes for an order with a signed contract: the customer and the order."""
CONSUMING = ("provisioning", "billing", "notification", "review")
MILLION = 1_000_000


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line. `orders` fixes the number of a run, else it lasts `seconds`.

    Orders are piled up for so many `minutes` at most.
    """

    contenders: Sequence[str] = ("ours", *CONTENDERS)
    rounds: int = 5
    seconds: float = 10.0
    orders: int | None = None
    confirm: bool = False
    stored: int = 1_000_000
    minutes: float = 180.0
    behind: int = 100_000
    new_orders: float = 500.0
    audited: int = 20_000


class Theatre:
    """The stage, and folders for those who play on it."""

    def __init__(self, stage: Stage, wanted: Wanted, tell: Told, say: Callable[[str], None]) -> None:
        """`tell` is told how far it is, `say` what is to stay on the screen."""
        self.stage = stage
        self.wanted = wanted
        self.tell = tell
        self.say = say
        self._numbers = itertools.count(1)

    @contextmanager
    def ours(self, *, instances: int = 1) -> Iterator[Session]:
        """Our product, audited when it has played: whatever is measured, the audit must find nothing."""
        folder = self.stage.folder / f"ours-{next(self._numbers)}"
        ours = Ours(self.stage, folder, confirm=self.wanted.confirm, instances=instances)
        with playing(self.stage, ours, self.tell) as session:
            yield session
            session.audit()

    @contextmanager
    def theirs(self, name: str) -> Iterator[Session]:
        """Another contender."""
        folder = self.stage.folder / f"{name}-{next(self._numbers)}"
        with playing(self.stage, Theirs(self.stage, folder, CONTENDERS[name]), self.tell) as session:
            yield session

    def once(self, name: str, *, instances: int = 1) -> Run:
        """One run of one contender, as fast as it can."""
        if name == "pipe":
            return pipe_run(self.stage, Pipe(self.stage, CONTENDERS[name]), self.wanted.seconds, self.tell)
        with self.ours(instances=instances) if name == "ours" else self.theirs(name) as session:
            return session.run(self.count(session))

    def count(self, session: Session) -> int:
        """Warm up; how many orders a run has."""
        rate = session.warm_up(self.wanted.seconds / 2)
        return self.wanted.orders or max(200, round(rate * self.wanted.seconds))


def rate(theatre: Theatre) -> Outcome:
    """Orders per second and what each costs, of every contender, interleaved."""
    runs = [theatre.once(name) for _ in range(theatre.wanted.rounds) for name in theatre.wanted.contenders]
    return Outcome("rate", runs, list(_rate_goals(by_contender(runs))))


def _rate_goals(runs: dict[str, list[Run]]) -> Iterator[Goal]:
    if "ours" not in runs:
        return
    speed = {name: middle(each, lambda run: run.rate) for name, each in runs.items()}
    cpu = {name: middle(each, lambda run: run.system_cpu_us) for name, each in runs.items()}
    for name, times in (("plain", 20), ("textbook", 40), ("durable", 20)):
        if name in runs:
            yield Goal(f"orders per second, times {name}'s", speed["ours"] / speed[name], times)
    if "plain" in runs:
        yield Goal("CPU per order, times plain's", cpu["ours"] / cpu["plain"], 1 / 20, at_least=False)
    if "pipe" in runs:
        yield Goal("CPU per order, times the bare pipe's", cpu["ours"] / cpu["pipe"], 2.2, at_least=False)


def latency(theatre: Theatre) -> Outcome:
    """How long a POST and a whole order take at shares of the saturating load."""
    runs = []
    with theatre.ours() as session:
        count = theatre.count(session)
        most = middle([session.run(count) for _ in range(3)], lambda run: run.rate)
        for _ in range(theatre.wanted.rounds):
            for share in LOADS:
                wanted = share * most
                run = session.run(max(200, round(wanted * theatre.wanted.seconds)), f"at {share:.0%}", rate=wanted)
                runs.append(replace(run, notes={"share": share, "saturating": most}))
    half = [run for run in runs if run.notes["share"] == LOADS[2]]
    goals = [
        Goal("POST p99 at half load", middle(half, lambda run: run.post_ms["p99"]), 10, at_least=False, unit="ms"),
        Goal(
            "POST to completed p99 at half load",
            middle(half, lambda run: run.completed_ms["p99"]),
            120,
            at_least=False,
            unit="ms",
        ),
    ]
    return Outcome("latency", runs, goals, [f"saturating load: {most:.0f} orders/s"])


def stored(theatre: Theatre) -> Outcome:
    """Whether the rate, and each process's memory, stay as they are while orders pile up."""
    runs: list[Run] = []
    wanted = theatre.wanted.stored
    done, step = 0, max(200, min(10_000, wanted // 10))
    deadline = time.monotonic() + 60 * theatre.wanted.minutes
    with theatre.ours() as session:
        theatre.count(session)
        while done < wanted and time.monotonic() < deadline:
            run = session.run(step, f"with {done} stored", then_quiet=False)
            done += step
            runs.append(
                replace(run, memory=session.meter.memory(), notes={"stored": float(done), "loop_ms": loop_ms()})
            )
            theatre.say(_so_far(runs[-1]))
    if len(runs) < ENOUGH or runs[-ENOUGH // 2].notes["stored"] < min(FLAT_AFTER, wanted / 2):
        return Outcome("stored", runs, [], [f"{done} orders are too few to compare what was before with what came"])
    few, many = runs[1:4], runs[-3:]
    ratio = middle(many, lambda run: run.rate) / middle(few, lambda run: run.rate)
    flat_from = next(run for run in runs if run.notes["stored"] >= min(FLAT_AFTER, wanted / 2))
    later = runs[runs.index(flat_from) :]
    growth = {
        name: max(run.memory[name] for run in later) / size - 1
        for name, size in flat_from.memory.items()
        if name in {*CONSUMING, "intake", "catalogue"}
    }
    most = max(growth, key=lambda name: growth[name])
    goals = [
        Goal(f"rate with {done} orders stored, times that with {few[0].notes['stored']:.0f}", ratio, 0.95),
        Goal(f"most growth of memory of a service ({most})", 100 * growth[most], 5, at_least=False, unit="%"),
    ]
    loops = [middle(some, lambda run: run.notes["loop_ms"]) for some in (few, many)]
    told = f"the same loop took {loops[0]:.0f} ms then and {loops[1]:.0f} ms in the end: so fast was the machine itself"
    return Outcome("stored", runs, goals, [told])


def _so_far(run: Run) -> str:
    """A run in a line: who piles up a million orders waits for hours, and wants to know whether to wait on."""
    memory = ", ".join(f"{name} {size / MILLION:.0f}" for name, size in run.memory.items())
    return (
        f"{run.notes['stored']:9,.0f} stored: {run.rate:4.0f} orders/s, {run.system_cpu_us / 1000:.1f} ms of CPU each, "
        f"the loop {run.notes['loop_ms']:.0f} ms · MB: {memory}"
    )


def behind(theatre: Theatre) -> Outcome:
    """What happens when the other services come back and find events waiting, while new orders go on coming."""
    wanted = theatre.wanted
    backlog = wanted.behind // EVENTS_PER_ORDER
    with theatre.ours() as session:
        steady = session.run(theatre.count(session))
        ours = session.subject
        assert isinstance(ours, Ours)
        ours.halt(CONSUMING)
        session.load.do(session.task(backlog, wait=False))
        new = round(wanted.new_orders * min(NEW_FOR_SECONDS, backlog / steady.rate))
        task = session.task(new, rate=wanted.new_orders, behind=True)
        ours.resume(CONSUMING)
        session.meter.begin()
        figures = session.load.do(task, lambda done: theatre.tell("ours catching up", done, new + backlog))
        session.meter.wait_quiet()
        run = session.measured(figures | {"orders": new + backlog}, rate=wanted.new_orders)
    goals = [
        Goal(
            f"completed per second with {backlog * EVENTS_PER_ORDER} events behind, times the steady rate",
            run.notes["completed_per_second"] / steady.rate,
            1.3,
        ),
        Goal(f"POST p99 at {wanted.new_orders:.0f} new orders/s", run.post_ms["p99"], 40, at_least=False, unit="ms"),
    ]
    notes = (
        f"steady {steady.rate:.0f} orders/s; the backlog alone was drained at {run.notes['drained_per_second']:.0f}/s"
    )
    return Outcome("behind", [steady, run], goals, [notes])


def two(theatre: Theatre) -> Outcome:
    """Two instances of each service on the same machine, interleaved with one."""
    runs = []
    for _ in range(theatre.wanted.rounds):
        for instances in (1, 2):
            run = theatre.once("ours", instances=instances)
            runs.append(replace(run, contender=f"ours, {instances} of each"))
    speed = {name: middle(each, lambda run: run.rate) for name, each in by_contender(runs).items()}
    return Outcome(
        "two",
        runs,
        [Goal("rate of two instances, times one's", speed["ours, 2 of each"] / speed["ours, 1 of each"], 0.7)],
    )


def start(theatre: Theatre) -> Outcome:
    """How long the whole stack takes to start again: Kafka, PostgreSQL, the world outside and six services."""
    seconds = []
    with tempfile.TemporaryDirectory(prefix="asquoted-start-", ignore_cleanup_errors=True) as folder:
        for number in range(theatre.wanted.rounds + 1):
            theatre.tell("starting the stack", number, theatre.wanted.rounds + 1)
            stack, began = Stack(Options(Path(folder)), lambda _: None), time.monotonic()
            try:
                stack.start()
                seconds.append(time.monotonic() - began)
                if stack.new:
                    with Doors(stack.description) as doors:
                        loading.load(doors, lambda _: None)
                    stack.ready()
            finally:
                stack.stop()
    warm = seconds[1:]
    told = (
        f"the first start, on an empty folder: {seconds[0]:.1f} s; warm: {', '.join(f'{each:.1f}' for each in warm)} s"
    )
    return Outcome("start", [], [Goal("warm start of everything", median(warm), 4, at_least=False, unit="s")], [told])


def audit(theatre: Theatre) -> Outcome:
    """What the audit costs, for a million messages: in a straight line from a quarter of the orders and all of them."""
    wanted = theatre.wanted.audited
    with theatre.ours() as session:
        few, many = (_audited(session, count) for count in (wanted // 4, wanted - wanted // 4))
    per_million = {
        name: few[name] + (many[name] - few[name]) * (MILLION - few["messages"]) / (many["messages"] - few["messages"])
        for name in ("seconds", "cpu", "memory")
    }
    goals = [
        Goal("audit of 1,000,000 messages", per_million["seconds"], 60, at_least=False, unit="s"),
        Goal("its memory", per_million["memory"] / MILLION, 500, at_least=False, unit="MB"),
    ]
    told = [
        f"{each['messages']:.0f} messages took {each['seconds']:.1f} s, {each['cpu']:.1f} s of CPU and "
        f"{each['memory'] / MILLION:.0f} MB"
        for each in (few, many)
    ]
    line = f"in a straight line to a million, with {per_million['cpu']:.0f} s of CPU"
    return Outcome("audit", [], goals, [*told, line])


def _audited(session: Session, orders: int) -> dict[str, float]:
    """What an audit costs after so many more orders, the median of three."""
    session.run(orders)
    costs = [session.audit() for _ in range(3)]
    return {name: median(each[name] for each in costs) for name in costs[0]}


SCENARIOS = {each.__name__: each for each in (rate, latency, stored, behind, two, start, audit)}
