"""The schemes there are: every module of this package that has a SCHEME; an error names those near a wrong name."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from typing import Any

import service.schemes as package
from proto.errors import ErrorCode, RequestError
from service.schemes.scheme import UNKNOWN, Scheme, SchemeClass, Text

__all__ = ["catalogue", "named", "told"]

# The order in which they are listed; those that are not named follow by name.
_FIRST = ("quintile", "pareto", "lifecycle", "loyalty", "growth", "retention")


@functools.cache
def catalogue() -> dict[str, Scheme]:
    """All schemes by name."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        scheme = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "SCHEME", None)
        if isinstance(scheme, Scheme):
            found[scheme.name] = scheme
    order = [name for name in _FIRST if name in found] + sorted(set(found) - set(_FIRST))
    return {name: found[name] for name in order}


def named(name: str) -> Scheme:
    """The scheme of that name; RequestError with the near ones where there is none."""
    schemes = catalogue()
    if name in schemes:
        return schemes[name]
    near = difflib.get_close_matches(name, schemes, 3, 0.5)
    perhaps = f" Perhaps {' or '.join(near)} is meant." if near else ""
    raise RequestError(
        ErrorCode.BAD_OPTION,
        f"schemes= names {name!r}, which is no scheme.{perhaps} There are {', '.join(schemes)}; GET /v1/schemes "
        "explains them.",
        option="schemes",
        found=name,
        wanted=list(schemes),
    )


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _class(one: SchemeClass) -> dict[str, Any]:
    return {"code": one.code, "en": one.en, "zh": one.zh, "action": _both(one.action)}


def told() -> list[dict[str, Any]]:
    """The catalogue as JSON, for `GET /v1/schemes`: enough to choose, in both languages."""
    return [
        {
            "name": scheme.name,
            "title": _both(scheme.title),
            "question": _both(scheme.question),
            "formula": scheme.formula,
            "columns": [
                {"name": column.name, "holds": column.kind, "needed": column.is_needed, "what": _both(column.what)}
                for column in scheme.columns
            ],
            "any_of": list(scheme.any_of),
            "needs_as_of": scheme.looks_back_days is not None,
            "customers_table": None if scheme.table is None else list(scheme.table),
            "parameters": [
                {
                    "name": f"{scheme.name}.{parameter.name}",
                    "default": None if parameter.default is None else parameter.written(parameter.default),
                    "value": parameter.form,
                    "what": {"en": parameter.en, "zh": parameter.zh},
                }
                for parameter in scheme.parameters
            ],
            "classes": [_class(one) for one in (*scheme.classes, UNKNOWN)] if scheme.classes else [],
            "output_columns": [
                *([{"name": scheme.name, "holds": "label", "what": _both(scheme.title)}] if scheme.classes else []),
                *(
                    {"name": f"{scheme.name}_{figure.name}", "holds": figure.kind, "what": _both(figure.what)}
                    | ({"classes": [_class(one) for one in (*figure.classes, UNKNOWN)]} if figure.classes else {})
                    for figure in scheme.figures
                ),
            ],
        }
        for scheme in catalogue().values()
    ]
