"""Logs as JSON lines on stderr, and the metrics behind /metrics."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO, cast

import msgspec
import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

EVENTS = Counter("campaign_ledger_events_total", "Events by what became of them", ["status"])
APPEND_BATCH = Histogram(
    "campaign_ledger_append_batch_events",
    "Events per append transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 500, 2000),
)
PROJECTED = Counter("campaign_ledger_projected_events_total", "Events projected", ["ledger"])
LAG = Gauge("campaign_ledger_projection_lag_events", "Events appended but not yet projected", ["ledger"])
LAG_SECONDS = Gauge(
    "campaign_ledger_projection_lag_seconds", "How long the next event has waited to be projected", ["ledger"]
)
REQUESTS = Counter("campaign_ledger_http_requests_total", "HTTP requests by status", ["status"])
SET_ASIDE = Gauge("campaign_ledger_set_aside", "Events and components set aside: they wait for a fix", ["ledger"])
PROOF = Gauge("campaign_ledger_verify_good", "Whether the last proof was good: 1 or 0", ["ledger"])
PROOF_TIME = Gauge("campaign_ledger_verify_timestamp_seconds", "When the last proof was made", ["ledger"])
PROOF_POSITION = Gauge("campaign_ledger_verify_position", "The last position of the log at the last proof", ["ledger"])
PART_UP = Gauge("campaign_ledger_part_up", "Whether a part of a process works: 1 or 0", ["process", "part"])
PART_SINCE = Gauge("campaign_ledger_part_since_seconds", "Since when it does, or does not", ["process", "part"])
PROJECTION_ERRORS = Counter("campaign_ledger_projection_errors_total", "Projection batches that failed", ["ledger"])

DELIVERIES = Counter("campaign_ledger_deliveries_total", "Deliveries of senders by kind and state", ["kind", "state"])
UNTRANSLATED = Gauge("campaign_ledger_untranslated_deliveries", "Deliveries that wait for translation")


def exposed(ledger: str | None) -> bytes:
    """Return the series in Prometheus's text format: all of them, or those of one ledger, which carry its name."""
    if ledger is None:
        return generate_latest()
    own = CollectorRegistry()
    own.register(_OfLedger(ledger))
    return generate_latest(own)


class _OfLedger(Collector):
    """The series that are about one ledger. What is about the process or all ledgers would tell of the others."""

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        for metric in REGISTRY.collect():
            samples = [one for one in metric.samples if one.labels.get("ledger") == self._ledger]
            if samples:
                found = Metric(metric.name, metric.documentation, metric.type)
                found.samples = samples
                yield found


@functools.cache  # finding the series takes longer than counting
def answers(status: int) -> Counter:
    """Return what counts the answers of a status."""
    return REQUESTS.labels(str(status))


_tells_requests = False


def tells_requests() -> bool:
    """Tell whether the log has a line for each request."""
    return _tells_requests


def tell_request(**told: object) -> None:
    """Write the line of a request. Much cheaper than a logger's: there is one for each event posted by itself."""
    line = {"part": "access", "event": "request", **told, "level": "info", "timestamp": datetime.now(UTC)}
    with contextlib.suppress(OSError, ValueError):  # as `_StandardError` has it; ValueError: it is closed
        sys.stderr.write(msgspec.json.encode(line).decode() + "\n")


class _StandardError(io.TextIOBase):
    """Standard error, which may end on a full disk or in a closed pipe: what cannot be logged must not fail for it."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


class _Others(logging.Handler):
    """What libraries log – the HTTP server, the event loop – in the form of all other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # its arguments do not fit its text, which is no reason to lose it
            text = str(record.msg)
        logger(record.name).log(record.levelno, text.strip(), exc_info=record.exc_info)


def configure_logs(level: str) -> None:
    """Send logs to stderr as one JSON object per line, those of libraries too (from warnings on)."""
    global _tells_requests  # noqa: PLW0603  as the configuration of structlog is one for the process
    _tells_requests = logging.getLevelNamesMapping()[level] <= logging.INFO
    logging.basicConfig(level=logging.WARNING, handlers=[_Others()], force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger that names its part of the service."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(part=name)
    return bound
