"""Requests that contradict their model: what scoring may not ask of it, and what a fit may not start from."""

from __future__ import annotations

from proto.audience import AudienceOptions
from proto.bundle import AnyModel, Bundle, Partition, partition_of
from proto.errors import ErrorCode, RequestError
from proto.options import AGGREGATION_OPTIONS, FitOptions, ScoreOptions, SegmentOptions

__all__ = ["no_model", "refuse_contradiction", "refuse_other_kind"]


def no_model() -> RequestError:
    """The refusal to score without one."""
    return RequestError(
        ErrorCode.MISSING_MODEL,
        "Scoring needs a model: name one with ?model=, or send it with the data (Arrow or Parquet schema metadata "
        '"segserve.model", or "model" in a JSON body).',
        option="model",
    )


def refuse_other_kind(options: FitOptions | SegmentOptions, init: AnyModel | None) -> None:
    """A fit with groups starts from a bundle by the same groups, one without them from a model without."""
    theirs = Partition(init.partition_by, init.unit) if isinstance(init, Bundle) else None
    ours = partition_of(options, None)
    if init is None or ours == theirs:
        return
    told = [
        "without partition_by" if one is None else f"with partition_by={one.column}, unit={one.unit}"
        for one in (theirs, ours)
    ]
    raise RequestError(
        ErrorCode.CONFLICTING_OPTIONS,
        f"The model to start from was fitted {told[0]}, and this fit is {told[1]}; they must be the same. Leave init "
        "out, or take the partition_by and unit of the model.",
        option="init",
        found=told[0],
        wanted=told[1],
    )


def refuse_contradiction(options: ScoreOptions, model: AnyModel) -> None:
    """An option that the model fixes may be repeated, but not given another value."""
    partition = partition_of(options, model)
    if partition is not None and isinstance(options, AudienceOptions):
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            "An audience orders customers by value score, and scores of different models do not compare: this one has "
            f"a model for each {partition.column}. Send one of its models alone, with the customers of that group "
            f"(where={partition.column}=...).",
            option="model",
        )
    model = model.shared if isinstance(model, Bundle) else model
    aggregation = model.aggregation
    fixed: dict[str, object] = {
        "partition_by": None if partition is None else partition.column,
        "unit": None if partition is None else partition.unit,
        "features": [("-" if f.sign < 0 and f.name != "recency_days" else "") + f.name for f in model.features],
        "log": [f.name for f in model.features if f.log],
        "log_unit": model.log_unit,
        "scaler": model.scaler,
        "weights": {f.name: f.weight for f in model.features},
        "k": len(model.segments),
        "seed": model.fitted_on.seed,
        "class_cut": model.class_cut,
    }
    if aggregation is not None:
        fixed |= {
            name: getattr(aggregation, "window_days" if name == "window" else name) for name in AGGREGATION_OPTIONS
        }
    for name in options.model_fields_set & set(fixed):
        given = getattr(options, name)
        if name == "weights":
            total = sum(given.values())
            same = set(given) == set(fixed[name]) and all(  # type: ignore[call-overload]
                abs(given[f.name] / total - f.weight) < 1e-12 for f in model.features
            )
        elif name == "features":
            same = [_unsigned(text) for text in given] == [_unsigned(text) for text in fixed[name]]  # type: ignore[attr-defined]
        elif name == "log":
            same = set(given) == set(fixed[name])  # type: ignore[call-overload]
        elif name == "k":
            same = given in (fixed[name], model.fitted_on.k_requested)  # which the fit may have lowered
        else:
            same = given == fixed[name]
        if not same:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"{name}={_written(given)} contradicts the model, which was fitted "
                f"{'without' if fixed[name] is None else f'with {name}={_written(fixed[name])}'}: the model fixes it. "
                f"Leave {name} out, or fit again.",
                option=name,
                found=given,
                wanted=fixed[name],
            )


def _written(value: object) -> str:
    """An option's value as it stands in a query."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}d"  # the window
    if isinstance(value, list):
        return ",".join(value) or "none"
    if isinstance(value, dict):
        return ",".join(f"{name}:{number:g}" for name, number in value.items())
    return str(value)


def _unsigned(feature: str) -> str:
    return "recency_days" if feature == "-recency_days" else feature
