"""Audiences against a naive twin in plain Python: rule by rule, customer by customer, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.keys import FixedKeys
from proto.audience import AudienceOptions, Top, top_of
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.model import Model
from proto.options import parse_options
from proto.summary import Counts
from service.audience import Audience, best_first, choose, held_back
from service.outcome import Outcome
from service.pipeline import Job
from service.population import Population
from service.scoring import Scored
from service.threads import ThreadTeam
from tests.data.jobs import rows
from tests.service.cli.samples import model as sample_model
from tests.service.schemes.shop import purchases, request, told

MODEL: Model = sample_model()
K = len(MODEL.segments)


def options_of(**query: Any) -> AudienceOptions:
    return parse_options(AudienceOptions, [(name.rstrip("_"), str(value)) for name, value in query.items()])


def population_of(n: int, purchased: list[bool] | None = None) -> Population:
    features = {name: np.arange(n, dtype=float) for name in ("recency_days", "frequency", "monetary")}
    some = None if purchased is None or all(purchased) else np.array(purchased)
    keys = FixedKeys(np.arange(100, 100 + n, dtype=np.uint64))
    return Population(keys, pa.int64(), n, features, Counts(rows_in=n, rows_used=n, customers_out=n), some)


def run(customers: list[dict[str, Any]], options: AudienceOptions) -> Audience:
    scores = np.array([math.nan if c["score"] is None else c["score"] for c in customers], float)
    segments = np.array([-1 if c["score"] is None else c["segment"] for c in customers], np.int32)
    names = [name for name in ("consent", "opt_out", "cost") if options.named_columns().get(_option(name))]
    values = {_option(name): np.array([math.nan if c[name] is None else c[name] for c in customers]) for name in names}
    population = population_of(len(customers), [c["score"] is not None for c in customers])
    return choose(population, Scored(scores, segments), MODEL, options, values)


def _option(name: str) -> str:
    return "cost_per_contact" if name == "cost" else name


def naive(customers: list[dict[str, Any]], o: AudienceOptions) -> tuple[list[int], dict[str, int], list[Fraction]]:
    """(who, by place, in order of rank; how many went where; costs)."""
    removed: dict[str, int] = {}
    ranked = sorted(
        (i for i, c in enumerate(customers) if c["score"] is not None), key=lambda i: -customers[i]["score"]
    )
    top = None
    if o.top is not None:
        n, share = top_of(o.top)
        top = ranked[: n if n is not None else int(Fraction(share) * len(ranked))]
    left = []
    for i in ranked:
        c = customers[i]
        why = None
        if o.exclude is not None and str(100 + i) in o.exclude:
            why = "exclude"
        elif o.consent is not None and c["consent"] != 1:
            why = "consent"
        elif o.opt_out is not None and c["opt_out"] not in (None, 0):
            why = "opt_out"
        elif top is not None and i not in top:
            why = "top"
        elif o.segments is not None and str(c["segment"]) not in o.segments:
            why = "segments"
        elif o.cost_per_contact == "price" and c["cost"] is None:
            why = "no_cost"
        if why is None:
            left.append(i)
        else:
            removed[why] = removed.get(why, 0) + 1
    if o.holdout is not None and o.campaign is not None and customers:
        held = held_back(population_of(len(customers)).keys, o.campaign, o.holdout)
        removed["held_out"] = sum(bool(held[i]) for i in left)
        left = [i for i in left if not held[i]]
    if o.max is not None:
        removed["beyond_max"] = max(0, len(left) - o.max)
        left = left[: o.max]
    costs: list[Fraction] = []
    reached: list[int] = []
    for i in left:
        if o.cost_per_contact is not None:
            cost = (
                Fraction(str(customers[i]["cost"])) if o.cost_per_contact == "price" else Fraction(o.cost_per_contact)
            )
            if o.budget is not None and sum(costs, Fraction(0)) + cost > Fraction(str(o.budget)):
                break
            costs.append(cost)
        reached.append(i)
    return reached, removed, costs


CUSTOMERS = st.lists(
    st.fixed_dictionaries(
        {
            "score": st.none() | st.integers(-3, 3).map(float),
            "segment": st.integers(0, K - 1),
            "consent": st.sampled_from([None, 0.0, 1.0]),
            "opt_out": st.sampled_from([None, 0.0, 1.0]),
            "cost": st.sampled_from([None, 0.0, 0.1, 0.3, 2.5]),
        }
    ),
    max_size=14,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "top": st.sampled_from(["1", "3", "50%", "0.25", "100%"]),
        "exclude": st.sampled_from(["101", "100,105,999"]),
        "consent": st.just("may"),
        "opt_out": st.just("stop"),
        "segments": st.sampled_from(["0,1,2", "3"]),
        "max": st.integers(1, 5).map(str),
    },
)
COSTS = st.sampled_from(
    [{}, {"cost_per_contact": "0.1"}, {"cost_per_contact": "price"}]
    + [{"cost_per_contact": cost, "budget": budget} for cost in ("0.1", "price", "0") for budget in ("0", "0.3", "2.8")]
)
HOLDOUTS = st.sampled_from([{}, {"holdout": "0.5", "campaign": "spring"}])


@settings(max_examples=250, deadline=None)
@given(CUSTOMERS, OPTIONS, COSTS, HOLDOUTS)
def test_it_chooses_like_a_loop_over_customers(
    customers: list[dict[str, Any]], some: dict[str, str], money: dict[str, str], held: dict[str, str]
) -> None:
    options = options_of(**some, **money, **held)
    found = run(customers, options)
    reached, removed, costs = naive(customers, options)
    assert found.places.tolist() == reached
    told = found.summary
    counted = {rule: n for rule, n in told.removed.items() if n and rule != "no_purchase"}
    assert counted == {rule: n for rule, n in removed.items() if n and rule not in ("held_out", "beyond_max")}
    assert told.held_out == removed.get("held_out", 0)
    assert told.beyond_max == removed.get("beyond_max", 0)
    assert told.reached == len(reached)
    everyone = sum(told.removed.values()) + told.held_out + told.beyond_max + told.over_budget + told.reached
    assert everyone == told.customers == len(customers)
    assert found.columns["rank"].to_pylist() == list(range(1, len(reached) + 1))
    if options.cost_per_contact is None:
        assert told.cost is None
        assert found.columns["cost"].null_count == len(reached)
    else:
        assert told.cost == float(sum(costs, Fraction(0)))
        assert found.columns["cost"].to_pylist() == [float(cost) for cost in costs]
        totals = [float(sum(costs[: i + 1], Fraction(0))) for i in range(len(costs))]
        assert found.columns["cumulative_cost"].to_pylist() == totals


@given(st.lists(st.integers(0, 4).map(float), max_size=20), st.integers(0, 22))
def test_the_best_first_ties_by_arrival(scores: list[float], most: int) -> None:
    array = np.array(scores)
    expected = sorted(range(len(scores)), key=lambda i: -scores[i])[:most]
    assert best_first(array, np.arange(len(scores)), most).tolist() == expected


def test_too_small_an_audience_is_empty_and_says_why() -> None:
    customers = [{"score": float(i), "segment": 0, "consent": i % 2, "opt_out": None, "cost": None} for i in range(6)]
    found = run(customers, options_of(consent="may", min_size=4))
    assert found.places.tolist() == []
    assert found.summary.reached == 0
    assert found.summary.reason == "Only 3 customers would be reached, fewer than min_size=4. Left out: 3 by consent."
    assert run(customers, options_of(consent="may", min_size=3)).summary.reached == 3


def test_control_groups_are_of_the_size_asked_for_and_differ_by_campaign() -> None:
    keys = FixedKeys(np.arange(20_000, dtype=np.uint64))
    spring, autumn = held_back(keys, "spring", 0.1), held_back(keys, "autumn", 0.1)
    assert 0.09 < spring.mean() < 0.11
    assert 0.005 < (spring & autumn).mean() < 0.015
    assert (held_back(keys, "spring", 0.2) >= spring).all()
    alone = held_back(FixedKeys(np.array([17], np.uint64)), "spring", 0.1)
    assert alone[0] == spring[17]


@pytest.mark.parametrize(
    ("text", "top"),
    [
        ("1", Top(1, None)),
        ("10000", Top(10_000, None)),
        ("10%", (None, Fraction(1, 10))),
        ("0.1", (None, Fraction(1, 10))),
        ("100%", (None, 1)),
        ("1.0", (None, 1)),
    ],
)
def test_counts_and_shares(text: str, top: Any) -> None:
    n, share = top_of(text)
    assert (n, None if share is None else Fraction(share)) == tuple(top)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"top": "0"}, ErrorCode.BAD_OPTION),
        ({"top": "101%"}, ErrorCode.BAD_OPTION),
        ({"top": "-3"}, ErrorCode.BAD_OPTION),
        ({"budget": "10"}, ErrorCode.CONFLICTING_OPTIONS),
        ({"budget": "nan", "cost_per_contact": "1"}, ErrorCode.BAD_OPTION),
        ({"holdout": "0.1"}, ErrorCode.CONFLICTING_OPTIONS),
        ({"campaign": "spring"}, ErrorCode.CONFLICTING_OPTIONS),
        ({"holdout": "1", "campaign": "spring"}, ErrorCode.BAD_OPTION),
        ({"exclude": "a,,b"}, ErrorCode.BAD_OPTION),
        ({"min_percentile": "101"}, ErrorCode.BAD_OPTION),
    ],
)
def test_options_that_cannot_be_used(query: dict[str, str], code: ErrorCode) -> None:
    with pytest.raises(RequestError) as caught:
        options_of(**query)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("query", "option"),
    [({"segments": "7"}, "segments"), ({"classes": "vip"}, "classes"), ({"exclude": "ann"}, "exclude")],
)
def test_names_the_model_or_the_data_do_not_know(query: dict[str, str], option: str) -> None:
    customers = [{"score": 1.0, "segment": 0, "consent": None, "opt_out": None, "cost": None}]
    with pytest.raises(RequestError) as caught:
        run(customers, options_of(**query))
    assert caught.value.facts["option"] == option


@pytest.mark.parametrize("cost", [-1.0, 1e13])
def test_costs_that_are_none(cost: float) -> None:
    customers = [{"score": 1.0, "segment": 0, "consent": None, "opt_out": None, "cost": cost}]
    with pytest.raises(RequestError, match="costs lie between 0"):
        run(customers, options_of(cost_per_contact="price"))


@pytest.mark.parametrize(
    ("query", "schemes"),
    [
        ({}, {"tiers": {}}),
        ({"schemes": "pareto"}, {"pareto": {}, "tiers": {}}),
        ({"schemes": "pareto, tiers"}, {"pareto": {}, "tiers": {}}),
        ({"schemes": "frontiers"}, {"frontiers": {}, "tiers": {}}),
        ({"schemes": "pareto", "pareto.cover": "0.7"}, {"pareto": {"cover": "0.7"}, "tiers": {}}),
    ],
)
def test_tiers_ask_for_their_scheme_too(query: dict[str, str], schemes: dict[str, dict[str, str]]) -> None:
    assert options_of(tiers="ideal", **query).schemes == schemes


@pytest.mark.parametrize("schemes", ["", ",", "pareto,pareto"])
def test_schemes_that_cannot_be_used_are_told_beside_tiers(schemes: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_options(AudienceOptions, [("tiers", "ideal"), ("schemes", schemes)])
    assert (caught.value.code, caught.value.facts["option"]) == (ErrorCode.BAD_OPTION, "schemes")


def test_the_control_group_stands_behind_the_audience_where_it_is_asked_for() -> None:
    customers = [{"score": float(i), "segment": 0, "consent": i % 2, "opt_out": None, "cost": None} for i in range(40)]
    asked = {"holdout": "0.5", "campaign": "spring", "consent": "may", "cost_per_contact": "1", "budget": "3"}
    plain, both = run(customers, options_of(**asked)), run(customers, options_of(**asked, with_holdout="true"))
    assert "held_out" not in plain.columns
    n = plain.summary.reached
    assert both.summary == plain.summary
    assert both.places[:n].tolist() == plain.places.tolist()
    control = both.places[n:].tolist()
    held = held_back(population_of(len(customers)).keys, "spring", 0.5)
    assert control == [i for i in reversed(range(40)) if i % 2 and held[i]]
    assert len(control) == both.summary.held_out > 0
    assert both.columns["held_out"].to_pylist() == [False] * n + [True] * len(control)
    for name, column in plain.columns.items():
        assert both.columns[name].to_pylist() == column.to_pylist() + [None] * len(control)
    few = run(customers, options_of(**asked, with_holdout="true", min_size=4))
    assert few.places.tolist() == []
    with pytest.raises(RequestError, match="nobody is held back"):
        options_of(with_holdout="true")


def test_only_customers_of_these_tiers() -> None:
    shop = purchases(*((f"c{i}", "2024-01-01", float(2**i)) for i in range(10)))
    outcome = request(shop, "tiers")
    tiers = {who: row["class"] for who, row in told(outcome, "tiers").items()}
    asked = [("tiers", "ideal,good"), ("as_of", "2024-06-15")]
    found = rows(score_audience(shop, outcome.model, asked))
    assert set(found["customer_id"].to_pylist()) == {who for who, tier in tiers.items() if tier in ("ideal", "good")}
    assert set(found["tiers"].to_pylist()) == {"ideal", "good"}
    with pytest.raises(RequestError, match="tiers=best names no tier of this model; it has avoid, ideal"):
        score_audience(shop, outcome.model, [("tiers", "best"), ("as_of", "2024-06-15")])
    with pytest.raises(RequestError, match="fitted without it"):
        score_audience(shop, request(shop, "pareto").model, asked)


def score_audience(table: pa.Table, model: Model, asked: list[tuple[str, str]]) -> Outcome:
    team = ThreadTeam(1)
    job = Job(parse_options(AudienceOptions, asked), model, limits=Limits(), team=team, now_ns=0)
    job.start(table.schema)
    for batch in table.to_batches():
        job.add(batch)
    outcome = job.finish()
    team.close()
    assert isinstance(outcome, Outcome)
    return outcome
