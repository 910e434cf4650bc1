"""The model: its JSON, the id that proves it unaltered, and what is refused."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from proto.model import SCORE_QUANTILES, Model, dump_model, load_model, seal
from proto.option_values import MAX_FEATURES

FLAT = [0.0] * SCORE_QUANTILES
Edit = Callable[[dict[str, Any]], Any]


def _feature(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "sign": -1 if name == "recency_days" else 1,
        "log": name != "recency_days",
        "log_unit": 100.0,
        "centre": 1.25,
        "spread": 0.5,
        "weight": 0.5,
        "mean": 3.0,
        "median": 2.5,
        "deviation": 1.0,
        "minimum": -1.0,
        "maximum": 9.0,
        "quantiles": [1.0, 2.0, 3.0],
        "shares": [0.25, 0.25, 0.25, 0.25],
        **changes,
    }


def _segment(i: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": i,
        "code": f"important_value_{i + 1}",
        "class_code": "important_value",
        "en": f"Core high-value {i + 1}",
        "zh": f"重要价值客户 {i + 1}",
        "size": 5,
        "share": 0.5,
        "means": {"recency_days": 3.5, "monetary": 1e16},
        "revenue_share": None,
        "value_score": 0.75 - i,
        "margins": {"recency_days": 0.5, "monetary": -0.5},
        "borderline": False,
        "centroid": [0.5 - i, 0.25],
        **changes,
    }


def content_of_a_model(**changes: Any) -> dict[str, Any]:
    return {
        "input": "transactions",
        "aggregation": {
            "tz": "Europe/Berlin",
            "window_days": None,
            "occasion": "order",
            "refunds": "net",
            "monetary": "sum",
            "whole_days": False,
        },
        "scaler": "zscore",
        "log_unit": "median",
        "class_cut": "mean",
        "features": [_feature("recency_days"), _feature("monetary", maximum=1e16)],
        "segments": [_segment(0), _segment(1)],
        "score_quantiles": [i / 7 for i in range(SCORE_QUANTILES)],
        "fitted_on": {
            "customers": 10,
            "rows": 100,
            "as_of": "2026-01-31T12:00:00Z",
            "history_days": 365.25,
            "inertia": 0.125,
            "k_requested": 8,
            "n_init": 10,
            "seed": 2**53 - 1,
            "starts": 10,
            "steps": 40,
            "passes": 3,
            "options": {"k": 8, "log": ["monetary"]},
            "warnings": [{"code": "k_lowered", "message": "k is 2.", "facts": {"found": 2, "wanted": 8}}],
        },
        **changes,
    }


def _model(**changes: Any) -> Model:
    return seal(Model.model_validate(content_of_a_model(**changes)))


def _sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Any content with the id that belongs to it, as a forger would make it."""
    bare = {k: v for k, v in content.items() if k != "id"}
    return {**bare, "id": hashlib.sha256(rfc8785.dumps(bare)).hexdigest()}


def _refused(data: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        load_model(data)
    assert caught.value.status == 422
    assert caught.value.detail.endswith(".")
    return caught.value


CONTENT: dict[str, Any] = orjson.loads(dump_model(_model()))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key in value:
            yield from _leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for i, part in enumerate(value):
            yield from _leaves(part, (*path, i))
    else:
        yield path


LEAVES = list(_leaves(CONTENT))


def test_it_survives_its_json() -> None:
    model = _model()
    assert load_model(dump_model(model)) == model
    assert load_model(memoryview(dump_model(model))) == model
    assert load_model(dump_model(model).decode()) == model
    assert load_model(orjson.loads(dump_model(model))) == model


def test_its_id_is_the_digest_of_its_canonical_form() -> None:
    model = _model()
    bare = {k: v for k, v in CONTENT.items() if k != "id"}
    assert model.id == hashlib.sha256(rfc8785.dumps(bare)).hexdigest()
    assert seal(model).id == model.id
    assert seal(model.model_copy(update={"scaler": "robust"})).id != model.id


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda content: json.dumps(content, indent=2).encode(),
        lambda content: json.dumps(content, sort_keys=True, ensure_ascii=False).encode(),
        lambda content: json.dumps(dict(reversed(content.items()))).encode(),
        rfc8785.dumps,  # numbers as JavaScript writes them: 1.0 as 1, 1e16 as 10000000000000000
    ],
    ids=["indented", "sorted", "reversed", "javascript"],
)
def test_other_programs_may_write_it_their_way(rewrite: Callable[[dict[str, Any]], bytes]) -> None:
    assert load_model(rewrite(CONTENT)) == _model()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_survives_javascript(number: float) -> None:
    feature = _feature("a", mean=number)
    content = _sealed(content_of_a_model(format_version=1, features=[feature, _feature("b")], score_quantiles=FLAT))
    assert load_model(rfc8785.dumps(content)).features[0].mean == number
    assert load_model(orjson.dumps(content)).features[0].mean == number


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.lists(st.integers(0, 3), max_size=2)
)


