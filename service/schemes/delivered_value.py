"""delivered_value: what customers get less what it costs them, as they see it. Source: Kotler, Marketing Management."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from service.schemes.accumulations import Accumulation, Last
from service.schemes.measures import columns_found, hold_to_fit
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

Floats = npt.NDArray[np.float64]

_BENEFITS, _COSTS, _RIVAL, _RIVAL_COSTS = "perceived_value_", "perceived_cost_", "rival_", "rival_cost_"


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {name: Last(name) for name in sorted(columns) if name.startswith((_BENEFITS, _COSTS, _RIVAL))}


def _freeze(view: View, given: Given) -> Frozen:
    return {"columns": columns_found(view)}


def _total(view: View, names: list[str]) -> Floats:
    """The sum of these columns in the order of their names, NaN where one is missing."""
    total = np.zeros(view.n)
    for name in names:
        total += view.of(name)
    return total


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    names = columns_found(view)
    hold_to_fit("delivered_value", names, frozen["columns"])
    benefits = _total(view, [name for name in names if name.startswith(_BENEFITS)])
    costs = _total(view, [name for name in names if name.startswith(_COSTS)])
    net = benefits - costs
    figures = {"benefits": benefits, "costs": costs, "net": net}
    rival = [name for name in names if name.startswith(_RIVAL)]
    if rival:
        rival_costs = [name for name in rival if name.startswith(_RIVAL_COSTS)]
        rival_benefits = [name for name in rival if name not in rival_costs]
        figures["gap"] = net - (_total(view, rival_benefits) - _total(view, rival_costs))
    return Classified(np.where(np.isnan(net), -1, 0), figures)


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Means over the customers that are known: of all, of each component, of each segment."""
    assert view.segments is not None
    net = found.figures["net"]
    told: dict[str, Any] = {
        "mean_net": _mean(net),
        "mean_by_column": {name: _mean(view.of(name)) for name in frozen["columns"]},
        "mean_net_by_segment": [_mean(net[view.segments == segment]) for segment in range(view.n_segments)],
    }
    if "gap" in found.figures:
        gap = found.figures["gap"]
        told["mean_gap"] = _mean(gap)
        told["customers_ahead"] = int(np.count_nonzero(gap > 0))
        told["customers_behind"] = int(np.count_nonzero(gap < 0))
    return told


def _pattern(beginning: str, en: str, zh: str) -> Column:
    return Column(f"{beginning}*", "number", Text(en, zh), is_needed=False)


SCHEME = Scheme(
    name="delivered_value",
    title=Text("Delivered value: what they get less what it costs them", "顾客让渡价值"),
    question=Text(
        "How much more do customers get than they give, and than a rival offers?",
        "客户得到的比付出的多多少, 与竞争对手相比如何?",
    ),
    formula="net = Σ perceived_value_* − Σ perceived_cost_*, all on one scale (points or money): product, service, "
    "people, image against price, time, effort, worry. With rival_* columns gap = net − the rival's, which is Σ "
    "rival_cost_* taken from the sum of all other rival_* (rival_value_service, or rival_total): one rival, the one "
    "customers would go to. A customer's last values count; where one of the components is missing, the sum is "
    "unknown. Scoring needs the columns of the fit. Whom the gap shows behind, ask which component; where costs weigh "
    "most, take effort and time away first.",
    classes=(),
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        _pattern(_BENEFITS, "A benefit as the customer rates it.", "客户感知的一项价值(产品、服务、人员、形象等)。"),
        _pattern(_COSTS, "A cost as the customer feels it.", "客户感知的一项成本(货币、时间、体力、精力等)。"),
        _pattern(
            _RIVAL, "The same for the rival; rival_cost_* are its costs.", "竞争对手的对应项, rival_cost_*为其成本。"
        ),
    ),
    any_of=(f"{_BENEFITS}*", f"{_COSTS}*"),
    figures=(
        Figure("benefits", "float", Text("Sum of the benefits.", "总价值。")),
        Figure("costs", "float", Text("Sum of the costs.", "总成本。")),
        Figure("net", "float", Text("Benefits − costs.", "让渡价值: 总价值−总成本。")),
        Figure(
            "gap", "float", Text("Net − the rival's; with rival_* columns.", "与竞争对手让渡价值之差, 需有rival_*列。")
        ),
    ),
    table=(),
)
