"""The model store: what a folder holds, by name and by id; a start with half of the models is none."""

from pathlib import Path

import orjson
import pytest

from proto.errors import ErrorCode, RequestError
from proto.model import Model, dump_model, seal
from service.models import REMEMBERED_BYTES, ModelStore, ModelStoreError, inline_model


def _model(centre: float = 1.0) -> Model:
    feature = {
        "name": "spend",
        "sign": 1,
        "log": False,
        "log_unit": 1.0,
        "centre": centre,
        "spread": 1.0,
        "weight": 1.0,
    }
    figures = {"mean": 1.0, "median": 1.0, "deviation": 1.0, "minimum": 0.0, "maximum": 2.0}
    segment = {
        "id": 0,
        "code": "+",
        "class_code": "+",
        "en": "+",
        "zh": "+",
        "size": 1,
        "share": 1.0,
        "means": {},
        "revenue_share": None,
        "value_score": 0.0,
        "margins": {},
        "borderline": False,
        "centroid": [0.0],
    }
    fitted_on = {
        "customers": 1,
        "rows": 1,
        "as_of": None,
        "history_days": None,
        "inertia": 0.0,
        "k_requested": 1,
        "n_init": 1,
        "seed": 0,
        "starts": 1,
        "steps": 1,
        "passes": 1,
        "options": {},
        "warnings": [],
    }
    content = {
        "input": "customers",
        "aggregation": None,
        "scaler": "none",
        "log_unit": "plain",
        "class_cut": "mean",
        "features": [{**feature, **figures, "quantiles": [1.0], "shares": [0.5, 0.5]}],
        "segments": [segment],
        "score_quantiles": [0.0] * 1010,
        "fitted_on": fitted_on,
    }
    return seal(Model.model_validate(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models beside other things."""
    (tmp_path / "spring.json").write_bytes(dump_model(_model(1.0)))
    (tmp_path / "autumn.v2.json").write_bytes(dump_model(_model(2.0)))
    (tmp_path / "README.md").write_text("not a model")
    (tmp_path / "deeper.json").mkdir()
    (tmp_path / "deeper.json" / "winter.json").write_text("not read")
    return tmp_path


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_of_models(folder: Path, scheme: str) -> None:
    store = ModelStore.read(f"{scheme}{folder}")
    assert [name for name, _ in store] == ["autumn.v2", "spring"]
    assert len(store) == 2
    assert store.get("spring") == _model(1.0)
    assert store.get(_model(2.0).id) is store.get("autumn.v2")


def test_no_folder_no_models() -> None:
    store = ModelStore.read(None)
    assert len(store) == 0
    with pytest.raises(RequestError, match="none: start it with SEGSERVE_MODELS"):
        store.get("spring")


def test_an_unknown_model_is_told_with_those_there_are(folder: Path) -> None:
    with pytest.raises(RequestError) as caught:
        ModelStore.read(str(folder)).get("summer")
    error = caught.value
    assert (error.code, error.status) == (ErrorCode.UNKNOWN_MODEL, 404)
    assert error.facts == {"option": "model", "found": "summer", "wanted": ["autumn.v2", "spring"]}
    assert "autumn.v2, spring" in error.detail


@pytest.mark.parametrize("where", ["{}/nowhere", "file://{}/nowhere", "{}/README.md", "nothing://{}", "file://a b:c"])
def test_a_folder_that_cannot_be_listed_stops_the_start(folder: Path, where: str) -> None:
    with pytest.raises(ModelStoreError, match=r"SEGSERVE_MODELS=.* cannot be listed"):
        ModelStore.read(where.format(folder))


def test_a_bad_model_stops_the_start(folder: Path) -> None:
    (folder / "bad.json").write_bytes(dump_model(_model()).replace(b'"zscore"', b'"none"')[:-10])
    with pytest.raises(ModelStoreError, match=r"bad\.json cannot be used: The model is not JSON"):
        ModelStore.read(str(folder))


def test_an_altered_model_stops_the_start(folder: Path) -> None:
    content = orjson.loads(dump_model(_model()))
    (folder / "spring.json").write_bytes(orjson.dumps({**content, "scaler": "robust"}))
    with pytest.raises(ModelStoreError, match=r"spring\.json cannot be used: .* edited or damaged"):
        ModelStore.read(str(folder))


def test_a_dangling_link_is_no_model(folder: Path) -> None:
    (folder / "lost.json").symlink_to(folder / "gone")
    names = [name for name, _ in ModelStore.read(str(folder))]
    assert "lost" not in names  # no file, as in a folder that is being written


def test_inline_models_come_as_bytes_or_objects() -> None:
    model = _model()
    data = dump_model(model)
    assert inline_model(data) == inline_model(bytearray(data)) == inline_model(memoryview(data)) == model
    assert inline_model(data) is inline_model(bytes(bytearray(data)))
    assert inline_model(orjson.loads(data)) == model
    large = data + b" " * REMEMBERED_BYTES
    assert inline_model(large) == model
    assert inline_model(large) is not inline_model(large)


@pytest.mark.parametrize("found", [b"{}", {}, [], None, 3, "model"])
def test_what_is_no_model_is_refused(found: object) -> None:
    with pytest.raises(RequestError):
        inline_model(found)


def test_credentials_in_an_address_are_not_told() -> None:
    for where in ("nope://who:hidden@bucket/models?token=hidden", "s3://who:hidden@bucket/models?token=hidden"):
        with pytest.raises(ModelStoreError) as caught:
            ModelStore.read(where)
        assert "hidden" not in str(caught.value), caught.value
        assert "://bucket/models " in str(caught.value)
