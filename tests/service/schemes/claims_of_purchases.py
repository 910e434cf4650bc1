"""Numbers in the docs of the schemes that read purchases alone, written anew from what the service answers."""

from __future__ import annotations

import re
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from service.schemes.catalogue import catalogue
from tests.service.schemes.answers import Claim, base, classes, customers, figures, of_whole, parameter, readable
from tests.service.schemes.shop import purchases, request, told
from tests.service.schemes.test_growth import dated


@cache
def quintiles() -> list[dict[str, Any]]:
    """Customers of every R, F and M, each value in the middle of its fifth."""
    r, f, m = zip(*product(range(1, 6), repeat=3), strict=True)
    table = customers(recency_days=[5.5 - score for score in r], frequency=f, monetary=[score - 0.5 for score in m])
    cuts = {
        "quintile.recency_cuts": "1;2;3;4",
        "quintile.frequency_cuts": "1;2;3;4",
        "quintile.monetary_cuts": "1;2;3;4",
    }
    return list(told(request(table, {"schemes": "quintile", **cuts}), "quintile").values())


def quintile_codes() -> str:
    codes = sorted(row["code"] for row in quintiles())
    assert len(set(codes)) == 125
    return f"{codes[0]} … {codes[-1]}"


def quintile_weights() -> str:
    r, f, m = (np.array([row[name] for row in quintiles()]) for name in "rfm")
    codes = np.array([row["code"] for row in quintiles()])
    found, *_ = np.linalg.lstsq(np.stack([r, f, m], axis=1).astype(float), codes.astype(float), rcond=None)
    big, middle, small = np.rint(found).astype(int).tolist()
    assert small == 1
    assert (codes == big * r + middle * f + m).all()
    return f"code = {big}·R + {middle}·F + M"


def quintile_scores() -> list[int]:
    """Of values that lie at, between and beyond the cuts 1, 2, 3, 4."""
    own = {"schemes": "quintile", "quintile.frequency_cuts": "1;2;3;4"}
    return figures(base(6, frequency=[0, 1, 2, 3, 4, 9]), own, "quintile", "f")


def quintile_best_recency() -> str:
    scores = figures(base(5, recency_days=[1.0, 2.0, 3.0, 4.0, 5.0]), "quintile", "quintile", "r")
    assert scores == sorted(scores, reverse=True)
    return f"so {scores[0]} is the most recent"


def quintile_range() -> str:
    scores = {row["r"] for row in quintiles()}
    return f"scores of {min(scores)} to {max(scores)}"


NAMES = {"new": "new_customers", "loyal": "loyal_customers", "can't lose": "cant_lose"}


def quintile_names() -> str:
    """The sentence with the names: each R|F is taken apart, and its customers have that class and no others do."""
    formula = catalogue()["quintile"].formula
    sentence = re.search(r"Names for \d bins by R\|F: [^;]*", formula)
    assert sentence is not None
    found = {(row["r"], row["f"]): row["class"] for row in quintiles()}
    said: dict[tuple[int, int], str] = {}
    for r, f, name in re.findall(r"([\d–]+)\|([\d–]+) ([a-z' ]+)", sentence[0]):
        r_all, f_all = (range(int(part[0]), int(part[-1]) + 1) for part in (r, f))
        for pair in product(r_all, f_all):
            said[pair] = NAMES.get(name, name.replace(" ", "_"))
    assert {pair: name for pair, name in found.items() if pair in said} == said
    assert set(found) == set(said), set(found) - set(said)
    return sentence[0]


def pareto_floor() -> str:
    """Somebody who owes the shop spends as much as nobody: with or without the debt, the Gini is the same."""
    with_debt = request(base(4, monetary=[90.0, 6.0, 4.0, -50.0]), "pareto")
    with_none = request(base(4, monetary=[90.0, 6.0, 4.0, 0.0]), "pareto")
    assert of_whole(with_debt, "pareto") == of_whole(with_none, "pareto")
    return f"max({0}, monetary)"


