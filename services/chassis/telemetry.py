"""Structured logs with order and trace id, metrics for Prometheus, and OpenTelemetry where it is installed."""

from __future__ import annotations

import logging
import os
import sys
from importlib.util import find_spec
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter("asquoted_events_consumed_total", "Events handled", ["type"])
REPEATED = Counter("asquoted_events_repeated_total", "Events dropped as already handled", ["topic"])
SKIPPED = Counter("asquoted_events_skipped_total", "Well-formed events that this service has no handler for", ["topic"])
DEAD_LETTERED = Counter("asquoted_messages_dead_lettered_total", "Records that became a technical case", ["topic", "code"])
PARKED = Gauge("asquoted_keys_parked", "Keys whose records wait behind one that failed")
RELAYED = Counter("asquoted_events_relayed_total", "Events published from the outbox")
JOBS = Counter("asquoted_jobs_total", "Jobs by name and how they ended", ["name", "outcome"])
BATCH_SECONDS = Histogram("asquoted_batch_seconds", "Time from a batch's arrival to its committed offsets")
REQUESTS = Counter("asquoted_requests_total", "Requests at the doors", ["method", "path", "status"])
STOPPED = Gauge("asquoted_consumer_stopped", "1 while the consumer was stopped by too many technical cases")


def configure_logging(service: str, level: str) -> None:
    """Write one JSON object per line to standard output; values that could be personal are never passed to the log."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s", force=True)


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace id inside a W3C traceparent."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - version, trace id, parent id, flags


def broker_middlewares() -> list[Any]:
    """Trace batches with OpenTelemetry, if the extra is installed and an exporter is configured."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or find_spec("opentelemetry.exporter") is None:
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
