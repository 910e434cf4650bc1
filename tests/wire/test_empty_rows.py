"""A JSON list of rows that is empty names no columns: it is taken as data of the usual ones, without rows."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

Rows = list[dict[str, Any]]

PURCHASES = [
    {"who": "a", "timestamp": "2026-01-01", "amount": 1},
    {"who": "b", "timestamp": "2026-01-02", "amount": 2},
    {"who": "c", "timestamp": "2026-01-03", "amount": 9},
]
PEOPLE = [{"customer_id": i, "visits": i, "basket": 2 * i} for i in range(4)]


@pytest.mark.parametrize(
    ("rows", "fit", "score"),
    [
        (PURCHASES, "k=2&columns=customer_id:who", "as_of=2026-01-04&columns=customer_id:who"),
        ([row | {"order_id": "o"} for row in PURCHASES], "k=2&columns=customer_id:who", "as_of=2026-01-04"),
        (PEOPLE, "k=2&features=visits,basket", ""),
    ],
    ids=["transactions", "with orders", "customers"],
)
def test_scoring_no_rows_answers_no_rows(
    client: httpx.Client, rows: list[dict[str, Any]], fit: str, score: str
) -> None:
    model = client.post(f"/v1/fit?{fit}", json={"rows": rows}).json()
    reply = client.post(f"/v1/score?{score}", json={"rows": [], "model": model})
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["rows"] == []
    assert answer["status"] == "complete"
    assert answer["summary"]["counts"]["rows_in"] == 0
    in_pieces = client.post(
        f"/v1/score?{score}", content=iter([reply.request.content]), headers={"Content-Type": "application/json"}
    )
    assert in_pieces.json() == answer


@pytest.mark.parametrize("query", ["", "?input=customers", "?features=visits", "?occasion=order"])
def test_fitting_no_rows_is_refused(client: httpx.Client, query: str) -> None:
    reply = client.post(f"/v1/segment{query}", json={"rows": []})
    assert reply.status_code == 422
    assert reply.json()["code"] == "no_customers", reply.text


def test_no_columns_at_all_are_missed(client: httpx.Client) -> None:
    reply = client.post("/v1/segment", json={"columns": {}})
    assert (reply.status_code, reply.json()["code"]) == (422, "missing_column")