def pareto_gini() -> str:
    spend = np.array([1.0, 2.0, 4.0, 9.0])
    found = of_whole(request(base(4, monetary=spend), "pareto"), "pareto")["gini"]
    n, total = len(spend), spend.sum()
    two, one = 2, 1
    assert found == pytest.approx(two * (np.arange(1, n + 1) * spend).sum() / (n * total) - (n + one) / n)
    return f"gini = {two}·Σ i·x_i ÷ (n·Σ x) − (n + {one})/n"


def pareto_title() -> str:
    best, share = parameter("pareto", "best").default, parameter("pareto", "a").default
    return f"{best * 100:g}/{share * 100:g}"


def lifecycle_orders() -> str:
    found = classes(base(4, frequency=[0, 1, 2, 3]), "lifecycle", "lifecycle")
    places = [found.index(name) for name in ("prospect", "first_time", "repeat")]
    assert found[places[2] :] == ["repeat"] * 2
    return "orders (frequency) {}: prospect, {}: first-time, ≥ {}: repeat".format(*places)


def lifecycle_no_mean() -> str:
    values = figures(base(3, monetary=[-1.0, 0.0, 1.0]), "lifecycle", "lifecycle", "expected_revenue")
    assert [value is None for value in values] == [True, True, False]
    return f"A mean order ≤ {0} gives none"


def margin_is_a_share() -> str:
    """At the ends a margin leaves nothing and everything of the expected revenue."""
    revenue = figures(base(2), "lifecycle", "lifecycle", "expected_revenue")
    low, high = 0, 1
    profit = figures(base(2, margin=[float(low), float(high)]), "lifecycle", "lifecycle", "expected_profit")
    assert profit == [0.0, revenue[1]]
    return f"A customer's margin, {low} … {high}"


W = 10


@cache
def growth(compare: str) -> list[dict[str, Any]]:
    """A customer for each day of the past year and more, who bought once, for 1, that many days ago."""
    asked = {"schemes": "growth", "growth.window": f"{W}d", "growth.compare": compare}
    return list(told(request(dated([[(ago, 1)] for ago in range(400)]), asked), "growth").values())


def days_of(rows: list[dict[str, Any]], name: str) -> tuple[int, int]:
    """The first and the last day whose purchase counts in this figure."""
    inside = [ago for ago, row in enumerate(rows) if row[name]]
    assert inside == list(range(inside[0], inside[-1] + 1))
    return inside[0], inside[-1]


def before(figure_rows: list[dict[str, Any]], name: str) -> str:
    first, last = days_of(figure_rows, name)
    assert first == W
    return f"in (as_of − {(last + 1) // W}W, as_of − W]"


def growth_year() -> str:
    first, last = days_of(growth("year_ago"), "earlier")
    assert last - first == W - 1
    return f"the same W days {first} days before"


def growth_new() -> str:
    least = [[row["class"] for row in growth(compare)].index("new") for compare in ("previous", "year_ago")]
    ends = [sum(row["class"] == "new" for row in growth(compare)) for compare in ("previous", "year_ago")]
    assert least == [0, 0]
    return f"first purchase less than {ends[0] // W}W ago (year_ago: W + {ends[1] - W})"


def growth_inactive() -> str:
    """By the amounts in both windows: (earlier, recent)."""
    pairs = [(0, 0), (0, 1), (1, 1), (-1, -1), (-1, 1)]
    table = dated([[(30, 1), (15, first), (5, second)] for first, second in pairs])
    asked = {"schemes": "growth", "growth.window": f"{W}d", "growth.relative": "false"}
    found = classes(table, asked, "growth")
    assert found == ["inactive", "reactivated", "steady", "inactive", "reactivated"]
    return f"both ≤ {0}: inactive; earlier ≤ {0}: reactivated"


def retention_before() -> str:
    table = dated([[(ago, 1)] for ago in range(40)])
    found = told(request(table, {"schemes": "retention", "retention.window": f"{W}d"}), "retention")
    return before(list(found.values()), "purchases_before")


