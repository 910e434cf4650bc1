"""The bundle of models by group: its id, which those of its models make, and what is refused."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import orjson
import pytest
import rfc8785

from proto.bundle import MAX_GROUPS, Bundle, Partition, dump_any, load_any, partition_of, seal_bundle, shared_of
from proto.errors import ErrorCode, RequestError
from proto.model import Model, seal
from proto.options import ScoreOptions, SegmentOptions, parse_options
from tests.service.cli.samples import model as sample_model

MODEL: Model = sample_model()
OTHER = seal(MODEL.model_copy(update={"fitted_on": MODEL.fitted_on.model_copy(update={"seed": 7})}))


def bundle(**models: Model) -> Bundle:
    return seal_bundle(
        Bundle(
            partition_by="region",
            unit="row",
            customers=10,
            rows=20,
            as_of=None,
            not_fitted={"west": 2},
            warnings=[],
            models=models or {"north": MODEL, "": OTHER},
        )
    )


def naive_id(content: dict[str, Any]) -> str:
    """As proto/README.md says it."""
    bare = {name: value for name, value in content.items() if name != "id"}
    bare["models"] = {group: model["id"] for group, model in content["models"].items()}
    return hashlib.sha256(rfc8785.dumps(bare)).hexdigest()


def test_a_bundle_comes_back_as_it_went() -> None:
    made = bundle()
    content = orjson.loads(dump_any(made))
    assert made.id == naive_id(content)
    for sent in (dump_any(made), content, orjson.dumps(dict(reversed(content.items())))):
        assert load_any(sent) == made
    assert load_any(dump_any(MODEL)) == MODEL
    assert bundle(b=OTHER, a=MODEL).id == bundle(a=MODEL, b=OTHER).id != made.id


def test_what_an_edit_says() -> None:
    content = orjson.loads(dump_any(bundle()))
    edits: list[tuple[Any, ErrorCode, str]] = [
        (lambda c: c.update(unit="customer"), ErrorCode.MODEL_ALTERED, "The model says its id"),
        (lambda c: c["models"]["north"].update(scaler="none"), ErrorCode.MODEL_ALTERED, "the group 'north'"),
        (lambda c: c["models"].update(east=c["models"]["north"]), ErrorCode.MODEL_ALTERED, "edited"),
        (lambda c: c.update(models=[1]), ErrorCode.BAD_MODEL, "not objects by group"),
        (lambda c: c.update(models={"a": 1}), ErrorCode.BAD_MODEL, "not objects by group"),
        (lambda c: c.update(models={str(i): {"id": ""} for i in range(1_001)}), ErrorCode.BAD_MODEL, "1,001"),
        (lambda c: c.update(format_version=2), ErrorCode.MODEL_VERSION, "format_version 2"),
    ]
    for edit, code, words in edits:
        edited = copy.deepcopy(content)
        edit(edited)
        with pytest.raises(RequestError, match=words) as refused:
            load_any(edited)
        assert refused.value.code is code
    assert MAX_GROUPS == 1_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scaler": "robust"}, "other settings"),
        ({"features": list(reversed(MODEL.features))}, "other features"),
        ({"schemes": {"pareto": {"parameters": {}, "frozen": {}}}}, "other schemes"),
    ],
)
def test_models_that_do_not_go_together(changes: dict[str, Any], words: str) -> None:
    content = orjson.loads(dump_any(bundle()))
    told = {name: [f.model_dump() for f in value] if name == "features" else value for name, value in changes.items()}
    content["models"][""] |= told
    if "features" in told:
        for segment in content["models"][""]["segments"]:
            segment["centroid"].reverse()
    content["models"][""]["id"] = hashlib.sha256(
        rfc8785.dumps({k: v for k, v in content["models"][""].items() if k != "id"})
    ).hexdigest()
    content["id"] = naive_id(content)
    with pytest.raises(RequestError, match=words) as refused:
        load_any(content)
    assert refused.value.code is ErrorCode.BAD_MODEL


def test_how_a_request_is_parted() -> None:
    plain = parse_options(SegmentOptions, [])
    parted = parse_options(SegmentOptions, [("partition_by", "channel"), ("unit", "row")])
    score = parse_options(ScoreOptions, [])
    assert partition_of(plain, bundle()) is None
    assert partition_of(parted, None) == Partition("channel", "row")
    assert partition_of(score, bundle()) == Partition("region", "row")
    assert partition_of(score, MODEL) is None
    assert shared_of(bundle()) == shared_of(MODEL) == MODEL
    assert shared_of(None) is None
    with pytest.raises(RequestError, match="unit=row says which group"):
        parse_options(SegmentOptions, [("unit", "row")])
    with pytest.raises(RequestError, match="no column is named"):
        parse_options(SegmentOptions, [("partition_by", " ")])
