"""The models a replica is started with: every *.json of one folder or bucket, read once, never written."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from proto.bundle import AnyModel, Bundle, load_any
from proto.errors import ErrorCode, RequestError

__all__ = ["ModelStore", "ModelStoreError", "inline_model", "told_of"]

REMEMBERED_BYTES = 1 << 20


class ModelStoreError(Exception):
    """The folder or bucket, or a model in it, cannot be read; the service does not start with half of its models."""


class ModelStore:
    """Models by name (the file's stem) and by id."""

    def __init__(self, models: dict[str, AnyModel]) -> None:
        self._by_name = models
        self._by_id = {model.id: model for model in models.values()}

    @classmethod
    def read(cls, where: str | None) -> ModelStore:
        """Reads every *.json of a local folder or a bucket URI; ModelStoreError says which file failed and why."""
        if where is None:
            return cls({})
        try:
            system, path = fs.FileSystem.from_uri(where) if "://" in where else (fs.LocalFileSystem(), where)
            infos = system.get_file_info(fs.FileSelector(path, recursive=False))
        except (OSError, pa.ArrowException) as error:
            shown = _without_credentials(where)
            said = str(error).replace(where, shown)
            raise ModelStoreError(f"SEGSERVE_MODELS={shown} cannot be listed: {said}.") from None
        models = {}
        for info in sorted(infos, key=lambda info: info.path):
            name = PurePosixPath(info.path)
            if name.suffix != ".json" or info.type != fs.FileType.File:
                continue
            try:
                with system.open_input_stream(info.path) as stream:
                    models[name.stem] = load_any(stream.read())
            except OSError as error:
                raise ModelStoreError(f"The model {info.path} cannot be read: {error}.") from error
            except RequestError as error:
                raise ModelStoreError(f"The model {info.path} cannot be used: {error.detail}") from error
        return cls(models)

    def get(self, name: str) -> AnyModel:
        """The model of that name or id; RequestError(UNKNOWN_MODEL) lists the names there are."""
        model = self._by_name.get(name) or self._by_id.get(name)
        if model is None:
            known = ", ".join(self._by_name) or "none: start it with SEGSERVE_MODELS, or send the model with the data"
            raise RequestError(
                ErrorCode.UNKNOWN_MODEL,
                f"There is no model {name!r}. The models of this service are {known}.",
                option="model",
                found=name,
                wanted=list(self._by_name),
            )
        return model

    def __iter__(self) -> Iterator[tuple[str, AnyModel]]:
        return iter(self._by_name.items())

    def __len__(self) -> int:
        return len(self._by_name)


def told_of(model: AnyModel) -> dict[str, Any]:
    """What a list of models says of one; of a bundle, its groups instead of segments."""
    if isinstance(model, Bundle):
        shared = model.shared
        own = {"segments": [], "customers": model.customers, "as_of": model.as_of}
        own |= {"partition_by": model.partition_by, "unit": model.unit, "groups": list(model.models)}
    else:
        shared, fitted = model, model.fitted_on
        own = {"segments": [s.code for s in model.segments], "customers": fitted.customers, "as_of": fitted.as_of}
    return {"id": model.id, "input": shared.input, "features": [f.name for f in shared.features], **own}


def _without_credentials(where: str) -> str:
    """The place less what a URI may hold before its host and after its path: /readyz tells everybody."""
    scheme, found, rest = where.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}" if found else where


def inline_model(found: Any) -> AnyModel:
    """The model that came with the data; checking its id costs milliseconds, so the last few are remembered.

    Bundles of many groups are not: 32 of those would hold gigabytes that no request has reserved.
    """
    if not isinstance(found, bytes | bytearray | memoryview):
        return load_any(found)
    return _cached(bytes(found)) if len(found) <= REMEMBERED_BYTES else load_any(bytes(found))


@functools.lru_cache(maxsize=32)
def _cached(data: bytes) -> AnyModel:
    return load_any(data)
