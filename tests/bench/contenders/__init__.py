"""Who else does the benchmark's work: the same orders, rules and events, each written as its way of working is.

Every process gets by environment DATABASE_URL (one PostgreSQL server; it makes the databases it needs),
KAFKA_BOOTSTRAP, PORT (its HTTP port), NETWORK_URL (the network simulator) and API_KEY_SHA256 (of the key of the
partner `gent-calls`), and answers `GET /readyz` with 200 once it consumes. Orders are posted to the process `intake`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One way of working: what to start, where its orders are seen to be complete, and how it is tuned.

    The bare pipe has no doors: it is run once with `--orders N --window W` and prints one JSON line.
    """

    name: str
    processes: dict[str, str]
    completed_topic: str
    knobs: dict[str, str]


SERVICES = ("intake", "provisioning", "billing", "notification", "review")


def _by_service(name: str) -> dict[str, str]:
    return {service: f"tests.bench.contenders.{name}.{service}" for service in SERVICES}


PLAIN = Contender("plain", _by_service("plain"), "plain.orders", {"MAX_WORKERS": "16"})
TEXTBOOK = Contender("textbook", _by_service("textbook"), "textbook.orders", {"MAX_WORKERS": "8", "JOB_WORKERS": "4"})
DURABLE = Contender(
    "durable",
    {"intake": "tests.bench.contenders.durable.intake", "worker": "tests.bench.contenders.durable.worker"},
    "durable.orders",
    {"MAX_WORKERS": "16", "QUEUE_POLL_SECONDS": "0.5"},
)
PIPE = Contender("pipe", {"pipe": "tests.bench.contenders.pipe"}, "pipe.orders", {})

CONTENDERS = {each.name: each for each in (PLAIN, TEXTBOOK, DURABLE, PIPE)}
