"""The schemes that a request asks for: its options held against the catalogue, and against the model that scores."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from proto.errors import ErrorCode, RequestError
from proto.model import Model
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from proto.wishes import Wish, Wishes
from service.schemes.catalogue import named
from service.schemes.parameters import Parameter
from service.schemes.scheme import Scheme

__all__ = ["Asked", "asked_by", "check", "check_times", "wishes_of"]

Options = FitOptions | SegmentOptions | ScoreOptions


class Asked(NamedTuple):
    """One scheme with its parameters, those not given by default; `frozen` comes from the model that scores."""

    scheme: Scheme
    given: dict[str, Any]
    frozen: Mapping[str, Any] | None


def check(options: Options) -> None:
    """RequestError for a scheme or parameter that is not in the catalogue, or for a value that cannot be used."""
    if not isinstance(options, ScoreOptions):
        asked_by(options, None)
    for name, texts in options.schemes.items():
        _read(named(name), texts)


def _read(scheme: Scheme, texts: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that are given."""
    parameters = {parameter.name: parameter for parameter in scheme.parameters}
    given = {}
    for name, text in texts.items():
        option = f"{scheme.name}.{name}"
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, 3, 0.5)
            perhaps = f" Perhaps {' or '.join(f'{scheme.name}.{one}' for one in near)} is meant." if near else ""
            there = ", ".join(f"{scheme.name}.{one}" for one in parameters) or "none"
            raise RequestError(
                ErrorCode.UNKNOWN_OPTION,
                f"The scheme {scheme.name} has no parameter {name!r}.{perhaps} Its parameters: {there}.",
                option=option,
                wanted=list(parameters),
            )
        try:
            given[name] = parameters[name].read(text)
        except (ValueError, OverflowError):
            raise _unfit(parameters[name], option, text) from None
    return given


def _unfit(parameter: Parameter, option: str, text: str) -> RequestError:
    return RequestError(
        ErrorCode.BAD_OPTION,
        f"{option}={text} cannot be used: it is {parameter.form}.",
        option=option,
        found=text,
        wanted=parameter.form,
    )


def asked_by(options: Options, model: Model | None) -> list[Asked]:
    """The schemes asked for. Scoring takes parameters and cuts from the model; RequestError where it lacks them."""
    if isinstance(options, ScoreOptions):
        return [_of_model(name, texts, model) for name, texts in options.schemes.items()]
    found = []
    for name, texts in options.schemes.items():
        scheme = named(name)
        defaults = {parameter.name: parameter.default for parameter in scheme.parameters}
        given = defaults | _read(scheme, texts)
        wrong = scheme.contradiction(given)
        if wrong is not None:
            raise RequestError(ErrorCode.BAD_OPTION, f"schemes={name}: {wrong}", option="schemes", found=dict(texts))
        lone = None if isinstance(options, SegmentOptions) else scheme.segment_only(given)
        if lone is not None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"schemes={name}: {lone} Ask /v1/segment for it.",
                option="schemes",
                found=dict(texts),
            )
        found.append(Asked(scheme, given, None))
    return found


def _of_model(name: str, texts: Mapping[str, str], model: Model | None) -> Asked:
    scheme = named(name)
    given = _read(scheme, texts)
    inside = (model.schemes if model is not None else None) or {}
    if name not in inside:
        has = f"it has {', '.join(inside)}" if inside else "it has none"
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"schemes={name} is asked for, but the model was fitted without it ({has}): its cuts are those of the "
            f"fitted customers. Fit again with schemes={','.join([*inside, name])}.",
            option="schemes",
            found=name,
            wanted=list(inside),
        )
    kept = inside[name]
    parameters = {parameter.name: parameter for parameter in scheme.parameters}
    if set(kept.parameters) != set(parameters):
        raise RequestError(
            ErrorCode.BAD_MODEL,
            f"The model has the scheme {name} with parameters that this service does not know; fit again.",
            found=sorted(kept.parameters),
            wanted=sorted(parameters),
        )
    lone = scheme.segment_only(kept.parameters)
    if lone is not None:
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"The model cannot score schemes={name}: {lone} Fit again without that.",
            option="schemes",
            found=name,
        )
    for parameter, value in given.items():
        fixed = kept.parameters[parameter]
        if value != fixed:
            written = "without it" if fixed is None else f"with {parameters[parameter].written(fixed)}"
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"{name}.{parameter}={parameters[parameter].written(value)} contradicts the model, which was fitted "
                f"{written}: the model fixes it. Leave it out, or fit again.",
                option=f"{name}.{parameter}",
                found=value,
                wanted=fixed,
            )
    return Asked(scheme, dict(kept.parameters), kept.frozen)


def check_times(asked: Iterable[Asked], as_of: str | None, window_days: float | None) -> None:
    """RequestError where a scheme looks back from an as_of that is not known, or further than the window reaches."""
    for one in asked:
        days = one.scheme.looks_back_days(one.given) if one.scheme.looks_back_days is not None else None
        if days is None:
            continue
        if as_of == "max":
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"schemes={one.scheme.name} needs an explicit as_of= (a date, a time, or now): rows are not kept, so "
                "its windows must be known when they arrive.",
                option="as_of",
                found="max",
            )
        if window_days is not None and days > window_days:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"schemes={one.scheme.name} looks back {days:g} days, but window={window_days:g}d leaves older rows "
                "out. Take a wider window, or none.",
                option="window",
                found=window_days,
                wanted=days,
            )


def wishes_of(options: Options, model: Model | None) -> Wishes:
    """The columns that the schemes asked for read beside the base's."""
    return wishes(asked_by(options, model))


def wishes(asked: Iterable[Asked]) -> Wishes:
    """The same of schemes at hand."""
    rows: dict[str, Wish] = {}
    table: dict[str, Wish] = {}
    any_of, rows_only = [], []
    for scheme, given, _ in asked:
        why = f"schemes={scheme.name}"
        for column in scheme.columns_for(given):
            texts = column.examples if column.kind == "ordered" else ()
            instead = f" without {scheme.name}.{column.name}=" if given.get(column.name, "") is None else ""
            wish = Wish(column.name, column.kind, column.is_needed, why + instead, texts)
            for wanted in (rows, table):
                before = wanted.get(column.name)
                if before is not None and (before.kind, before.texts) != (wish.kind, wish.texts):
                    raise _disagreeing(before, wish)
                if before is None or (wish.is_needed and not before.is_needed):
                    wanted[column.name] = wish
        if scheme.table is None:
            rows_only.append(scheme.name)
        else:
            table |= {name: Wish(name, "number", True, why) for name in scheme.table}
        if any(column.name in scheme.any_of for column in scheme.columns_for(given)):
            any_of.append((scheme.any_of, why))
    return Wishes(tuple(rows.values()), tuple(table.values()), tuple(any_of), _refused_table(rows_only))


def _disagreeing(one: Wish, other: Wish) -> RequestError:
    return RequestError(
        ErrorCode.CONFLICTING_OPTIONS,
        f"{one.why} reads the column {one.name} as {one.kind}, {other.why} as {other.kind}: ask for them in two "
        "requests, or map one of them to another column.",
        option="schemes",
        column=one.name,
        found=other.kind,
        wanted=one.kind,
    )


def _refused_table(names: list[str]) -> str:
    if not names:
        return ""
    return (
        f"schemes={','.join(names)} cannot be told from a table with one row per customer: when each purchase was made "
        "is missing. Send transactions (customer_id, timestamp, amount)."
    )