def ranks() -> str:
    """Under ties=rank all values alike are dealt out in their order: the first to appear has the first rank."""
    found = figures(base(5), {"schemes": "quintile", "quintile.ties": "rank"}, "quintile", "m")
    return f"ranks {found[0]} … n"


def btyd_of(*agos: int) -> dict[str, Any]:
    return told(request(dated([[(ago, 16) for ago in agos]]), "btyd"), "btyd")["c0"]


def btyd_week() -> str:
    row = btyd_of(30, 16, 2)
    week = round(28 / row["t_x_weeks"])
    assert (row["t_x_weeks"], row["t_weeks"]) == (28 / week, 30 / week)
    return f"a week is {week} days"


def btyd_x() -> str:
    return f"x = distinct purchase days − {3 - btyd_of(30, 16, 2)['x']}; t_x"


def btyd_over(figure: str, days: int, written: str) -> str:
    return f"{written} ÷ {round(days / btyd_of(30, 16, 2)[figure])}"


def btyd_no_repeat() -> str:
    row = btyd_of(30)
    return f"÷ x, {row['mean_repeat_spend']:g} where x = {row['x']}"


CLV = {"schemes": "clv", "clv.margin": "0.25", "clv.years": "4"}


def clv_acquisition() -> str:
    names = ("annual_selling_cost", "visits_per_year", "visits_per_win")
    cost, visits, wins = (parameter("clv", name).default for name in names)
    found = of_whole(request(dated([[(1, 100)]]), CLV), "clv")["acquisition_cost"]
    return f"{cost:,.0f} ÷ {visits:g} × {wins:g} = {found:,.0f}"


@cache
def clv_days() -> int:
    """So many days back a purchase still counts."""
    found = figures(dated([[(ago, 1)] for ago in range(380)]), CLV, "clv", "annual_revenue")
    assert found == sorted(found, reverse=True)
    return int(sum(found))


def clv_short() -> int:
    return sum(figures(dated([[(ago, 1)] for ago in range(380)]), CLV, "clv", "short_history"))


def clv_cycle(n_orders: int) -> float | None:
    """Of orders of 64, ten days apart."""
    table = dated([[(10 * i, 64) for i in range(n_orders)]])
    found: float | None = figures(table, {**CLV, "clv.revenue": "cycle"}, "clv", "annual_revenue")[0]
    return found


def clv_cycle_days() -> str:
    annual = clv_cycle(4)
    assert annual is not None
    return f"mean order × {annual * 10 / 64:g} ÷ mean days between orders"


def clv_least_orders() -> str:
    return f"from {next(n for n in range(1, 9) if clv_cycle(n) is not None)} orders on"


def clv_payback() -> str:
    found = figures(dated([[(1, amount), (2, 0)] for amount in (-1, 0, 1)]), CLV, "clv", "payback_years")
    assert [value is None for value in found] == [True, True, False]
    return f"null where that is ≤ {0}"


def clv_retention() -> str:
    told_ = of_whole(request(dated([[(1, 100)]]), CLV), "clv")
    return f"retention cost = acquisition cost ÷ {told_['acquisition_cost'] / told_['retention_cost']:g}"


def quintile_rule() -> str:
    at_cuts = quintile_scores()
    assert at_cuts == [1, 1, 2, 3, 4, 5]  # a value that a cut equals has that cut not below it
    return f"score = {at_cuts[0]} + cuts strictly below the value"


