"""Scored customers → the audience: who may be contacted, in order of value, as far as the money goes.

Customers are removed rule by rule, each counted under the first that removes it; those that remain are ordered by value
score, then by arrival, and taken until `max` or the budget is reached. The whole is a few passes over arrays; only the
best are sorted, so that choosing costs less than scoring.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.keys import Keys, stable_hash
from kernels.percentiles import percentiles
from kernels.scaling import SCORE_PROBABILITIES
from kernels.scoring import class_codes
from proto.audience import LARGEST_SUM, MICROS, AudienceOptions, top_of
from proto.classes import RFM, RFM_CLASSES
from proto.errors import ErrorCode, RequestError
from proto.model import Model
from proto.summary import AudienceSummary
from service import columns as cols
from service.outcome import Outcome, WholeColumn, reply_labels, rfm_cuts
from service.population import Population
from service.scoring import Scored

__all__ = ["AUDIENCE_FIELDS", "Audience", "audience_of", "choose", "held_back"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AUDIENCE_FIELDS = (
    pa.field("rank", pa.int64()),
    pa.field("cost", pa.float64()),
    pa.field("cumulative_cost", pa.float64()),
)
_HELD_OUT = pa.field("held_out", pa.bool_())


class Audience(NamedTuple):
    """`places` int64[m] in the population, best first, the control group behind them where it is asked for; the columns
    of `AUDIENCE_FIELDS` (and `held_out`); and what is told of it."""

    places: Ints
    columns: dict[str, pa.Array]
    summary: AudienceSummary


def audience_of(outcome: Outcome, options: AudienceOptions, values: dict[str, Floats]) -> Outcome:
    """The outcome of those who are chosen; segments, schemes and drift in the summary stay those of all."""
    in_tiers = None if options.tiers is None else _has_tier(outcome, options.tiers)
    found = choose(outcome.population, outcome.scored, outcome.model, options, values, in_tiers)
    assert outcome.schema is not None
    of_schemes: dict[str, WholeColumn] = {name: whole.take(found.places) for name, whole in outcome.extra.items()}
    for scheme in outcome.scheme_columns:
        for one in (one for one in scheme.fields if one.name not in of_schemes):
            column = scheme.of(one.name, found.places)
            assert column is not None
            of_schemes[one.name] = column
    households = None if outcome.households is None else outcome.households[found.places]
    # What is expected of a household is expected once, however many of its members are reached.
    n = found.summary.reached
    counted = np.arange(n) if households is None else np.unique(households[:n], return_index=True)[1]
    expected = {
        name: pc.sum(of_schemes[f"lifecycle_{name}"].take(counted).slice(0, len(counted)), min_count=0).as_py()
        for name in ("expected_revenue", "expected_profit")
        if f"lifecycle_{name}" in of_schemes
    }
    counts = outcome.summary.counts.model_copy(update={"customers_out": len(found.places)})
    summary = {"counts": counts, "audience": found.summary.model_copy(update=expected)}
    return replace(
        outcome,
        summary=outcome.summary.model_copy(update=summary),
        population=outcome.population.take(found.places),
        scored=Scored(outcome.scored.scores[found.places], outcome.scored.segments[found.places]),
        schema=pa.schema([*outcome.schema, *AUDIENCE_FIELDS, *([_HELD_OUT] if options.with_holdout else [])]),
        scheme_columns=(),
        extra=of_schemes | found.columns,
        households=households,
    )


class _Rules:
    """Who is left, and how many each rule removed."""

    def __init__(self, n: int) -> None:
        self.left = np.ones(n, np.bool_)
        self.removed: dict[str, int] = {}

    def keep(self, rule: str, holds: Bools) -> None:
        before = int(np.count_nonzero(self.left))
        self.left &= holds
        self.removed[rule] = before - int(np.count_nonzero(self.left))


def choose(
    population: Population,
    scored: Scored,
    model: Model,
    options: AudienceOptions,
    values: dict[str, Floats],
    in_tiers: Bools | None = None,
) -> Audience:
    """The audience; `values` holds what `service.customer_values` found, by option; `in_tiers`: who is in `tiers=`."""
    rules = _Rules(population.n)
    if population.purchased is not None:
        rules.keep("no_purchase", population.purchased)
    if options.exclude is not None:
        rules.keep("exclude", ~_is_excluded(population, options.exclude))
    if "consent" in values:
        rules.keep("consent", values["consent"] == 1)
    if "opt_out" in values:
        rules.keep("opt_out", ~(values["opt_out"] != 0) | np.isnan(values["opt_out"]))
    if options.min_percentile is not None:
        quantiles = np.array(model.score_quantiles)
        found = percentiles(np.nan_to_num(scored.scores), quantiles, SCORE_PROBABILITIES)
        rules.keep("min_percentile", found >= options.min_percentile)
    if options.top is not None:
        rules.keep("top", _is_in_top(population, scored.scores, options.top))
    if options.segments is not None:
        rules.keep("segments", np.isin(scored.segments, _segment_ids(model, options.segments)))
    if options.classes is not None:
        rules.keep("classes", _has_class(population, model, options.classes))
    if in_tiers is not None:
        rules.keep("tiers", in_tiers)
    costs = _costs(options, values, rules)
    held = np.zeros(population.n, np.bool_)
    if options.holdout is not None and options.campaign is not None:
        held = held_back(population.keys, options.campaign, options.holdout) & rules.left
        rules.left &= ~held
    return _taken(population, scored, model, options, rules, costs, held)


def _taken(
    population: Population,
    scored: Scored,
    model: Model,
    options: AudienceOptions,
    rules: _Rules,
    costs: Ints | int | None,
    held: Bools,
) -> Audience:
    held_out = int(np.count_nonzero(held))
    candidates = np.flatnonzero(rules.left)
    n_candidates = len(candidates)
    most = n_candidates if options.max is None else min(options.max, n_candidates)
    budget = options.budget_micros
    affordable = most
    if budget is not None and isinstance(costs, int) and costs > 0:
        affordable = min(most, budget // costs)
    best = best_first(scored.scores, candidates, affordable)
    of_best = None if costs is None else np.full(len(best), costs) if isinstance(costs, int) else costs[best]
    spent = None if of_best is None else _summed(of_best)
    if budget is not None and spent is not None:
        within = int(np.searchsorted(spent, budget, side="right"))
        best, of_best, spent = best[:within], of_best[:within] if of_best is not None else None, spent[:within]
    reached, reason = len(best), None
    over_budget = most - reached
    if options.min_size is not None and reached < options.min_size:
        reason = _too_few(reached, options.min_size, rules.removed, held_out, over_budget)
        best = best[:0]
        of_best, spent = (None if part is None else part[:0] for part in (of_best, spent))
    sizes = np.bincount(scored.segments[best], minlength=len(model.segments)) if len(best) else None
    summary = AudienceSummary(
        customers=population.n,
        removed=rules.removed,
        held_out=held_out,
        beyond_max=n_candidates - most,
        over_budget=over_budget,
        reached=len(best),
        cost=None if spent is None else int(spent[-1]) / MICROS if len(spent) else 0.0,
        budget=options.budget,
        segments={s.code: int(sizes[s.id]) if sizes is not None else 0 for s in model.segments},
        reason=reason,
    )
    nothing = pa.nulls(len(best), pa.float64())
    columns = {
        "rank": pa.array(np.arange(1, len(best) + 1)),
        "cost": nothing if of_best is None else pa.array(of_best / MICROS),
        "cumulative_cost": nothing if spent is None else pa.array(spent / MICROS),
    }
    if options.with_holdout:
        group = np.flatnonzero(held) if reason is None else best[:0]
        control = best_first(scored.scores, group, len(group))
        columns = {name: pa.concat_arrays([own, pa.nulls(len(control), own.type)]) for name, own in columns.items()}
        columns[_HELD_OUT.name] = pa.array(np.arange(len(best) + len(control)) >= len(best))
        best = np.concatenate([best, control])
    return Audience(best, columns, summary)


def best_first(scores: Floats, candidates: Ints, most: int) -> Ints:
    """The `most` candidates (places in ascending order) with the largest scores, best first, ties by place."""
    of_candidates = scores[candidates]
    if most < len(candidates):
        if most == 0:
            return candidates[:0]
        cut = np.partition(of_candidates, len(candidates) - most)[len(candidates) - most]
        above = of_candidates > cut
        ties = np.flatnonzero(of_candidates == cut)[: most - int(np.count_nonzero(above))]
        above[ties] = True
        candidates, of_candidates = candidates[above], of_candidates[above]
    return candidates[np.argsort(-of_candidates, kind="stable")]


def _summed(micros: Ints) -> Ints:
    if float(np.sum(micros, dtype=np.float64)) > LARGEST_SUM * MICROS:
        raise RequestError(
            ErrorCode.OVERFLOW,
            f"The costs sum to more than {LARGEST_SUM:,.0f}; count them in a larger unit.",
            option="cost_per_contact",
        )
    return np.cumsum(micros, dtype=np.int64)


def _costs(options: AudienceOptions, values: dict[str, Floats], rules: _Rules) -> Ints | int | None:
    """Millionths per contact: one number for all, or int64[n]; None where contacts have no cost."""
    if "cost_per_contact" not in values:
        return options.cost_micros
    costs = values["cost_per_contact"]
    rules.keep("no_cost", np.isfinite(costs))
    wrong = rules.left & ((costs < 0) | (costs > LARGEST_SUM))
    if wrong.any():
        found = float(costs[np.argmax(wrong)])
        raise RequestError(
            ErrorCode.BAD_VALUE,
            f"cost_per_contact={options.cost_per_contact} names a column with the cost {found:g}; costs lie between 0 "
            f"and {LARGEST_SUM:,.0f}. Correct it.",
            option="cost_per_contact",
            column=options.cost_per_contact,
            found=found,
            count=int(np.count_nonzero(wrong)),
        )
    micros: Ints = np.rint(np.where(rules.left, costs, 0.0) * MICROS).astype(np.int64)
    return micros


def _is_in_top(population: Population, scores: Floats, top: str) -> Bools:
    """The best so many of everyone with a score, ties by arrival."""
    count, share = top_of(top)
    everyone = np.arange(population.n) if population.purchased is None else np.flatnonzero(population.purchased)
    if share is not None:
        count = int(share * len(everyone))
    assert count is not None
    holds = np.zeros(population.n, np.bool_)
    holds[best_first(scores, everyone, min(count, len(everyone)))] = True
    return holds


def _segment_ids(model: Model, wanted: list[str]) -> list[int]:
    known = {str(s.id): s.id for s in model.segments} | {s.code: s.id for s in model.segments}
    unknown = next((name for name in wanted if name not in known), None)
    if unknown is not None:
        raise _unknown("segments", unknown, [s.code for s in model.segments], "segment")
    return [known[name] for name in wanted]


def _has_class(population: Population, model: Model, wanted: list[str]) -> Bools:
    if not set(RFM) <= {f.name for f in model.features}:
        raise RequestError(
            ErrorCode.BAD_OPTION,
            f"classes= needs a model with {', '.join(RFM)} among its features; name segments= instead.",
            option="classes",
        )
    codes = reply_labels(model, "code")[1]
    unknown = next((name for name in wanted if name not in codes), None)
    if unknown is not None:
        raise _unknown("classes", unknown, codes, "class")
    if len(codes) < len(RFM_CLASSES):  # all alike
        return np.ones(population.n, np.bool_)
    matrix = population.matrix(list(RFM))
    if population.purchased is not None:
        matrix[:, ~population.purchased] = 0.0
    return np.isin(class_codes(matrix, *rfm_cuts(model)), [codes.index(name) for name in wanted])


def _has_tier(outcome: Outcome, wanted: list[str]) -> Bools:
    (tiers,) = (one for one in outcome.scheme_columns if one.name == "tiers")
    unknown = next((name for name in wanted if name not in tiers.codes), None)
    if unknown is not None:
        raise _unknown("tiers", unknown, tiers.codes, "tier")
    holds = tiers.has_class(wanted)
    homes = outcome.households
    return holds if homes is None else holds[np.maximum(homes, 0)] & (homes >= 0)


def _unknown(option: str, found: str, known: list[str], what: str) -> RequestError:
    return RequestError(
        ErrorCode.BAD_OPTION,
        f"{option}={found} names no {what} of this model; it has {', '.join(known)}.",
        option=option,
        found=found,
        wanted=known,
    )


def _is_excluded(population: Population, ids: list[str]) -> Bools:
    kind = population.id_type.value_type if pa.types.is_dictionary(population.id_type) else population.id_type
    try:
        if pa.types.is_fixed_size_binary(kind):
            excluded = pa.array([bytes.fromhex(text.replace("-", "")) for text in ids], kind)
        else:
            excluded = pa.array(ids).cast(kind)
    except (pa.ArrowInvalid, ValueError):
        raise RequestError(
            ErrorCode.BAD_OPTION,
            f"exclude= has an id that cannot be one of these customers, whose ids have the type {kind}.",
            option="exclude",
            found=ids[:20],
            wanted=str(kind),
        ) from None
    found = pc.is_in(cols.id_column(population.keys, kind), excluded)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def held_back(keys: Keys, campaign: str, share: float) -> Bools:
    """Who belongs to the control group of a campaign: the same for the same id and name, whoever else is there.

    A fixed hash of the id and a digest of the name are mixed (the finaliser of splitmix64) into 64 bits; the lowest
    `share` of them is held back.
    """
    name = np.uint64(int.from_bytes(hashlib.blake2b(campaign.encode(), digest_size=8).digest(), "little"))
    z = stable_hash(keys) ^ name
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    held: Bools = z < np.uint64(int(share * 2**64))
    return held


def _too_few(reached: int, wanted: int, removed: dict[str, int], held_out: int, over_budget: int) -> str:
    why = [f"{count:,} by {rule}" for rule, count in removed.items() if count]
    why += [f"{held_out:,} held out"] if held_out else []
    why += [f"{over_budget:,} by the budget"] if over_budget else []
    left_out = f" Left out: {', '.join(why)}." if why else ""
    return f"Only {reached:,} customers would be reached, fewer than min_size={wanted:,}.{left_out}"
