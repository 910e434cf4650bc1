"""What is told of every request once it has ended: it is counted for Prometheus, and has one line in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.logs import request_line
from service.metrics import Metrics

__all__ = ["Ledger"]


class Ledger:
    """The requests of one endpoint; on the event loop only."""

    def __init__(self, endpoint: str, metrics: Metrics, *, logs: bool) -> None:
        self._endpoint = endpoint
        self._tally = metrics.tallies.of[endpoint]
        self._logs = logs

    def enter(
        self,
        outcome: str,
        status: int,
        request_id: str,
        facts: Mapping[str, Any],
        seconds: Mapping[str, float],
        *,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        """Enters one request; `seconds` by stage, with the total."""
        rows, customers = facts.get("rows_in", 0), facts.get("customers_out", 0)
        self._tally.add(
            outcome, seconds, rows=rows, customers=customers, received_bytes=received_bytes, sent_bytes=sent_bytes
        )
        if self._logs:
            line = request_line(self._endpoint, outcome, status, tuple(facts), tuple(seconds))
            line.write(request_id, received_bytes, sent_bytes, facts.values(), seconds.values())