def quintile_default_cuts() -> str:
    """At the linear quantiles: of 0 … 10 the fifths end at 2, 4, 6, 8."""
    scores = figures(base(11, monetary=[float(i) for i in range(11)]), "quintile", "quintile", "m")
    assert scores == [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    return "linear quantiles at {}/bins, {}/bins …".format(*range(1, 3))


def cuts_example(name: str) -> str:
    text = {"recency": "30;90;180;365", "frequency": "1;2;4;8", "monetary": "50;100;250;1000"}[name]
    assert len(readable("quintile", f"{name}_cuts", text).split(";")) == parameter("quintile", "bins").default - 1
    request(base(3), {"schemes": "quintile", f"quintile.{name}_cuts": text})
    return text


def peaks_example() -> str:
    bought = [("a", f"{year}-{month:02}-01", 1.0) for year in (2023, 2024) for month in range(1, 7)]
    asked = {"schemes": "season", "season.peak": readable("season", "peak", "11;12")}
    peaks = of_whole(request(purchases(*bought), asked), "season")["peak_months"]
    return ";".join(map(str, peaks))


CLAIMS: tuple[Claim, ...] = (
    ("quintile", "score = 1 + cuts strictly below the value", quintile_rule),
    ("quintile", "so 5 is the most recent", quintile_best_recency),
    ("quintile", "linear quantiles at 1/bins, 2/bins …", quintile_default_cuts),
    ("quintile", "code = 100·R + 10·F + M", quintile_weights),
    ("quintile", "ranks 1 … n", ranks),
    (
        "quintile",
        "Names for 5 bins by R|F: 5|4–5 champions, 5|1 new, 4–5|2–3 potential loyalists, 3–4|4–5 loyal, 4|1 promising, "
        "3|3 need attention, 3|1–2 about to sleep, 1–2|5 can't lose, 1–2|3–4 at risk, 1–2|1–2 hibernating",
        quintile_names,
    ),
    ("quintile", "scores of 1 to 5", quintile_range),
    ("quintile", "111 … 555", quintile_codes),
    ("quintile", "30;90;180;365", partial(cuts_example, "recency")),
    ("quintile", "1;2;4;8", partial(cuts_example, "frequency")),
    ("quintile", "50;100;250;1000", partial(cuts_example, "monetary")),
    ("pareto", "20/80", pareto_title),
    ("pareto", "max(0, monetary)", pareto_floor),
    ("pareto", "gini = 2·Σ i·x_i ÷ (n·Σ x) − (n + 1)/n", pareto_gini),
    ("lifecycle", "orders (frequency) 0: prospect, 1: first-time, ≥ 2: repeat", lifecycle_orders),
    ("lifecycle", "A mean order ≤ 0 gives none", lifecycle_no_mean),
    ("lifecycle", "A customer's margin, 0 … 1", margin_is_a_share),
    ("growth", "in (as_of − 2W, as_of − W]", lambda: before(growth("previous"), "earlier")),
    ("growth", "the same W days 365 days before", growth_year),
    ("growth", "first purchase less than 2W ago (year_ago: W + 365)", growth_new),
    ("growth", "both ≤ 0: inactive; earlier ≤ 0: reactivated", growth_inactive),
    ("retention", "in (as_of − 2W, as_of − W]", retention_before),
    ("btyd", "a week is 7 days", btyd_week),
    ("btyd", "x = distinct purchase days − 1; t_x", btyd_x),
    ("btyd", "(last − first purchase day) ÷ 7", partial(btyd_over, "t_x_weeks", 28, "(last − first purchase day)")),
    (
        "btyd",
        "(as_of's day − first purchase day) ÷ 7",
        partial(btyd_over, "t_weeks", 30, "(as_of's day − first purchase day)"),
    ),
    ("btyd", "÷ x, 0 where x = 0", btyd_no_repeat),
    ("clv", "182,500 ÷ 365 × 4 = 2,000", clv_acquisition),
    ("clv", "net spend of the last 365 days", lambda: f"net spend of the last {clv_days()} days"),
    ("clv", "Of the last 365 days", lambda: f"Of the last {clv_days()} days"),
    ("clv", "first purchase is less than 365 days ago", lambda: f"first purchase is less than {clv_short()} days ago"),
    ("clv", "First purchase less than 365 days ago", lambda: f"First purchase less than {clv_short()} days ago"),
    ("clv", "mean order × 365 ÷ mean days between orders", clv_cycle_days),
    ("clv", "from 3 orders on", clv_least_orders),
    ("clv", "null where that is ≤ 0", clv_payback),
    ("clv", "retention cost = acquisition cost ÷ 5", clv_retention),
    ("clv", "A customer's margin, 0 … 1", margin_is_a_share),
    ("season", "11;12", peaks_example),
)