@given(st.sampled_from([path for path in LEAVES if path[0] not in ("score_quantiles", "format_version")]), values)
@settings(max_examples=200)
def test_any_edited_value_is_noticed(path: tuple[Any, ...], value: Any) -> None:
    content = copy.deepcopy(CONTENT)
    part = content
    for step in path[:-1]:
        part = part[step]
    same = part[path[-1]] == value and isinstance(part[path[-1]], bool) == isinstance(value, bool)
    part[path[-1]] = value
    if same:
        assert load_model(orjson.dumps(content)) == _model()
    else:
        assert _refused(orjson.dumps(content)).code is ErrorCode.MODEL_ALTERED


@pytest.mark.parametrize("path", [path for path in LEAVES if path[0] != "format_version"][::37], ids=str)
def test_any_value_left_out_is_noticed(path: tuple[Any, ...]) -> None:
    content = copy.deepcopy(CONTENT)
    part = content
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    assert _refused(content).code is ErrorCode.MODEL_ALTERED


def test_an_altered_model_is_told_both_ids() -> None:
    altered = {**CONTENT, "scaler": "minmax"}
    assert _refused(altered).facts == {"found": CONTENT["id"], "wanted": _sealed(altered)["id"]}


@pytest.mark.parametrize("version", [2, 0, "1", None, True, [1], 2**80])
def test_another_format_version_is_told_before_anything_else(version: Any) -> None:
    error = _refused({"format_version": version, "what": "else"})
    assert error.code is ErrorCode.MODEL_VERSION
    assert error.facts["wanted"] == 1


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'"model"', b"[]", b"null", b"NaN", "{'a': 1}", b"[" * 5000])
def test_what_is_no_json_object_is_no_model(data: Any) -> None:
    assert _refused(data).code is ErrorCode.BAD_MODEL


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), 10**400])
def test_what_has_no_canonical_form_is_no_model(value: Any) -> None:
    assert _refused({**CONTENT, "scaler": value}).code is ErrorCode.BAD_MODEL


def test_nesting_has_an_end() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert _refused({**CONTENT, "scaler": deep}).code is ErrorCode.BAD_MODEL


def _drop(name: str) -> Edit:
    return lambda content: content.pop(name)


def _set(*path: Any) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        part: Any = content
        for step in path[:-2]:
            part = part[step]
        part[path[-2]] = path[-1]

    return edit


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (_drop("features"), "features"),
        (_drop("fitted_on"), "fitted_on"),
        (_set("colour", "red"), "colour"),
        (_set("features", []), "features"),
        (_set("features", [_feature(f"f{i}") for i in range(MAX_FEATURES + 1)]), "features"),
        (_set("segments", []), "segments"),
        (_set("score_quantiles", [0.0]), "score_quantiles"),
        (_set("score_quantiles", 3, -1.0), "score_quantiles do not ascend"),
        (_set("features", 0, "sign", 0), "features.0.sign"),
        (_set("features", 0, "log_unit", 0), "features.0.log_unit"),
        (_set("features", 0, "spread", -1), "features.0.spread"),
        (_set("features", 0, "weight", 2), "features.0.weight"),
        (_set("features", 0, "centre", "one"), "features.0.centre"),
        (_set("features", 0, "shares", [1.0]), "recency_days has 1 shares for 3 quantiles"),
        (_set("features", 0, "quantiles", [1.0, 3.0, 2.0]), "quantiles of recency_days do not ascend"),
        (_set("features", 1, "name", "recency_days"), "two features have the same name"),
        (_set("segments", 1, "id", 0), "segment 1 has the id 0"),
        (_set("segments", 1, "centroid", [1.0]), "segment 1 has 1 coordinates for 2 features"),
        (_set("aggregation", None), "aggregation belongs to models of transactions"),
        (_set("aggregation", "tz", "Mars/Olympus"), "aggregation.tz"),
        (_set("aggregation", "window_days", 0), "aggregation.window_days"),
        (_set("input", "customers"), "aggregation belongs to models of transactions"),
        (_set("fitted_on", "customers", "many"), "fitted_on.customers"),
    ],
)
def test_a_forged_model_must_still_hold_together(edit: Edit, where: str) -> None:
    content = copy.deepcopy(CONTENT)
    edit(content)
    error = _refused(_sealed(content))
    assert error.code is ErrorCode.BAD_MODEL
    assert where in error.detail
    assert "Value error" not in error.detail


def test_a_model_of_a_customers_table_has_no_aggregation() -> None:
    model = _model(input="customers", aggregation=None)
    assert load_model(dump_model(model)).aggregation is None
