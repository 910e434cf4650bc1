"""The ledger: a request is counted under its outcome and stages, and logged where that is wanted."""

from __future__ import annotations

import pytest

from service.ledger import Ledger
from service.logs import RequestLine
from service.metrics import Metrics


@pytest.mark.parametrize("logs", [True, False])
def test_a_request_is_counted_and_has_its_line(logs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    monkeypatch.setattr(RequestLine, "write", lambda _, *told: lines.append(told))
    metrics = Metrics()
    facts = {"rows_in": 7, "customers_out": 3, "key": "shop"}
    Ledger("score", metrics, logs=logs).enter(
        "ok", 200, "mine", facts, {"decode": 0.5, "total": 2.0}, received_bytes=10, sent_bytes=20
    )
    tally = metrics.tallies.of["score"]
    assert (tally.rows, tally.customers, tally.received_bytes, tally.sent_bytes) == (7, 3, 10, 20)
    assert tally.outcomes["ok"] == 1
    assert (tally.stages["decode"].sum, tally.stages["total"].sum) == (0.5, 2.0)
    assert [line[:3] for line in lines] == ([("mine", 10, 20)] if logs else [])
