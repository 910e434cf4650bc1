"""Options: what each text means, what is refused and how, and that text → options → text → options is stable."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from proto.errors import ErrorCode, RequestError
from proto.option_values import MAX_FEATURES
from proto.options import (
    EXACT_SEED,
    MAX_SEGMENTS,
    OUTPUT_FIELDS,
    FitOptions,
    ScoreOptions,
    SegmentOptions,
    parse_options,
)

KINDS = [SegmentOptions, FitOptions, ScoreOptions]


def _parse(kind: type[Any], **query: str) -> Any:
    return parse_options(kind, query.items())


def _refused(kind: type[Any], **query: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        _parse(kind, **query)
    assert caught.value.status == 422
    return caught.value


def _text(name: str, value: Any) -> str:
    """The query text of a parsed value."""
    if name == "window":
        return f"{value:.6f}d"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{k}:{v!r}" if isinstance(v, float) else f"{k}:{v}" for k, v in value.items())
    if isinstance(value, list):
        return ",".join(value) or ("none" if name == "log" else "")
    return str(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_documented_and_has_a_default(kind: type[BaseModel]) -> None:
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert not field.is_required(), name
    assert _parse(kind) == kind()


def test_the_defaults_are_those_of_the_semantics() -> None:
    options = _parse(SegmentOptions)
    assert (options.input, options.nulls, options.as_of, options.tz) == ("auto", "error", "max", "UTC")
    assert (options.refunds, options.monetary, options.whole_days, options.scaler) == ("net", "sum", False, "zscore")
    assert (options.k, options.seed, options.n_init, options.strict_k, options.init) == (8, 0, 10, False, None)
    assert (options.log_unit, options.class_cut, options.lang) == ("median", "mean", "code")
    assert options.window is options.occasion is options.features is options.log is options.weights is None


def test_the_architecture_names_them_all() -> None:
    named = """columns input as_of tz window occasion refunds nulls monetary whole_days features log log_unit scaler
        weights k strict_k n_init seed init class_cut model fields lang where ahp k_by schemes
        partition_by unit rollup"""
    assert set().union(*(kind.model_fields for kind in KINDS)) == set(named.split())
    assert "model" not in SegmentOptions.model_fields
    assert {"fields", "lang"}.isdisjoint(FitOptions.model_fields)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (
            "columns",
            "customer_id:household_id,amount:sales_value",
            {"customer_id": "household_id", "amount": "sales_value"},
        ),
        ("columns", " customer_id : id ", {"customer_id": "id"}),
        ("columns", "amount:a:b", {"amount": "a:b"}),
        ("columns", "", {}),
        ("window", "365d", 365.0),
        ("window", "0.5d", 0.5),
        ("features", "-recency_days, frequency", ["-recency_days", "frequency"]),
        ("log", "none", []),
        ("log", "monetary", ["monetary"]),
        (
            "weights",
            "recency_days:0.2,frequency:0.3,monetary:0.5",
            {"recency_days": 0.2, "frequency": 0.3, "monetary": 0.5},
        ),
        ("weights", "a:0,b:1e3", {"a": 0.0, "b": 1000.0}),
        ("as_of", "now", "now"),
        ("as_of", "2026-01-31", "2026-01-31"),
        ("as_of", "9999-12-31", "9999-12-31"),
        ("as_of", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("as_of", "2026-01-31t12:00:00z", "2026-01-31T12:00:00Z"),
        ("as_of", "2026-01-31T12:00:00 02:00", "2026-01-31T12:00:00+02:00"),
        ("as_of", "2026-01-31T12:00:00.123456789+02:00", "2026-01-31T12:00:00.123456789+02:00"),
        ("tz", "Europe/Berlin", "Europe/Berlin"),
        ("whole_days", "true", True),
        ("k", "256", MAX_SEGMENTS),
        ("seed", str(EXACT_SEED), EXACT_SEED),
    ],
)
def test_what_a_text_means(name: str, text: str, value: Any) -> None:
    query = {name: text} | ({"as_of": "now"} if name == "window" else {})
    assert getattr(_parse(FitOptions, **query), name) == value
    if name in ScoreOptions.model_fields:
        assert getattr(_parse(ScoreOptions, **query), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("columns", "customer_id"),
        ("columns", "customer_id:"),
        ("columns", ":id"),
        ("columns", "customer_id:a,customer_id:b"),
        ("columns", "customer_id:a,order_id:a"),
        ("columns", "customer_id:a,"),
        ("input", "rows"),
        ("nulls", "keep"),
        ("tz", "localtime"),
        ("tz", "Factory"),
        ("tz", "right/Europe/Berlin"),
        ("as_of", "yesterday"),
        ("as_of", ""),
        ("as_of", "2026-02-30"),
        ("as_of", "2026-W05-6"),
        ("as_of", "2026-01-31T12:00:00"),
        ("as_of", "2026-01-31T12:00:00Zx"),
        ("as_of", "2026-01-31 12:00"),
        ("as_of", "１９９９-01-01"),
        ("tz", "Berlin"),
        ("tz", ""),
        ("tz", "../../etc/passwd"),
        ("tz", "Europe"),
        ("tz", "Europe/Berlin\0"),
        ("tz", "\ud800"),
        ("window", "365"),
        ("window", "0d"),
        ("window", "-1d"),
        ("window", "1e3d"),
        ("window", "infd"),
        ("occasion", "basket"),
        ("refunds", "keep"),
        ("monetary", "max"),
        ("whole_days", "perhaps"),
        ("features", ""),
        ("features", "a,,b"),
        ("features", "a,-a"),
        ("features", "-"),
        ("features", ",".join(f"f{i}" for i in range(MAX_FEATURES + 1))),
        ("log_unit", "mean"),
        ("scaler", "max"),
        ("weights", "a:-1"),
        ("weights", "a:nan"),
        ("weights", "a:inf"),
        ("weights", "a:one"),
        ("weights", "a:0,b:0"),
        ("weights", "a:1e308,b:1e308"),
        ("weights", ""),
        ("k", "0"),
        ("k", str(MAX_SEGMENTS + 1)),
        ("k", "eight"),
        ("k", "9" * 5000),
        ("n_init", "0"),
        ("n_init", "101"),
        ("seed", "-1"),
        ("seed", str(EXACT_SEED + 1)),
        ("class_cut", "mode"),
        ("fields", "customer_id,colour"),
        ("fields", ""),
        ("lang", "de"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str) -> None:
    query = {name: text} | ({"as_of": "now"} if name == "window" else {})
    error = _refused(SegmentOptions, **query)
    assert error.code is ErrorCode.BAD_OPTION
    assert error.facts["option"] == name
    assert error.facts["found"] == text
    assert error.detail.startswith(f"{name}=")
    assert "cannot be used: " in error.detail
    assert "Value error" not in error.detail


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_options_are_refused_with_those_there_are(kind: type[BaseModel]) -> None:
    error = _refused(kind, clusters="8")
    assert error.code is ErrorCode.UNKNOWN_OPTION
    assert error.facts == {"option": "clusters", "wanted": list(kind.model_fields)}
    assert "'clusters'" in error.detail


def test_the_class_attribute_is_no_option() -> None:
    assert _refused(FitOptions, name="x").code is ErrorCode.UNKNOWN_OPTION


def test_repeated_options_are_refused_with_both_values() -> None:
    with pytest.raises(RequestError) as caught:
        parse_options(FitOptions, [("k", "8"), ("seed", "1"), ("k", "9")])
    assert caught.value.code is ErrorCode.REPEATED_OPTION
    assert caught.value.facts == {"option": "k", "found": ["8", "9"]}


def test_a_window_needs_its_end() -> None:
    error = _refused(FitOptions, window="365d")
    assert error.code is ErrorCode.CONFLICTING_OPTIONS
    assert error.detail.startswith("window= needs an explicit as_of=")
    assert _parse(FitOptions, window="365d", as_of="now").window == 365


def test_scoring_refuses_the_latest_row_as_its_instant() -> None:
    error = _refused(ScoreOptions, as_of="max")
    assert error.code is ErrorCode.BAD_OPTION
    assert error.facts["option"] == "as_of"
    assert "as_of=max" in error.detail
    assert _parse(ScoreOptions).as_of is None


def test_options_are_frozen_and_hashable_by_their_text() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _parse(FitOptions).k = 3


names = st.text("abcdefgh_äß客", min_size=1, max_size=12)
numbers = st.floats(0, 1e6, allow_nan=False).map(abs)


@st.composite
def _queries(draw: st.DrawFn) -> tuple[type[Any], dict[str, str]]:
    kind = draw(st.sampled_from(KINDS))
    features = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    offsets = st.integers(-14 * 60 + 1, 14 * 60 - 1).map(
        lambda m: f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}"
    )
    texts: dict[str, st.SearchStrategy[str]] = {
        "columns": st.dictionaries(st.sampled_from(["customer_id", "timestamp", "amount"]), names).map(
            lambda pairs: ",".join(f"{k}:{k[0]}{v}" for k, v in pairs.items())
        ),
        "input": st.sampled_from(["auto", "transactions", "customers"]),
        "nulls": st.sampled_from(["error", "drop"]),
        "as_of": st.just("now")
        | st.dates().map(str)
        | st.builds(lambda t, o: f"{t.isoformat()}{o}", st.datetimes(), offsets),
        "tz": st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]),
        "window": st.floats(0.001, 99_999).map(lambda days: f"{days:.6f}d"),
        "occasion": st.sampled_from(["order", "time", "day", "row"]),
        "refunds": st.sampled_from(["net", "drop", "error"]),
        "monetary": st.sampled_from(["sum", "mean"]),
        "whole_days": st.sampled_from(["true", "false"]),
        "features": st.just(",".join(f"-{f}" if len(f) % 2 else f for f in features)),
        "log": st.just("none") | st.just(features[0]) | st.just(",".join(features)),
        "log_unit": st.sampled_from(["median", "plain"]),
        "scaler": st.sampled_from(["zscore", "minmax", "robust", "none"]),
        "weights": st.just(",".join(f"{f}:{draw(numbers) + 1!r}" for f in features)),
        "k": st.integers(1, MAX_SEGMENTS).map(str),
        "strict_k": st.sampled_from(["true", "false"]),
        "n_init": st.integers(1, 100).map(str),
        "seed": st.integers(0, EXACT_SEED).map(str),
        "init": names,
        "model": names,
        "class_cut": st.sampled_from(["mean", "median"]),
        "fields": st.lists(st.sampled_from(OUTPUT_FIELDS), min_size=1, unique=True).map(",".join),
        "lang": st.sampled_from(["code", "en", "zh"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(set(texts) & set(kind.model_fields))), max_size=8))
    if "window" in chosen:
        chosen.add("as_of")
    return kind, {name: draw(texts[name]) for name in sorted(chosen)}


@given(_queries())
@settings(max_examples=150)
def test_round_trip(case: tuple[type[Any], dict[str, str]]) -> None:
    kind, query = case
    options = _parse(kind, **query)
    assert options.model_fields_set == set(query)
    again = _parse(kind, **{name: _text(name, getattr(options, name)) for name in query})
    assert again == options


@given(st.sampled_from(KINDS), st.data())
@settings(max_examples=200)
def test_any_text_is_taken_or_refused_with_a_message(kind: type[Any], data: st.DataObject) -> None:
    query = data.draw(st.lists(st.tuples(st.sampled_from(sorted(kind.model_fields)), st.text(max_size=20)), max_size=3))
    found: BaseModel | RequestError
    try:
        found = parse_options(kind, query)
    except RequestError as error:
        found = error
    assert isinstance(found, kind) or (found.status == 422 and found.detail.endswith("."))
