"""Structured logs with order and trace id, metrics for Prometheus, and OpenTelemetry where it is installed."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.types import EventDict

CONSUMED = Counter("asquoted_events_consumed_total", "Events handled", ["type"])
REPEATED = Counter("asquoted_events_repeated_total", "Events dropped as already handled", ["topic"])
SKIPPED = Counter("asquoted_events_skipped_total", "Well-formed events that this service has no handler for", ["topic"])
DEAD_LETTERED = Counter(
    "asquoted_messages_dead_lettered_total", "Records that became a technical case", ["topic", "code"]
)
PARKED = Gauge("asquoted_keys_parked", "Keys whose records wait behind one that failed")
RELAYED = Counter("asquoted_events_relayed_total", "Events published from the outbox")
JOBS = Counter("asquoted_jobs_total", "Jobs by name and how they ended", ["name", "outcome"])
BATCH_SECONDS = Histogram("asquoted_batch_seconds", "Time from a batch's arrival to its committed offsets")
REQUESTS = Counter("asquoted_requests_total", "Requests at the doors", ["method", "path", "status"])
STOPPED = Gauge("asquoted_consumer_stopped", "1 while the consumer was stopped by too many technical cases")


FRAMES = 8
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")


def configure_logging(service: str, level: str) -> None:
    """Write one JSON object per line to standard output; values that could be personal are never passed to the log."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        _subject,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        exception_without_words,
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    libraries = logging.StreamHandler(sys.stdout)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)


def exception_without_words(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Log an exception as its types and places; its message stays out, for it may hold what a customer typed."""
    error = entry.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        entry["exception"] = [type(each).__name__ for each in _chain(error)]
        entry["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return entry


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


_about: ContextVar[tuple[str | None, str | None]] = ContextVar("about", default=(None, None))


@contextmanager
def about(order_id: str | None, traceparent: str | None) -> Iterator[None]:
    """Say in every line that is logged within what it is about: the order (an event's subject), and the trace."""
    token = _about.set((order_id, traceparent))
    try:
        yield
    finally:
        _about.reset(token)


def _subject(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Add it only to what is logged: most of what is done is not."""
    order_id, traceparent = _about.get()
    found = {"order_id": order_id, "trace_id": trace_id(traceparent)}
    return {**{name: value for name, value in found.items() if value is not None}, **entry}


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace id inside a W3C traceparent; None where it is none."""
    found = _TRACEPARENT.match(traceparent or "")
    return found[1] if found else None


def broker_middlewares() -> list[Any]:
    """Trace batches with OpenTelemetry, if the extra is installed and an exporter is configured."""
    if (
        not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or find_spec("opentelemetry") is None
        or find_spec("opentelemetry.exporter") is None
    ):
        return []
    from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware  # noqa: PLC0415 - an extra
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return [KafkaTelemetryMiddleware(tracer_provider=provider)]
