"""Who sends how much, and what is fast enough: the scenarios and their thresholds, as plain data."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AD", "CRM", "SCENARIOS", "Scenario", "Threshold"]

AD, CRM = "ad platform", "CRM"


class Threshold(NamedTuple):
    """What the requests of one kind must keep, besides that none fails; milliseconds from when a request was due."""

    p50_ms: float
    p99_ms: float


class Scenario(NamedTuple):
    """Arrivals a second by kind, thresholds by kind, and a data team's uploads beside them."""

    what: str
    rates: dict[str, float]
    thresholds: dict[str, Threshold]
    uploaders: int = 0
    upload_rows: int = 10_000_000
    upload_p50_seconds: float = 0.0
    """What half of the uploads must take at most."""


SCENARIOS = {
    "ad": Scenario("an ad platform: 100 customers a score, Arrow", {AD: 300.0}, {AD: Threshold(10, 50)}),
    "crm": Scenario("a CRM: one customer's receipts a score, JSON", {CRM: 100.0}, {CRM: Threshold(15, 75)}),
    "data": Scenario("a data team: two uploads of 10 million rows at a time", {}, {}, 2, upload_p50_seconds=15.0),
    "mix": Scenario(
        "all of them together",
        {AD: 100.0, CRM: 20.0},
        {AD: Threshold(50, 250), CRM: Threshold(75, 300)},
        1,
        upload_p50_seconds=15.0,
    ),
}
